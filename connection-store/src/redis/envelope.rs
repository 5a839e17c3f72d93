//! What travels between nodes through Redis: batches of orders and answers, enciphered, for one node, each taken once.
//!
//! ```text
//! version (1)  sender (6)  session (16)  number (8)  frames, enciphered  code over all of it (16)
//! ```
//!
//! The frames are those of `../frame.rs`. The key is made of the cluster's secret, the sender, the node that is meant and the
//! session, which the sender draws by chance whenever it begins to write to a node; batches of one session are numbered. So no key ever
//! seals two batches with one number, whatever is restarted, and whoever can publish in Redis can neither write a batch, nor send one
//! to another node, nor read one. It can repeat one, so the numbers that were taken of each session are remembered until no order of
//! it could still be in time. Integers are big-endian.

use std::collections::HashMap;

use bytes::Bytes;
use gateway_core::id::NodeId;

use crate::frame::BATCH;
use crate::key::ClusterKey;
use crate::seal::{Cipher, TAG};

/// Nodes of another version hear nothing of this one: their channels have other names.
const VERSION: u8 = 2;
const SESSION: usize = 16;
/// Before the frames.
const HEAD: usize = 1 + NodeId::BYTES + SESSION + 8;

/// An order may not be meant to be valid for longer, in milliseconds: its session must be remembered so long.
pub(super) const LONGEST: u64 = 60_000;
/// Clocks may be set back by so much without an order being taken twice, in milliseconds.
pub(super) const SLACK: u64 = 10_000;
/// So many sessions are remembered; where there are more, no new one is heard until some may be forgotten.
const MOST: usize = 4096;

type Session = [u8; SESSION];

fn cipher(key: &ClusterKey, from: NodeId, to: NodeId, session: &Session) -> Cipher {
    let label = b"wiregate redis bus: batches";
    Cipher::new(key.derive(&[label, &from.0, &to.0, session]))
}

/// Seals what one node writes to another.
#[derive(Debug)]
pub(super) struct Pen {
    cipher: Cipher,
    /// Version, sender and session, as each batch begins.
    head: [u8; HEAD - 8],
    number: u64,
}

impl Pen {
    /// `random` must never be the same twice.
    pub(super) fn new(key: &ClusterKey, from: NodeId, to: NodeId, random: [u8; 32]) -> Self {
        let (session, _) = random
            .split_first_chunk()
            .expect("a session is shorter than that");
        let mut head = [0; HEAD - 8];
        head[0] = VERSION;
        head[1..=NodeId::BYTES].copy_from_slice(&from.0);
        head[1 + NodeId::BYTES..].copy_from_slice(session);
        Self {
            cipher: cipher(key, from, to, session),
            head,
            number: 0,
        }
    }

    /// A batch to which frames of so many bytes are to be added, and which is then to be sealed.
    pub(super) fn begin(bytes: usize) -> Vec<u8> {
        let mut batch = Vec::with_capacity(HEAD + bytes + TAG);
        batch.resize(HEAD, 0);
        batch
    }

    /// How many bytes of frames are in a batch that was begun.
    pub(super) fn filled(batch: &[u8]) -> usize {
        batch.len() - HEAD
    }

    /// Whether nothing should be added to a batch.
    pub(super) fn is_full(batch: &[u8]) -> bool {
        Self::filled(batch) >= BATCH
    }

    /// Ends a batch that was begun.
    pub(super) fn seal(&mut self, batch: &mut Vec<u8>) {
        let (head, frames) = batch.split_at_mut(HEAD);
        head[..HEAD - 8].copy_from_slice(&self.head);
        head[HEAD - 8..].copy_from_slice(&self.number.to_be_bytes());
        let tag = self.cipher.close(self.number, head, frames);
        batch.extend_from_slice(&tag);
        self.number += 1;
    }
}

/// What came, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The frames of a batch that never came before.
    Batch { from: NodeId, frames: Bytes },
    /// Not for this node, or not of one that knows the secret.
    Forged,
    /// It came before, or so long after others of its session that this cannot be told.
    Again,
    /// Too many sessions would have to be remembered.
    Full,
}

