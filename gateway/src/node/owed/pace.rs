//! How fast the ends that one stage owes are told: all that is fit while its backend answers, one call at a time while
//! it does not, and from one to many once it answers again.

use std::time::Duration;

/// First pause between two calls to a backend that fails, in milliseconds; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: u64 = 100;
/// Longest pause, in milliseconds. A backend that is back sees what it is owed within two seconds of its return; one
/// call a second is nothing to one that is still down, however much it is owed.
const MAX_PAUSE: u64 = 1000;
/// So many different ends refused in a row, none taken in between, are no matter of these ends any more: the backend
/// fails.
const SEVERAL: usize = 5;

/// What is known of the backend's health, and what follows from it. Times are milliseconds of one clock, chances are
/// in 0..1.
#[derive(Debug)]
pub(super) struct Pace {
    /// Calls under way that belong to `round`.
    calls: usize,
    /// As many may be under way at once, beside the limit that the integration sets.
    window: usize,
    /// Counts up whenever the backend begins to fail and whenever it has recovered: what an older call learnt late is
    /// no news of the backend's health.
    round: u32,
    trouble: Option<Trouble>,
    /// Different ends that were refused since one was last taken; fewer than [`SEVERAL`].
    refused: Vec<usize>,
}

/// The backend fails.
#[derive(Debug)]
struct Trouble {
    since: u64,
    pause: u64,
    next: u64,
}

/// Whether a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Now.
    Now,
    /// Not before that time.
    At(u64),
    /// Once a call that is under way is over.
    Later,
}

impl Default for Pace {
    /// A backend of which nothing bad is known.
    fn default() -> Self {
        Self {
            calls: 0,
            window: usize::MAX,
            round: 0,
            trouble: None,
            refused: Vec::new(),
        }
    }
}

impl Pace {
    /// Whether a call may start where at most `limit` may be under way.
    pub(super) fn may_start(&self, now: u64, limit: usize) -> Start {
        match &self.trouble {
            Some(trouble) if now < trouble.next => Start::At(trouble.next),
            Some(_) => Start::Now,
            None if self.calls < self.window.min(limit) => Start::Now,
            None => Start::Later,
        }
    }

    /// A call starts; the number names it at its end.
    pub(super) fn start(&mut self, now: u64, chance: f64) -> u32 {
        self.calls += 1;
        if let Some(trouble) = &mut self.trouble {
            // Counted from the start: a call that hangs must not keep the next from finding the backend well again.
            trouble.pause = (trouble.pause * 2).min(MAX_PAUSE);
            trouble.next = now + jittered(trouble.pause, chance);
        }
        self.round
    }

    /// The backend took one. Since when it had failed, where this shows that it has recovered.
    pub(super) fn succeeded(&mut self, round: u32) -> Option<u64> {
        if round != self.round {
            return None;
        }
        self.calls -= 1;
        self.refused.clear();
        let recovered = self.trouble.take().map(|trouble| {
            // Calls that still hang are of the past. From here on every answer lets one more start: the many that are
            // owed reach a backend that has only just come back in twos, fours, eights.
            self.new_round();
            self.window = 1;
            trouble.since
        });
        self.window = self.window.saturating_add(1);
        recovered
    }

    /// The backend could not be reached, broke off, or did not answer in time: it fails.
    pub(super) fn failed(&mut self, round: u32, now: u64, chance: f64) {
        if self.ended(round) && self.trouble.is_none() {
            self.begin_trouble(now, chance);
        }
    }

    /// The backend answered that it does not take this one now, which says little of the others.
    pub(super) fn refused(&mut self, round: u32, whose: usize, now: u64, chance: f64) {
        if !self.ended(round) || self.trouble.is_some() || self.refused.contains(&whose) {
            return;
        }
        self.refused.push(whose);
        if self.refused.len() >= SEVERAL {
            self.begin_trouble(now, chance);
        }
    }

    /// A call is over of which nothing else is known; false where it is no news.
    pub(super) fn ended(&mut self, round: u32) -> bool {
        let news = round == self.round;
        self.calls -= usize::from(news);
        news
    }

    fn begin_trouble(&mut self, now: u64, chance: f64) {
        self.new_round();
        self.trouble = Some(Trouble {
            since: now,
            pause: FIRST_PAUSE,
            next: now + jittered(FIRST_PAUSE, chance),
        });
    }

    /// Since when the backend fails, if it does.
    pub(super) fn failing_since(&self) -> Option<u64> {
        self.trouble.as_ref().map(|trouble| trouble.since)
    }

    /// True where nothing is under way and nothing bad is known.
    pub(super) fn is_idle(&self) -> bool {
        self.calls == 0 && self.trouble.is_none()
    }

    fn new_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.calls = 0;
        self.refused.clear();
    }
}

/// How long an end waits that was refused so often, whatever becomes of the others: milliseconds, doubling like the
/// pauses of the whole.
pub(super) fn own_pause(refusals: u8, chance: f64) -> u64 {
    let Some(doubled) = refusals.checked_sub(1) else {
        return 0;
    };
    let pause = FIRST_PAUSE << doubled.min(8);
    jittered(pause.min(MAX_PAUSE), chance)
}

