//! One CONNECT, MESSAGE or DISCONNECT on its way through the gateway.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::id::{ConnectionId, EventId, EventKind, RequestId};

/// What is known of a connection once its handshake is read; it never changes afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id, never reused.
    pub id: ConnectionId,
    /// The API it belongs to.
    pub api_id: Arc<str>,
    /// The stage's real name, also behind a custom domain.
    pub stage: Arc<str>,
    /// When the handshake request arrived, in milliseconds of the epoch.
    pub connected_at: u64,
    /// The peer, or what a trusted proxy says it is.
    pub source_ip: IpAddr,
    /// The handshake's `User-Agent`.
    pub user_agent: Option<Box<str>>,
    /// A name of this gateway, with its port unless it is the scheme's own, at which `@connections` answers.
    pub domain_name: Arc<str>,
    /// What the authorizer said, for every later event.
    pub authorizer: Option<Box<AuthorizerContext>>,
}

/// What an authorizer lets later events know; values are strings, as AWS delivers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizerContext {
    /// `principalId`.
    pub principal_id: String,
    /// The flat `context` map.
    pub context: Vec<(String, String)>,
}

/// The upgrade request, as the client sent it; forgotten once `$connect` is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// Headers in order and in the client's own spelling, proxies' additions already settled.
    pub headers: Vec<(String, String)>,
    /// The query string as sent, without `?`; empty if there is none.
    pub raw_query: String,
    /// The decoded query, in order.
    pub query: Vec<(String, String)>,
    /// How long its authorizer took, in milliseconds, once one let it in.
    pub authorizer_latency: Option<u64>,
}

impl Handshake {
    /// The last value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .rev()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// All values of a header, in order.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The last value of a query parameter; names are case-sensitive.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// All values of a query parameter, in order.
    pub fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// What happened on the connection.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The upgrade, before its 101.
    Connect(&'a Handshake),
    /// One whole message.
    Message {
        /// `messageId`.
        id: RequestId,
        /// The payload.
        body: &'a Bytes,
        /// The payload as text; `None` for a binary message.
        text: Option<&'a str>,
    },
    /// The end of the connection.
    Disconnect {
        /// `disconnectStatusCode`.
        code: u16,
        /// `disconnectReason`, may be empty.
        reason: &'a str,
    },
}

impl Event<'_> {
    /// `CONNECT`, `MESSAGE` or `DISCONNECT`.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::Message { .. } => "MESSAGE",
            Self::Disconnect { .. } => "DISCONNECT",
        }
    }

    /// The handshake, while it lasts.
    pub fn handshake(&self) -> Option<&Handshake> {
        match self {
            Self::Connect(handshake) => Some(handshake),
            _ => None,
        }
    }

    /// The payload as text; empty but for messages, `None` for a binary one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Message { text, .. } => *text,
            _ => Some(""),
        }
    }
}

/// One event of one connection, with the ids and the time that it carries.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Whose it is.
    pub connection: &'a Connection,
    /// What happened.
    pub event: Event<'a>,
    /// The key of the selected route.
    pub route_key: &'a str,
    /// New for each event; a handshake's authorizer and `$connect` share it.
    pub request_id: RequestId,
    /// When it arrived, in milliseconds of the epoch.
    pub time: u64,
    /// 12 random bytes for the trace header.
    pub trace: [u8; 12],
}

impl Call<'_> {
    /// For deduplication by the backend: the same for each delivery of one event.
    pub fn event_id(&self) -> String {
        match self.event {
            Event::Connect(_) => EventId::of(&self.connection.id, EventKind::Connect).to_string(),
            Event::Message { id, .. } => id.to_string(),
            Event::Disconnect { .. } => {
                EventId::of(&self.connection.id, EventKind::Disconnect).to_string()
            }
        }
    }

    /// `X-Amzn-Trace-Id` of this call.
    pub fn trace_id(&self) -> String {
        trace_id(self.time, &self.trace)
    }
}

/// `X-Amzn-Trace-Id`: `Root=1-{8 hex of the epoch's second}-{24 hex}`.
pub fn trace_id(epoch_millis: u64, random: &[u8; 12]) -> String {
    let second = (epoch_millis / 1000) as u32;
    let mut text = String::with_capacity(40);
    text.push_str("Root=1-");
    push_hex(&mut text, &second.to_be_bytes());
    text.push('-');
    push_hex(&mut text, random);
    text
}

/// By hand: a run of the formatting machinery for each byte would cost as much as all other headers of a call.
fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 0xf)].into());
    }
}

/// A header's name as backends of the CGI kind read it: in lower case, and `_` no other than `-`. Who compares names
/// against those that a client must not choose compares these.
pub fn header_as_read(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// A query's parameters as forms write them (`application/x-www-form-urlencoded`), decoded and in order; what is not
/// UTF-8 becomes U+FFFD, and a name without `=` has the empty value.
pub fn decode_query(raw: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::fixture::{call, connection, handshake, message};

    #[test]
    fn a_handshakes_values_are_found_by_name() {
        let handshake = handshake(
            &[("X-A", "1"), ("Other", "o"), ("x-a", "2")],
            &[("q", "1"), ("Q", "3"), ("q", "2")],
        );
        assert_eq!(handshake.header("X-a"), Some("2"));
        assert_eq!(handshake.header("x-b"), None);
        assert_eq!(
            handshake.header_values("x-A").collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(handshake.query_value("q"), Some("2"));
        assert_eq!(handshake.query_value("Q"), Some("3"));
        assert_eq!(handshake.query_values("q").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(handshake.query_value("x"), None);
    }

    #[test]
    fn queries_are_decoded_in_order() {
        let pairs = |raw: &str| {
            decode_query(raw)
                .into_iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            pairs("room=a&room=b&token=t%201+x"),
            ["room=a", "room=b", "token=t 1 x"]
        );
        assert_eq!(pairs("a&=b&&c=%ff"), ["a=", "=b", "c=\u{fffd}"]);
        assert!(pairs("").is_empty());
    }

    #[test]
    fn an_event_has_one_id_and_each_of_a_connections_events_its_own() {
        let (connection, handshake, body) = (connection(), handshake(&[], &[]), Bytes::new());
        let disconnect = |code| Event::Disconnect { code, reason: "" };
        let id = |event| call(&connection, event, "send").event_id();
        assert_eq!(id(message(&body)), "BAQEBAQEBAQEBAQ=");
        // However a delivery says that it ended, the end is one event.
        assert_eq!(id(disconnect(1001)), id(disconnect(1006)));
        assert_ne!(id(disconnect(1001)), id(Event::Connect(&handshake)));
    }

    #[test]
    fn a_trace_id_begins_with_the_second() {
        let (connection, body) = (connection(), Bytes::new());
        let call = call(&connection, message(&body), "send");
        assert_eq!(call.trace_id(), "Root=1-67320a8a-abababababababababababab");
    }
}
