//! How large the drills are: every count that grows stands here. `WIREGATE_DRILL_SIZE` chooses `ci` (what `tests/run` has time
//! for), `medium`, or `large` (the figures that are promised; `tests/drills` runs them).

use std::sync::LazyLock;
use std::time::Duration;

/// Counts and lengths of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Clients of every drill that is not about load, so many times those of CI.
    times: usize,
    /// Waits for what takes longer with more clients, so many times those of CI.
    patience: u32,
    /// The pause between two pushes, and between two echoes.
    pub(super) beat: Duration,
    /// Connections of all nodes on which nothing happens.
    pub(super) idle: usize,
    /// Connections of all nodes beside them, which get pushes and send messages.
    pub(super) active: usize,
    /// How long they do.
    pub(super) length: Duration,
    /// Connections of the node that dies, all of which come back.
    pub(super) storm: usize,
    /// Connections of each node that they come back to.
    pub(super) beside_storm: usize,
    /// Connections that come and go in one round.
    pub(super) lives: usize,
    pub(super) rounds: usize,
    /// Clients on the node that drains.
    pub(super) drained: usize,
}

const CI: Size = Size {
    times: 1,
    patience: 1,
    beat: Duration::from_millis(20),
    idle: 600,
    active: 60,
    length: Duration::from_secs(5),
    storm: 400,
    beside_storm: 30,
    lives: 300,
    rounds: 4,
    drained: 300,
};

const MEDIUM: Size = Size {
    times: 3,
    patience: 2,
    beat: Duration::from_millis(10),
    idle: 3_000,
    active: 600,
    length: Duration::from_secs(30),
    storm: 3_000,
    beside_storm: 300,
    lives: 1_000,
    rounds: 5,
    drained: 1_000,
};

/// A process may have 20,000 descriptors here, so the idle connections have processes of their own.
const LARGE: Size = Size {
    times: 10,
    patience: 10,
    beat: Duration::from_millis(5),
    idle: 10_000,
    active: 10_000,
    length: Duration::from_mins(10),
    storm: 10_000,
    beside_storm: 3_000,
    lives: 10_000,
    rounds: 10,
    drained: 3_000,
};

/// The size of this run.
pub(super) fn size() -> &'static Size {
    static SIZE: LazyLock<Size> =
        LazyLock::new(|| match std::env::var("WIREGATE_DRILL_SIZE").as_deref() {
            Err(_) | Ok("ci") => CI,
            Ok("medium") => MEDIUM,
            Ok("large") => LARGE,
            Ok(other) => panic!("WIREGATE_DRILL_SIZE is ci, medium or large, not {other:?}"),
        });
    &SIZE
}

/// As many clients as this size has where CI has `count`.
pub(super) fn scaled(count: usize) -> usize {
    count * size().times
}

/// As long as this size waits where CI waits for `limit`.
pub(super) fn patience(limit: Duration) -> Duration {
    limit * size().patience
}

/// Whether bars for a quiet machine and optimised programs hold.
pub(super) fn is_measured() -> bool {
    !cfg!(debug_assertions) && *size() == LARGE
}
