//! The page: files compiled into the program, so that it runs from any directory, and one small answer of its own.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, Uri, header};

const FILES: [(&str, &str, &str); 7] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
    (
        "/main.js",
        "text/javascript; charset=utf-8",
        include_str!("page/main.js"),
    ),
    (
        "/line.js",
        "text/javascript; charset=utf-8",
        include_str!("page/line.js"),
    ),
    (
        "/room.js",
        "text/javascript; charset=utf-8",
        include_str!("page/room.js"),
    ),
    (
        "/view.js",
        "text/javascript; charset=utf-8",
        include_str!("page/view.js"),
    ),
    (
        "/favicon.svg",
        "image/svg+xml",
        include_str!("page/favicon.svg"),
    ),
];

/// Where pages are told to connect to: `ws://host:port/stage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gateway {
    url: String,
    origin: String,
}

impl Gateway {
    /// Checks that it is the URL of a stage, without a query.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        let wrong =
            || format!("the gateway must be a URL like ws://127.0.0.1:8080/dev, but it is {raw:?}");
        let uri: Uri = raw.parse().map_err(|_| wrong())?;
        match (uri.scheme_str(), uri.authority(), uri.query()) {
            (Some(scheme @ ("ws" | "wss")), Some(authority), None) => Ok(Self {
                url: raw.to_owned(),
                origin: format!("{scheme}://{authority}"),
            }),
            _ => Err(wrong()),
        }
    }
}

/// The page and `/config.json`.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let config = serde_json::json!({ "gateway": gateway.url }).to_string();
    // Nothing from elsewhere, and no connection but to the gateway.
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        gateway.origin
    );
    let policy =
        HeaderValue::from_str(&policy).expect("a parsed URL's host and port are plain ASCII");
    let mut router = Router::new().route(
        "/config.json",
        get(async move || answer("application/json", config, None)),
    );
    for (path, kind, text) in FILES {
        let policy = policy.clone();
        router = router.route(path, get(async move || answer(kind, text, Some(policy))));
    }
    router
}

fn answer(kind: &'static str, body: impl IntoResponse, policy: Option<HeaderValue>) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    if let Some(policy) = policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, origin: Option<&str>) {
        assert_eq!(
            Gateway::parse(raw)
                .ok()
                .map(|gateway| gateway.origin)
                .as_deref(),
            origin
        );
    }

    #[test]
    fn a_gateway_is_a_websocket_url() {
        check("ws://127.0.0.1:8080/dev", Some("ws://127.0.0.1:8080"));
        check("wss://chat.example.com", Some("wss://chat.example.com"));
        check("http://127.0.0.1:8080/dev", None);
        check("ws://127.0.0.1:8080/dev?x=1", None);
        check("127.0.0.1:8080", None);
        check("", None);
    }
}
