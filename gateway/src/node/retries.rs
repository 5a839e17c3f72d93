//! Remembers pushes that their callers may send again, so that a retry after a lost answer writes no second frame.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use gateway_core::failure::Failure;
use gateway_core::id::ConnectionId;
use sha2::{Digest, Sha256};

use super::Delivered;

/// Pushes that are remembered, in all.
const REMEMBERED: usize = 64 * 1024;
/// Locks among which they are spread.
const SHARDS: usize = 16;

/// What makes two requests the same push: the caller's `Idempotency-Key`, or the id that AWS's SDKs give to an invocation
/// and all of its retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Once(pub [u8; 16]);

impl Once {
    /// Of the text in the caller's header.
    pub fn of(text: &[u8]) -> Self {
        let digest = Sha256::digest(text);
        let mut once = [0; 16];
        once.copy_from_slice(&digest[..16]);
        Self(once)
    }
}

/// The last pushes that were taken and that named themselves.
#[derive(Debug, Default)]
pub struct Retries {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    taken: HashMap<(ConnectionId, Once), bool>,
    order: VecDeque<(ConnectionId, Once)>,
}

impl Retries {
    /// Does `push` unless it was done before, in which case the answer is that of the first time. Refusals are not
    /// remembered: whoever was refused tries again and means it.
    pub fn once(
        &self,
        id: &ConnectionId,
        once: Once,
        push: impl FnOnce() -> Result<Delivered, Failure>,
    ) -> Result<Delivered, Failure> {
        let shard = &self.shards[usize::from(once.0[0]) % SHARDS];
        // Held while pushing, which never waits: the second of two equal requests must find the first.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = shard.taken.get(&(*id, once)) {
            return Ok(if *held {
                Delivered::Held
            } else {
                Delivered::Sent
            });
        }
        let pushed = push();
        let held = match pushed {
            Ok(Delivered::Held) => true,
            Ok(Delivered::Sent) => false,
            _ => return pushed,
        };
        shard.taken.insert((*id, once), held);
        shard.order.push_back((*id, once));
        if shard.order.len() > REMEMBERED / SHARDS
            && let Some(oldest) = shard.order.pop_front()
        {
            shard.taken.remove(&oldest);
        }
        pushed
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::id::NodeId;

    use super::*;

    fn id(n: u8) -> ConnectionId {
        ConnectionId::new(NodeId([1; 6]), [n; 16])
    }

    #[track_caller]
    fn check(
        retries: &Retries,
        id: ConnectionId,
        text: &str,
        outcome: &Result<Delivered, Failure>,
        pushes: bool,
    ) {
        let mut pushed = false;
        let found = retries.once(&id, Once::of(text.as_bytes()), || {
            pushed = true;
            outcome.clone()
        });
        assert_eq!(pushed, pushes);
        assert_eq!(format!("{found:?}"), format!("{outcome:?}"));
    }

    #[test]
    fn a_push_is_done_once_for_each_connection_and_name() {
        let retries = Retries::default();
        check(&retries, id(1), "a", &Ok(Delivered::Sent), true);
        check(&retries, id(1), "a", &Ok(Delivered::Sent), false);
        check(&retries, id(2), "a", &Ok(Delivered::Held), true);
        check(&retries, id(2), "a", &Ok(Delivered::Held), false);
        check(&retries, id(1), "b", &Ok(Delivered::Sent), true);
    }

    #[test]
    fn what_was_refused_is_tried_again() {
        let retries = Retries::default();
        check(&retries, id(1), "a", &Err(Failure::Busy), true);
        check(&retries, id(1), "a", &Ok(Delivered::Sent), true);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let retries = Retries::default();
        let mut once = Once([0; 16]);
        for n in 0..=(REMEMBERED / SHARDS) as u32 {
            once.0[1..5].copy_from_slice(&n.to_le_bytes());
            let _ = retries.once(&id(1), once, || Ok(Delivered::Sent));
        }
        let shard = retries.shards[0].lock().unwrap();
        assert_eq!(shard.taken.len(), REMEMBERED / SHARDS);
        assert!(!shard.taken.contains_key(&(id(1), Once([0; 16]))));
    }
}