/// Half to all of the pause, so that nodes which failed together do not return together.
fn jittered(pause: u64, chance: f64) -> u64 {
    let share = 0.5 + chance / 2.0;
    Duration::from_millis(pause).mul_f64(share).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails a first call at time 0.
    fn troubled() -> Pace {
        let mut pace = Pace::default();
        let round = pace.start(0, 1.0);
        pace.failed(round, 0, 1.0);
        pace
    }

    #[test]
    fn a_healthy_backend_is_called_up_to_the_limit() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert_eq!(pace.may_start(0, 3), Start::Now);
            pace.start(0, 1.0);
        }
        assert_eq!(pace.may_start(0, 3), Start::Later);
        assert_eq!(pace.may_start(0, 4), Start::Now, "a limit that was raised");
        assert_eq!(pace.succeeded(0), None);
        assert_eq!(pace.may_start(0, 3), Start::Now);
    }

    /// When the calls to a backend that fails at once start.
    #[track_caller]
    fn check_calls(chance: f64, until: u64, expected: &[u64]) {
        let mut pace = Pace::default();
        let mut now = 0;
        let mut calls = Vec::new();
        while now < until {
            match pace.may_start(now, 100) {
                Start::Now => {
                    let round = pace.start(now, chance);
                    pace.failed(round, now, chance);
                    calls.push(now);
                }
                Start::At(at) => now = at,
                Start::Later => panic!("nothing is under way"),
            }
        }
        assert_eq!(calls, expected);
    }

    #[test]
    fn pauses_double_to_a_second_and_a_random_share_is_taken_off() {
        check_calls(1.0, 4000, &[0, 100, 300, 700, 1500, 2500, 3500]);
        check_calls(0.0, 2000, &[0, 50, 150, 350, 750, 1250, 1750]);
    }

    #[test]
    fn a_call_that_hangs_does_not_keep_the_next_waiting() {
        let mut pace = troubled();
        let hangs = pace.start(100, 1.0);
        assert_eq!(pace.may_start(101, 1), Start::At(300));
        assert_eq!(pace.may_start(300, 1), Start::Now, "the limit is not asked");
        let round = pace.start(300, 1.0);
        assert_eq!(pace.succeeded(round), Some(0));
        // What it learns in the end is old.
        pace.failed(hangs, 30_000, 1.0);
        assert_eq!(pace.failing_since(), None);
    }

    #[test]
    fn a_recovered_backend_gets_twice_as_many_with_each_round_of_answers() {
        let mut pace = troubled();
        let mut running = vec![pace.start(100, 1.0)];
        let mut rounds = Vec::new();
        while rounds.len() < 6 {
            for round in std::mem::take(&mut running) {
                pace.succeeded(round);
            }
            while pace.may_start(200, 20) == Start::Now {
                running.push(pace.start(200, 1.0));
            }
            rounds.push(running.len());
        }
        assert_eq!(rounds, [2, 4, 8, 16, 20, 20]);
    }

    #[test]
    fn the_many_that_fail_together_are_one_trouble() {
        let mut pace = Pace::default();
        let calls: Vec<u32> = (0..100).map(|_| pace.start(0, 1.0)).collect();
        for (n, round) in calls.into_iter().enumerate() {
            pace.failed(round, 10 + n as u64, 1.0);
        }
        assert_eq!(pace.failing_since(), Some(10));
        assert_eq!(pace.may_start(109, 100), Start::At(110));
    }

    #[test]
    fn calls_from_before_say_nothing_of_a_backend_that_fails_since() {
        let mut pace = Pace::default();
        let (early, late) = (pace.start(0, 1.0), pace.start(0, 1.0));
        pace.failed(early, 5, 1.0);
        assert_eq!(pace.succeeded(late), None);
        assert_eq!(pace.failing_since(), Some(5));
    }

    #[test]
    fn a_backend_that_fails_again_is_in_trouble_again() {
        let mut pace = troubled();
        let round = pace.start(100, 1.0);
        pace.succeeded(round);
        let round = pace.start(200, 1.0);
        assert!(!pace.is_idle());
        pace.failed(round, 210, 1.0);
        assert_eq!(pace.failing_since(), Some(210));
        assert_eq!(pace.may_start(210, 9), Start::At(310), "pauses begin anew");
    }

    #[test]
    fn an_end_that_is_refused_waits_twice_as_long_each_time() {
        let pauses = [0, 1, 2, 3, 4, 5, 6, u8::MAX].map(|n| own_pause(n, 1.0));
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(own_pause(2, 0.0), 100);
    }

    /// Ends that are refused (`Err`) or taken (`Ok`) one after the other, and whether the backend then fails.
    #[track_caller]
    fn check_refused(ends: &[Result<usize, usize>], fails: bool) {
        let mut pace = Pace::default();
        for end in ends {
            let round = pace.start(0, 1.0);
            match end {
                Ok(_) => assert_eq!(pace.succeeded(round), None),
                Err(whose) => pace.refused(round, *whose, 0, 1.0),
            }
        }
        assert_eq!(pace.failing_since().is_some(), fails, "{ends:?}");
        assert_eq!(pace.calls, 0);
    }

    #[test]
    fn only_several_different_ends_refused_in_a_row_mean_that_the_backend_fails() {
        check_refused(&[Err(1); 20], false);
        check_refused(&[Err(1), Err(2), Err(3), Err(4)].repeat(5), false);
        check_refused(&[Err(1), Err(2), Err(3), Err(4), Err(5)], true);
        check_refused(&[Err(1), Err(2), Err(3), Ok(0), Err(4), Err(5)], false);
        check_refused(&[Err(1), Err(2), Err(1), Err(3), Err(4), Err(5)], true);
    }

    #[test]
    fn a_call_of_which_nothing_is_known_gives_its_place_back() {
        let mut pace = Pace::default();
        let round = pace.start(0, 1.0);
        assert!(pace.ended(round));
        assert!(pace.is_idle());
        assert!(!pace.ended(round.wrapping_add(1)));
    }
}
