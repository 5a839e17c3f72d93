//! Names of single things: nodes, connections, requests, events. Each is a small value with exactly
//! one text form.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// One incarnation of a gateway process: a restarted node gets a new one, so it never stands for
/// the sockets of its predecessor. Its text is 12 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; NodeId::BYTES]);

impl NodeId {
    /// Length in bytes.
    pub const BYTES: usize = 6;
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("node id", "12 lower-case hexadecimal digits", text);
        let digits = <&[u8; Self::BYTES * 2]>::try_from(text.as_bytes()).map_err(|_| invalid())?;
        let mut bytes = [0; Self::BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(hex_digit);
            *byte = high.ok_or_else(invalid)? << 4 | low.ok_or_else(invalid)?;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The public name of one connection: opaque to clients and backends, unguessable, never reused.
///
/// It carries the node that issued it, so that a push finds its way without a look-up. Whoever
/// holds an id may have made it up: [`ConnectionId::node`] is a hint where to ask, and only the
/// answer of that node is a fact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId([u8; ConnectionId::BYTES]);

impl ConnectionId {
    /// Length in bytes: version, node, randomness.
    pub const BYTES: usize = 1 + NodeId::BYTES + 16;
    /// Length of the text form, in characters; the last is always `=`.
    pub const TEXT_LENGTH: usize = 32;
    const VERSION: u8 = 1;

    /// `random` must come from the operating system's generator: it is all that keeps strangers
    /// from pushing.
    pub fn new(node: NodeId, random: [u8; 16]) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = Self::VERSION;
        bytes[1..=NodeId::BYTES].copy_from_slice(&node.0);
        bytes[1 + NodeId::BYTES..].copy_from_slice(&random);
        Self(bytes)
    }

    /// The node which the id claims to be of. A hint: see the type.
    pub fn node(&self) -> NodeId {
        let mut node = [0; NodeId::BYTES];
        node.copy_from_slice(&self.0[1..=NodeId::BYTES]);
        NodeId(node)
    }

    /// What tells it from other connections of its node.
    pub fn random(&self) -> [u8; 16] {
        let mut random = [0; 16];
        random.copy_from_slice(&self.0[1 + NodeId::BYTES..]);
        random
    }

    /// The text form, without allocating.
    pub fn encode(&self) -> [u8; Self::TEXT_LENGTH] {
        base64_text(&URL_SAFE, &self.0)
    }

    /// Reads an id from a URL (percent-decoded once) or a table.
    ///
    /// The text forms of AWS's own ids and of other versions of ours are [`ParsedId::Foreign`]:
    /// well-formed, and certainly of no connection here. So is a text that decodes to the bytes of
    /// one of ours but is not the text we gave out, so that each connection has one name.
    pub fn parse(text: &str) -> Result<ParsedId, InvalidConnectionId> {
        if !is_padded_base64url(text.as_bytes()) {
            return Err(InvalidConnectionId {
                text: text.to_owned(),
            });
        }
        let mut bytes = [0; 24];
        let decoded =
            (text.len() == Self::TEXT_LENGTH).then(|| URL_SAFE.decode_slice(text, &mut bytes));
        match decoded {
            Some(Ok(Self::BYTES)) if bytes[0] == Self::VERSION => {
                let mut id = [0; Self::BYTES];
                id.copy_from_slice(&bytes[..Self::BYTES]);
                Ok(ParsedId::Ours(Self(id)))
            }
            _ => Ok(ParsedId::Foreign),
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.encode()))
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    /// For records of our own, in which nothing but an id of ours may stand.
    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        match Self::parse(text)? {
            ParsedId::Ours(id) => Ok(id),
            ParsedId::Foreign => Err(InvalidConnectionId {
                text: text.to_owned(),
            }),
        }
    }
}

/// Hashes a [`ConnectionId`] to its own last bytes, for tables of ids that were drawn here: they are random already, and
/// who may only look ids up cannot fill a table with those that collide.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a well-formed connection id turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedId {
    /// Shaped like those that nodes of this version issue. Whether the connection exists is for its
    /// node to say.
    Ours(ConnectionId),
    /// Issued by AWS, by another version, or by nobody: gone.
    Foreign,
}

/// A text that no connection can ever have had as its id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid connectionId: {text}")]
pub struct InvalidConnectionId {
    /// What was given.
    pub text: String,
}

/// The id of one handshake, message, disconnect or callback, as `requestId`, `extendedRequestId`
/// and `messageId` show it: AWS's 16 characters of base64url, the last of them `=`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId([u8; RequestId::BYTES]);

impl RequestId {
    /// Length in bytes.
    pub const BYTES: usize = 11;
    /// Length of the text form, in characters.
    pub const TEXT_LENGTH: usize = 16;

    /// Any randomness will do: nothing is granted to who knows a request id.
    pub fn new(random: [u8; Self::BYTES]) -> Self {
        Self(random)
    }

