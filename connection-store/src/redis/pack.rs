//! The form in which records are stored: JSON with short names, read strictly.
//!
//! Names that a record has beyond these are passed over, so that nodes of two versions can share a store; whatever else
//! is not as it should be makes it [`Poison`], never a record.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_core::call::{AuthorizerContext, Connection};
use gateway_core::id::{ConnectionId, NodeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ConnectionRecord, DeadLetter, NodeInfo, Owed, StoreError};

/// Bytes of an id at the beginning of a member: what its node's key does not say.
const RANDOM: usize = 16;
/// Nothing that a node writes is larger; an authorizer's context is 8 KiB at most, a handshake's head 64 KiB.
const LARGEST: usize = 512 * 1024;

/// Bytes in the store that none of us wrote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Poison(String);

impl Poison {
    pub(super) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl From<Poison> for StoreError {
    fn from(poison: Poison) -> Self {
        Self::Corrupt(poison.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    #[serde(rename = "a", borrow)]
    api: Cow<'a, str>,
    #[serde(rename = "s", borrow)]
    stage: Cow<'a, str>,
    #[serde(rename = "t")]
    connected_at: u64,
    #[serde(rename = "i")]
    source_ip: IpAddr,
    #[serde(rename = "u", borrow, default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(rename = "d", borrow)]
    domain_name: Cow<'a, str>,
    #[serde(rename = "p", borrow, default, skip_serializing_if = "Option::is_none")]
    principal: Option<Principal<'a>>,
}

/// `principalId`, and the context in its order.
#[derive(Serialize, Deserialize)]
struct Principal<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Vec<(Cow<'a, str>, Cow<'a, str>)>,
);

#[derive(Serialize, Deserialize)]
struct PackedOwed<'a> {
    #[serde(rename = "r", borrow)]
    record: Packed<'a>,
    #[serde(rename = "c")]
    code: u16,
    #[serde(rename = "w", borrow)]
    reason: Cow<'a, str>,
    #[serde(rename = "e")]
    ended_at: u64,
}

#[derive(Serialize, Deserialize)]
struct PackedInfo<'a> {
    #[serde(rename = "h", borrow)]
    hostname: Cow<'a, str>,
    #[serde(rename = "v", borrow)]
    version: Cow<'a, str>,
    #[serde(rename = "l", borrow, default, skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
    #[serde(rename = "s")]
    started_at: u64,
}

impl<'a> Packed<'a> {
    fn of(connection: &'a Connection) -> Self {
        let principal = |authorizer: &'a AuthorizerContext| {
            let pair = |(name, value): &'a (String, String)| (name.into(), value.into());
            let context = authorizer.context.iter().map(pair).collect();
            Principal((&authorizer.principal_id).into(), context)
        };
        Self {
            api: (&*connection.api_id).into(),
            stage: (&*connection.stage).into(),
            connected_at: connection.connected_at,
            source_ip: connection.source_ip,
            user_agent: connection.user_agent.as_deref().map(Into::into),
            domain_name: (&*connection.domain_name).into(),
            principal: connection.authorizer.as_deref().map(principal),
        }
    }

    fn open(self, id: ConnectionId) -> ConnectionRecord {
        let authorizer = |Principal(principal_id, context): Principal| {
            let pair = |(name, value): (Cow<str>, Cow<str>)| (name.into(), value.into());
            Box::new(AuthorizerContext {
                principal_id: principal_id.into(),
                context: context.into_iter().map(pair).collect(),
            })
        };
        ConnectionRecord {
            connection: Arc::new(Connection {
                id,
                api_id: self.api.into(),
                stage: self.stage.into(),
                connected_at: self.connected_at,
                source_ip: self.source_ip,
                user_agent: self.user_agent.map(|text| text.into_owned().into()),
                domain_name: self.domain_name.into(),
                authorizer: self.principal.map(authorizer),
            }),
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these types have string keys and plain values")
}

fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Poison> {
    if bytes.len() > LARGEST {
        return Err(Poison(format!("{what} of {} bytes", bytes.len())));
    }
    // Says which kind of mistake, never what it is about: it may be anything, of any length.
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = error.classify();
        Poison(format!("{what} that cannot be read ({kind:?})"))
    })
}

