//! [`crate::resource`] back to documents: what `wiregate.yaml` declares, as the control plane shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::account::{ApiDocuments, Configuration, Deployment, Document, DomainDocuments, Item};
use crate::resource::{
    Api, AuthorizationType, Integration, ProtocolType, Route, RouteSettings, Stage,
};

/// The documents of an API that a file declares; `created` is the time they show.
pub fn describe(api: &Api, origin: &str, created: &str) -> ApiDocuments {
    let id = |kind: &str, name: &str, length: usize| derived_id(&[&api.api_id, kind, name], length);
    let mut configuration = Configuration::default();
    for each in &api.routes {
        let route_id = id("route", &each.route_key, 7);
        let mut item = Item {
            document: route(each),
            ..Item::default()
        };
        item.document.insert("routeId".to_owned(), json!(route_id));
        for response in &each.route_responses {
            let response_id = id("routeResponse", &each.route_key, 6);
            let document = object(json!({
                "routeResponseId": response_id, "routeResponseKey": response.route_response_key,
            }));
            item.responses.insert(
                response_id,
                Item {
                    document,
                    ..Item::default()
                },
            );
        }
        configuration.routes.insert(route_id, item);
    }
    for each in &api.integrations {
        let mut item = Item {
            document: integration(each),
            ..Item::default()
        };
        for response in &each.integration_responses {
            let name = format!(
                "{} {}",
                each.integration_id, response.integration_response_key
            );
            let response_id = id("integrationResponse", &name, 6);
            let document = object(json!({
                "integrationResponseId": response_id,
                "integrationResponseKey": response.integration_response_key,
                "templateSelectionExpression": response.template_selection_expression,
                "responseTemplates": non_empty(&response.response_templates),
                "contentHandlingStrategy": response.content_handling_strategy,
            }));
            item.responses.insert(
                response_id,
                Item {
                    document,
                    ..Item::default()
                },
            );
        }
        configuration
            .integrations
            .insert(each.integration_id.clone(), item);
    }
    for each in &api.authorizers {
        let document = object(json!({
            "authorizerId": each.authorizer_id, "name": each.authorizer_id, "authorizerType": "REQUEST",
            "authorizerUri": each.authorizer_uri, "identitySource": each.identity_source,
        }));
        configuration.authorizers.insert(
            each.authorizer_id.clone(),
            Item {
                document,
                ..Item::default()
            },
        );
    }
    let configuration = Arc::new(configuration);
    let document = object(json!({
        "apiId": api.api_id, "name": api.api_id, "protocolType": api.protocol_type,
        "routeSelectionExpression": api.route_selection_expression,
        "apiKeySelectionExpression": api.api_key_selection_expression,
        "disableExecuteApiEndpoint": api.disable_execute_api_endpoint,
        "disableSchemaValidation": (api.protocol_type == ProtocolType::Websocket).then_some(false),
        "ipAddressType": "ipv4", "createdDate": created, "tags": {},
    }));
    let deployment_id = id("deployment", "", 6);
    let deployment = Deployment {
        document: object(json!({
            "deploymentId": deployment_id, "autoDeployed": true, "deploymentStatus": "DEPLOYED", "createdDate": created,
        })),
        api: document.clone(),
        configuration: Arc::clone(&configuration),
        number: 0,
    };
    let stages = api.stages.iter().map(|each| {
        let mut document = stage(each, created);
        document.insert("deploymentId".to_owned(), json!(deployment_id));
        (each.stage_name.clone(), document)
    });
    ApiDocuments {
        stages: stages.collect(),
        api: document,
        configuration,
        deployments: BTreeMap::from([(deployment_id, Arc::new(deployment))]),
        born: 0,
        origin: Some(origin.into()),
    }
}

/// The documents of a domain name that a file declares, with its mappings: key, API and stage.
pub fn describe_domain<'m>(
    name: &str,
    mappings: impl IntoIterator<Item = (&'m str, &'m str, &'m str)>,
    origin: &str,
    region: &str,
) -> DomainDocuments {
    let mappings = mappings.into_iter().map(|(key, api, stage)| {
        let id = derived_id(&[name, "mapping", key], 6);
        let document =
            object(json!({"apiMappingId": id, "apiId": api, "stage": stage, "apiMappingKey": key}));
        (id, document)
    });
    DomainDocuments {
        mappings: mappings.collect(),
        domain_name: object(json!({
            "domainName": name, "apiMappingSelectionExpression": "$request.basepath", "tags": {},
            "domainNameArn": format!("arn:aws:apigateway:{region}::/domainnames/{name}"),
            "domainNameConfigurations": [{"domainNameStatus": "AVAILABLE", "endpointType": "REGIONAL"}],
        })),
        origin: Some(origin.into()),
    }
}

