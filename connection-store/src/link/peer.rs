//! What this process knows of another node, whichever thread asks: whether to dial it, how much is under way to it, when it was last heard.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// So many bytes may be under way to one node, orders and their bookkeeping together. An order that comes when nothing is
/// under way is taken whatever its size.
pub(super) const MOST_UNDER_WAY: usize = 4 * 1024 * 1024;
/// What an order weighs beside its bytes: also empty ones are bounded.
pub(super) const WEIGHT: usize = 256;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    /// What `heard` counts from.
    start: Instant,
    /// Milliseconds, and one more, from `start` to when it was last heard; 0 before.
    heard: AtomicU64,
    under_way: AtomicUsize,
    pause: Mutex<Option<Pause>>,
    /// Why it could not be reached, as it was last said.
    said: Mutex<Option<String>>,
}

/// Whether an error is one that an operator must mend, not one of a node or a network that is down.
pub(super) fn is_telling(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData
    )
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Peer {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            heard: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            pause: Mutex::new(None),
            said: Mutex::new(None),
        }
    }

    /// Something came that only this node, or one that knows the secret, can have sent.
    pub(super) fn hear(&self, now: Instant) {
        let since = now.duration_since(self.start).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.heard.store(since + 1, Ordering::Relaxed);
    }

    /// How long ago it was last heard.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let since = self.heard.load(Ordering::Relaxed).checked_sub(1)?;
        let elapsed = self.start.elapsed();
        Some(elapsed.saturating_sub(Duration::from_millis(since)))
    }

    /// Whether so much more may be under way. What was taken must be given back.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let before = self.under_way.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > MOST_UNDER_WAY {
            self.give_back(bytes);
            return false;
        }
        true
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.under_way.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether it was tried in vain so lately that trying again would only make callers wait.
    pub(super) fn is_paused(&self) -> bool {
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.is_some_and(|pause| Instant::now() < pause.until)
    }

    /// It could not be reached. Threads that tried at the same time lengthen the pause once.
    pub(super) fn failed(&self) {
        let now = Instant::now();
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let length = match *pause {
            Some(pause) if now < pause.until => pause.length,
            Some(pause) => (2 * pause.length).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        *pause = Some(Pause {
            until: now + length,
            length,
        });
    }

    /// Whether it was not yet said since it was last reached that it cannot be, for this reason.
    pub(super) fn is_news(&self, why: &io::Error) -> bool {
        let why = why.to_string();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = said.as_ref() != Some(&why);
        *said = Some(why);
        is_news
    }

    /// It was reached.
    pub(super) fn answered(&self) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_bounded_but_one_order_always_may() {
        let peer = Peer::new(Instant::now());
        assert!(peer.take(MOST_UNDER_WAY + 1));
        assert!(!peer.take(1));
        peer.give_back(MOST_UNDER_WAY + 1);
        assert!(peer.take(MOST_UNDER_WAY - 10));
        assert!(peer.take(10));
        assert!(!peer.take(1));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_from_a_fifth_of_a_second_to_one_and_end_with_success() {
        let peer = Peer::new(Instant::now());
        assert!(!peer.is_paused());
        for length in [200, 400, 800, 1000, 1000] {
            peer.failed();
            peer.failed();
            tokio::time::advance(Duration::from_millis(length - 1)).await;
            assert!(peer.is_paused(), "{length}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!peer.is_paused(), "{length}");
        }
        peer.answered();
        peer.failed();
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(!peer.is_paused());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_word() {
        tokio::time::advance(Duration::from_secs(1)).await;
        let peer = Peer::new(Instant::now());
        assert_eq!(peer.silent_for(), None);
        peer.hear(Instant::now());
        assert_eq!(peer.silent_for(), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(peer.silent_for(), Some(Duration::from_secs(3)));
    }
}
