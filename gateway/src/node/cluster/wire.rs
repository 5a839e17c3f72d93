//! Orders and answers between nodes, as bytes.
//!
//! An order: version, kind, reach (one stage or any; of one, API and stage, each with its length before it), connection id,
//! then what the kind needs, the payload last. An answer: a tag, then what it needs. Whoever reads them knows that a node of this cluster wrote them, perhaps one of
//! another version: what is not understood is an error, never a panic.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId, ParsedId};
use thiserror::Error;

use crate::codec::FrameKind;
use crate::node::{Delivered, Description, Once, Order, Reach};

const VERSION: u8 = 1;
const SEND: u8 = 0;
const DESCRIBE: u8 = 1;
const CLOSE: u8 = 2;
const PROBE: u8 = 3;

const ONE_STAGE: u8 = 0;
const ANY_STAGE: u8 = 1;

/// What one node asks of another.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// An order for a connection of the receiver.
    Order {
        id: ConnectionId,
        reach: Reach<String>,
        order: Order,
    },
    /// Are you there, and how long ago did you hear this other node? Without one: may the asker act, for all you know?
    Probe { about: Option<NodeId> },
}

/// What it hears.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Of an order.
    Done(Result<Delivered, Failure>),
    /// Of a probe: when the node in question was last heard, if ever.
    Heard(Option<Duration>),
}

/// Bytes of another node that make no sense here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a node sent what this version does not understand")]
pub(super) struct NotUnderstood;

/// The bytes of an order.
pub(super) fn order(id: &ConnectionId, reach: Reach<&str>, order: &Order) -> Bytes {
    let payload = match order {
        Order::Send { payload, .. } => payload.len(),
        Order::Close { reason, .. } => reason.len(),
        Order::Describe => 0,
    };
    let names = match reach {
        Reach::Stage { api_id, stage } => api_id.len() + stage.len(),
        Reach::Any => 0,
    };
    let mut out = BytesMut::with_capacity(64 + names + payload);
    out.put_u8(VERSION);
    out.put_u8(match order {
        Order::Send { .. } => SEND,
        Order::Describe => DESCRIBE,
        Order::Close { .. } => CLOSE,
    });
    match reach {
        Reach::Stage { api_id, stage } => {
            out.put_u8(ONE_STAGE);
            put_text(&mut out, api_id);
            put_text(&mut out, stage);
        }
        Reach::Any => out.put_u8(ANY_STAGE),
    }
    out.put_slice(&id.encode());
    match order {
        Order::Send {
            payload,
            kind,
            once,
        } => {
            out.put_u8(match kind {
                None => 0,
                Some(FrameKind::Text) => 1,
                Some(FrameKind::Binary) => 2,
            });
            out.put_u8(u8::from(once.is_some()));
            if let Some(Once(once)) = once {
                out.put_slice(once);
            }
            out.put_slice(payload);
        }
        Order::Describe => {}
        Order::Close { code, reason } => {
            out.put_u16(*code);
            out.put_slice(reason.as_bytes());
        }
    }
    out.freeze()
}

/// The bytes of a probe.
pub(super) fn probe(about: Option<NodeId>) -> Bytes {
    let mut out = BytesMut::with_capacity(9);
    out.put_slice(&[VERSION, PROBE, u8::from(about.is_some())]);
    if let Some(about) = about {
        out.put_slice(&about.0);
    }
    out.freeze()
}

/// Reads what another node asks.
pub(super) fn read_request(mut bytes: Bytes) -> Result<Request, NotUnderstood> {
    if take_u8(&mut bytes)? != VERSION {
        return Err(NotUnderstood);
    }
    let kind = take_u8(&mut bytes)?;
    if kind == PROBE {
        let about = match take_u8(&mut bytes)? {
            0 => None,
            _ => Some(NodeId(take_array(&mut bytes)?)),
        };
        return Ok(Request::Probe { about });
    }
    let reach = match take_u8(&mut bytes)? {
        ONE_STAGE => Reach::Stage {
            api_id: take_text(&mut bytes)?,
            stage: take_text(&mut bytes)?,
        },
        ANY_STAGE => Reach::Any,
        _ => return Err(NotUnderstood),
    };
    let id: [u8; ConnectionId::TEXT_LENGTH] = take_array(&mut bytes)?;
    let id = str::from_utf8(&id).ok().map(ConnectionId::parse);
    let Some(Ok(ParsedId::Ours(id))) = id else {
        return Err(NotUnderstood);
    };
    let order = match kind {
        SEND => {
            let kind = match take_u8(&mut bytes)? {
                0 => None,
                1 => Some(FrameKind::Text),
                2 => Some(FrameKind::Binary),
                _ => return Err(NotUnderstood),
            };
            let once = match take_u8(&mut bytes)? {
                0 => None,
                _ => Some(Once(take_array(&mut bytes)?)),
            };
            let payload = bytes;
            Order::Send {
                payload,
                kind,
                once,
            }
        }
        DESCRIBE => Order::Describe,
        CLOSE => Order::Close {
            code: take_u16(&mut bytes)?,
            reason: text(&bytes)?,
        },
        _ => return Err(NotUnderstood),
    };
    Ok(Request::Order { id, reach, order })
}

