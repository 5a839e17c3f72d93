//! Medians with their spread, and ratios between subjects inside one run.

use serde::Serialize;

/// The middle of several runs, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Median; between the middle two where their number is even.
    pub(crate) median: f64,
    /// Least.
    pub(crate) min: f64,
    /// Greatest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of all values that are numbers; `None` when there is none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }
}

/// One subject's values by another's, run by run: what slowed the whole machine during one run slowed both.
///
/// Both lists are in the order of the runs; a run that one side lacks (`None`) counts for nothing.
pub(crate) fn ratio(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Spread> {
    let pairs = ours
        .iter()
        .zip(theirs)
        .filter_map(|(ours, theirs)| Some(((*ours)?, (*theirs)?)));
    Spread::of(pairs.map(|(ours, theirs)| ours / theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], expected: Option<(f64, f64, f64)>) {
        let spread = Spread::of(values.iter().copied());
        assert_eq!(spread.map(|s| (s.median, s.min, s.max)), expected);
    }

    #[test]
    fn the_median_stands_between_least_and_greatest() {
        check(&[], None);
        check(&[f64::NAN, f64::INFINITY], None);
        check(&[7.0], Some((7.0, 7.0, 7.0)));
        check(&[9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0)));
        check(&[4.0, 1.0, 2.0, 100.0], Some((3.0, 1.0, 100.0)));
    }

    #[test]
    fn a_ratio_is_taken_run_by_run() {
        // The second run was slow for both: the ratio of the medians would be 2.0, the median of the ratios is 1.5.
        let ours = [Some(3.0), Some(12.0), None, Some(4.0)];
        let theirs = [Some(2.0), Some(8.0), Some(1.0), Some(2.0)];
        let spread = ratio(&ours, &theirs).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (1.5, 1.5, 2.0));
        assert_eq!(ratio(&[None], &[Some(1.0)]), None);
        assert_eq!(ratio(&[Some(1.0)], &[Some(0.0)]), None);
    }
}
