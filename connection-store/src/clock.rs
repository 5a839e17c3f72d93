//! The clock that nodes share: the store's, as far as each of them can tell.

use std::sync::atomic::{AtomicI64, Ordering};

/// The store's time, derived from a clock of this machine that never jumps.
///
/// Deadlines of orders travel in it: between two nodes it differs by no more than the two took to read it, whatever their
/// own wall clocks say.
#[derive(Debug)]
pub struct StoreClock {
    /// Milliseconds of this machine's clock, since whenever.
    own: fn() -> u64,
    ahead: AtomicI64,
}

impl StoreClock {
    /// `own` never goes back and goes on while the process or the machine sleeps; until the store was heard `now`
    /// is taken for its time.
    pub fn new(own: fn() -> u64, now: u64) -> Self {
        let ahead = now.cast_signed() - own().cast_signed();
        Self {
            own,
            ahead: AtomicI64::new(ahead),
        }
    }

    /// The store said that it was `time` between two moments of the own clock.
    pub fn heard(&self, time: u64, asked: u64, answered: u64) {
        let middle = asked + answered.saturating_sub(asked) / 2;
        self.ahead
            .store(time.cast_signed() - middle.cast_signed(), Ordering::Relaxed);
    }

    /// In milliseconds of the epoch.
    pub fn now(&self) -> u64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (self.own)().saturating_add_signed(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_the_store_said_in_the_middle_of_the_question() {
        let clock = StoreClock::new(|| 1_000, 50_000);
        assert_eq!(clock.now(), 50_000);
        clock.heard(70_000, 980, 1_000);
        assert_eq!(clock.now(), 70_010);
        clock.heard(500, 1_000, 1_000);
        assert_eq!(clock.now(), 500);
    }
}