/// The sessions that others write in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: HashMap<Session, Known>,
}

#[derive(Debug)]
struct Known {
    from: NodeId,
    cipher: Cipher,
    taken: Window,
    /// None of its orders is in time after that.
    until: u64,
}

impl Sessions {
    /// Reads what came for `me` at the store's time `now`. Nothing of it is kept unless it was written with the secret.
    pub(super) fn open(
        &mut self,
        key: &ClusterKey,
        me: NodeId,
        mut batch: Vec<u8>,
        now: u64,
    ) -> Opened {
        let Some((from, session, number)) = read_head(&batch) else {
            return Opened::Forged;
        };
        let (head, sealed) = batch.split_at_mut(HEAD);
        // Whatever is taken now ends before.
        let until = now + LONGEST + 2 * SLACK;
        if let Some(known) = self.known.get_mut(&session) {
            if known.from != from || !known.cipher.open(number, head, sealed) {
                return Opened::Forged;
            }
            if !known.taken.take(number) {
                return Opened::Again;
            }
            known.until = known.until.max(until);
        } else {
            let cipher = cipher(key, from, me, &session);
            if !cipher.open(number, head, sealed) {
                return Opened::Forged;
            }
            if self.known.len() >= MOST {
                self.known.retain(|_, known| known.until >= now);
            }
            if self.known.len() >= MOST {
                return Opened::Full;
            }
            let mut taken = Window::default();
            taken.take(number);
            let known = Known {
                from,
                cipher,
                taken,
                until,
            };
            self.known.insert(session, known);
        }
        let end = batch.len() - TAG;
        Opened::Batch {
            from,
            frames: Bytes::from(batch).slice(HEAD..end),
        }
    }
}

fn read_head(batch: &[u8]) -> Option<(NodeId, Session, u64)> {
    let (head, _) = batch.split_first_chunk::<HEAD>()?;
    let (version, rest) = head.split_first()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (session, number) = rest.split_first_chunk()?;
    let number = u64::from_be_bytes(*number.first_chunk()?);
    (*version == VERSION).then_some((NodeId(*from), *session, number))
}

/// Which numbers were taken: exactly, of the last [`Window::REACH`]; all earlier ones count as taken.
#[derive(Debug, Default)]
struct Window {
    /// One more than the greatest.
    next: u64,
    bits: [u64; 16],
}

impl Window {
    /// Of one session few batches are under way at once; one that is sent again may be behind by what went meanwhile.
    const REACH: u64 = 64 * 16;

