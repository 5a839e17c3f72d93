//! A token bucket: `burst` calls at once, `rate` a second over time.

/// Throttles one thing: a stage, a route, a connection, a key.
///
/// Small, because there is one for each connection. Starts full. What it counts are billionths of
/// a token, as an integer: however often it is asked, nothing that matters is lost to rounding.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What is left, in billionths of a token.
    level: u64,
    /// When `level` was right, in milliseconds of the caller's clock.
    at: u64,
    /// Tokens a second. Seven digits are plenty for a limit that AWS calls best effort.
    rate: f32,
    burst: u32,
}

const TOKEN: u64 = 1_000_000_000;
/// In billionths of a token a millisecond.
const TOKENS_A_SECOND: f64 = 1e6;
/// Clocks of threads that race for the bucket may differ a little; those that go back further
/// were set.
const JITTER_MILLIS: u64 = 1_000;

impl Bucket {
    /// `rate` is tokens a second, `burst` how many may be saved up. A rate or a burst of 0 (or
    /// a rate that is negative or not a number) lets nothing pass, ever: API Gateway takes an
    /// explicit throttling limit of 0 at its word.
    pub fn new(rate: f64, burst: u32) -> Self {
        let rate = if rate > 0.0 {
            rate.min(f64::from(f32::MAX)) as f32
        } else {
            0.0
        };
        Self {
            level: u64::from(burst) * TOKEN,
            at: 0,
            rate,
            burst,
        }
    }

    /// A bucket that saves up two seconds' worth, at least one token.
    #[allow(clippy::cast_sign_loss)] // The clamp leaves only positive numbers.
    pub fn per_second(rate: f64) -> Self {
        Self::new(
            rate,
            (rate * 2.0).ceil().clamp(1.0, f64::from(u32::MAX)) as u32,
        )
    }

    /// Takes `n` tokens if they are there, and none otherwise. More than `burst` never are.
    ///
    /// `now` is in milliseconds since any moment, the same for all calls. A clock that goes back
    /// gains nothing, and stops nothing for longer than a second.
    pub fn take(&mut self, n: u32, now: u64) -> bool {
        if self.rate <= 0.0 {
            return false;
        }
        self.refill(now);
        match self.level.checked_sub(u64::from(n) * TOKEN) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: u64) {
        let Some(elapsed) = now.checked_sub(self.at) else {
            if self.at - now > JITTER_MILLIS {
                self.at = now;
            }
            return;
        };
        let elapsed = f64::from(u32::try_from(elapsed).unwrap_or(u32::MAX));
        let gained = elapsed * f64::from(self.rate) * TOKENS_A_SECOND;
        #[expect(clippy::cast_sign_loss, reason = "neither time nor rate is negative")]
        let gained = gained as u64;
        let full = u64::from(self.burst) * TOKEN;
        self.level = self.level.saturating_add(gained).min(full);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: u64 = 1_700_000_000_000;

    /// How many single tokens pass at these moments, in milliseconds after the start.
    fn passing(mut bucket: Bucket, moments: impl IntoIterator<Item = u64>) -> usize {
        moments
            .into_iter()
            .filter(|moment| bucket.take(1, T0 + moment))
            .count()
    }

    #[test]
    fn a_bucket_passes_its_burst_and_then_its_rate() {
        #[track_caller]
        fn check(rate: f64, burst: u32, calls: u64, every_millis: u64, expected: usize) {
            let moments = (0..calls).map(|call| call * every_millis);
            assert_eq!(passing(Bucket::new(rate, burst), moments), expected);
        }

        check(10.0, 5, 100, 0, 5);
        check(10.0, 5, 100, 100, 100);
        // Ten seconds, a call every 10 ms: the burst and 99.9 tokens.
        check(10.0, 5, 1000, 10, 104);
        check(0.5, 1, 11, 1000, 6);
        check(1.0, 1, 100_001, 1, 101);
        check(10_000.0, 5_000, 20_000, 0, 5_000);
        check(10_000.0, 5_000, 20_000, 1, 20_000);
        // A token in 1,000 seconds, asked every millisecond for 2,000.
        check(0.001, 1, 2_000_001, 1, 3);
        check(f64::INFINITY, 3, 10, 0, 3);
        check(f64::MAX, 3, 10, 1, 10);
        check(1.0, u32::MAX, 1000, 0, 1000);
    }

    #[test]
    fn zero_means_never() {
        for (rate, burst) in [
            (0.0, 5),
            (-0.0, 5),
            (-1.0, 5),
            (f64::NAN, 5),
            (10.0, 0),
            (0.0, 0),
        ] {
            let moments = (0..100).map(|call| call * 1_000_000);
            assert_eq!(
                passing(Bucket::new(rate, burst), moments),
                0,
                "{rate} {burst}"
            );
        }
    }

    #[test]
    fn tokens_are_taken_together_or_not_at_all() {
        let mut bucket = Bucket::new(1.0, 5);
        assert!(bucket.take(3, T0));
        assert!(!bucket.take(3, T0));
        assert!(bucket.take(2, T0));
        assert!(!bucket.take(6, T0 + 3_600_000));
        assert!(bucket.take(5, T0 + 3_600_000));
        assert!(bucket.take(0, T0 + 3_600_000));
    }

    #[test]
    fn a_clock_that_goes_back_gains_nothing_and_does_not_stop_the_bucket() {
        let emptied = || {
            let mut bucket = Bucket::new(1.0, 2);
            assert!(bucket.take(2, T0));
            bucket
        };
        let mut jittery = emptied();
        for _ in 0..10_000 {
            assert!(!jittery.take(1, T0 - 1));
            assert!(!jittery.take(1, T0));
        }
        let mut set_back = emptied();
        assert!(!set_back.take(1, T0 - 3_600_000));
        assert!(!set_back.take(1, T0 - 3_600_000 + 999));
        assert!(set_back.take(1, T0 - 3_600_000 + 1000));
    }

    #[test]
    fn a_bucket_is_small() {
        assert!(size_of::<Bucket>() <= 24);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(
            rate in 0.0..20_000.0_f64, burst in 0..10_000_u32,
            steps in proptest::collection::vec((0..5_000_u32, 0..50_u32), 0..100),
        ) {
            let mut bucket = Bucket::new(rate, burst);
            let (mut elapsed, mut taken) = (0_u32, 0_u32);
            for (millis, n) in steps {
                elapsed += millis;
                if bucket.take(n, T0 + u64::from(elapsed)) {
                    taken += n;
                }
                let most = f64::from(burst) + rate * f64::from(elapsed) / 1e3;
                prop_assert!(f64::from(taken) <= most * 1.000_001, "{taken} of {most}");
            }
        }

        #[test]
        fn any_numbers_are_answered(rate: f64, burst: u32, calls: Vec<(u32, u64)>) {
            let mut bucket = Bucket::new(rate, burst);
            for (n, now) in calls {
                let passed = bucket.take(n, now);
                prop_assert!(!passed || n <= burst);
            }
        }
    }
}
