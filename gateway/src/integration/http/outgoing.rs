//! A request made ready for a connection of either HTTP.

use bytes::Bytes;
use gateway_core::header_lines::HeaderLines;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme as UriScheme};
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body_util::Full;

use super::{BackendError, BackendRequest, Origin};

/// A request whose target and length are settled; sending it does not use it up.
pub(super) struct Outgoing {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    headers: HeaderLines,
    body: Bytes,
}

impl Outgoing {
    pub(super) fn new(request: BackendRequest) -> Result<Self, BackendError> {
        if request.method == Method::CONNECT {
            return Err(BackendError::InvalidRequest {
                reason: "CONNECT is no method for an integration",
            });
        }
        Ok(Self {
            method: request.method,
            uri: request.uri,
            host: request.host,
            headers: request.headers,
            body: request.body,
        })
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the answer will have no body, whatever it says.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Writes the head as HTTP/1.1 has it, with the empty line that ends it.
    pub(super) fn write_http1_head(&self, origin: &Origin, out: &mut Vec<u8>) {
        let target = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.host.as_ref().map(HeaderValue::as_bytes);
        let host = host.unwrap_or(origin.authority().as_str().as_bytes());
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.headers.as_bytes());
        if self.has_length() {
            out.extend_from_slice(b"content-length: ");
            write_number(out, self.body.len());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The request as HTTP/2 wants it: the host stands in `:authority`, and nowhere else.
    pub(super) fn to_http2(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.with_authority();
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        *headers = HeaderMap::with_capacity(24);
        for (name, value) in self.headers.iter() {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        if self.has_length() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        request
    }

    fn with_authority(&self) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        if let Some(host) = &self.host
            && let Ok(authority) = Authority::try_from(host.as_bytes())
        {
            parts.authority = Some(authority);
        }
        parts.scheme = parts.scheme.or(Some(UriScheme::HTTP));
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }

    /// RFC 9110, 8.6: a `Content-Length: 0` belongs to the methods whose bodies mean something.
    fn has_length(&self) -> bool {
        !self.body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&self.method)
    }
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        for number in [0, 7, 10, 1234, usize::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