/// An id `[a-z0-9]` that follows from names, so that it is the same after every load.
fn derived_id(names: &[&str], length: usize) -> String {
    let digest = Sha256::digest(names.join("\u{0}"));
    digest
        .iter()
        .take(length)
        .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(byte % 36)]))
        .collect()
}

fn route(route: &Route) -> Document {
    let constraints: BTreeMap<&str, Value> = route
        .request_parameters
        .iter()
        .map(|(name, c)| (name.as_str(), json!({"required": c.required})))
        .collect();
    object(json!({
        "routeKey": route.route_key,
        "target": route.target.as_ref().map(|id| format!("integrations/{}", id.trim_start_matches("integrations/"))),
        "authorizationType": route.authorization_type,
        // As AWS keeps it: where none is asked, none is named.
        "authorizerId": route.authorizer_id.as_ref().filter(|_| route.authorization_type == AuthorizationType::Custom),
        "apiKeyRequired": route.api_key_required,
        "modelSelectionExpression": route.model_selection_expression,
        "requestModels": non_empty(&route.request_models),
        "requestParameters": non_empty(&constraints),
        "routeResponseSelectionExpression": route.route_response_selection_expression,
        "operationName": route.operation_name,
    }))
}

fn integration(integration: &Integration) -> Document {
    use crate::resource::IntegrationType::{Aws, AwsProxy, Http, HttpProxy, Mock};
    let selects = match integration.integration_type {
        Mock | Http => Some("${integration.response.statuscode}"),
        Aws => Some("${integration.response.body.errorMessage}"),
        HttpProxy | AwsProxy => None,
    };
    object(json!({
        "integrationId": integration.integration_id,
        "integrationType": integration.integration_type,
        "connectionType": "INTERNET",
        "integrationUri": integration.integration_uri,
        "integrationMethod": (integration.integration_type != Mock).then_some(&integration.integration_method),
        "integrationResponseSelectionExpression": selects,
        "timeoutInMillis": u64::try_from(integration.timeout.as_millis()).unwrap_or(u64::MAX),
        "requestParameters": non_empty(&integration.request_parameters),
        "requestTemplates": non_empty(&integration.request_templates),
        "templateSelectionExpression": integration.template_selection_expression,
        "passthroughBehavior": integration.passthrough_behavior,
        "payloadFormatVersion": "1.0",
        "contentHandlingStrategy": integration.content_handling_strategy,
    }))
}

fn stage(stage: &Stage, created: &str) -> Document {
    let by_route: BTreeMap<&str, Value> = stage
        .route_settings
        .iter()
        .map(|(key, of)| (key.as_str(), settings(of, false)))
        .collect();
    object(json!({
        "stageName": stage.stage_name,
        "stageVariables": stage.stage_variables,
        "defaultRouteSettings": settings(&stage.default_route_settings, true),
        "routeSettings": by_route,
        "autoDeploy": true,
        "createdDate": created, "lastUpdatedDate": created, "tags": {},
    }))
}

fn settings(settings: &RouteSettings, with_defaults: bool) -> Value {
    let quiet = with_defaults.then_some(false);
    Value::Object(object(json!({
        "dataTraceEnabled": quiet,
        "detailedMetricsEnabled": quiet,
        "loggingLevel": with_defaults.then_some("OFF"),
        "throttlingRateLimit": settings.throttling_rate_limit,
        "throttlingBurstLimit": settings.throttling_burst_limit,
    })))
}

fn non_empty<T: Serialize>(map: &BTreeMap<impl AsRef<str> + Serialize + Ord, T>) -> Option<Value> {
    (!map.is_empty()).then(|| json!(map))
}

/// The members that hold something.
fn object(value: Value) -> Document {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        _ => Document::new(),
    }
}
