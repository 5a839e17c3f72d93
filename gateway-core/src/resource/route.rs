//! Routes and their responses.

use std::collections::BTreeMap;

use super::AuthorizationType;

/// What a route demands of one request parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParameterConstraints {
    /// True: a `$connect` without it is answered 400.
    pub required: bool,
}

/// A route response; only the key `$default` exists for WebSocket APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteResponse {
    /// `RouteResponseKey`.
    pub route_response_key: String,
}

/// One route of an API.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// `$connect`, `$disconnect`, `$default` or the text that the selection expression must yield.
    pub route_key: String,
    /// `IntegrationId` of the integration to call; `None` calls nothing.
    pub target: Option<String>,
    /// Who may use it. Only `$connect`'s has an effect.
    pub authorization_type: AuthorizationType,
    /// `AuthorizerId`, with `AuthorizationType` `CUSTOM`.
    pub authorizer_id: Option<String>,
    /// True: `$connect` needs an API key.
    pub api_key_required: bool,
    /// Chooses the model that validates a message; unset validates nothing.
    pub model_selection_expression: Option<String>,
    /// Model names by the keys that the expression above yields.
    pub request_models: BTreeMap<String, String>,
    /// Declared parameters such as `route.request.querystring.token`.
    pub request_parameters: BTreeMap<String, ParameterConstraints>,
    /// Only `$default` is legal; by itself it does not make a route two-way, a route response does.
    pub route_response_selection_expression: Option<String>,
    /// Two-way exactly when this holds the key `$default`.
    pub route_responses: Vec<RouteResponse>,
    /// A label that Wiregate keeps and returns.
    pub operation_name: Option<String>,
    /// How many messages of one connection may be at the backend at once; `None` is the preset's.
    pub concurrency: Option<u32>,
}

impl Route {
    /// A route without target, authorization or response.
    pub fn new(route_key: impl Into<String>) -> Self {
        Self {
            route_key: route_key.into(),
            target: None,
            authorization_type: AuthorizationType::None,
            authorizer_id: None,
            api_key_required: false,
            model_selection_expression: None,
            request_models: BTreeMap::new(),
            request_parameters: BTreeMap::new(),
            route_response_selection_expression: None,
            route_responses: Vec::new(),
            operation_name: None,
            concurrency: None,
        }
    }
}
