//! Documents to [`crate::resource`]: what traffic is compiled from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::account::{Account, ApiDocuments, Deployment, Document, Item, text};
use super::kind::protocol_of;
use crate::address::{ApiMapping, Domain};
use crate::resource::{
    Api, Authorizer, Integration, IntegrationResponse, IntegrationType, Limits,
    ParameterConstraints, Preset, Route, RouteResponse, RouteSettings, Stage,
};

/// The tag by which an API of the control plane chooses its preset: `open` or `aws`.
pub(super) const PRESET_TAG: &str = "wiregate:preset";

/// The API as a stage serves it, with that stage alone; `None` while the stage points at no deployment.
pub fn resources(documents: &ApiDocuments, stage_name: &str, preset: Preset) -> Option<Api> {
    let stage = documents.stages.get(stage_name)?;
    let deployment = documents.deployed(stage)?;
    // Tags act at once, as stage settings do.
    let tag = documents
        .api
        .get("tags")
        .and_then(|tags| tags.get(PRESET_TAG));
    let preset = tag.and_then(value).unwrap_or(preset);
    Some(api(deployment, stage, preset))
}

/// The custom domain names with what they show, for [`crate::address::Directory`].
pub fn domains(account: &Account) -> Vec<Domain> {
    let shown = account.domain_names().map(|(name, domain)| Domain {
        domain_name: name.to_owned(),
        mappings: domain.mappings.values().map(mapping).collect(),
    });
    shown.collect()
}

fn mapping(document: &Document) -> ApiMapping {
    ApiMapping {
        api_mapping_key: owned(document, "apiMappingKey").unwrap_or_default(),
        api_id: text(document, "apiId").unwrap_or_default().into(),
        stage: text(document, "stage").unwrap_or_default().into(),
    }
}

fn api(deployment: &Deployment, stage: &Document, preset: Preset) -> Api {
    let (document, configuration) = (&deployment.api, &deployment.configuration);
    let mut routes: Vec<Route> = configuration.routes.values().map(route).collect();
    routes.sort_by(|a, b| a.route_key.cmp(&b.route_key));
    Api {
        protocol_type: protocol_of(document),
        route_selection_expression: owned(document, "routeSelectionExpression")
            .unwrap_or_else(|| Api::DEFAULT_ROUTE_SELECTION.to_owned()),
        api_key_selection_expression: owned(document, "apiKeySelectionExpression")
            .unwrap_or_else(|| Api::DEFAULT_API_KEY_SELECTION.to_owned()),
        disable_execute_api_endpoint: flag(document, "disableExecuteApiEndpoint"),
        limits: Limits::preset(preset),
        routes,
        integrations: configuration
            .integrations
            .values()
            .map(integration)
            .collect(),
        authorizers: configuration
            .authorizers
            .values()
            .map(|item| authorizer(&item.document))
            .collect(),
        stages: vec![self::stage(stage)],
        ..Api::new(text(document, "apiId").unwrap_or_default(), preset)
    }
}

fn route(item: &Item) -> Route {
    let document = &item.document;
    let constraints = document.get("requestParameters").and_then(Value::as_object);
    Route {
        target: text(document, "target")
            .map(|target| target.trim_start_matches("integrations/").to_owned()),
        authorization_type: member(document, "authorizationType").unwrap_or_default(),
        authorizer_id: owned(document, "authorizerId"),
        api_key_required: flag(document, "apiKeyRequired"),
        model_selection_expression: owned(document, "modelSelectionExpression"),
        request_models: texts(document, "requestModels"),
        request_parameters: constraints
            .into_iter()
            .flatten()
            .map(|(name, constraint)| {
                let required = constraint.get("required") == Some(&Value::Bool(true));
                (name.clone(), ParameterConstraints { required })
            })
            .collect(),
        route_response_selection_expression: owned(document, "routeResponseSelectionExpression"),
        route_responses: item
            .responses
            .values()
            .filter_map(|response| owned(&response.document, "routeResponseKey"))
            .map(|route_response_key| RouteResponse { route_response_key })
            .collect(),
        operation_name: owned(document, "operationName"),
        ..Route::new(text(document, "routeKey").unwrap_or_default())
    }
}

fn integration(item: &Item) -> Integration {
    let document = &item.document;
    let id = text(document, "integrationId").unwrap_or_default();
    let kind = member(document, "integrationType").unwrap_or(IntegrationType::Mock);
    let timeout = document.get("timeoutInMillis").and_then(Value::as_u64);
    Integration {
        integration_uri: owned(document, "integrationUri"),
        integration_method: owned(document, "integrationMethod")
            .unwrap_or_else(|| "POST".to_owned()),
        timeout: timeout.map_or(Integration::DEFAULT_TIMEOUT, Duration::from_millis),
        request_parameters: texts(document, "requestParameters"),
        request_templates: texts(document, "requestTemplates"),
        template_selection_expression: owned(document, "templateSelectionExpression"),
        passthrough_behavior: member(document, "passthroughBehavior").unwrap_or_default(),
        content_handling_strategy: member(document, "contentHandlingStrategy"),
        integration_responses: item
            .responses
            .values()
            .map(|response| integration_response(&response.document))
            .collect(),
        ..Integration::new(id, kind)
    }
}

fn integration_response(document: &Document) -> IntegrationResponse {
    IntegrationResponse {
        integration_response_key: owned(document, "integrationResponseKey").unwrap_or_default(),
        template_selection_expression: owned(document, "templateSelectionExpression"),
        response_templates: texts(document, "responseTemplates"),
        content_handling_strategy: member(document, "contentHandlingStrategy"),
    }
}

fn authorizer(document: &Document) -> Authorizer {
    let sources = document.get("identitySource").and_then(Value::as_array);
    Authorizer {
        authorizer_id: owned(document, "authorizerId").unwrap_or_default(),
        authorizer_uri: owned(document, "authorizerUri").unwrap_or_default(),
        identity_source: sources
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

fn stage(document: &Document) -> Stage {
    let by_route = document.get("routeSettings").and_then(Value::as_object);
    Stage {
        stage_name: owned(document, "stageName").unwrap_or_default(),
        stage_variables: texts(document, "stageVariables"),
        default_route_settings: document
            .get("defaultRouteSettings")
            .map(settings)
            .unwrap_or_default(),
        route_settings: by_route
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), settings(value)))
            .collect(),
    }
}

fn settings(value: &Value) -> RouteSettings {
    RouteSettings {
        throttling_rate_limit: value.get("throttlingRateLimit").and_then(Value::as_f64),
        throttling_burst_limit: value
            .get("throttlingBurstLimit")
            .and_then(Value::as_u64)
            .and_then(|limit| u32::try_from(limit).ok()),
    }
}

fn value<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn member<T: DeserializeOwned>(document: &Document, member: &str) -> Option<T> {
    document.get(member).and_then(value)
}

fn owned(document: &Document, member: &str) -> Option<String> {
    text(document, member).map(str::to_owned)
}

fn flag(document: &Document, member: &str) -> bool {
    document.get(member) == Some(&Value::Bool(true))
}

fn texts(document: &Document, member: &str) -> BTreeMap<String, String> {
    let map = document.get(member).and_then(Value::as_object);
    let entries = map.into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
