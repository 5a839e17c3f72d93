//! Unused HTTP/1.1 connections, last in first out, bounded in number and in age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use gateway_core::header_lines::HeaderLines;
use tokio::time::Instant;

use super::Origin;
use super::h1::Http1Connection;

/// The room to leave before the moment at which the backend said it would close.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);
/// A connection unused for so long is asked for its end before it is used.
const RESTED: Duration = Duration::from_millis(20);
/// The reaper's shortest pause.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// The unused connections of one thread.
#[derive(Debug)]
pub(super) struct IdlePool {
    max_per_origin: usize,
    max_total: usize,
    timeout: Duration,
    shelves: Arc<Mutex<Shelves>>,
}

#[derive(Debug, Default)]
struct Shelves {
    origins: HashMap<Origin, Vec<Idle>>,
    total: usize,
    reaping: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Http1Connection,
    since: Instant,
    expires: Instant,
}

impl IdlePool {
    pub(super) fn new(max_per_origin: usize, max_total: usize, timeout: Duration) -> Self {
        Self {
            max_per_origin,
            max_total,
            timeout,
            shelves: Arc::default(),
        }
    }

    /// The connection that was used last, of those that can take a request now.
    pub(super) fn take(&self, origin: &Origin) -> Option<Http1Connection> {
        let now = Instant::now();
        let mut shelves = lock(&self.shelves);
        let Shelves { origins, total, .. } = &mut *shelves;
        let shelf = origins.get_mut(origin)?;
        while let Some(mut idle) = shelf.pop() {
            *total -= 1;
            // Asking the system is worth it where there was time enough for the backend to have closed.
            let rested = now.duration_since(idle.since) >= RESTED;
            let usable = idle.expires > now && idle.connection.is_ready();
            if usable && !(rested && idle.connection.has_ended()) {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps the connection for the next call. The oldest makes room for it.
    pub(super) fn put(&self, origin: &Origin, connection: Http1Connection, answer: &HeaderLines) {
        let keep = self.timeout.min(promised(answer));
        if keep.is_zero() || self.max_per_origin == 0 || self.max_total == 0 {
            return;
        }
        let now = Instant::now();
        let idle = Idle {
            connection,
            since: now,
            expires: now + keep,
        };
        let mut shelves = lock(&self.shelves);
        if shelves.total >= self.max_total {
            shelves.evict();
        }
        let Shelves {
            origins,
            total,
            reaping,
        } = &mut *shelves;
        let shelf = match origins.get_mut(origin) {
            Some(shelf) => shelf,
            None => origins.entry(origin.clone()).or_default(),
        };
        if shelf.len() >= self.max_per_origin {
            shelf.remove(0);
            *total -= 1;
        }
        shelf.push(idle);
        *total += 1;
        if !*reaping {
            *reaping = true;
            tokio::spawn(reap(
                Arc::downgrade(&self.shelves),
                (self.timeout / 4).max(MIN_PAUSE),
            ));
        }
    }
}

impl Shelves {
    /// Drops the oldest connection of whichever origin comes first.
    fn evict(&mut self) {
        if let Some(shelf) = self.origins.values_mut().find(|shelf| !shelf.is_empty()) {
            shelf.remove(0);
            self.total -= 1;
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.origins.retain(|_, shelf| {
            shelf.retain_mut(|idle| idle.expires > now && idle.connection.is_ready());
            !shelf.is_empty()
        });
        self.total = self.origins.values().map(Vec::len).sum();
    }
}

/// Closes what has expired. It ends when the pool is empty or gone; the next connection that is kept starts it anew.
async fn reap(shelves: Weak<Mutex<Shelves>>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(shelves) = shelves.upgrade() else {
            return;
        };
        let mut shelves = lock(&shelves);
        shelves.sweep(Instant::now());
        if shelves.total == 0 {
            shelves.reaping = false;
            return;
        }
    }
}

fn lock(shelves: &Mutex<Shelves>) -> MutexGuard<'_, Shelves> {
    shelves.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the backend promises to keep the connection (`Keep-Alive: timeout=5`), less a margin for the way.
fn promised(answer: &HeaderLines) -> Duration {
    let Some(value) = answer.text("keep-alive") else {
        return Duration::MAX;
    };
    let timeout = value.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("timeout")
            .then(|| value.trim().parse::<u64>().ok())?
    });
    timeout.map_or(Duration::MAX, |seconds| {
        Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Duration) {
        let headers = HeaderLines::received(format!("Keep-Alive: {value}\r\n").as_bytes());
        assert_eq!(promised(&headers), expected, "{value}");
    }

    #[test]
    fn a_backends_keep_alive_promise_is_read_with_a_margin() {
        check("timeout=5", Duration::from_secs(4));
        check("max=100, Timeout = 3", Duration::from_secs(2));
        check("timeout=0", Duration::ZERO);
        check("timeout=1", Duration::ZERO);
        check("max=100", Duration::MAX);
        check("timeout=soon", Duration::MAX);
        check("", Duration::MAX);
    }
}
