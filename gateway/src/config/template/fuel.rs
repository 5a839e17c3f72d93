//! How much may be made of one file.

use std::cell::Cell;

use super::report::Report;
use super::value::Place;

/// Values, and bytes of text, that functions and variables may make of one file. A name may stand for a name twice, and
/// that for another twice, so without a bound a short text could mean a very long one.
const MOST: usize = 16 * 1024 * 1024;

/// Counts what is made.
#[derive(Default)]
pub(super) struct Fuel(Cell<usize>);

impl Fuel {
    /// Counts so much more; false where it is too much, which is said once.
    pub(super) fn spend(&self, amount: usize, place: &Place, report: &Report) -> bool {
        let before = self.0.get();
        let made = before.saturating_add(amount);
        if made > MOST && before <= MOST {
            let message = format!(
                "what functions and variables make of this file is larger than {MOST} bytes"
            );
            report.mistake(place, message);
        }
        self.0.set(made);
        made <= MOST
    }
}
