//! The Lambda Invoke API, as AWS and the servers that imitate it speak it: a request built, an answer interpreted.
//!
//! The imitators differ: the Runtime Interface Emulator knows one function named `function` and takes one call at a time,
//! `sam local` refuses every query string, and some mark a failed function only in the body.

use std::borrow::Cow;
use std::fmt::Write;

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use ::http::{Method, StatusCode, Uri};
use bytes::Bytes;
use gateway_core::header_lines::HeaderLines;
use gateway_core::lambda_arn::LambdaTarget;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::http::{BackendError, BackendRequest, BackendResponse, BackendVersion, HttpClient};

#[cfg(test)]
mod tests;

/// The largest answer of a synchronous call, in bytes (AWS's own message names this figure; the quota reads "6 MB").
const MAX_RESPONSE_BYTES: usize = 6_291_556;
/// How much of a service's or function's message is kept for the operator, in characters.
const MAX_MESSAGE_CHARS: usize = 512;
/// Everything but RFC 3986's unreserved characters is encoded in a function's name.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Where functions are invoked, and how the server there wants to be asked.
#[derive(Clone, Debug)]
pub struct LambdaEndpoint {
    base: String,
    /// What stands for the function in the path.
    pub path_name: PathName,
    /// Whether a version or alias is sent; `sam local start-lambda` refuses any query string.
    pub send_qualifier: bool,
}

/// What stands for the function in the path of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathName {
    /// The function's name.
    Name,
    /// The function's full ARN where it is known, as a function of another account needs it; else its name.
    Arn,
    /// Always this: the Runtime Interface Emulator takes only `function`.
    Fixed(String),
}

impl LambdaEndpoint {
    /// An endpoint at a base URL such as `http://127.0.0.1:9001` that is asked by name, with qualifiers.
    pub fn new(base: &str) -> Result<Self, BackendError> {
        let invalid = |reason| BackendError::InvalidRequest { reason };
        let uri: Uri = base
            .parse()
            .map_err(|_| invalid("the Lambda endpoint is no URL"))?;
        super::http::Origin::of(&uri)?;
        if uri.query().is_some() {
            return Err(invalid("the Lambda endpoint must have no query string"));
        }
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            base,
            path_name: PathName::Name,
            send_qualifier: true,
        })
    }

    fn uri(&self, target: &LambdaTarget) -> Result<Uri, BackendError> {
        let name = match &self.path_name {
            PathName::Name => &target.name,
            PathName::Arn => target.arn.as_ref().unwrap_or(&target.name),
            PathName::Fixed(name) => name,
        };
        let name = utf8_percent_encode(name, ENCODED);
        let mut uri = format!("{}/2015-03-31/functions/{name}/invocations", self.base);
        if let Some(qualifier) = target.qualifier.as_ref().filter(|_| self.send_qualifier) {
            write!(
                uri,
                "?Qualifier={}",
                utf8_percent_encode(qualifier, ENCODED)
            )
            .expect("a String takes any text");
        }
        uri.parse().map_err(|_| BackendError::InvalidRequest {
            reason: "the Lambda function's name makes no URL",
        })
    }
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LambdaOutcome {
    /// What the function returned, JSON if it keeps the rules.
    Success(Bytes),
    /// The function ran, or tried to, and failed.
    FunctionError {
        /// The exception's name, where it is told.
        error_type: Option<String>,
        /// The exception's message, where it is told: what an integration response's key is matched against.
        error_message: Option<String>,
        /// The whole error object.
        body: Bytes,
    },
    /// The service did not run the function, or cannot tell.
    ServiceError(ServiceError),
}

/// A refusal by the Lambda service. Its text is for the operator and holds nothing that the service sent but the error's type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Lambda answered {status}{}: {kind}", .error_type.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
pub struct ServiceError {
    /// What kind of refusal it is.
    pub kind: ServiceErrorKind,
    /// The answer's status.
    pub status: StatusCode,
    /// The name of the error, such as `ResourceNotFoundException`.
    pub error_type: Option<String>,
    /// What the service said, shortened.
    pub message: Option<String>,
    /// After how many seconds to try again, where the service says so.
    pub retry_after: Option<u64>,
}

