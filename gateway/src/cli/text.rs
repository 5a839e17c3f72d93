//! What people read: aligned tables, and ages such as `3m12s`.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Rows under a head, each column as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Self { rows: vec![head] }
    }

    /// Facts about one thing, a line for each.
    pub(super) fn of_facts(facts: Vec<(&str, String)>) -> Self {
        let row = |(name, value): (&str, String)| vec![name.to_owned(), clean(&value)];
        let rows = facts.into_iter().map(row).collect();
        Self { rows }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| clean(&cell));
        self.rows.push(cells.collect());
    }

    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells(column).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let begin = text.len();
            for (cell, wide) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', wide - width(cell) + 2));
            }
            text.truncate(begin + text[begin..].trim_end().len());
            text.push('\n');
        }
        text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Clients choose their `User-Agent` and the reasons with which they close: what would move the cursor, colour the screen or turn the
/// reading direction must not reach a terminal.
pub(super) fn clean(text: &str) -> String {
    let harmless = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// At most `most` characters, of which the last says that some are missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// A cell out of an answer; `-` for what is absent or null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long ago a time was at `now`, in milliseconds of the epoch; `-` where there is none.
pub(super) fn ago(time: &Value, now: u64) -> String {
    let Some(text) = time.as_str() else {
        return "-".to_owned();
    };
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(time) => {
            let then = time.unix_timestamp_nanos() / 1_000_000;
            age(u64::try_from(i128::from(now) - then).unwrap_or(0))
        }
        Err(_) => text.to_owned(),
    }
}

/// The two greatest units that matter: `9s`, `3m12s`, `2h05m`, `40d01h`.
pub(super) fn age(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_have_two_units() {
        #[track_caller]
        fn check(millis: u64, expected: &str) {
            assert_eq!(age(millis), expected);
        }
        check(0, "0s");
        check(999, "0s");
        check(59_999, "59s");
        check(60_000, "1m00s");
        check(192_000, "3m12s");
        check(3_599_000, "59m59s");
        check(3_600_000, "1h00m");
        check(86_399_000, "23h59m");
        check(86_400_000, "1d00h");
        check(40 * 86_400_000 + 3_700_000, "40d01h");
    }

    #[test]
    fn a_time_is_told_by_its_distance() {
        #[track_caller]
        fn check(time: &Value, expected: &str) {
            assert_eq!(ago(time, 1_700_000_192_000), expected);
        }
        check(&json!("2023-11-14T22:13:20.000Z"), "3m12s");
        // The gateway's seconds and ours need not be the same.
        check(&json!("2023-11-14T22:16:33.500Z"), "0s");
        check(&Value::Null, "-");
        check(&json!("soon"), "soon");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let mut table = Table::new(&["API", "SOURCE", "AGENT"]);
        table.row(["chat".into(), "127.0.0.1".into(), "-".into()]);
        table.row(["é".into(), "::1".into(), String::new()]);
        assert_eq!(
            table.render(),
            "API   SOURCE     AGENT\nchat  127.0.0.1  -\né     ::1\n"
        );
        assert_eq!(Table::new(&["A"]).render(), "A\n");
        let facts = vec![("api", "chat".to_owned()), ("source", "::1".to_owned())];
        let facts = Table::of_facts(facts).render();
        assert_eq!(facts, "api     chat\nsource  ::1\n");
    }

    #[test]
    fn what_a_client_chose_cannot_drive_a_terminal() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut table = Table::new(&[]);
            table.row([text.to_owned()]);
            assert_eq!(table.render(), format!("\n{expected}\n"));
        }
        check("\u{1b}[2J\u{7}", "\u{fffd}[2J\u{fffd}");
        check("a\nb\tc\u{9b}d", "a\u{fffd}b\u{fffd}c\u{fffd}d");
        check("\u{202e}evil", "\u{fffd}evil");
        check("Mozilla/5.0 (é)", "Mozilla/5.0 (é)");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cell(&json!(7)), "7");
        assert_eq!(cell(&Value::Null), "-");
    }
}