    /// The text form, without allocating.
    pub fn encode(&self) -> [u8; Self::TEXT_LENGTH] {
        base64_text(&URL_SAFE, &self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.encode()))
    }
}

impl FromStr for RequestId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; 12];
        match (text.len(), URL_SAFE.decode_slice(text, &mut bytes)) {
            (Self::TEXT_LENGTH, Ok(Self::BYTES)) => {
                let mut id = [0; Self::BYTES];
                id.copy_from_slice(&bytes[..Self::BYTES]);
                Ok(Self(id))
            }
            _ => Err(InvalidId::new(
                "request id",
                "16 characters of padded base64url",
                text,
            )),
        }
    }
}

/// Names one event of one connection, the same however often it is delivered: a backend that sees
/// it again may drop it. Its text is 22 characters of base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; EventId::BYTES]);

impl EventId {
    /// Length in bytes.
    pub const BYTES: usize = 16;
    /// Length of the text form, in characters.
    pub const TEXT_LENGTH: usize = 22;

    /// Computed, not drawn: the node that delivers for a dead one arrives at the same id.
    pub fn of(connection: &ConnectionId, kind: EventKind) -> Self {
        let digest = Sha256::new()
            .chain_update(kind.as_str())
            .chain_update([0])
            .chain_update(connection.0)
            .finalize();
        let mut id = [0; Self::BYTES];
        id.copy_from_slice(&digest[..Self::BYTES]);
        Self(id)
    }

    /// The text form, without allocating.
    pub fn encode(&self) -> [u8; Self::TEXT_LENGTH] {
        base64_text(&URL_SAFE_NO_PAD, &self.0)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.encode()))
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // Two more than needed: the decoder asks for whole groups of three.
        let mut bytes = [0; Self::BYTES + 2];
        match (text.len(), URL_SAFE_NO_PAD.decode_slice(text, &mut bytes)) {
            (Self::TEXT_LENGTH, Ok(Self::BYTES)) => {
                let mut id = [0; Self::BYTES];
                id.copy_from_slice(&bytes[..Self::BYTES]);
                Ok(Self(id))
            }
            _ => Err(InvalidId::new(
                "event id",
                "22 characters of base64url",
                text,
            )),
        }
    }
}

/// The events that happen at most once to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `$connect`.
    Connect,
    /// `$disconnect`.
    Disconnect,
}

impl EventKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
        }
    }
}

/// A text in one of our own records that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: expected {expected}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
    text: String,
}

impl InvalidId {
    fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        Self {
            what,
            expected,
            text: text.to_owned(),
        }
    }
}

fn base64_text<const LENGTH: usize>(engine: &impl Engine, bytes: &[u8]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    engine
        .encode_slice(bytes, &mut text)
        .expect("the length of the text follows from that of the bytes");
    text
}

fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("base64 is ASCII")
}

