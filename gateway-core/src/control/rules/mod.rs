//! What a document must hold together with its neighbours: the rules that no single member shows.
//!
//! Each function fills in AWS's defaults and refuses what breaks a rule; creating and changing ask the same one.

mod integration;
mod route;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ControlError;
use super::account::{ApiDocuments, Document, Item, text};
use super::kind::{Kind, protocol_of};
use crate::expression::{self, SelectionExpression};
use crate::live::Source;
use crate::resource::{Api, ProtocolType};

/// The one expression that HTTP APIs know.
const HTTP_ROUTE_SELECTION: &str = "$request.method $request.path";

/// Where an item stands: the API it belongs to, the item above it, and its own id once it has one.
pub(super) struct Place<'a> {
    pub(super) api: &'a ApiDocuments,
    pub(super) parent: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

/// Checks a part of a configuration, and fills in its defaults.
pub(super) fn item(
    kind: Kind,
    place: &Place<'_>,
    document: &mut Document,
) -> Result<(), ControlError> {
    match kind {
        Kind::Route => route::route(place, document),
        Kind::RouteResponse => route::route_response(place, document),
        Kind::Integration => integration::integration(place, document),
        Kind::IntegrationResponse => integration::integration_response(place, document),
        Kind::Model => model(place, document),
        _ => authorizer(place, document),
    }
}

pub(super) fn api(document: &mut Document) -> Result<(), ControlError> {
    let protocol = protocol_of(document);
    default(
        document,
        "apiKeySelectionExpression",
        json!(Api::DEFAULT_API_KEY_SELECTION),
    );
    default(document, "disableExecuteApiEndpoint", json!(false));
    default(document, "ipAddressType", json!("ipv4"));
    let legal = [
        Api::DEFAULT_API_KEY_SELECTION,
        "$context.authorizer.usageIdentifierKey",
    ];
    let key = text(document, "apiKeySelectionExpression").unwrap_or_default();
    if !legal.contains(&key) {
        return bad(format!(
            "Invalid apiKeySelectionExpression {key}. Must be one of [{}]",
            legal.join(", ")
        ));
    }
    let route = text(document, "routeSelectionExpression");
    match (protocol, route) {
        (ProtocolType::Http, None) => {
            default(
                document,
                "routeSelectionExpression",
                json!(HTTP_ROUTE_SELECTION),
            );
        }
        (ProtocolType::Http, Some(HTTP_ROUTE_SELECTION | "${request.method} ${request.path}")) => {}
        (ProtocolType::Http, Some(_)) => {
            return bad(format!(
                "RouteSelectionExpression of an HTTP API must be {HTTP_ROUTE_SELECTION}"
            ));
        }
        (ProtocolType::Websocket, None) => {
            return bad(
                "RouteSelectionExpression is a required parameter for WEBSOCKET protocol APIs",
            );
        }
        (ProtocolType::Websocket, Some(route)) => {
            expression("routeSelectionExpression", route, expression::Kind::Route)?;
        }
    }
    if protocol == ProtocolType::Websocket {
        default(document, "disableSchemaValidation", json!(false));
    }
    Ok(())
}

fn model(place: &Place<'_>, document: &mut Document) -> Result<(), ControlError> {
    default(document, "contentType", json!("application/json"));
    let name = text(document, "name").unwrap_or_default();
    if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return bad(format!(
            "Invalid model name {name}: it must be alphanumeric"
        ));
    }
    if others(&place.api.configuration.models, place.id)
        .any(|other| text(other, "name") == Some(name))
    {
        return Err(ControlError::Conflict(format!(
            "Model with name {name} already exists for this API"
        )));
    }
    if let Some(id) = place.id
        && let Some(old) = place
            .api
            .configuration
            .models
            .get(id)
            .and_then(|item| text(&item.document, "name"))
        && old != name
    {
        let users = routes_with_model(place.api, old);
        if !users.is_empty() {
            return Err(in_use("rename Model", &users));
        }
    }
    let schema = text(document, "schema").unwrap_or_default();
    match serde_json::from_str::<Value>(schema) {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => bad("Invalid model specified: the schema must be a JSON object"),
        Err(why) => bad(format!(
            "Invalid model specified: the schema is not JSON: {why}"
        )),
    }
}

