//! An HTTP answer as it stood on the wire: headers in their order and spelling.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Status, headers and body of one HTTP/1.1 answer.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The three digits.
    pub status: u16,
    /// Headers as sent, repeated ones too.
    pub headers: Vec<(String, String)>,
    /// The body, without transfer encoding.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The first header of that name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; broken UTF-8 shows as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// `message` (or IAM's `Message`) of a JSON body, else the empty string.
    pub fn message(&self) -> String {
        let body = self.json();
        let message = body.get("message").or_else(|| body.get("Message"));
        message
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

/// Reads one answer. Returns it with what arrived after it, or `None` if the peer closed before its header was whole.
pub async fn read_answer(
    stream: &mut (impl AsyncRead + Unpin),
    to_head: bool,
) -> Option<(HttpAnswer, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if !more(stream, &mut bytes).await {
            return None;
        }
    };
    let mut answer = parse_head(&bytes[..head_end])?;
    let mut rest = bytes.split_off(head_end + 4);
    if to_head || answer.status < 200 || answer.status == 204 || answer.status == 304 {
        return Some((answer, rest));
    }
    if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().ok()?;
        while rest.len() < length && more(stream, &mut rest).await {}
        let after = rest.split_off(length.min(rest.len()));
        answer.body = rest;
        return Some((answer, after));
    }
    let chunked = answer.header("transfer-encoding").is_some();
    while !(chunked && rest.ends_with(b"0\r\n\r\n")) && more(stream, &mut rest).await {}
    answer.body = if chunked { dechunk(&rest) } else { rest };
    Some((answer, Vec::new()))
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(bytes).await, Ok(count) if count > 0)
}

fn parse_head(head: &[u8]) -> Option<HttpAnswer> {
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some(HttpAnswer {
        status,
        headers,
        body: Vec::new(),
    })
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = find(bytes, b"\r\n") {
        let size = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let Ok(size) = size else { break };
        let start = at + 2;
        if size == 0 || start + size > bytes.len() {
            break;
        }
        body.extend_from_slice(&bytes[start..start + size]);
        bytes = bytes.get(start + size + 2..).unwrap_or_default();
    }
    body
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
