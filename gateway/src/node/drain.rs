//! The orderly end: what must be finished before the process may go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gateway_core::session::CloseCause;
use tokio::sync::Notify;

use super::Sessions;
use crate::env;

/// Counts what is under way: handshakes, connections, owed `$disconnect`s.
#[derive(Debug, Default)]
pub struct Drain {
    under_way: AtomicUsize,
    owed: AtomicUsize,
    ended: AtomicUsize,
    /// Given up for want of room while draining.
    given_up: AtomicUsize,
    changed: Notify,
    draining: AtomicBool,
    started: Notify,
    hurried: AtomicBool,
    hurry: Notify,
}

/// Held by whatever must be finished; dropping it says that it is.
#[derive(Debug)]
pub struct Guard {
    drain: Arc<Drain>,
    owed: bool,
    ended: bool,
}

/// What a drain could not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Connections that were still there.
    pub unfinished: usize,
    /// `$disconnect`s that no backend took.
    pub undelivered: usize,
}

impl Drain {
    /// Something that the process should not leave undone.
    pub fn begin(self: &Arc<Self>) -> Guard {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Guard {
            drain: Arc::clone(self),
            owed: false,
            ended: false,
        }
    }

    /// True from the first signal on: nobody new is taken in.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Ready once draining began.
    pub async fn started(&self) {
        let started = self.started.notified();
        if !self.is_draining() {
            started.await;
        }
    }

    /// Ready once time is so short that only the `$disconnect`s still count.
    pub async fn hurry(&self) {
        let hurry = self.hurry.notified();
        if !self.hurried.load(Ordering::Acquire) {
            hurry.await;
        }
    }

    /// Marks the beginning: readiness fails, listeners close.
    pub fn start(&self) {
        self.draining.store(true, Ordering::Release);
        self.started.notify_waiters();
    }

    /// `$disconnect`s of connections that are over and that no backend has taken yet.
    pub fn undelivered(&self) -> usize {
        self.ended.load(Ordering::Acquire)
    }

    /// Closes every socket with 1001, spread so that the clients do not return all at once, and waits for what
    /// is under way, `limit` at most.
    pub async fn run(&self, sessions: &Sessions, limit: Duration) -> Report {
        self.start();
        // The last fifth of the time is for ends: first the sockets', then only what the backends must hear.
        let patience = tokio::time::Instant::now() + limit.mul_f64(0.75);
        let hurry = tokio::time::Instant::now() + limit.mul_f64(0.85);
        let ramp = async {
            let live = sessions.all();
            // A large crowd takes most of the time there is, a small one 5 ms each.
            let spread = limit
                .mul_f64(0.6)
                .min(Duration::from_millis(5) * live.len() as u32);
            let began = tokio::time::Instant::now();
            let share = spread.div_f64(live.len().max(1) as f64);
            for (place, one) in live.into_iter().enumerate() {
                let at = share.mul_f64(place as f64 + env::chance());
                tokio::time::sleep_until(began + at).await;
                one.outlet.leave();
            }
            self.wait_idle(sessions, patience, hurry).await;
        };
        let _ = tokio::time::timeout(limit, ramp).await;
        Report {
            unfinished: self.under_way.load(Ordering::Acquire),
            undelivered: self.owed.load(Ordering::Acquire) + self.given_up.load(Ordering::Acquire),
        }
    }

    /// Waits for everything under way; what still answers when `patience` ends is closed all the same, so that its
    /// client hears 1001 and its backend of the end.
    async fn wait_idle(
        &self,
        sessions: &Sessions,
        patience: tokio::time::Instant,
        hurry: tokio::time::Instant,
    ) {
        loop {
            let changed = self.changed.notified();
            if self.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            let out_of_patience = tokio::time::Instant::now() >= patience;
            if out_of_patience && tokio::time::Instant::now() >= hurry {
                self.hurried.store(true, Ordering::Release);
                self.hurry.notify_waiters();
            }
            // A handshake that was under way may have become a connection since.
            for late in sessions.all() {
                if out_of_patience {
                    late.outlet.close(CloseCause::Shutdown);
                } else {
                    late.outlet.leave();
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
        }
    }
}

impl Guard {
    /// The connection is over; its `$disconnect` is on its way.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.drain.ended.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The `$disconnect` will never be told. A drain counts it among what it could not deliver.
    pub fn give_up(self) {
        if self.drain.is_draining() {
            self.drain.given_up.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// From here on a `$disconnect` is owed to the backend.
    pub fn owe(&mut self) {
        if !std::mem::replace(&mut self.owed, true) {
            self.drain.owed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.ended {
            self.drain.ended.fetch_sub(1, Ordering::AcqRel);
        }
        if self.owed {
            self.drain.owed.fetch_sub(1, Ordering::AcqRel);
        }
        self.drain.under_way.fetch_sub(1, Ordering::AcqRel);
        self.drain.changed.notify_waiters();
    }
}