const SENT: u8 = 0;
const HELD: u8 = 1;
const CLOSING: u8 = 2;
const DESCRIPTION: u8 = 3;
const GONE: u8 = 4;
const BUSY: u8 = 5;
const TOO_LARGE: u8 = 6;
const UNKNOWN: u8 = 7;
const HEARD: u8 = 8;

/// The bytes of an answer.
pub(super) fn answer(answer: &Answer) -> Bytes {
    let done = match answer {
        Answer::Heard(heard) => {
            let millis = heard.map_or(u64::MAX, |heard| heard.as_millis() as u64);
            let mut out = BytesMut::with_capacity(9);
            out.put_u8(HEARD);
            out.put_u64(millis);
            return out.freeze();
        }
        Answer::Done(done) => done,
    };
    // Most answers are one byte that need not be made.
    Bytes::from_static(match done {
        Ok(Delivered::Sent) => &[SENT],
        Ok(Delivered::Held) => &[HELD],
        Ok(Delivered::Closing) => &[CLOSING],
        Ok(Delivered::Description(description)) => return describe(description),
        Err(Failure::Gone) => &[GONE],
        Err(Failure::Busy) => &[BUSY],
        Err(Failure::PayloadTooLarge(limit)) => {
            let mut out = BytesMut::with_capacity(9);
            out.put_u8(TOO_LARGE);
            out.put_u64(*limit);
            return out.freeze();
        }
        Err(_) => &[UNKNOWN],
    })
}

fn describe(description: &Description) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    out.put_u8(DESCRIPTION);
    out.put_u64(description.connected_at);
    out.put_u64(description.last_active_at);
    match description.source_ip {
        IpAddr::V4(address) => {
            out.put_u8(4);
            out.put_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.put_u8(6);
            out.put_slice(&address.octets());
        }
    }
    out.put_u8(u8::from(description.user_agent.is_some()));
    let agent = description.user_agent.as_deref().unwrap_or_default();
    out.put_slice(agent.as_bytes());
    out.freeze()
}

/// Reads what another node answered.
pub(super) fn read_answer(mut bytes: Bytes) -> Result<Answer, NotUnderstood> {
    let done = match take_u8(&mut bytes)? {
        SENT => Ok(Delivered::Sent),
        HELD => Ok(Delivered::Held),
        CLOSING => Ok(Delivered::Closing),
        DESCRIPTION => Ok(Delivered::Description(read_description(bytes)?)),
        GONE => Err(Failure::Gone),
        BUSY => Err(Failure::Busy),
        TOO_LARGE => Err(Failure::PayloadTooLarge(take_u64(&mut bytes)?)),
        UNKNOWN => Err(Failure::Unknown),
        HEARD => {
            let millis = take_u64(&mut bytes)?;
            let heard = (millis != u64::MAX).then(|| Duration::from_millis(millis));
            return Ok(Answer::Heard(heard));
        }
        _ => return Err(NotUnderstood),
    };
    Ok(Answer::Done(done))
}

fn read_description(mut bytes: Bytes) -> Result<Description, NotUnderstood> {
    let connected_at = take_u64(&mut bytes)?;
    let last_active_at = take_u64(&mut bytes)?;
    let source_ip = match take_u8(&mut bytes)? {
        4 => IpAddr::from(take_array::<4>(&mut bytes)?),
        6 => IpAddr::from(take_array::<16>(&mut bytes)?),
        _ => return Err(NotUnderstood),
    };
    let user_agent = match take_u8(&mut bytes)? {
        0 => None,
        _ => Some(text(&bytes)?),
    };
    Ok(Description {
        connected_at,
        last_active_at,
        source_ip,
        user_agent,
    })
}

