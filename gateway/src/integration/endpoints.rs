//! Where functions are: the configured endpoints, and the signature that real AWS asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::auth::sigv4::{self, Credentials, SignedRequest};
use gateway_core::failure::Failure;
use gateway_core::lambda_arn::LambdaTarget;
use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::http::{BackendRequest, HttpClient, MayGo};
use super::lambda::{self, LambdaEndpoint, LambdaOutcome, ServiceErrorKind};
use crate::env;
use crate::functions::{FunctionHost, Invocation, InvokeError};

/// One function's own place.
#[derive(Debug, Clone)]
pub struct FunctionPlace {
    /// The endpoint.
    pub endpoint: LambdaEndpoint,
    /// Headers that this endpoint wants.
    pub headers: HeaderMap,
}

/// All that is known of where functions are.
#[derive(Debug, Clone, Default)]
pub struct LambdaEndpoints {
    /// Functions that live elsewhere than the rest, by name or `name:qualifier`.
    pub functions: BTreeMap<String, FunctionPlace>,
    /// Runs functions here.
    pub host: Option<Arc<FunctionHost>>,
    /// Where all others are.
    pub default: Option<LambdaEndpoint>,
    /// Signs every invocation, in `region` unless the ARN names one.
    pub credentials: Option<Credentials>,
    /// The region of signatures.
    pub region: String,
}

impl LambdaEndpoints {
    /// Invokes a function; what it returned, or why there is nothing.
    pub async fn invoke(
        &self,
        client: &HttpClient,
        target: &LambdaTarget,
        event: Bytes,
        trace_id: &str,
        deadline: Instant,
        may_go: MayGo<'_>,
    ) -> Result<Bytes, Failure> {
        let place = self.place(target);
        if place.is_none()
            && let Some(host) = self.host.as_ref().filter(|host| host.knows(target))
        {
            return invoke_here(host, target, event, trace_id, deadline, may_go).await;
        }
        let endpoint = place.map(|place| &place.endpoint).or(self.default.as_ref());
        let endpoint = endpoint.ok_or_else(|| nowhere(target))?;
        let trace = HeaderValue::from_str(trace_id).ok();
        let mut request = lambda::invoke_request(endpoint, target, event, trace.as_ref(), deadline)
            .map_err(|error| super::failure(&error))?;
        if let Some(place) = place {
            set_headers(&mut request, &place.headers);
        }
        if let Some(credentials) = &self.credentials {
            self.sign(&mut request, credentials, target)?;
        }
        let response = client
            .send_while(request, may_go)
            .await
            .map_err(|error| super::failure(&error))?;
        match lambda::interpret(response) {
            LambdaOutcome::Success(result) => Ok(result),
            LambdaOutcome::FunctionError {
                error_type,
                error_message,
                ..
            } => Err(Failure::FunctionError(format!(
                "{}: {}: {}",
                target.name,
                error_type.as_deref().unwrap_or("error"),
                error_message.as_deref().unwrap_or("no message")
            ))),
            LambdaOutcome::ServiceError(error) => {
                let text = format!("{}: {error:?}", target.name);
                Err(match error.kind {
                    ServiceErrorKind::Throttled | ServiceErrorKind::Failed => {
                        Failure::Unreachable(text)
                    }
                    ServiceErrorKind::NotPermitted | ServiceErrorKind::NoSuchFunction => {
                        Failure::NotInvocable(text)
                    }
                    _ => Failure::FunctionError(text),
                })
            }
        }
    }

    fn place(&self, target: &LambdaTarget) -> Option<&FunctionPlace> {
        let qualified = target
            .qualifier
            .as_ref()
            .map(|qualifier| format!("{}:{qualifier}", target.name));
        self.functions
            .get(&target.name)
            .or_else(|| self.functions.get(&qualified?))
    }