/// A member of a node's connections.
pub(super) fn pack_member(record: &ConnectionRecord) -> Vec<u8> {
    let mut member = record.connection.id.random().to_vec();
    member.extend(json(&Packed::of(&record.connection)));
    member
}

/// The id of a member, even if the rest cannot be read.
pub(super) fn member_id(node: NodeId, member: &[u8]) -> Option<ConnectionId> {
    let random = member.first_chunk::<RANDOM>()?;
    Some(ConnectionId::new(node, *random))
}

pub(super) fn unpack_member(node: NodeId, member: &[u8]) -> Result<ConnectionRecord, Poison> {
    let id = member_id(node, member)
        .ok_or_else(|| Poison(format!("a connection of {} bytes", member.len())))?;
    let packed: Packed = parse("a connection", &member[RANDOM..])?;
    Ok(packed.open(id))
}

pub(super) fn pack_owed(owed: &Owed) -> Vec<u8> {
    json(&PackedOwed {
        record: Packed::of(&owed.record.connection),
        code: owed.code,
        reason: (&owed.reason).into(),
        ended_at: owed.ended_at,
    })
}

pub(super) fn unpack_owed(id: &[u8], item: &[u8]) -> Result<Owed, Poison> {
    let id = unpack_id(id)?;
    let packed: PackedOwed = parse("an owed end", item)?;
    Ok(Owed {
        record: packed.record.open(id),
        code: packed.code,
        reason: packed.reason.into(),
        ended_at: packed.ended_at,
    })
}

fn unpack_id(id: &[u8]) -> Result<ConnectionId, Poison> {
    let id = str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Poison("an end of what is no connection".to_owned()))
}

/// Why a dead letter was given up. JSON, so that it is one line.
pub(super) fn pack_reason(why: &str) -> Vec<u8> {
    json(&why)
}

/// A dead letter is how often it was tried, why it was given up, and what is owed: a line each.
pub(super) fn unpack_dead(
    id: &[u8],
    given_up_at: u64,
    letter: &[u8],
) -> Result<DeadLetter, Poison> {
    let mut lines = letter.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let attempts = parse("a dead letter's tries", line())?;
    let why: String = parse("a dead letter's reason", line())?;
    Ok(DeadLetter {
        owed: unpack_owed(id, line())?,
        attempts,
        why,
        given_up_at,
    })
}

pub(super) fn pack_info(info: &NodeInfo) -> Vec<u8> {
    json(&PackedInfo {
        hostname: (&info.hostname).into(),
        version: (&info.version).into(),
        link: info.link.as_ref().map(Into::into),
        started_at: info.started_at,
    })
}

