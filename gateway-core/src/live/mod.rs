//! A deployment made ready for traffic: immutable, indexed, every expression and template parsed.
//!
//! [`compile`] turns resources into a [`LiveStage`] or into all their mistakes at once, so that the
//! walk of a message cannot meet a bad expression. A stage is swapped in whole; a running call keeps
//! the one it began with.

mod authorizer;
mod compile;
#[cfg(test)]
pub(crate) mod fixture;
mod parameter;
mod select;
mod templates;
#[cfg(test)]
mod tests;
mod uri;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::expression::{ResponseKey, SelectionExpression};
use crate::lambda_arn::LambdaTarget;
use crate::resource::{ContentHandling, HttpVersion, Limits, ProtocolType};

pub use authorizer::{AuthorizerBackend, LiveAuthorizer};
pub use compile::{Mistake, compile, compile_deployed};
pub use parameter::{Parameter, Parameters, Source, Target, Valued};
pub use templates::{Rendered, Templates, mock_status};
pub use uri::UriTemplate;

/// One stage of one API, as traffic sees it.
#[derive(Debug)]
pub struct LiveStage {
    /// The API's id.
    pub api_id: Arc<str>,
    /// The stage's name.
    pub stage_name: Arc<str>,
    /// HTTP APIs are known and not served yet.
    pub protocol_type: ProtocolType,
    /// Sizes, times and rates.
    pub limits: Limits,
    /// Exact origins that may connect; `None` allows all.
    pub allowed_origins: Option<Vec<String>>,
    /// 403 at `{apiId}.execute-api.*`.
    pub disable_execute_api_endpoint: bool,
    /// `stageVariables`, for events.
    pub stage_variables: BTreeMap<String, String>,
    /// Every route; [`LiveRoute::index`] is its place here.
    pub routes: Vec<Arc<LiveRoute>>,
    /// Every integration that a route uses; [`LiveIntegration::index`] is its place here.
    pub integrations: Vec<Arc<LiveIntegration>>,
    /// Every authorizer that can be asked; [`LiveAuthorizer::index`] is its place here.
    pub authorizers: Vec<Arc<LiveAuthorizer>>,
    /// What is legal but probably not meant.
    pub warnings: Vec<Mistake>,
    route_selection: SelectionExpression,
    by_key: HashMap<Box<str>, Arc<LiveRoute>>,
}

/// One route, ready to be walked.
#[derive(Debug)]
pub struct LiveRoute {
    /// Its place in [`LiveStage::routes`].
    pub index: usize,
    /// `RouteKey`.
    pub route_key: Box<str>,
    /// Why nobody gets through: it asks for what is not built, or what it calls cannot be called. Such a route answers 500.
    pub closed: Option<Box<str>>,
    /// Who judges a handshake before anything else; of `$connect` alone.
    pub authorizer: Option<Arc<LiveAuthorizer>>,
    /// The backend's body goes back to the client.
    pub two_way: bool,
    /// `None` calls nothing.
    pub integration: Option<Arc<LiveIntegration>>,
    /// Messages of one connection that may be in flight when one of this route starts.
    pub concurrency: u32,
    /// Parameters without which `$connect` is answered 400, as they are called in the answer.
    pub required: Vec<(Source, String)>,
    /// Calls a second and at once.
    pub throttle: Option<(f64, u32)>,
}

/// One integration, ready to be called.
#[derive(Debug)]
pub struct LiveIntegration {
    /// Its place in [`LiveStage::integrations`].
    pub index: usize,
    /// `IntegrationId`.
    pub integration_id: Box<str>,
    /// From dispatch to the last byte of the answer.
    pub timeout: Duration,
    /// Calls in flight at once; the rest wait within their timeout.
    pub max_in_flight: u32,
    /// Mapped request parameters.
    pub parameters: Parameters,
    /// What is called.
    pub backend: LiveBackend,
}

/// What an integration calls.
#[derive(Debug)]
pub enum LiveBackend {
    /// `HTTP_PROXY` and `HTTP`.
    Http(LiveHttp),
    /// `AWS_PROXY`.
    Lambda {
        /// The function.
        target: LambdaTarget,
        /// `CONVERT_TO_BINARY`: the event carries the message base64-encoded.
        encode_body: bool,
    },
    /// `MOCK`: nothing is called.
    Mock {
        /// The templates that yield `{"statusCode": …}`.
        request: Templates,
        /// What the client gets.
        responses: Vec<LiveResponse>,
    },
}

/// An HTTP backend.
#[derive(Debug)]
pub struct LiveHttp {
    /// The verb.
    pub method: http::Method,
    /// Where, with stage variables filled in.
    pub uri: UriTemplate,
    /// Which HTTP it speaks.
    pub version: HttpVersion,
    /// `CONVERT_TO_BINARY`: the message is base64 text and the backend gets the bytes.
    pub decode_body: bool,
    /// `HTTP`: templates in both directions; `None` is `HTTP_PROXY`.
    pub mapping: Option<HttpMapping>,
}

/// What `HTTP` does and `HTTP_PROXY` does not.
#[derive(Debug)]
pub struct HttpMapping {
    /// Makes the request body.
    pub request: Templates,
    /// Makes the reply.
    pub responses: Vec<LiveResponse>,
}

/// One integration response.
#[derive(Debug)]
pub struct LiveResponse {
    /// What it answers to.
    pub key: ResponseKey,
    /// Makes the reply; empty passes the backend's body.
    pub templates: Templates,
    /// What is done with the encoding of a passed body.
    pub content_handling: Option<ContentHandling>,
}
