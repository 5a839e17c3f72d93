//! The head of an HTTP/1.1 request, read strictly and in the client's own spelling.
//!
//! Events show header names as the client wrote them, and pipelined bytes after the head belong to the WebSocket;
//! a library that owns the connection would give neither. Requests that are no upgrades go on to hyper.

use gateway_core::failure::Failure;

/// The most headers in one request.
pub const MAX_HEADERS: usize = 100;
/// The most bytes of the whole head.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// "AWS quotas, WebSocket: URL 4,096 characters."
pub const MAX_URL_BYTES: usize = 4096;

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: String,
    /// The request target as sent.
    pub target: String,
    /// False for HTTP/1.0.
    pub http11: bool,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Bytes of the head, the empty line included.
    pub length: usize,
}

impl Head {
    /// Parses what has arrived; `None` asks for more.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Failure::HeadersTooLarge);
            }
            Err(_) => return Err(Failure::BadRequest("Bad Request")),
        };
        // A bare line feed ends a line for some parsers and not for others: whoever stands behind or before us
        // must not read another request than we do.
        let bare = bytes[..length]
            .iter()
            .enumerate()
            .any(|(at, &byte)| byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
        if bare {
            return Err(Failure::BadRequest("Bad Request"));
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            http11: request.version == Some(1),
            headers: request
                .headers
                .iter()
                .map(|h| (h.name.to_owned(), text(h.value)))
                .collect(),
            length,
        };
        if head.target.len() > MAX_URL_BYTES {
            return Err(Failure::UriTooLong);
        }
        if head.all("host").count() > 1 || head.http11 && head.header("host").is_none() {
            return Err(Failure::BadRequest("Bad Request"));
        }
        if head.all("content-length").count() > 1
            || head.header("content-length").is_some() && head.header("transfer-encoding").is_some()
        {
            return Err(Failure::BadRequest("Bad Request"));
        }
        Ok(Some(head))
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// Every value of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// True where one of a header's comma-separated tokens is this one.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    }

    /// The path, without the query; an absolute target's path where a proxy form was sent.
    pub fn path(&self) -> &str {
        let target = self.target.split('?').next().unwrap_or_default();
        match target.split_once("://") {
            // Only a target that names its scheme first is absolute; elsewhere the same letters are part of a path.
            Some((_, rest)) if !target.starts_with('/') => {
                rest.find('/').map_or("/", |at| &rest[at..])
            }
            _ => target,
        }
    }

    /// The query as sent, without `?`.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// A request that asks for the WebSocket protocol.
    pub fn is_upgrade(&self) -> bool {
        self.has_token("upgrade", "websocket")
    }

    /// The key of a well-formed RFC 6455 handshake (§4.2.1).
    pub fn websocket_key(&self) -> Result<&str, Failure> {
        if self.method != "GET" || !self.http11 || !self.has_token("connection", "upgrade") {
            return Err(Failure::BadRequest("Bad Request"));
        }
        let has_body = self.header("transfer-encoding").is_some()
            || self
                .header("content-length")
                .is_some_and(|length| length.trim() != "0");
        if has_body
            || self.all("sec-websocket-key").count() != 1
            || self.all("authorization").count() > 1
        {
            return Err(Failure::BadRequest("Bad Request"));
        }
        let versions: Vec<&str> = self.all("sec-websocket-version").map(str::trim).collect();
        if versions != ["13"] {
            return Err(Failure::BadRequest("Sec-WebSocket-Version must be 13"));
        }
        let key = self.header("sec-websocket-key").unwrap_or_default().trim();
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key);
        if decoded.map(|bytes| bytes.len()) != Ok(16) {
            return Err(Failure::BadRequest(
                "Sec-WebSocket-Key must be 16 bytes in base64",
            ));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /dev?a=1 HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn parse(text: &str) -> Result<Option<Head>, Failure> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn a_good_upgrade_is_read_in_the_clients_spelling() {
        let head = parse(&format!("{GOOD}frames")).unwrap().unwrap();
        assert_eq!(head.length, GOOD.len());
        assert_eq!((head.path(), head.query()), ("/dev", "a=1"));
        assert_eq!(head.headers[3].0, "Sec-WebSocket-Version");
        assert!(head.is_upgrade());
        assert_eq!(head.websocket_key(), Ok("dGhlIHNhbXBsZSBub25jZQ=="));
    }

    #[test]
    fn every_prefix_asks_for_more() {
        for end in 0..GOOD.len() {
            assert_eq!(Head::parse(&GOOD.as_bytes()[..end]), Ok(None), "{end}");
        }
    }

    #[track_caller]
    fn refused(text: &str, status: u16) {
        let outcome = parse(text).and_then(|head| {
            let head = head.expect("a whole head");
            head.websocket_key().map(str::to_owned)
        });
        assert_eq!(outcome.unwrap_err().answer().status, status, "{text}");
    }

    #[test]
    fn what_another_parser_could_read_otherwise_is_refused() {
        refused(&GOOD.replace("Host: h\r\n", "Host: h\n"), 400);
        refused(&GOOD.replace("Host: h", "Host: h\r\nHost: i"), 400);
        refused(&GOOD.replace("Host: h\r\n", ""), 400);
        refused(
            &GOOD.replace(
                "Host: h",
                "Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            ),
            400,
        );
        refused(
            &GOOD.replace(
                "Host: h",
                "Host: h\r\nContent-Length: 1\r\nContent-Length: 2",
            ),
            400,
        );
        refused(&GOOD.replace("Host: h", "Host: h\r\n folded"), 400);
        refused(
            &GOOD.replace("Host: h", "Host: h\r\nContent-Length: 5"),
            400,
        );
        refused(
            &GOOD.replace("Host: h", "Host: h\r\nAuthorization: a\r\nAuthorization: b"),
            400,
        );
        refused(&GOOD.replace("Host: h", "Ho st: h"), 400);
        refused("GARBAGE\r\n\r\n", 400);
    }

    #[test]
    fn a_bad_handshake_is_refused() {
        refused(&GOOD.replace("GET", "POST"), 400);
        refused(&GOOD.replace("HTTP/1.1", "HTTP/1.0"), 400);
        refused(&GOOD.replace("keep-alive, Upgrade", "close"), 400);
        refused(&GOOD.replace("Version: 13", "Version: 8"), 400);
        refused(
            &GOOD.replace("Host: h", "Host: h\r\nSec-WebSocket-Version: 8"),
            400,
        );
        refused(&GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400);
        refused(
            &GOOD.replace("/dev?a=1", &format!("/{}", "x".repeat(4096))),
            414,
        );
    }

    #[test]
    fn heads_are_bounded() {
        let many = "h: 1\r\n".repeat(101);
        refused(&format!("GET / HTTP/1.1\r\n{many}\r\n"), 431);
        let endless = format!("GET / HTTP/1.1\r\nh: {}", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(parse(&endless), Err(Failure::HeadersTooLarge));
    }

    #[test]
    fn an_absolute_target_has_a_path_too() {
        let head = parse("GET http://h:1/dev/@connections/x?y HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(head.path(), "/dev/@connections/x");
        let inside = parse("GET /x://h/dev HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(inside.path(), "/x://h/dev");
        let root = parse("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(root.path(), "/");
    }
}