    fn sign(
        &self,
        request: &mut BackendRequest,
        credentials: &Credentials,
        target: &LambdaTarget,
    ) -> Result<(), Failure> {
        let broken =
            |what: &str| Failure::Configuration(format!("the invocation cannot be signed: {what}"));
        let authority = request
            .uri
            .authority()
            .ok_or_else(|| broken("no host"))?
            .as_str()
            .to_owned();
        // What is signed is what is sent.
        request.host = None;
        let host = [("host", authority.as_bytes())];
        let headers: Vec<(&str, &[u8])> = request.headers.iter().chain(host).collect();
        let hash = sigv4::payload_hash(&request.body);
        let unsigned = SignedRequest {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            headers: &headers,
            payload_hash: &hash,
        };
        let region = target.region.as_deref().unwrap_or(&self.region);
        let scope = sigv4::Scope {
            region,
            service: "lambda",
        };
        let added = sigv4::sign(&unsigned, credentials, scope, env::wall() / 1000)
            .map_err(|error| broken(&error.to_string()))?;
        for (name, value) in added {
            request
                .headers
                .push_text(&HeaderName::from_static(name), &value);
        }
        Ok(())
    }
}

/// Nothing says where the function is.
fn nowhere(target: &LambdaTarget) -> Failure {
    let name = &target.name;
    let version = target.qualifier.as_ref();
    let version = version.map_or_else(String::new, |qualifier| {
        format!(" with the version or alias {qualifier}")
    });
    Failure::Configuration(format!(
        "nothing says where the function {name} is: lambda.functions.{name}.endpoint is not set, no function of that name{version} \
         runs here (lambda.functions.{name}.codeUri, or a template), and lambda.endpoint is not set"
    ))
}

/// The same ends as a remote call has, in the same words.
async fn invoke_here(
    host: &FunctionHost,
    target: &LambdaTarget,
    event: Bytes,
    trace_id: &str,
    deadline: Instant,
    may_go: MayGo<'_>,
) -> Result<Bytes, Failure> {
    let invocation = Invocation {
        event,
        trace_id: Some(trace_id.to_owned()),
        client_context: None,
        deadline,
    };
    let name = &target.name;
    match host.invoke_while(target, invocation, may_go).await {
        Ok(invoked) => invoked.outcome.map_err(|error| {
            let message = error.message();
            let message = message.as_deref().unwrap_or("no message");
            Failure::FunctionError(format!("{name}: {}: {message}", error.error_type))
        }),
        Err(InvokeError::TimedOut) => Err(Failure::IntegrationTimeout),
        Err(InvokeError::Withheld) => Err(super::WITHHELD),
        Err(error @ InvokeError::NotFound) => {
            Err(Failure::NotInvocable(format!("{name}: {error}")))
        }
        Err(error @ (InvokeError::Busy | InvokeError::Stopped)) => {
            Err(Failure::Unreachable(format!("{name}: {error}")))
        }
    }
}

/// What the settings say of a function's headers stands above what is sent anyway.
fn set_headers(request: &mut BackendRequest, headers: &HeaderMap) {
    for (name, value) in headers {
        if *name == HOST {
            request.host = Some(value.clone());
        }
        request.headers.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_headers_take_the_place_of_ours() {
        let endpoint = LambdaEndpoint::new("http://a.example").unwrap();
        let target = LambdaTarget::parse("f").unwrap();
        let deadline = Instant::now();
        let made = lambda::invoke_request(&endpoint, &target, Bytes::new(), None, deadline);
        let mut request = made.unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "a/b"),
            ("x-key", "k"),
            ("host", "b.example"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        set_headers(&mut request, &headers);
        let sent = request.headers.values("content-type").collect::<Vec<_>>();
        assert_eq!(sent, [b"a/b"]);
        assert_eq!(request.headers.text("x-key"), Some("k"));
        assert_eq!(request.host, Some(HeaderValue::from_static("b.example")));
        assert!(!request.headers.contains("host"));
    }
}
