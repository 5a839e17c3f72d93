//! What integrations call: HTTP backends, Lambda-compatible endpoints, or nothing at all.

mod endpoints;
pub mod http;
pub mod lambda;
#[cfg(feature = "simulation")]
mod simulated;

use gateway_core::failure::Failure;
use gateway_core::mapping::{BackendAnswer, IntegrationRequest};
use gateway_core::resource::HttpVersion;
use tokio::time::Instant;

pub use self::endpoints::{FunctionPlace, LambdaEndpoints};
use self::http::{BackendError, BackendRequest, BackendVersion, HttpClient, MayGo};
#[cfg(feature = "simulation")]
pub use self::simulated::{Answering, Model, withheld};

/// What a backend may always answer, even where no client could be sent as much: a page of an error, a redirect.
const LEAST_RESPONSE_BYTES: usize = 1024 * 1024;

/// Why a call was not made although its backend was reached.
const WITHHELD: Failure = Failure::Overloaded("this node has lost the others");

/// The backends of one worker thread.
#[derive(Debug)]
pub struct Integrations {
    http: HttpClient,
    lambda: LambdaEndpoints,
    /// Answers in place of every HTTP backend.
    #[cfg(feature = "simulation")]
    model: Option<std::sync::Arc<dyn Model>>,
}

impl Integrations {
    /// `http` holds the connections, `lambda` says where functions are.
    pub fn new(http: HttpClient, lambda: LambdaEndpoints) -> Self {
        Self {
            http,
            lambda,
            #[cfg(feature = "simulation")]
            model: None,
        }
    }

    /// Calls the backend, if `may_go` once nothing but the call itself is left to do; over at `deadline` at the latest.
    /// `max_reply_bytes` is what a client could be sent.
    pub async fn invoke(
        &self,
        request: IntegrationRequest<'_>,
        max_reply_bytes: usize,
        deadline: Instant,
        may_go: MayGo<'_>,
    ) -> Result<BackendAnswer, Failure> {
        match request {
            IntegrationRequest::Mock { status } => Ok(BackendAnswer::Mock(status)),
            IntegrationRequest::Http {
                method,
                uri,
                host,
                headers,
                body,
                version,
            } => {
                #[cfg(feature = "simulation")]
                if let Some(model) = &self.model {
                    return model.call(uri, headers, body, deadline, may_go).await;
                }
                let version = match version {
                    HttpVersion::Auto => BackendVersion::Auto,
                    HttpVersion::Http1 => BackendVersion::Http1,
                    HttpVersion::Http2 => BackendVersion::Http2,
                };
                let request = BackendRequest {
                    method,
                    uri,
                    host,
                    headers,
                    body,
                    version,
                    max_response_bytes: max_reply_bytes.max(LEAST_RESPONSE_BYTES),
                    deadline,
                };
                let response = self
                    .http
                    .send_while(request, may_go)
                    .await
                    .map_err(|error| failure(&error))?;
                Ok(BackendAnswer::Http {
                    status: response.status.as_u16(),
                    headers: response.headers,
                    body: response.body,
                })
            }
            IntegrationRequest::Lambda {
                target,
                event,
                trace_id,
            } => {
                // Boxed, so that calls over HTTP do not carry the room.
                let (lambda, client) = (&self.lambda, &self.http);
                let invocation = lambda.invoke(client, target, event, &trace_id, deadline, may_go);
                let result = Box::pin(invocation).await?;
                Ok(BackendAnswer::Lambda(result))
            }
        }
    }
}

/// Unreachable is 500 and broken is 504, as API Gateway tells them apart.
fn failure(error: &BackendError) -> Failure {
    match error {
        BackendError::Timeout { .. } => Failure::IntegrationTimeout,
        BackendError::Withheld => WITHHELD,
        BackendError::Broken { .. } => Failure::NetworkError(error.to_string()),
        BackendError::TooLarge { .. } => Failure::MalformedResult(error.to_string()),
        BackendError::InvalidRequest { .. } | BackendError::Forbidden { .. } => {
            Failure::Configuration(error.to_string())
        }
        BackendError::Resolve { .. } | BackendError::Connect { .. } | BackendError::Tls { .. } => {
            Failure::Unreachable(error.to_string())
        }
    }
}
