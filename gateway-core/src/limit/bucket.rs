//! A token bucket: `burst` calls at once, `rate` a second over time.

/// Throttles one thing: a stage, a route, a connection, a key.
///
/// Small, because there is one for each connection. Starts full. What is counted are thousand
/// millionths of a token, as an integer: however often it is asked, nothing is lost to rounding.
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
        let gained = elapsed as f64 * f64::from(self.rate) * (TOKEN / 1_000) as f64;
        let gained = gained as u64;
        // A gain too small to count is not forgotten: its time goes on counting.
        if gained > 0 {
            self.at = now;
            self.level = self
                .level
                .saturating_add(gained)
                .min(u64::from(self.burst) * TOKEN);
        }
    }
}
