//! One API: its expressions, routes, integrations and stages.

use serde::{Deserialize, Serialize};

use super::{Authorizer, Integration, Limits, Route, Stage};

/// The `ProtocolType` of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProtocolType {
    /// Persistent connections whose messages are routed by an expression.
    Websocket,
    /// Requests routed by method and path.
    Http,
}

/// An API with all that belongs to it, as one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// The id that URLs and events carry; AWS's are ten lower-case alphanumerics, ours may be any name.
    pub api_id: String,
    /// `WEBSOCKET` unless said otherwise.
    pub protocol_type: ProtocolType,
    /// Decides the route of a message; `$request.body.action` by default.
    pub route_selection_expression: String,
    /// Where the API key of a `$connect` stands; `$request.header.x-api-key` by default.
    pub api_key_selection_expression: String,
    /// True: the API answers 403 at `{apiId}.execute-api.*` and is reached through its domain only.
    pub disable_execute_api_endpoint: bool,
    /// Exact `Origin` values that may connect; `None` allows all, as AWS does.
    pub allowed_origins: Option<Vec<String>>,
    /// Sizes, times and rates; see [`Limits`].
    pub limits: Limits,
    /// The routes, in the order in which they were written.
    pub routes: Vec<Route>,
    /// The integrations that routes name in `target`.
    pub integrations: Vec<Integration>,
    /// The authorizers that routes name in `authorizer_id`.
    pub authorizers: Vec<Authorizer>,
    /// The stages at which it is served.
    pub stages: Vec<Stage>,
}

impl Api {
    /// `RouteSelectionExpression` of an API that names none.
    pub const DEFAULT_ROUTE_SELECTION: &str = "$request.body.action";
    /// `ApiKeySelectionExpression` of an API that names none.
    pub const DEFAULT_API_KEY_SELECTION: &str = "$request.header.x-api-key";

    /// An API with AWS's defaults, no routes and no stages.
    pub fn new(api_id: impl Into<String>, preset: super::Preset) -> Self {
        Self {
            api_id: api_id.into(),
            protocol_type: ProtocolType::Websocket,
            route_selection_expression: Self::DEFAULT_ROUTE_SELECTION.to_owned(),
            api_key_selection_expression: Self::DEFAULT_API_KEY_SELECTION.to_owned(),
            disable_execute_api_endpoint: false,
            allowed_origins: None,
            limits: Limits::preset(preset),
            routes: Vec::new(),
            integrations: Vec::new(),
            authorizers: Vec::new(),
            stages: Vec::new(),
        }
    }
}