/// The kinds of refusal that a caller or an operator has to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceErrorKind {
    /// 401, 403: the caller may not invoke it.
    #[error("the gateway may not invoke the function; check its permissions and credentials")]
    NotPermitted,
    /// 404.
    #[error("there is no such function; deploy it, or correct the integration URI")]
    NoSuchFunction,
    /// 429; or the Runtime Interface Emulator is at work on another call.
    #[error("too many calls at once; raise the function's concurrency or lower the route's")]
    Throttled,
    /// Another 4xx.
    #[error(
        "the service does not accept the request; check the integration URI and the size of the event"
    )]
    Rejected,
    /// 5xx.
    #[error("the service failed; look into the Lambda endpoint")]
    Failed,
    /// Any other status: hardly the Invoke API.
    #[error("that is no answer of the Lambda Invoke API; check the Lambda endpoint's URL")]
    Unexpected,
}

impl ServiceErrorKind {
    /// Whether the function may have run nevertheless, so that calling again could make it act twice.
    pub fn may_have_run(self) -> bool {
        matches!(self, Self::Failed | Self::Unexpected)
    }
}

/// Invokes a function and waits for its result.
pub async fn invoke(
    client: &HttpClient,
    endpoint: &LambdaEndpoint,
    target: &LambdaTarget,
    event: Bytes,
    trace_id: Option<&HeaderValue>,
    deadline: Instant,
) -> Result<LambdaOutcome, BackendError> {
    let response = client
        .send(invoke_request(endpoint, target, event, trace_id, deadline)?)
        .await?;
    Ok(interpret(response))
}

/// A synchronous invocation with this JSON event. It is not signed.
pub fn invoke_request(
    endpoint: &LambdaEndpoint,
    target: &LambdaTarget,
    event: Bytes,
    trace_id: Option<&HeaderValue>,
    deadline: Instant,
) -> Result<BackendRequest, BackendError> {
    let mut headers = HeaderLines::default();
    headers.push_text(&CONTENT_TYPE, "application/json");
    if let Some(trace_id) = trace_id {
        headers.push(&TRACE_ID, trace_id);
    }
    let uri = endpoint.uri(target)?;
    Ok(BackendRequest {
        method: Method::POST,
        uri,
        host: None,
        headers,
        body: event,
        version: BackendVersion::Auto,
        // One more than a function may return, so that the size is judged where the words for it are.
        max_response_bytes: MAX_RESPONSE_BYTES + 1,
        deadline,
    })
}

/// What the answer to an invocation says.
pub fn interpret(response: BackendResponse) -> LambdaOutcome {
    let BackendResponse {
        status,
        headers,
        body,
    } = response;
    let service_error = headers.contains(ERROR_TYPE.as_str());
    if status == StatusCode::OK {
        return interpret_result(&headers, body);
    }
    // The emulator's answer to a crash: a status of the service, with the function's error inside.
    if status.is_server_error()
        && !service_error
        && let Some(error) = error_object(&body)
    {
        return function_error(error, body);
    }
    LambdaOutcome::ServiceError(read_service_error(status, &headers, &body))
}

fn interpret_result(headers: &HeaderLines, body: Bytes) -> LambdaOutcome {
    if body.len() > MAX_RESPONSE_BYTES {
        let message = format!(
            "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
        );
        return gateway_made("Function.ResponseSizeTooLarge", &message);
    }
    if headers.contains(FUNCTION_ERROR.as_str()) {
        let error = serde_json::from_slice(&body).unwrap_or_default();
        return function_error(error, body);
    }
    if let Some(error) = error_object(&body) {
        return function_error(error, body);
    }
    if let Some(message) = emulator_timeout(&body) {
        return gateway_made("Sandbox.Timedout", message);
    }
    LambdaOutcome::Success(body)
}

