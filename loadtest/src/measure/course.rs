//! The course of one trial: its phases, and what each lane of the generator counts on the way.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::latency::Latencies;

/// Where a trial stands. Lanes work from `WarmUp` on; what they do counts in `Measure` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Sockets are being opened.
    Opening,
    /// Load without counting.
    WarmUp,
    /// Load that counts.
    Measure,
    /// Finish what is under way, then end.
    Done,
}

/// What one lane counts; the conductor of the trial reads it meanwhile.
#[derive(Debug)]
pub(crate) struct Meter {
    /// True once all sockets of the lane are open.
    pub(crate) ready: AtomicBool,
    /// Requests answered, in any phase.
    pub(crate) answered: AtomicU64,
    /// Messages that came without being asked for: pushes, in any phase.
    pub(crate) delivered: AtomicU64,
    /// Time from sending to the answer.
    pub(crate) latency: Latencies,
    /// Time from posting to the arrival on the socket.
    pub(crate) delivery: Latencies,
    failures: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Meter {
    /// Nothing counted yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            ready: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            latency: Latencies::new(),
            delivery: Latencies::new(),
            failures: AtomicU64::new(0),
            first_failure: Mutex::new(None),
        })
    }

    /// Counts what went wrong and keeps the first text of it.
    pub(crate) fn fail(&self, what: impl Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut first = self
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| what.to_string());
    }

    /// How often `fail` was called, and what it said first.
    pub(crate) fn failures(&self) -> (u64, Option<String>) {
        let first = self
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (self.failures.load(Ordering::Relaxed), first.clone())
    }
}

/// A lane's view of the trial.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// Where this lane counts.
    pub(crate) meter: Arc<Meter>,
    /// The zero of all time stamps inside messages.
    pub(crate) epoch: Instant,
    phase: watch::Receiver<Phase>,
    turn: watch::Receiver<bool>,
}

impl Lane {
    /// A lane whose phase is told by the sender of `phase`, and whether it is its turn by that of `turn`.
    pub(crate) fn new(
        meter: Arc<Meter>,
        epoch: Instant,
        phase: watch::Receiver<Phase>,
        turn: watch::Receiver<bool>,
    ) -> Self {
        Self {
            meter,
            epoch,
            phase,
            turn,
        }
    }

    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the trial is in `phase` or beyond.
    pub(crate) async fn reach(&mut self, phase: Phase) {
        // The sender is gone only when the conductor has given up, and then everything is over.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }

    /// Waits until it is this lane's turn, or the trial is over.
    pub(crate) async fn take_turn(&mut self) {
        if *self.turn.borrow() {
            return;
        }
        // The end of a trial gives everybody a turn; a conductor that is gone ends the waiting too.
        let _ = self.turn.wait_for(|ours| *ours).await;
    }

    /// Counts one answer; its latency too if the trial is being measured.
    pub(crate) fn answered(&self, since: Instant) {
        self.meter.answered.fetch_add(1, Ordering::Relaxed);
        if self.phase() == Phase::Measure {
            self.meter.latency.record(since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_measured_answers_have_a_latency() {
        let (phase, watched) = watch::channel(Phase::WarmUp);
        let (_turn, turns) = watch::channel(true);
        let lane = Lane::new(Meter::new(), Instant::now(), watched, turns);
        lane.answered(Instant::now());
        assert_eq!(Latencies::summary([&lane.meter.latency]), None);
        phase.send(Phase::Measure).unwrap();
        lane.answered(Instant::now());
        assert!(Latencies::summary([&lane.meter.latency]).is_some());
        assert_eq!(lane.meter.answered.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_first_failure_is_kept() {
        let meter = Meter::new();
        assert_eq!(meter.failures(), (0, None));
        meter.fail("first");
        meter.fail("second");
        assert_eq!(meter.failures(), (2, Some("first".into())));
    }
}
