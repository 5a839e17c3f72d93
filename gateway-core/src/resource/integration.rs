//! What a route calls, and what is made of the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `IntegrationType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IntegrationType {
    /// An AWS action, or a Lambda function with templates.
    Aws,
    /// A Lambda function that gets the event and answers in the proxy shape.
    AwsProxy,
    /// An HTTP backend with templates.
    Http,
    /// An HTTP backend that gets the message as it is.
    HttpProxy,
    /// No backend: the templates are the answer.
    Mock,
}

/// `PassthroughBehavior`: what happens to a body that no request template takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PassthroughBehavior {
    /// It passes.
    #[default]
    WhenNoMatch,
    /// It passes only where no templates are defined.
    WhenNoTemplates,
    /// It is refused with 415.
    Never,
}

/// `ContentHandlingStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContentHandling {
    /// Base64 text becomes bytes.
    ConvertToBinary,
    /// Bytes become base64 text.
    ConvertToText,
}

/// Which HTTP an HTTP backend speaks; Wiregate's own member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1 on `http://`; what ALPN settles on `https://`.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 always.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 always, by prior knowledge on `http://`.
    #[serde(rename = "2")]
    Http2,
}

/// `IntegrationResponse`: how a non-proxy backend's answer becomes a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegrationResponse {
    /// `$default`, or `/regex/` over the status (HTTP, MOCK) or the error message (Lambda).
    pub integration_response_key: String,
    /// Chooses the template.
    pub template_selection_expression: Option<String>,
    /// Templates by key.
    pub response_templates: BTreeMap<String, String>,
    /// What to do with the body's encoding.
    pub content_handling_strategy: Option<ContentHandling>,
}

/// One integration of an API.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// The id that a route's `target` names.
    pub integration_id: String,
    /// What kind of backend.
    pub integration_type: IntegrationType,
    /// Where the backend is; `MOCK` has none.
    pub integration_uri: Option<String>,
    /// HTTP verb for `HTTP` and `HTTP_PROXY`; `POST` unless said otherwise.
    pub integration_method: String,
    /// 50 ms to 29 s on AWS; 29 s by default.
    pub timeout: Duration,
    /// Targets such as `integration.request.header.connectionId` with their sources.
    pub request_parameters: BTreeMap<String, String>,
    /// Body templates by key.
    pub request_templates: BTreeMap<String, String>,
    /// Chooses the request template.
    pub template_selection_expression: Option<String>,
    /// What happens to a body that no template takes.
    pub passthrough_behavior: PassthroughBehavior,
    /// What to do with the message's encoding.
    pub content_handling_strategy: Option<ContentHandling>,
    /// Answers by key; non-proxy integrations only.
    pub integration_responses: Vec<IntegrationResponse>,
    /// Wiregate's own: which HTTP the backend speaks.
    pub http_version: HttpVersion,
    /// Wiregate's own: calls that may be in flight at once, the rest wait within their timeout.
    pub max_in_flight: u32,
}

impl Integration {
    /// Longest time a backend may take ("AWS quotas, WebSocket: integration timeout 29 s").
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(29);
    /// Calls in flight to one integration unless said otherwise.
    pub const DEFAULT_MAX_IN_FLIGHT: u32 = 1024;

    /// An integration with AWS's defaults.
    pub fn new(integration_id: impl Into<String>, integration_type: IntegrationType) -> Self {
        Self {
            integration_id: integration_id.into(),
            integration_type,
            integration_uri: None,
            integration_method: "POST".to_owned(),
            timeout: Self::DEFAULT_TIMEOUT,
            request_parameters: BTreeMap::new(),
            request_templates: BTreeMap::new(),
            template_selection_expression: None,
            passthrough_behavior: PassthroughBehavior::default(),
            content_handling_strategy: None,
            integration_responses: Vec::new(),
            http_version: HttpVersion::default(),
            max_in_flight: Self::DEFAULT_MAX_IN_FLIGHT,
        }
    }
}