pub(super) fn unpack_info(id: NodeId, bytes: &[u8]) -> Result<NodeInfo, Poison> {
    let packed: PackedInfo = parse("a node's lease", bytes)?;
    Ok(NodeInfo {
        id,
        hostname: packed.hostname.into(),
        version: packed.version.into(),
        link: packed.link.map(Into::into),
        started_at: packed.started_at,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: NodeId = NodeId([7; 6]);

    prop_compose! {
        fn record()(
            random: [u8; 16], api in ".{0,20}", stage in ".{0,20}", connected_at: u64, ip: [u8; 4], six: Option<[u8; 16]>,
            user_agent: Option<String>, domain in ".{0,40}",
            principal: Option<(String, Vec<(String, String)>)>,
        ) -> ConnectionRecord {
            ConnectionRecord {
                connection: Arc::new(Connection {
                    id: ConnectionId::new(NODE, random),
                    api_id: api.into(),
                    stage: stage.into(),
                    connected_at,
                    source_ip: six.map_or(IpAddr::from(ip), IpAddr::from),
                    user_agent: user_agent.map(Into::into),
                    domain_name: domain.into(),
                    authorizer: principal.map(|(principal_id, context)| {
                        Box::new(AuthorizerContext { principal_id, context })
                    }),
                }),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_packed_is_unpacked(
            record in record(), code: u16, reason: String, ended_at: u64, attempts: u32, why: String,
        ) {
            let member = pack_member(&record);
            prop_assert_eq!(unpack_member(NODE, &member), Ok(record.clone()));
            // Scripts find a member by the bytes of its id: nothing after it is above this.
            prop_assert!(member[16..] < b"\xff"[..]);
            let id = record.connection.id.to_string();
            let owed = Owed { record, code, reason, ended_at };
            let item = pack_owed(&owed);
            prop_assert_eq!(unpack_owed(id.as_bytes(), &item), Ok(owed.clone()));
            let letter = [attempts.to_string().as_bytes(), &pack_reason(&why), &item].join(&b'\n');
            let dead = DeadLetter { owed, attempts, why, given_up_at: 3 };
            prop_assert_eq!(unpack_dead(id.as_bytes(), 3, &letter), Ok(dead));
        }

        #[test]
        fn nodes_are_unpacked(hostname: String, version: String, link: Option<String>, started_at: u64) {
            let info = NodeInfo { id: NODE, hostname, version, link, started_at };
            prop_assert_eq!(unpack_info(NODE, &pack_info(&info)), Ok(info));
        }

        #[test]
        fn whatever_is_in_the_store_is_answered(
            bytes: Vec<u8>, text in r#"[-{}\[\]",:asituduprcweh0-9\n ]{0,60}"#, record in record(),
            at: prop::sample::Index, byte: u8,
        ) {
            let mut changed = pack_member(&record);
            let at = at.index(changed.len());
            changed[at] = byte;
            for bytes in [bytes, text.into_bytes(), changed] {
                let _ = unpack_member(NODE, &bytes);
                let _ = unpack_owed(&bytes, &bytes);
                let _ = unpack_owed(record.connection.id.to_string().as_bytes(), &bytes);
                let _ = unpack_dead(&bytes, 0, &bytes);
                let _ = unpack_info(NODE, &bytes);
            }
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_poison() {
        #[track_caller]
        fn check(json: &str, expected: &str) {
            let member = [&[1; 16], json.as_bytes()].concat();
            let found =
                unpack_member(NODE, &member).map(|record| record.connection.api_id.to_string());
            let found = found.unwrap_or_else(|poison| poison.to_string());
            assert_eq!(found, expected, "{json}");
        }

        let with =
            |rest: &str| format!(r#"{{"a":"chat","s":"dev","t":1,"i":"::1","d":"h"{rest}}}"#);
        check(&with(""), "chat");
        check(&with(r#","z":[1]"#), "chat");
        check(&with(r#","u":null"#), "chat");
        check(
            &with(r#","a":"other""#),
            "a connection that cannot be read (Data)",
        );
        check(
            &with(r#","u":1"#),
            "a connection that cannot be read (Data)",
        );
        check(
            &with(r#","p":["x"]"#),
            "a connection that cannot be read (Data)",
        );
        check(&with("} "), "a connection that cannot be read (Syntax)");
        check("", "a connection that cannot be read (Eof)");
        check(&"[".repeat(1000), "a connection that cannot be read (Data)");
        check(&"9".repeat(LARGEST + 1), "a connection of 524289 bytes");
        let short = unpack_member(NODE, &[1; 15]).unwrap_err().to_string();
        assert_eq!(short, "a connection of 15 bytes");
        let foreign = unpack_owed(b"L0SM9cOFvHcCIhw=", b"{}").unwrap_err();
        assert_eq!(foreign.to_string(), "an end of what is no connection");
    }
}
