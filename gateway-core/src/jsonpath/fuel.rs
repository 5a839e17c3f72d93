//! How much one evaluation may do: a count of work and of text, the same on every machine.

use super::ReadError;

/// Values that one evaluation may build, visit and print, all its paths together. Ours; AWS documents no number. A search
/// by `..key` takes about four for each value: this is enough for it in any message of 256 KiB and in an ordinary one of
/// 1 MiB, and is spent in a few tens of milliseconds.
pub const MAX_WORK: u32 = 750_000;

/// Bytes of text that the values of one evaluation may be together. Paths can name the same bytes many times over.
/// Twice the largest message of the `open` preset, so that every value of such a message fits.
pub const MAX_TEXT_BYTES: usize = 2 * 1024 * 1024;

/// What is left for one evaluation. Reading the message itself costs nothing: it is done once, whatever is asked.
#[derive(Debug)]
pub(super) struct Fuel {
    work: u32,
    text: usize,
}

impl Fuel {
    /// Enough for one evaluation.
    pub(super) fn full() -> Self {
        Self {
            work: MAX_WORK,
            text: MAX_TEXT_BYTES,
        }
    }

    /// Takes what it costs to look at `values` values.
    pub(super) fn work(&mut self, values: usize) -> Result<(), ReadError> {
        let left = u32::try_from(values)
            .ok()
            .and_then(|values| self.work.checked_sub(values));
        self.work = left.ok_or(ReadError::OutOfFuel)?;
        Ok(())
    }

    /// Takes what it costs to hand out `bytes` bytes of text.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), ReadError> {
        let left = self.text.checked_sub(bytes);
        self.text = left.ok_or(ReadError::OutOfFuel)?;
        Ok(())
    }

    /// Units of work that were taken.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u32 {
        MAX_WORK - self.work
    }
}

#[cfg(test)]
mod tests {
    use super::{Fuel, MAX_TEXT_BYTES, MAX_WORK};
    use crate::jsonpath::{JsonPath, PathSet, ReadError, Reading};

    /// The largest message of the `open` preset, in bytes.
    const MESSAGE: usize = 1024 * 1024;

    /// `piece` as often as a message holds it, between `before` and `after`.
    fn fill(before: &str, piece: &str, after: &str) -> String {
        let times = (MESSAGE - before.len() - after.len()) / piece.len();
        [before, &piece.repeat(times), after].concat()
    }

    fn set(paths: &[&str]) -> PathSet {
        let paths: Vec<_> = paths
            .iter()
            .map(|path| JsonPath::parse(path).unwrap())
            .collect();
        PathSet::new(&paths)
    }

    /// The work that the paths take together.
    #[track_caller]
    fn work(paths: &[&str], json: &str) -> Result<u32, ReadError> {
        let mut fuel = Fuel::full();
        let mut readings = vec![Reading::Missing; paths.len()];
        let read = set(paths).read_within(json, &mut readings, &mut fuel);
        assert!(fuel.spent() <= MAX_WORK);
        read.map(|()| fuel.spent())
    }

    #[test]
    fn what_needs_no_tree_costs_nothing() {
        let json = fill(
            "{\"action\":\"join\",\"a\":{\"b\":[1,{\"c\":2}],\"x\":[",
            "0,",
            "0]}}",
        );
        for paths in [
            &["action"][..],
            &["a.b[1].c"],
            &["none", "a.none", "a.b[7]", "[0]"],
            &["action", "a.b[0]", "a.b[1].c", "action"],
        ] {
            assert_eq!(work(paths, &json), Ok(0), "{paths:?}");
        }
    }

    #[test]
    fn a_value_becomes_a_tree_once_for_all_paths() {
        // Eight values and three names are built; then the value itself is selected and eight are printed.
        let json = r#"{"a":[1,2,[3]],"b":{"c":4}}"#;
        let (tree, print) = (11, 9);
        assert_eq!(work(&["$"], json), Ok(tree + print));
        assert_eq!(work(&["$"; 3], json), Ok(tree + 3 * print));
        // The outer value's tree serves the paths that begin further in: a step to `a`, a look at its name, a step to
        // each of three elements, of which one is printed as two values.
        assert_eq!(work(&["$", "a"], json), Ok(tree + print + 3 + 5));
    }

    #[test]
    fn an_honest_message_can_be_searched() {
        for json in [
            fill("{\"a\":[", r#"{"id":12345,"name":"somebody"},"#, "0]}"),
            fill("{\"a\":[", "1234567,", "0]}"),
            format!("{{\"a\":[{}0]}}", "0,".repeat(128 * 1024)),
            format!("{{\"a\":[{}0]}}", "[],".repeat(85 * 1024)),
            format!("{{\"a\":[{}0]}}", "{\"a\":0},".repeat(32 * 1024)),
        ] {
            assert!(work(&["..b"], &json).is_ok(), "{}", &json[..20]);
        }
    }

    #[track_caller]
    fn check_refused(paths: &[&str], json: &str) {
        assert_eq!(work(paths, json), Err(ReadError::OutOfFuel), "{paths:?}");
    }

    #[test]
    fn bombs_run_out_of_fuel() {
        let numbers = fill("{\"a\":[", "0,", "0]}");
        check_refused(&["..a"; 8], &numbers);
        check_refused(&["..*"; 8], &numbers);
        check_refused(&["..[-1]"; 8], &numbers);
        let steps = format!("..*{}", "[*]".repeat(14));
        let deep = format!("{}0]{}", "{\"a\":".repeat(20), "}".repeat(20)).replace("0]", "[0]");
        assert!(work(&[&steps], &deep).is_ok());
        let deep = fill(
            &format!("{}[", "{\"a\":".repeat(20)),
            "0,",
            &format!("0]{}", "}".repeat(20)),
        );
        check_refused(&[&steps], &deep);
        let tower = format!("{}0{},", "[".repeat(120), "]".repeat(120));
        check_refused(&["..*"], &fill("{\"a\":[", &tower, "0]}"));
    }

    #[test]
    fn the_same_text_is_not_handed_out_without_end() {
        let json = fill("{\"a\":\"", "x", "\"}");
        assert_eq!(work(&["a", "a"], &json), Ok(0));
        check_refused(&["a", "a", "a"], &json);
        assert!(2 * json.len() <= MAX_TEXT_BYTES);
    }
}
