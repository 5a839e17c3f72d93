//! Refusals as HTTP responses, for hyper and for a bare socket.
//!
//! AWS answers in two families, told apart by whether a connection id exists yet.

use bytes::Bytes;
use gateway_core::context::http_date;
use gateway_core::failure::Failure;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::env;

/// A refusal before a connection id exists, and every refusal of `@connections`.
pub fn refusal(failure: &Failure) -> Response<Bytes> {
    let answer = failure.answer();
    let body = if answer.message.is_empty() {
        Bytes::new()
    } else {
        serde_json::json!({ "message": answer.message })
            .to_string()
            .into()
    };
    let mut response = response(answer.status, body);
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-amzn-errortype"),
        HeaderValue::from_static(answer.error_type),
    );
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    identify(&mut response);
    response
}

/// A refusal of a handshake whose connection id was made already.
pub fn handshake_refusal(
    failure: &Failure,
    connection_id: &str,
    request_id: &str,
) -> Response<Bytes> {
    let answer = failure.answer();
    let mut response = response(
        answer.status,
        failure.frame(connection_id, request_id).into(),
    );
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=UTF-8"),
    );
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amz-apigw-id"), id);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A response with a JSON body, or none.
pub fn response(status: u16, body: Bytes) -> Response<Bytes> {
    let has_body = !body.is_empty();
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if has_body {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// `x-amzn-RequestId` is a UUID and what SDKs report; `x-amz-apigw-id` is the short id.
pub fn identify(response: &mut Response<Bytes>) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let uuid = uuid::Builder::from_random_bytes(env::random()).into_uuid();
    let uuid = uuid.hyphenated().encode_lower(&mut buffer).as_bytes();
    let short = gateway_core::id::RequestId::new(env::random()).encode();
    for (name, value) in [("x-amzn-requestid", uuid), ("x-amz-apigw-id", &short)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}

/// A response as bytes for a socket that is closed after it.
pub fn to_bytes(response: &Response<Bytes>) -> Bytes {
    let mut text = head(response.status());
    for (name, value) in response.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let length = response.body().len();
    text.extend_from_slice(
        format!("Content-Length: {length}\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    text.extend_from_slice(response.body());
    text.into()
}

/// The 101, with the subprotocol that `$connect` chose.
pub fn switching_protocols(key: &str, subprotocol: Option<&str>) -> Bytes {
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let mut text = head(StatusCode::SWITCHING_PROTOCOLS);
    text.extend_from_slice(b"Connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ");
    text.extend_from_slice(accept.as_bytes());
    if let Some(subprotocol) = subprotocol {
        text.extend_from_slice(b"\r\nsec-websocket-protocol: ");
        text.extend_from_slice(subprotocol.as_bytes());
    }
    text.extend_from_slice(b"\r\n\r\n");
    text.into()
}

fn head(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "HTTP/1.1 {} {reason}\r\nDate: {}\r\n",
        status.as_u16(),
        http_date(env::wall())
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    #[test]
    fn gone_has_its_type_and_no_body() {
        let response = refusal(&Failure::Gone);
        assert_eq!(response.status(), 410);
        assert_eq!(header(&response, "x-amzn-errortype"), Some("GoneException"));
        assert_eq!(
            header(&response, "x-amzn-requestid").map(str::len),
            Some(36)
        );
        assert!(response.body().is_empty());
        assert_eq!(header(&response, "content-type"), None);
    }

    #[test]
    fn a_failure_of_ours_is_an_internal_server_error() {
        let response = refusal(&Failure::Internal("the store broke".into()));
        assert_eq!(response.status(), 500);
        assert_eq!(
            header(&response, "x-amzn-errortype"),
            Some("InternalServerErrorException")
        );
        assert_eq!(response.body(), r#"{"message":"Internal server error"}"#);
    }

    #[test]
    fn a_handshake_with_an_id_is_refused_with_it() {
        let response = handshake_refusal(&Failure::FunctionError("x".into()), "C=", "R=");
        assert_eq!(response.status(), 502);
        assert_eq!(header(&response, "x-amz-apigw-id"), Some("R="));
        assert_eq!(header(&response, "x-amzn-errortype"), None);
        assert_eq!(
            response.body(),
            r#"{"message": "Internal server error", "connectionId":"C=", "requestId":"R="}"#
        );
    }

    #[test]
    fn the_101_has_nothing_that_was_not_asked_for() {
        let text = switching_protocols("dGhlIHNhbXBsZSBub25jZQ==", None);
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\nDate: "));
        assert!(text.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
        let chosen = switching_protocols("x", Some("chat.v1"));
        assert!(
            std::str::from_utf8(&chosen)
                .unwrap()
                .ends_with("\r\nsec-websocket-protocol: chat.v1\r\n\r\n")
        );
    }
}
