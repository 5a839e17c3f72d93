//! Latencies as a histogram: bounded in size whatever the number of messages.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_mins(2);

/// Latencies of one lane. Only the lane's own thread records, so the lock is never waited for.
#[derive(Debug)]
pub(crate) struct Latencies(Mutex<Histogram<u64>>);

/// The figures of a report, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Half were quicker.
    pub(crate) p50: f64,
    /// Of a hundred, 99 were quicker.
    pub(crate) p99: f64,
    /// The slowest.
    pub(crate) max: f64,
    /// At each of `CURVE`.
    pub(crate) curve: [f64; CURVE.len()],
}

/// Shares that are kept for curves besides those of the table.
pub(crate) const CURVE: [f64; 4] = [0.75, 0.9, 0.999, 0.9999];

impl Latencies {
    /// None yet; three significant digits from a microsecond to two minutes.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1_000, LONGEST.as_nanos() as u64, 3);
        Self(Mutex::new(
            histogram.expect("the bounds are constants that hdrhistogram takes"),
        ))
    }

    /// Counts one message.
    pub(crate) fn record(&self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(nanoseconds);
    }

    /// All lanes together; `None` where nothing was recorded.
    pub(crate) fn summary<'a>(lanes: impl IntoIterator<Item = &'a Self>) -> Option<Summary> {
        let mut lanes = lanes.into_iter();
        let mut all = lanes
            .next()?
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for lane in lanes {
            let lane = lane.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&*lane).expect("all lanes have the same bounds");
        }
        if all.is_empty() {
            return None;
        }
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        Some(Summary {
            p50: microseconds(all.value_at_quantile(0.5)),
            p99: microseconds(all.value_at_quantile(0.99)),
            max: microseconds(all.max()),
            curve: CURVE.map(|share| microseconds(all.value_at_quantile(share))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(value: f64, expected: f64) {
        assert!(
            (value / expected - 1.0).abs() < 0.002,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn the_lanes_are_summed_up_together() {
        let (quick, slow) = (Latencies::new(), Latencies::new());
        for microseconds in 1..=980 {
            quick.record(Duration::from_micros(microseconds));
        }
        for _ in 0..20 {
            slow.record(Duration::from_millis(50));
        }
        let summary = Latencies::summary([&quick, &slow]).unwrap();
        close(summary.p50, 500.0);
        close(summary.p99, 50_000.0);
        close(summary.max, 50_000.0);
        close(Latencies::summary([&quick]).unwrap().p99, 971.0);
    }

    #[test]
    fn nothing_recorded_is_no_summary() {
        assert_eq!(Latencies::summary([]), None);
        assert_eq!(Latencies::summary([&Latencies::new()]), None);
    }

    #[test]
    fn what_is_out_of_bounds_is_kept_at_the_bound() {
        let latencies = Latencies::new();
        latencies.record(Duration::from_secs(100_000));
        assert!(Latencies::summary([&latencies]).unwrap().max >= 120e6);
    }
}