/// Whole groups of four, `=` only where the last group may have it. Stray bits under the padding
/// are let pass, as most decoders do.
fn is_padded_base64url(text: &[u8]) -> bool {
    let unpadded = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && unpadded
            .iter()
            .all(|&c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}

/// Debug and serde show what people see everywhere else: the text.
macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(NodeId, ConnectionId, RequestId, EventId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NODE: NodeId = NodeId([0x00, 0x01, 0xab, 0xcd, 0xef, 0xff]);

    fn ours() -> ConnectionId {
        ConnectionId::new(NODE, *b"0123456789abcdef")
    }

    #[test]
    fn an_id_hashes_to_its_own_randomness() {
        use std::hash::{BuildHasher, BuildHasherDefault};
        let hash = |id| BuildHasherDefault::<IdHasher>::default().hash_one(id);
        assert_eq!(hash(ours()), u64::from_le_bytes(*b"89abcdef"));
        assert_ne!(hash(ours()), hash(ConnectionId::new(NODE, [7; 16])));
    }

    #[test]
    fn ids_have_the_documented_texts() {
        assert_eq!(ours().to_string(), "AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=");
        assert_eq!(ours().node(), NODE);
        assert_eq!(ours().random(), *b"0123456789abcdef");
        assert_eq!(NODE.to_string(), "0001abcdefff");
        assert_eq!(
            RequestId::new(*b"hello world").to_string(),
            "aGVsbG8gd29ybGQ="
        );
        assert_eq!(format!("{:?}", ours()), ours().to_string());
    }

    #[test]
    fn text_is_sorted_into_ours_foreign_and_invalid() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let found = match ConnectionId::parse(text) {
                Ok(ParsedId::Ours(id)) => id.to_string(),
                Ok(ParsedId::Foreign) => "foreign".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{text:?}");
        }

        let own = ours().to_string();
        check(&own, &own);
        check("L0SM9cOFvHcCIhw=", "foreign");
        check("BFaT_fALIAMCKug=", "foreign");
        check("eHrdFcnvvHcCE-w=", "foreign");
        check("abcd", "foreign");
        check("ab==", "foreign");
        check("abd=", "foreign");
        // Of version 2, and of version 1 but with a stray bit under the padding.
        check("AgABq83v_zAxMjM0NTY3ODlhYmNkZWY=", "foreign");
        check("AQABq83v_zAxMjM0NTY3ODlhYmNkZWZ=", "foreign");
        // A byte too many (no padding) and one too few.
        check("AQABq83v_zAxMjM0NTY3ODlhYmNkZWYw", "foreign");
        check("AQABq83v_zAxMjM0NTY3ODlhYmNkZQ==", "foreign");
        check(
            "AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=AAAA",
            "Invalid connectionId: AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=AAAA",
        );

        check("", "Invalid connectionId: ");
        check("abc", "Invalid connectionId: abc");
        check(
            "AQABq83v_zAxMjM0NTY3ODlhYmNkZWY",
            "Invalid connectionId: AQABq83v_zAxMjM0NTY3ODlhYmNkZWY",
        );
        check("a===", "Invalid connectionId: a===");
        check("====", "Invalid connectionId: ====");
        check("=abc", "Invalid connectionId: =abc");
        check("a=bc", "Invalid connectionId: a=bc");
        check("ab+/", "Invalid connectionId: ab+/");
        check("abc%3D", "Invalid connectionId: abc%3D");
        check("abc%3D==", "Invalid connectionId: abc%3D==");
        check("ab c", "Invalid connectionId: ab c");
        check("éé", "Invalid connectionId: éé");
        check("../../..", "Invalid connectionId: ../../..");
    }

    #[test]
    fn own_records_take_no_foreign_ids() {
        assert!("L0SM9cOFvHcCIhw=".parse::<ConnectionId>().is_err());
        assert!("L0SM9cOFvHcCIhw=".parse::<RequestId>().is_ok());
        for text in [
            "",
            "0001ABCDEFFF",
            "0001abcdeff",
            "0001abcdeffff",
            "0001abcdeffg",
            "+001abcdefff",
            "é001abcdeff",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        let error = "x".parse::<NodeId>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"x\" is not a node id: expected 12 lower-case hexadecimal digits"
        );
    }

    #[test]
    fn an_event_has_the_same_id_everywhere_and_another_for_each_event() {
        // Pinned: nodes of different builds must agree on it.
        let disconnect = EventId::of(&ours(), EventKind::Disconnect);
        assert_eq!(disconnect.to_string(), "40Kg1NQNB-w-mz54blC59Q");
        assert_ne!(disconnect, EventId::of(&ours(), EventKind::Connect));
        assert_ne!(
            disconnect,
            EventId::of(&ConnectionId::new(NODE, [0; 16]), EventKind::Disconnect)
        );
    }

    #[test]
    fn a_forged_node_part_names_another_connection() {
        let forged = ConnectionId::new(NodeId([9; 6]), *b"0123456789abcdef");
        assert_ne!(forged, ours());
        assert_eq!(forged.node(), NodeId([9; 6]));
    }

    proptest! {
        #[test]
        fn texts_round_trip(node: [u8; 6], random: [u8; 16], request: [u8; 11]) {
            let id = ConnectionId::new(NodeId(node), random);
            prop_assert_eq!(ConnectionId::parse(&id.to_string()), Ok(ParsedId::Ours(id)));
            prop_assert_eq!(id.to_string().into_bytes(), id.encode());
            prop_assert_eq!(id.node(), NodeId(node));
            prop_assert_eq!(NodeId(node).to_string().parse(), Ok(NodeId(node)));
            let request = RequestId::new(request);
            prop_assert_eq!(request.to_string().parse(), Ok(request));
            let event = EventId::of(&id, EventKind::Connect);
            prop_assert_eq!(event.to_string().parse(), Ok(event));
            let ids = (id, request, event, NodeId(node));
            let json = serde_json::to_string(&ids).unwrap();
            prop_assert_eq!(serde_json::from_str::<(_, _, _, _)>(&json).unwrap(), ids);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}", base64 in "[A-Za-z0-9_=-]{0,40}") {
            for text in [text, base64] {
                if let Ok(ParsedId::Ours(id)) = ConnectionId::parse(&text) {
                    prop_assert_eq!(id.to_string(), text.clone());
                }
                let _ = (text.parse::<NodeId>(), text.parse::<RequestId>(), text.parse::<EventId>());
            }
        }

        #[test]
        fn a_changed_text_is_another_id(
            random: [u8; 16], at in 0_usize..32, to in "[A-Za-z0-9_=-]",
        ) {
            let id = ConnectionId::new(NODE, random);
            let mut text = id.to_string();
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert_ne!(ConnectionId::parse(&text).ok(), Some(ParsedId::Ours(id)));
        }
    }
}