    /// Whether this number was not taken before.
    fn take(&mut self, number: u64) -> bool {
        let Some(after) = number.checked_add(1) else {
            return false;
        };
        if number >= self.next {
            for passed in self.next.max(after.saturating_sub(Self::REACH))..after {
                let (word, bit) = self.place(passed);
                *word &= !bit;
            }
            self.next = after;
        } else if self.next - number > Self::REACH {
            return false;
        }
        let (word, bit) = self.place(number);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    fn place(&mut self, number: u64) -> (&mut u64, u64) {
        let place = (number % Self::REACH) as usize;
        (&mut self.bits[place / 64], 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([1; 6]);
    const FROM: NodeId = NodeId([2; 6]);
    const NOW: u64 = 1_000_000;

    fn key(fill: &str) -> ClusterKey {
        ClusterKey::new(&fill.repeat(32)).unwrap()
    }

    fn pen(session: u8) -> Pen {
        Pen::new(&key("a"), FROM, OWN, [session; 32])
    }

    fn write(pen: &mut Pen) -> Vec<u8> {
        let mut batch = Pen::begin(6);
        batch.extend_from_slice(b"frames");
        pen.seal(&mut batch);
        batch
    }

    fn taken() -> Opened {
        Opened::Batch {
            from: FROM,
            frames: Bytes::from_static(b"frames"),
        }
    }

    #[test]
    fn only_the_node_that_is_meant_opens_what_was_sealed_with_the_same_secret() {
        let batch = write(&mut pen(1));
        let open = |fill, me| Sessions::default().open(&key(fill), me, batch.clone(), NOW);
        assert_eq!(open("a", OWN), taken());
        assert_eq!(open("b", OWN), Opened::Forged);
        assert_eq!(open("a", FROM), Opened::Forged);
        assert!(!batch.windows(6).any(|bytes| bytes == b"frames"));
    }

    #[test]
    fn what_was_cut_off_added_to_or_altered_is_not_opened_and_nothing_of_it_kept() {
        let mut pen = pen(1);
        let (first, batch) = (write(&mut pen), write(&mut pen));
        // Of a session that is known, and of one that is not.
        for known in [false, true] {
            let mut sessions = Sessions::default();
            if known {
                assert_eq!(sessions.open(&key("a"), OWN, first.clone(), NOW), taken());
            }
            let mut open = |batch| sessions.open(&key("a"), OWN, batch, NOW);
            for length in 0..batch.len() {
                assert_eq!(open(batch[..length].to_vec()), Opened::Forged, "{length}");
                let mut altered = batch.clone();
                altered[length] ^= 1;
                assert_eq!(open(altered), Opened::Forged, "{length}");
            }
            assert_eq!(open([&batch[..], b"x"].concat()), Opened::Forged);
            assert_eq!(open(batch.clone()), taken());
            assert_eq!(sessions.known.len(), 1);
        }
    }

    #[test]
    fn a_batch_is_taken_once_whatever_the_order_they_come_in() {
        let mut sessions = Sessions::default();
        let (mut one, mut other) = (pen(1), pen(2));
        let batches: Vec<_> = (0..10).map(|_| write(&mut one)).collect();
        let mut check = |batch: &[u8], expected| {
            assert_eq!(sessions.open(&key("a"), OWN, batch.to_vec(), NOW), expected);
        };
        for place in [3, 0, 9, 1, 8] {
            check(&batches[place], taken());
            check(&batches[place], Opened::Again);
        }
        check(&write(&mut other), taken());
        check(&batches[0], Opened::Again);
        check(&batches[2], taken());
    }

    #[test]
    fn no_two_batches_of_a_node_are_sealed_alike() {
        let mut one = pen(1);
        let mut again = pen(2);
        let sealed = [write(&mut one), write(&mut one), write(&mut again)];
        let frames = sealed.map(|batch| batch[HEAD..].to_vec());
        assert!(frames[0] != frames[1] && frames[0] != frames[2] && frames[1] != frames[2]);
    }

    #[test]
    fn sessions_are_bounded_and_forgotten_once_their_orders_are_late() {
        let mut sessions = Sessions::default();
        let mut random = [0; 32];
        let mut open = |n: u32, now| {
            random[..4].copy_from_slice(&n.to_be_bytes());
            let batch = write(&mut Pen::new(&key("a"), FROM, OWN, random));
            sessions.open(&key("a"), OWN, batch, now)
        };
        for n in 0..MOST as u32 {
            assert_eq!(open(n, NOW), taken());
        }
        let late = NOW + LONGEST + 2 * SLACK;
        assert_eq!(open(u32::MAX, late), Opened::Full);
        assert_eq!(open(0, late), Opened::Again);
        assert_eq!(open(u32::MAX, late + 1), taken());
        // What is heard is not forgotten.
        assert_eq!(sessions.known.len(), 1);
    }

    #[test]
    fn numbers_are_taken_once_and_none_from_long_ago() {
        let mut window = Window::default();
        let mut check = |number, expected| {
            assert_eq!(window.take(number), expected, "{number}");
        };
        check(5, true);
        check(5, false);
        check(0, true);
        check(Window::REACH + 2, true);
        check(2, false);
        check(3, true);
        check(3, false);
        check(5, false);
        check(5 + Window::REACH, true);
        check(5, false);
        check(7 * Window::REACH, true);
        check(7 * Window::REACH - 1, true);
        check(5 + Window::REACH, false);
        check(6 * Window::REACH, false);
        check(6 * Window::REACH + 1, true);
        check(u64::MAX, false);
        check(u64::MAX - 1, true);
        check(u64::MAX - 1, false);
    }
}