fn authorizer(place: &Place<'_>, document: &mut Document) -> Result<(), ControlError> {
    let protocol = place.api.protocol();
    let kind = text(document, "authorizerType")
        .unwrap_or_default()
        .to_owned();
    let sources = document
        .get("identitySource")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let name = text(document, "name").unwrap_or_default();
    if others(&place.api.configuration.authorizers, place.id)
        .any(|other| text(other, "name") == Some(name))
    {
        return Err(ControlError::Conflict(format!(
            "Authorizer with name {name} already exists for this API"
        )));
    }
    if kind == "JWT" {
        if protocol == ProtocolType::Websocket {
            return bad(
                "AuthorizerType JWT is not supported on protocolType WEBSOCKET. Must be REQUEST",
            );
        }
        let issuer = document
            .get("jwtConfiguration")
            .and_then(|jwt| jwt.get("issuer"))
            .and_then(Value::as_str);
        if !issuer.is_some_and(|issuer| issuer.starts_with("https://")) {
            return bad("JwtConfiguration.Issuer must be an https URL for authorizerType JWT");
        }
        if sources != 1 {
            return bad("A JWT authorizer takes exactly one identitySource");
        }
        return Ok(());
    }
    if !document.contains_key("authorizerUri") {
        return bad("AuthorizerUri is a required parameter for REQUEST authorizer");
    }
    if protocol == ProtocolType::Http {
        if !matches!(
            text(document, "authorizerPayloadFormatVersion"),
            Some("1.0" | "2.0")
        ) {
            return bad(
                "AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizer",
            );
        }
        default(
            document,
            "authorizerResultTtlInSeconds",
            json!(if sources > 0 { 300 } else { 0 }),
        );
        default(document, "enableSimpleResponses", json!(false));
        return Ok(());
    }
    document.remove("authorizerPayloadFormatVersion");
    let identity = document.get("identitySource").and_then(Value::as_array);
    for source in identity.into_iter().flatten().filter_map(Value::as_str) {
        let legal = [
            "route.request.header.",
            "route.request.querystring.",
            "context.",
            "stageVariables.",
        ];
        if !legal
            .iter()
            .any(|start| source.len() > start.len() && source.starts_with(start))
        {
            return bad(format!(
                "Invalid identity source specified {source}: write route.request.header.NAME, route.request.querystring.NAME, \
                 context.NAME or stageVariables.NAME"
            ));
        }
    }
    Ok(())
}

/// Refuses to delete what something else names.
pub(super) fn unused(kind: Kind, api: &ApiDocuments, id: &str) -> Result<(), ControlError> {
    let routes = &api.configuration.routes;
    let naming = |member: &str, value: &str| -> Vec<&str> {
        routes
            .iter()
            .filter(|(_, route)| text(&route.document, member) == Some(value))
            .map(|(id, _)| id.as_str())
            .collect()
    };
    let users = match kind {
        Kind::Integration => naming("target", &format!("integrations/{id}")),
        Kind::Authorizer => naming("authorizerId", id),
        Kind::Model => {
            let model = api.configuration.models.get(id);
            let name = model
                .and_then(|model| text(&model.document, "name"))
                .unwrap_or_default();
            routes_with_model(api, name)
        }
        _ => Vec::new(),
    };
    if users.is_empty() {
        return Ok(());
    }
    Err(in_use(&format!("delete {}", kind.word()), &users))
}

fn in_use(what: &str, routes: &[&str]) -> ControlError {
    let ids = routes.join(", ");
    ControlError::Conflict(format!(
        "Cannot {what} because it is referenced by the following Routes with Ids: [{ids}]"
    ))
}

fn routes_with_model<'a>(api: &'a ApiDocuments, name: &str) -> Vec<&'a str> {
    let uses = |route: &Item| {
        let models = route
            .document
            .get("requestModels")
            .and_then(Value::as_object);
        models.is_some_and(|models| models.values().any(|model| model == name))
    };
    api.configuration
        .routes
        .iter()
        .filter(|(_, route)| uses(route))
        .map(|(id, _)| id.as_str())
        .collect()
}

fn others<'a>(
    items: &'a BTreeMap<String, Item>,
    own: Option<&'a str>,
) -> impl Iterator<Item = &'a Document> {
    items
        .iter()
        .filter(move |(id, _)| own != Some(id.as_str()))
        .map(|(_, item)| &item.document)
}

/// Fills in a member that nobody wrote.
pub(super) fn default(document: &mut Document, member: &str, value: Value) {
    if !document.contains_key(member) {
        document.insert(member.to_owned(), value);
    }
}

fn expression(member: &str, written: &str, kind: expression::Kind) -> Result<(), ControlError> {
    SelectionExpression::parse(written, kind)
        .map(drop)
        .map_err(|why| {
            ControlError::bad(format!(
                "Invalid selection expression specified for {member}: {why}"
            ))
        })
}

fn source(written: &str) -> Result<(), ControlError> {
    Source::parse(written, &BTreeMap::new())
        .map(drop)
        .map_err(|why| ControlError::bad(format!("Invalid mapping expression specified: {why}")))
}

fn bad(message: impl Into<String>) -> Result<(), ControlError> {
    Err(ControlError::bad(message))
}