fn put_text(out: &mut BytesMut, text: &str) {
    // Names of APIs and stages are far shorter: the configuration takes 128 characters.
    let length = text.len().min(usize::from(u16::MAX));
    out.put_u16(length as u16);
    out.put_slice(&text.as_bytes()[..length]);
}

fn take_text(bytes: &mut Bytes) -> Result<String, NotUnderstood> {
    let length = usize::from(take_u16(bytes)?);
    if bytes.len() < length {
        return Err(NotUnderstood);
    }
    text(&bytes.split_to(length))
}

fn text(bytes: &[u8]) -> Result<String, NotUnderstood> {
    let text = str::from_utf8(bytes).map_err(|_| NotUnderstood)?;
    Ok(text.to_owned())
}

fn take_u8(bytes: &mut Bytes) -> Result<u8, NotUnderstood> {
    bytes.try_get_u8().map_err(|_| NotUnderstood)
}

fn take_u16(bytes: &mut Bytes) -> Result<u16, NotUnderstood> {
    bytes.try_get_u16().map_err(|_| NotUnderstood)
}

fn take_u64(bytes: &mut Bytes) -> Result<u64, NotUnderstood> {
    bytes.try_get_u64().map_err(|_| NotUnderstood)
}

fn take_array<const N: usize>(bytes: &mut Bytes) -> Result<[u8; N], NotUnderstood> {
    let mut array = [0; N];
    bytes
        .try_copy_to_slice(&mut array)
        .map_err(|_| NotUnderstood)?;
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ConnectionId {
        ConnectionId::new(NodeId([1; 6]), [2; 16])
    }

    fn bytes_of(request: &Request) -> Bytes {
        match request {
            Request::Order {
                id,
                reach,
                order: inner,
            } => order(id, reach.as_ref(), inner),
            Request::Probe { about } => probe(*about),
        }
    }

    #[track_caller]
    fn check_order(inner: &Order) {
        let stage = Reach::Stage {
            api_id: "chat".to_owned(),
            stage: "dev".to_owned(),
        };
        for reach in [stage, Reach::Any] {
            check_request(&Request::Order {
                id: id(),
                reach,
                order: inner.clone(),
            });
        }
    }

    /// What was written is read back, and no shorter part of it is taken for something that was never written.
    #[track_caller]
    fn check_request(request: &Request) {
        let bytes = bytes_of(request);
        let read = read_request(bytes.clone()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
        for cut in 0..bytes.len() {
            if let Ok(other) = read_request(bytes.slice(..cut)) {
                assert_eq!(bytes_of(&other), bytes[..cut]);
            }
        }
    }

    #[track_caller]
    fn check_answer(expected: &Answer) {
        let bytes = answer(expected);
        let read = read_answer(bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{expected:?}"));
    }

    #[test]
    fn orders_are_read_as_they_were_written() {
        let once = Some(Once([9; 16]));
        for kind in [None, Some(FrameKind::Text), Some(FrameKind::Binary)] {
            for once in [None, once] {
                let payload = Bytes::from_static(b"{}");
                check_order(&Order::Send {
                    payload,
                    kind,
                    once,
                });
            }
        }
        check_order(&Order::Describe);
        let reason = "bye".to_owned();
        check_order(&Order::Close { code: 4001, reason });
        check_request(&Request::Probe { about: None });
        let about = Some(NodeId([3; 6]));
        check_request(&Request::Probe { about });
    }

    #[test]
    fn answers_are_read_as_they_were_written() {
        for delivered in [Delivered::Sent, Delivered::Held, Delivered::Closing] {
            check_answer(&Answer::Done(Ok(delivered)));
        }
        for (source_ip, user_agent) in [
            (IpAddr::from([127, 0, 0, 1]), None),
            (IpAddr::from([7; 16]), Some("agent é".to_owned())),
        ] {
            check_answer(&Answer::Done(Ok(Delivered::Description(Description {
                connected_at: 1,
                last_active_at: 2,
                source_ip,
                user_agent,
            }))));
        }
        let failures = [
            Failure::Gone,
            Failure::Busy,
            Failure::PayloadTooLarge(9),
            Failure::Unknown,
        ];
        for failure in failures {
            check_answer(&Answer::Done(Err(failure)));
        }
        check_answer(&Answer::Heard(None));
        check_answer(&Answer::Heard(Some(Duration::from_millis(12))));
    }

    proptest::proptest! {
        #[test]
        fn whatever_arrives_is_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read_request(Bytes::from(bytes.clone()));
            let _ = read_answer(Bytes::from(bytes));
        }
    }
}
