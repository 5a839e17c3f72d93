//! Heads of HTTP/1.1 requests and responses, as far as the backend and the posters need them.

use crate::error::LoadError;

/// Headers that one head may have; a gateway adds about twenty.
const MOST_HEADERS: usize = 64;
/// Longest head, bytes.
const LONGEST: usize = 32 * 1024;
/// Longest body, bytes: above any message that a scenario sends.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// What a head says about the message it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status of a response; 0 for a request.
    pub(crate) status: u16,
    /// Bytes of the head itself.
    pub(crate) len: usize,
    /// Bytes of the body that follows.
    pub(crate) body_len: usize,
    /// False when the sender will close after it.
    pub(crate) keep_alive: bool,
}

/// Reads a response's head; `None` while it is incomplete.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<Head>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Some(len) = complete(response.parse(bytes), bytes)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or(0);
    head(status, len, response.headers).map(Some)
}

/// A request's head with what the backend decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// Lengths and manners.
    pub(crate) head: Head,
    /// Path and query.
    pub(crate) path: &'a str,
    /// `x-wiregate-connection-id`, or Pushpin's `connection-id`, where one was sent.
    pub(crate) connection_id: Option<&'a [u8]>,
    /// True where the body is events of a WebSocket over HTTP, as Pushpin sends them.
    pub(crate) events: bool,
    /// The key of a request to upgrade to a WebSocket.
    pub(crate) upgrade: Option<&'a [u8]>,
}

/// Reads a request's head; `None` while it is incomplete.
pub(crate) fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Some(len) = complete(request.parse(bytes), bytes)? else {
        return Ok(None);
    };
    let connection_id = value(request.headers, "x-wiregate-connection-id")
        .or_else(|| value(request.headers, "connection-id"));
    let events = value(request.headers, "content-type") == Some(b"application/websocket-events");
    // Pushpin passes the client's key on in each of its requests, which upgrade nothing.
    let upgrade = value(request.headers, "sec-websocket-key").filter(|_| !events);
    let path = request.path.unwrap_or("/");
    Ok(Some(Request {
        head: head(0, len, request.headers)?,
        path,
        connection_id,
        events,
        upgrade,
    }))
}

fn complete(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, LoadError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) => Ok(Some(len)),
        Ok(httparse::Status::Partial) if bytes.len() > LONGEST => {
            Err(LoadError::protocol("an HTTP head does not end"))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(LoadError::protocol(format!("not HTTP/1.1: {error}"))),
    }
}

fn head(status: u16, len: usize, headers: &[httparse::Header<'_>]) -> Result<Head, LoadError> {
    if value(headers, "transfer-encoding").is_some() {
        return Err(LoadError::protocol(
            "a chunked body: this tool reads bodies with a Content-Length only",
        ));
    }
    let body_len = match value(headers, "content-length") {
        None => 0,
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|len| *len <= LONGEST_BODY)
            .ok_or_else(|| LoadError::protocol("a Content-Length that is no length"))?,
    };
    let keep_alive =
        !value(headers, "connection").is_some_and(|text| text.eq_ignore_ascii_case(b"close"));
    Ok(Head {
        status,
        len,
        body_len,
        keep_alive,
    })
}

fn value<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_tells_status_length_and_manners() {
        let bytes = b"HTTP/1.1 410 Gone\r\ncontent-length: 2\r\nConnection: Close\r\n\r\n{}";
        let head = response(bytes).unwrap().unwrap();
        assert_eq!(
            head,
            Head {
                status: 410,
                len: bytes.len() - 2,
                body_len: 2,
                keep_alive: false
            }
        );
        assert_eq!(response(&bytes[..20]).unwrap(), None);
    }

    #[test]
    fn a_request_tells_path_and_connection() {
        let bytes = b"POST /echo HTTP/1.1\r\nX-Wiregate-Connection-Id: abc=\r\nContent-Length: 5\r\n\r\nhello";
        let request = request(bytes).unwrap().unwrap();
        assert_eq!(
            (request.path, request.connection_id),
            ("/echo", Some(&b"abc="[..]))
        );
        assert!(!request.events && request.upgrade.is_none());
        assert_eq!((request.head.body_len, request.head.keep_alive), (5, true));
    }

    #[test]
    fn a_request_of_pushpin_or_a_proxy_is_known() {
        let bytes = b"POST /dev HTTP/1.1\r\nConnection-Id: 7\r\nContent-Type: application/websocket-events\r\nSec-WebSocket-Key: k==\r\n\r\n";
        let events = request(bytes).unwrap().unwrap();
        assert_eq!(
            (events.connection_id, events.events),
            (Some(&b"7"[..]), true)
        );
        assert_eq!(events.upgrade, None);
        let bytes = b"GET /dev HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k==\r\n\r\n";
        assert_eq!(request(bytes).unwrap().unwrap().upgrade, Some(&b"k=="[..]));
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: &str) {
        let text = response(bytes).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_it_cannot_read_is_refused() {
        check_refused(b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP");
        check_refused(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "chunked",
        );
        check_refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "no length",
        );
        check_refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "no length",
        );
    }
}
