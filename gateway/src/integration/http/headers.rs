//! A request made ready for a connection: framing headers are the connection's own, never the caller's.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body_util::Full;

use super::{BackendError, BackendRequest, Origin};

/// The body of every outbound request: one buffer.
pub(super) type OutBody = Full<bytes::Bytes>;

/// A request that can take the shape of either HTTP, and back again if it was not sent.
pub(super) struct Outgoing {
    uri: Uri,
    host: HeaderValue,
    request: Request<OutBody>,
}

impl Outgoing {
    pub(super) fn new(origin: &Origin, request: BackendRequest) -> Result<Self, BackendError> {
        if request.method == Method::CONNECT {
            return Err(BackendError::InvalidRequest {
                reason: "CONNECT is no method for an integration",
            });
        }
        let mut headers = request.headers;
        let host = match headers.remove(HOST) {
            Some(host) => host,
            None => HeaderValue::from_str(origin.authority().as_str()).map_err(|_| {
                BackendError::InvalidRequest {
                    reason: "the integration URI's host is no header value",
                }
            })?,
        };
        drop_framing(&mut headers);
        if !request.body.is_empty() || expects_body(&request.method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        }
        let mut outgoing = Request::new(Full::new(request.body));
        *outgoing.method_mut() = request.method;
        *outgoing.headers_mut() = headers;
        Ok(Self {
            uri: request.uri,
            host,
            request: outgoing,
        })
    }

    /// The request as HTTP/1.1 wants it, and what is needed to undo that.
    pub(super) fn into_http1(mut self) -> (Request<OutBody>, Reshape) {
        let path = self
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        *self.request.uri_mut() = Uri::from(path);
        self.request.headers_mut().insert(HOST, self.host.clone());
        (
            self.request,
            Reshape {
                uri: self.uri,
                host: self.host,
            },
        )
    }

    /// The request as HTTP/2 wants it: the host stands in `:authority`, and nowhere else.
    pub(super) fn into_http2(mut self) -> (Request<OutBody>, Reshape) {
        *self.request.uri_mut() = self.with_authority();
        *self.request.version_mut() = Version::HTTP_2;
        (
            self.request,
            Reshape {
                uri: self.uri,
                host: self.host,
            },
        )
    }

    fn with_authority(&self) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        if let Ok(authority) = Authority::try_from(self.host.as_bytes()) {
            parts.authority = Some(authority);
        }
        parts.scheme = parts.scheme.or(Some(UriScheme::HTTP));
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }
}

/// What a request lost when it took the shape of one HTTP.
pub(super) struct Reshape {
    uri: Uri,
    host: HeaderValue,
}

impl Reshape {
    /// The request as it was before.
    pub(super) fn undo(self, mut request: Request<OutBody>) -> Outgoing {
        request.headers_mut().remove(HOST);
        *request.version_mut() = Version::HTTP_11;
        Outgoing {
            uri: self.uri,
            host: self.host,
            request,
        }
    }
}

/// Headers that a peer reads as framing or as an order to the connection; two opinions about them are request smuggling.
///
/// What a `Connection` header names is not dropped with it: the names may have come from a client, who must not choose
/// which of the gateway's headers arrive.
fn drop_framing(headers: &mut HeaderMap) {
    if headers.keys().any(is_framing) {
        let names: Vec<HeaderName> = headers
            .keys()
            .filter(|name| is_framing(name))
            .cloned()
            .collect();
        for name in names {
            headers.remove(name);
        }
    }
}

fn is_framing(name: &HeaderName) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
    [
        CONNECTION,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TE,
        TRAILER,
        UPGRADE,
        EXPECT,
    ]
    .contains(name)
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
        || *name == HTTP2_SETTINGS
}

/// RFC 9110, 8.6: a `Content-Length: 0` belongs to the methods whose bodies mean something.
fn expects_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}
