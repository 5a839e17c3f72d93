//! `Invoke`: a call that is waited for, one that is not, and one that is only tried.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateway_core::lambda_api::LambdaApiError;
use gateway_core::lambda_arn::LambdaTarget;
use http::{HeaderName, HeaderValue, Response};
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{LambdaApi, LambdaRequest, response};
use crate::env;
use crate::functions::{FunctionHost, Invocation, InvokeError, Invoked};

/// "AWS quotas, Lambda: invocation payload, 6 MB synchronous".
const MOST_SYNCHRONOUS: usize = 6_291_456;
/// "1 MB asynchronous".
const MOST_ASYNCHRONOUS: usize = 1_048_576;
/// "ClientContext: up to 3,583 bytes of base64-encoded data".
const MOST_CONTEXT: usize = 3583;
/// The longest that a function may take (900 s), and as long for a worker.
const PATIENCE: Duration = Duration::from_mins(30);
/// Events that wait or are being handled, at once.
const MOST_EVENTS: usize = 1000;
/// "Lambda retries function errors twice, with a minute before the first retry and two before the second".
const RETRIES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// Places for calls that nobody waits for.
#[derive(Debug)]
pub(super) struct Events(Arc<Semaphore>);

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_EVENTS)))
    }
}

impl LambdaApi {
    pub(super) async fn invoke(
        &self,
        target: &LambdaTarget,
        request: &LambdaRequest,
    ) -> Result<Response<Bytes>, LambdaApiError> {
        let kind = header(request, "x-amz-invocation-type").unwrap_or("RequestResponse");
        let limit = match kind {
            "RequestResponse" | "DryRun" => MOST_SYNCHRONOUS,
            "Event" => MOST_ASYNCHRONOUS,
            other => {
                return Err(LambdaApiError::Validation(format!(
                    "Value '{other}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: \
                     [Event, RequestResponse, DryRun]"
                )));
            }
        };
        let log = header(request, "x-amz-log-type").unwrap_or("None");
        if !["None", "Tail"].contains(&log) {
            return Err(LambdaApiError::Validation(format!(
                "Value '{log}' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]"
            )));
        }
        if request.body.len() > limit {
            return Err(LambdaApiError::TooLarge {
                operation: "InvokeFunction",
                limit,
            });
        }
        let event = event(&request.body)?;
        let client_context = header(request, "x-amz-client-context").map(client_context);
        if !self.host.knows(target) {
            return Err(self.unknown(target));
        }
        let invocation = Invocation {
            event,
            trace_id: header(request, "x-amzn-trace-id").map(str::to_owned),
            client_context: client_context.transpose()?,
            deadline: Instant::now() + PATIENCE,
        };
        match kind {
            "DryRun" => Ok(response(204, Bytes::new())),
            "Event" => self.accept(target, invocation),
            _ => {
                let invoked = self.host.invoke(target, invocation).await;
                let invoked = invoked.map_err(|error| self.refused(&error, target))?;
                Ok(result(invoked, log == "Tail"))
            }
        }
    }

    /// Takes a call that nobody waits for. It is forgotten where the gateway ends before it was made.
    fn accept(
        &self,
        target: &LambdaTarget,
        invocation: Invocation,
    ) -> Result<Response<Bytes>, LambdaApiError> {
        let place = Arc::clone(&self.events.0).try_acquire_owned();
        let place = place.map_err(|_| {
            LambdaApiError::TooMany(format!(
                "Rate Exceeded: {MOST_EVENTS} events wait to be handled"
            ))
        })?;
        let (host, target) = (Arc::clone(&self.host), target.clone());
        env::spawn(async move {
            handle(&host, &target, invocation).await;
            drop(place);
        });
        Ok(response(202, Bytes::new()))
    }

    fn refused(&self, error: &InvokeError, target: &LambdaTarget) -> LambdaApiError {
        match error {
            InvokeError::NotFound => self.unknown(target),
            InvokeError::Busy | InvokeError::TimedOut => {
                LambdaApiError::TooMany(format!("Rate Exceeded: {error}"))
            }
            InvokeError::Withheld | InvokeError::Stopped => {
                LambdaApiError::Service(error.to_string())
            }
        }
    }

