//! What travels between nodes through Redis: signed, for one node, for a time.
//!
//! ```text
//! version (1)  kind (1)  sender (6)  correlation (16)  deadline (8)  body  HMAC-SHA256 (32)
//! ```
//!
//! The code covers all of it and the node that is meant, under a key made of the cluster's secret: whoever can publish in Redis
//! can neither write an envelope nor send one to another node. It can repeat one, so what was acted upon is remembered
//! until its deadline has passed. Numbers are big-endian; times are the store's, in milliseconds of the epoch.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use bytes::Bytes;
use gateway_core::id::NodeId;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::key::{ClusterKey, keyed};

const VERSION: u8 = 1;
const HEAD: usize = 2 + NodeId::BYTES + 16 + 8;
const CODE: usize = 32;

/// An order may not be meant to be valid for longer, in milliseconds: it must be remembered so long.
pub(super) const LONGEST: u64 = 60_000;
/// Clocks may be set back by so much without an order being taken twice, in milliseconds.
const SLACK: u64 = 10_000;
/// So many orders are remembered; where there are more, none is taken until some may be forgotten.
const MOST: usize = 64 * 1024;

/// Ties an answer to its order. Nobody can foretell it.
pub(super) type Correlation = [u8; 16];

/// What an envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Order = 1,
    Answer = 2,
    /// From a node to itself.
    Probe = 3,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) kind: Kind,
    pub(super) from: NodeId,
    pub(super) correlation: Correlation,
    pub(super) deadline: u64,
    pub(super) body: Bytes,
}

/// Signs envelopes and checks them.
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(super) fn new(key: &ClusterKey) -> Self {
        Self(keyed(&key.derive(&[b"wiregate redis bus"])))
    }

    fn code(&self, to: NodeId, signed: &[u8]) -> Hmac<Sha256> {
        let mut code = self.0.clone();
        code.update(&to.0);
        code.update(signed);
        code
    }

    pub(super) fn close(&self, to: NodeId, envelope: &Envelope) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + envelope.body.len() + CODE);
        bytes.extend_from_slice(&[VERSION, envelope.kind as u8]);
        bytes.extend_from_slice(&envelope.from.0);
        bytes.extend_from_slice(&envelope.correlation);
        bytes.extend_from_slice(&envelope.deadline.to_be_bytes());
        bytes.extend_from_slice(&envelope.body);
        let code = self.code(to, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&code);
        bytes
    }

    /// `None` where it is not for this node, or not of one that knows the secret.
    pub(super) fn open(&self, to: NodeId, bytes: Vec<u8>) -> Option<Envelope> {
        let end = bytes.len().checked_sub(CODE)?;
        let (signed, code) = bytes.split_at_checked(end)?;
        self.code(to, signed).verify_slice(code).ok()?;
        let (head, _) = signed.split_first_chunk::<HEAD>()?;
        let [version, kind, rest @ ..] = head;
        let kinds = [Kind::Order, Kind::Answer, Kind::Probe];
        let kind = kinds.into_iter().find(|known| *known as u8 == *kind)?;
        let (from, rest) = rest.split_first_chunk()?;
        let (correlation, deadline) = rest.split_first_chunk()?;
        if *version != VERSION {
            return None;
        }
        Some(Envelope {
            kind,
            from: NodeId(*from),
            correlation: *correlation,
            deadline: u64::from_be_bytes(*deadline.first_chunk()?),
            body: Bytes::from(bytes).slice(HEAD..end),
        })
    }
}

/// Which orders were taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    known: HashSet<Correlation>,
    until: BinaryHeap<Reverse<(u64, Correlation)>>,
}

/// Whether an order may be acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Yes,
    /// Its caller was told that nothing is known of it; or nobody may send an order so far ahead.
    Late,
    Again,
    /// Too many would have to be remembered.
    Full,
}

impl Taken {
    pub(super) fn admit(&mut self, order: &Envelope, now: u64) -> Admission {
        while let Some(Reverse((until, correlation))) = self.until.peek()
            && *until < now
        {
            self.known.remove(correlation);
            self.until.pop();
        }
        if now > order.deadline || order.deadline > now + LONGEST + SLACK {
            return Admission::Late;
        }
        if self.known.contains(&order.correlation) {
            return Admission::Again;
        }
        if self.known.len() >= MOST {
            return Admission::Full;
        }
        self.known.insert(order.correlation);
        let until = order.deadline + SLACK;
        self.until.push(Reverse((until, order.correlation)));
        Admission::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([1; 6]);

    fn seal(fill: &str) -> Seal {
        Seal::new(&ClusterKey::new(&fill.repeat(32)).unwrap())
    }

    fn order(n: u32, deadline: u64) -> Envelope {
        let mut correlation = [0; 16];
        correlation[..4].copy_from_slice(&n.to_be_bytes());
        Envelope {
            kind: Kind::Order,
            from: NodeId([2; 6]),
            correlation,
            deadline,
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn only_the_node_that_is_meant_opens_what_was_closed_with_the_same_secret() {
        let closed = seal("a").close(OWN, &order(1, 7));
        assert_eq!(seal("a").open(OWN, closed.clone()), Some(order(1, 7)));
        assert_eq!(seal("b").open(OWN, closed.clone()), None);
        assert_eq!(seal("a").open(NodeId([3; 6]), closed), None);
    }

    #[test]
    fn what_was_cut_off_added_to_or_altered_is_not_opened() {
        let closed = seal("a").close(OWN, &order(1, 7));
        for length in 0..closed.len() {
            assert_eq!(seal("a").open(OWN, closed[..length].to_vec()), None);
            let mut altered = closed.clone();
            altered[length] ^= 1;
            assert_eq!(seal("a").open(OWN, altered), None, "{length}");
        }
        let longer = [&closed[..], b"x"].concat();
        assert_eq!(seal("a").open(OWN, longer), None);
    }

    #[test]
    fn an_order_is_taken_once_and_only_in_time() {
        let mut taken = Taken::default();
        let now = 1_000_000;
        let mut check = |n, deadline, now, expected| {
            assert_eq!(taken.admit(&order(n, deadline), now), expected, "{n} {now}");
        };
        check(1, now, now, Admission::Yes);
        check(1, now, now, Admission::Again);
        check(2, now - 1, now, Admission::Late);
        check(3, now + LONGEST + SLACK + 1, now, Admission::Late);
        check(1, now, now + 1, Admission::Late);
        // Remembered for a while after, should the clock be set back.
        check(4, now + SLACK, now + SLACK, Admission::Yes);
        check(1, now, now - 5, Admission::Again);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let mut taken = Taken::default();
        for n in 0..MOST as u32 {
            assert_eq!(taken.admit(&order(n, 100), 50), Admission::Yes);
        }
        assert_eq!(taken.admit(&order(u32::MAX, 100), 50), Admission::Full);
        let later = 100 + SLACK + 1;
        let next = order(u32::MAX, later);
        assert_eq!(taken.admit(&next, later), Admission::Yes);
        assert_eq!((taken.known.len(), taken.until.len()), (1, 1));
    }
}
