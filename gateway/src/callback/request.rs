//! What a request to `@connections` asks for.

use bytes::Bytes;
use gateway_core::call::decode_query;
use gateway_core::failure::Failure;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::codec::FrameKind;
use crate::node::{Once, Order};

/// A request, as it was on the wire.
#[derive(Debug)]
pub struct CallbackRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The `Host`.
    pub host: &'a str,
    /// The path before anybody decoded it.
    pub path: &'a str,
    /// The query as sent.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl<'a> CallbackRequest<'a> {
    /// A request of which the whole body was read, or of which only the rest is judged yet.
    pub fn new(parts: &'a Parts, body: Bytes) -> Self {
        let host = parts.headers.get(HOST);
        Self {
            method: &parts.method,
            host: host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        }
    }

    /// POST sends, GET describes, DELETE closes. AWS knows no query parameters here; ours choose the frame's kind
    /// (`frame=text|binary`) and the close frame (`code`, `reason`).
    pub(super) fn order(&self) -> Result<Order, Failure> {
        match *self.method {
            Method::POST => {
                let kind = match self.parameter("frame").as_deref() {
                    None => None,
                    Some("text") => Some(FrameKind::Text),
                    Some("binary") => Some(FrameKind::Binary),
                    Some(other) => {
                        return Err(Failure::BadParameter(format!(
                            "frame={other}: use text or binary"
                        )));
                    }
                };
                Ok(Order::Send {
                    payload: self.body.clone(),
                    kind,
                    once: self.once(),
                })
            }
            Method::GET => Ok(Order::Describe),
            Method::DELETE => {
                Order::close(self.parameter("code").as_deref(), self.parameter("reason"))
            }
            _ => Err(Failure::MethodNotAllowed),
        }
    }

    /// What names this push and its retries: the caller's own key, or the id that AWS's SDKs send with every attempt.
    fn once(&self) -> Option<Once> {
        let own = self.headers.get("idempotency-key");
        let named = own.or_else(|| self.headers.get("amz-sdk-invocation-id"));
        named.map(|value| Once::of(value.as_bytes()))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = decode_query(self.query).into_iter();
        parameters
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, query: &str, expected: &str) {
        let headers = HeaderMap::new();
        let request = CallbackRequest {
            method,
            host: "h",
            path: "/",
            query,
            headers: &headers,
            body: Bytes::from_static(b"x"),
        };
        let found = match request.order() {
            Ok(Order::Send { kind, .. }) => format!("send {kind:?}"),
            Ok(Order::Describe) => "describe".to_owned(),
            Ok(Order::Close { code, reason }) => format!("close {code} {reason}"),
            Err(failure) => format!("{} {}", failure.answer().status, failure.answer().message),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn methods_and_parameters_make_orders() {
        check(&Method::POST, "", "send None");
        check(&Method::POST, "frame=binary", "send Some(Binary)");
        check(&Method::POST, "frame=x", "400 frame=x: use text or binary");
        check(&Method::POST, "frame", "400 frame=: use text or binary");
        check(&Method::GET, "", "describe");
        check(&Method::DELETE, "", "close 1000 Connection Closed Normally");
        check(
            &Method::DELETE,
            "code=4001&reason=bye+bye%21",
            "close 4001 bye bye!",
        );
        check(&Method::DELETE, "code=4001", "close 4001 ");
        let refused = "400 code=1006: use 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999";
        check(&Method::DELETE, "code=1006", refused);
        let long = format!("reason={}", "x".repeat(124));
        check(
            &Method::DELETE,
            &long,
            "400 reason: a close frame holds 123 bytes at most",
        );
        check(&Method::PUT, "", "403 Missing Authentication Token");
    }
}
