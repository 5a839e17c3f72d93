//! Integrations and integration responses.

use serde_json::{Value, json};

use super::super::ControlError;
use super::super::account::{Document, text};
use super::super::kind::Kind;
use super::{Place, bad, default, expression, others, source};
use crate::expression::{self as selection, ResponseKey};
use crate::live::Target;
use crate::resource::ProtocolType;

pub(super) fn integration(place: &Place<'_>, document: &mut Document) -> Result<(), ControlError> {
    let protocol = place.api.protocol();
    let kind = text(document, "integrationType")
        .unwrap_or_default()
        .to_owned();
    default(document, "connectionType", json!("INTERNET"));
    let subtype = document.contains_key("integrationSubtype");
    if kind != "MOCK" && !subtype && !document.contains_key("integrationUri") {
        return bad(format!(
            "IntegrationUri is a required parameter for integrationType {kind}"
        ));
    }
    if matches!(kind.as_str(), "HTTP" | "HTTP_PROXY") {
        if !document.contains_key("integrationMethod") {
            return bad(format!(
                "IntegrationMethod is a required parameter for integrationType {kind}"
            ));
        }
        let uri = text(document, "integrationUri").unwrap_or_default();
        let private = text(document, "connectionType") == Some("VPC_LINK");
        let is_url = ["http://", "https://", "${stageVariables."]
            .iter()
            .any(|start| uri.starts_with(start));
        if !private && !is_url {
            return bad(format!(
                "Invalid HTTP endpoint specified for URI {uri}: it begins with http:// or https://"
            ));
        }
    }
    let most = match protocol {
        ProtocolType::Websocket => 29_000,
        ProtocolType::Http => 30_000,
    };
    default(document, "timeoutInMillis", json!(most));
    if document
        .get("timeoutInMillis")
        .and_then(Value::as_i64)
        .is_some_and(|millis| millis > most)
    {
        return bad(format!("Timeout should be between 50 ms and {most} ms"));
    }
    match protocol {
        ProtocolType::Http => http_integration(&kind, subtype, document),
        ProtocolType::Websocket => websocket_integration(&kind, document),
    }
}

fn http_integration(
    kind: &str,
    subtype: bool,
    document: &mut Document,
) -> Result<(), ControlError> {
    if !matches!(kind, "AWS_PROXY" | "HTTP_PROXY") {
        return bad(
            "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations (AWS_PROXY, HTTP_PROXY)",
        );
    }
    let Some(version) = text(document, "payloadFormatVersion") else {
        return bad("PayloadFormatVersion is a required parameter for integration");
    };
    let is_lambda = kind == "AWS_PROXY" && !subtype;
    match version {
        "1.0" => {}
        "2.0" if is_lambda => {}
        _ => return bad("PayloadFormatVersion must be 1.0, or 2.0 for Lambda integrations"),
    }
    if is_lambda {
        default(document, "integrationMethod", json!("POST"));
    }
    document.remove("passthroughBehavior");
    Ok(())
}

fn websocket_integration(kind: &str, document: &mut Document) -> Result<(), ControlError> {
    default(document, "passthroughBehavior", json!("WHEN_NO_MATCH"));
    default(document, "payloadFormatVersion", json!("1.0"));
    if text(document, "payloadFormatVersion") != Some("1.0") {
        return bad("PayloadFormatVersion must be 1.0 for integrations of a WEBSOCKET API");
    }
    let is_service = matches!(kind, "AWS" | "AWS_PROXY");
    if is_service && text(document, "integrationMethod").is_some_and(|method| method != "POST") {
        return bad(format!(
            "IntegrationMethod must be POST for integrationType {kind}"
        ));
    }
    if is_service && !text(document, "integrationUri").is_some_and(|uri| uri.starts_with("arn:")) {
        return bad(
            "IntegrationUri must be the ARN of a Lambda invocation or of an AWS service action",
        );
    }
    let selects = match kind {
        "MOCK" | "HTTP" => Some("${integration.response.statuscode}"),
        "AWS" => Some("${integration.response.body.errorMessage}"),
        _ => None,
    };
    match selects {
        Some(selects) => document.insert(
            "integrationResponseSelectionExpression".to_owned(),
            json!(selects),
        ),
        None => document.remove("integrationResponseSelectionExpression"),
    };
    if let Some(selection) = text(document, "templateSelectionExpression") {
        expression(
            "templateSelectionExpression",
            selection,
            selection::Kind::RequestTemplate,
        )?;
    }
    if let Some(Value::Object(parameters)) = document.get("requestParameters") {
        for (name, value) in parameters {
            Target::parse(name).map_err(|why| {
                ControlError::bad(format!("Invalid mapping expression specified: {why}"))
            })?;
            source(value.as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}

pub(super) fn integration_response(
    place: &Place<'_>,
    document: &mut Document,
) -> Result<(), ControlError> {
    if place.api.protocol() == ProtocolType::Http {
        return bad("IntegrationResponses are not supported on protocolType HTTP");
    }
    let key = text(document, "integrationResponseKey").unwrap_or_default();
    ResponseKey::parse(key)
        .map_err(|why| ControlError::bad(format!("Invalid integrationResponseKey {key}: {why}")))?;
    let items = place
        .api
        .configuration
        .items(Kind::IntegrationResponse, place.parent)?;
    if others(items, place.id).any(|other| text(other, "integrationResponseKey") == Some(key)) {
        return Err(ControlError::Conflict(format!(
            "Integration response with key {key} already exists for this integration"
        )));
    }
    if let Some(selection) = text(document, "templateSelectionExpression") {
        expression(
            "templateSelectionExpression",
            selection,
            selection::Kind::ResponseTemplate,
        )?;
    }
    Ok(())
}