/// A function error that the endpoint did not put into an object.
fn gateway_made(error_type: &str, message: &str) -> LambdaOutcome {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": message })
        .to_string()
        .into();
    let (error_type, error_message) = (Some(error_type.to_owned()), Some(message.to_owned()));
    LambdaOutcome::FunctionError {
        error_type,
        error_message,
        body,
    }
}

fn function_error(error: ErrorObject, body: Bytes) -> LambdaOutcome {
    let text = |value: Option<serde_json::Value>| {
        value.and_then(|value| value.as_str().map(str::to_owned))
    };
    let (error_type, error_message) = (text(error.error_type), text(error.error_message));
    LambdaOutcome::FunctionError {
        error_type,
        error_message,
        body,
    }
}

/// What the runtimes make of an exception.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorObject {
    error_type: Option<serde_json::Value>,
    error_message: Option<serde_json::Value>,
    status_code: Option<IgnoredAny>,
}

/// The body as an error object: it has `errorMessage` and `errorType`, and no `statusCode`, which would make it a response.
///
/// A search spares most bodies the parsing.
fn error_object(body: &[u8]) -> Option<ErrorObject> {
    let holds = |name: &[u8]| body.windows(name.len()).any(|bytes| bytes == name);
    if body.first() != Some(&b'{') || !holds(b"\"errorMessage\"") || !holds(b"\"errorType\"") {
        return None;
    }
    let error: ErrorObject = serde_json::from_slice(body).ok()?;
    (error.error_type.is_some() && error.error_message.is_some() && error.status_code.is_none())
        .then_some(error)
}

/// The Runtime Interface Emulator reports a timeout as 200 with a sentence instead of JSON.
fn emulator_timeout(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (text.starts_with("Task timed out after ") && text.ends_with(" seconds")).then_some(text)
}

fn read_service_error(status: StatusCode, headers: &HeaderLines, body: &[u8]) -> ServiceError {
    let error_type = headers.text(ERROR_TYPE.as_str()).map(bare_error_type);
    let told: ServiceMessage<'_> = serde_json::from_slice(body).unwrap_or_default();
    let retry_after = headers.text(RETRY_AFTER.as_str());
    let retry_after = retry_after.and_then(|seconds| seconds.parse().ok());
    ServiceError {
        kind: kind(status, error_type.as_deref(), body),
        status,
        error_type,
        message: told
            .message
            .map(|message| message.chars().take(MAX_MESSAGE_CHARS).collect()),
        retry_after,
    }
}

/// `{"Type":"User","Message":"..."}`; some shapes spell it `message`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ServiceMessage<'a> {
    #[serde(rename = "Message", alias = "message", borrow)]
    message: Option<Cow<'a, str>>,
}

/// The name alone of `com.amazonaws...#Name:http://...`, kept to what an error's name can be made of.
fn bare_error_type(value: &str) -> String {
    let value = value.split_once(':').map_or(value, |(name, _)| name);
    let value = value.rsplit_once('#').map_or(value, |(_, name)| name);
    value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

fn kind(status: StatusCode, error_type: Option<&str>, body: &[u8]) -> ServiceErrorKind {
    match (error_type, status.as_u16()) {
        (Some("AccessDeniedException"), _) | (_, 401 | 403) => ServiceErrorKind::NotPermitted,
        (Some("ResourceNotFoundException"), _) | (_, 404) => ServiceErrorKind::NoSuchFunction,
        (Some("TooManyRequestsException"), _) | (_, 429) => ServiceErrorKind::Throttled,
        // The Runtime Interface Emulator while it serves another call.
        (None, 400) if body.is_empty() => ServiceErrorKind::Throttled,
        (_, 400..=499) => ServiceErrorKind::Rejected,
        (_, 500..=599) => ServiceErrorKind::Failed,
        _ => ServiceErrorKind::Unexpected,
    }
}