    fn unknown(&self, target: &LambdaTarget) -> LambdaApiError {
        let arn = target.arn.clone().unwrap_or_else(|| {
            format!(
                "arn:aws:lambda:{}:{}:function:{}",
                self.settings.region, self.settings.account_id, target.name
            )
        });
        let qualifier = target.qualifier.as_ref().map(|text| format!(":{text}"));
        LambdaApiError::NotFound(format!(
            "Function not found: {arn}{}",
            qualifier.unwrap_or_default()
        ))
    }
}

/// Makes a call that nobody waits for, and again where it fails.
async fn handle(host: &FunctionHost, target: &LambdaTarget, invocation: Invocation) {
    let mut pauses = RETRIES.into_iter();
    loop {
        let call = Invocation {
            deadline: Instant::now() + PATIENCE,
            ..invocation.clone()
        };
        let why = match host.invoke(target, call).await {
            Ok(Invoked { outcome: Ok(_), .. }) => return,
            Ok(Invoked {
                outcome: Err(error),
                ..
            }) => error.error_type,
            Err(error @ (InvokeError::Stopped | InvokeError::NotFound)) => {
                tracing::warn!(function = target.name, "an event was not handled: {error}");
                return;
            }
            Err(error) => error.to_string(),
        };
        let Some(pause) = pauses.next() else {
            tracing::warn!(function = target.name, "an event was given up: {why}");
            return;
        };
        tokio::time::sleep(pause).await;
    }
}

/// The event of a body: nothing is an empty object.
fn event(body: &Bytes) -> Result<Bytes, LambdaApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(body.clone()),
        Err(why) => Err(LambdaApiError::InvalidContent(format!(
            "Could not parse request body into json: {why}"
        ))),
    }
}

fn client_context(text: &str) -> Result<String, LambdaApiError> {
    let wrong = |why: &str| LambdaApiError::InvalidContent(format!("Client context {why}"));
    if text.len() > MOST_CONTEXT {
        return Err(wrong("must be no more than 3583 bytes when base64-encoded"));
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| wrong("must be a valid Base64-encoded JSON object."))?;
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes) {
        // Written anew: a header takes one line of ASCII.
        Ok(object) => Ok(ascii(&serde_json::Value::Object(object).to_string())),
        Err(_) => Err(wrong("must be a valid Base64-encoded JSON object.")),
    }
}

/// JSON text with every other character escaped.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn result(invoked: Invoked, tail: bool) -> Response<Bytes> {
    let (body, failed) = match invoked.outcome {
        Ok(body) => (body, false),
        Err(error) => (error.body, true),
    };
    let mut answer = response(200, body);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    };
    set("x-amz-executed-version", &invoked.executed_version);
    set("x-amzn-requestid", &invoked.request_id);
    set("x-amzn-remapped-content-length", "0");
    if failed {
        set("x-amz-function-error", "Unhandled");
    }
    if tail {
        set("x-amz-log-result", &STANDARD.encode(&invoked.log_tail));
    }
    answer
}

fn header<'r>(request: &'r LambdaRequest, name: &str) -> Option<&'r str> {
    request.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_any_json() {
        let check = |body: &str, expected: Option<&str>| {
            let event = event(&Bytes::copy_from_slice(body.as_bytes()));
            assert_eq!(event.ok().as_deref(), expected.map(str::as_bytes), "{body}");
        };
        check("", Some("{}"));
        check(" \n", Some("{}"));
        check("[1]", Some("[1]"));
        check("\"x\"", Some("\"x\""));
        check("{", None);
        check("{} {}", None);
    }

    #[test]
    fn a_client_context_is_an_object_in_base64() {
        let check = |json: &str, expected: Option<&str>| {
            let text = STANDARD.encode(json);
            assert_eq!(client_context(&text).ok().as_deref(), expected, "{json}");
        };
        check(r#"{"custom": {"a": 1}}"#, Some(r#"{"custom":{"a":1}}"#));
        check("{\"a\":\n\"é😀\"}", Some(r#"{"a":"\u00e9\ud83d\ude00"}"#));
        check("[]", None);
        check("x", None);
        assert!(client_context("!").is_err());
        assert!(client_context(&"A".repeat(3584)).is_err());
    }
}
