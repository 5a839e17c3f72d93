//! One line of the journal: JSON that says what changed from one revision to another, and ends with a checksum of itself.
//!
//! `{"form":1,"after":4,"revision":5,"changed":[["api/chat",5,"{…}"],["api/gone",5,null]],"sum":"0123456789abcdef"}`
//!
//! The sum is the beginning of the SHA-256 of all bytes before `,"sum"`.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::documents::{Documents, Versioned};

/// The form that is written; another one is not read.
const FORM: u32 = 1;
const SUM: &[u8] = b",\"sum\":\"";
const DIGITS: usize = 16;
const END: &[u8] = b"\"}";

#[derive(Serialize)]
struct Written<'a> {
    form: u32,
    after: u64,
    revision: u64,
    changed: Vec<(&'a str, u64, Option<&'a str>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    form: u32,
    after: u64,
    revision: u64,
    changed: Vec<(String, u64, Option<Arc<str>>)>,
    #[serde(rename = "sum")]
    _sum: IgnoredAny,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not as it was written: its end is missing, or the sum is another one.
    Damaged(String),
    /// It is as it was written, but not by us.
    Foreign(String),
}

/// The line, its end included; nothing for nothing.
pub(super) fn pack(after: u64, documents: &Documents) -> Vec<u8> {
    if documents.changed.is_empty() {
        return Vec::new();
    }
    let changed = documents.changed.iter();
    let written = Written {
        form: FORM,
        after,
        revision: documents.revision,
        changed: changed
            .map(|one| (one.key.as_str(), one.revision, one.text.as_deref()))
            .collect(),
    };
    let mut line = serde_json::to_vec(&written).expect("numbers and texts are JSON");
    line.pop();
    let sum = sum(&line);
    for part in [SUM, sum.as_bytes(), END, b"\n"] {
        line.extend_from_slice(part);
    }
    line
}

/// Reads a line, whose end it has or has not; says after which revision it comes.
pub(super) fn unpack(line: &[u8]) -> Result<(u64, Documents), Flaw> {
    let damaged = |why: &str| Flaw::Damaged(why.to_owned());
    let whole = line
        .strip_suffix(b"\n")
        .ok_or_else(|| damaged("its end is missing"))?;
    let (body, found) = whole
        .strip_suffix(END)
        .and_then(|line| line.split_at_checked(line.len().checked_sub(DIGITS)?))
        .and_then(|(body, found)| Some((body.strip_suffix(SUM)?, found)))
        .ok_or_else(|| damaged("it does not end with a checksum"))?;
    if sum(body).as_bytes() != found {
        return Err(damaged("its checksum is that of another text"));
    }
    let read: Read =
        serde_json::from_slice(whole).map_err(|error| Flaw::Foreign(error.to_string()))?;
    if read.form != FORM {
        return Err(Flaw::Foreign(format!(
            "it has form {}, and this version of Wiregate reads form {FORM}",
            read.form
        )));
    }
    let changed = read.changed.into_iter();
    let documents = Documents {
        revision: read.revision,
        changed: changed
            .map(|(key, revision, text)| Versioned {
                key,
                revision,
                text,
            })
            .collect(),
    };
    (documents.check(read.after)).map_err(|unfit| Flaw::Foreign(unfit.to_string()))?;
    Ok((read.after, documents))
}

/// Whether a whole line ends somewhere in the middle of this: then it is two whose border is damaged, and not one whose writing
/// was cut off. Within a JSON string no quotation mark stands without a backslash, so the sum's name is not found there.
pub(super) fn holds_another(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let length = SUM.len() + DIGITS + END.len();
    let ends = |at: &[u8]| {
        let digits = &at[SUM.len()..SUM.len() + DIGITS];
        at.starts_with(SUM) && digits.iter().all(u8::is_ascii_hexdigit) && at.ends_with(END)
    };
    // What ends with the last byte is the line's own.
    let windows = line.len().saturating_sub(length);
    line.windows(length).take(windows).any(ends)
}

fn sum(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(body);
    let mut text = String::with_capacity(DIGITS);
    for byte in &digest[..DIGITS / 2] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(body: &str) -> Vec<u8> {
        let sum = sum(body.as_bytes());
        format!("{body},\"sum\":\"{sum}\"}}\n").into_bytes()
    }

    #[test]
    fn a_line_is_that_of_the_page() {
        let entry = |key: &str, revision, text: Option<&str>| Versioned {
            key: key.to_owned(),
            revision,
            text: text.map(Into::into),
        };
        let documents = Documents {
            revision: 5,
            changed: vec![
                entry("api/chat", 5, Some("{\"é\":1}")),
                entry("api/gone", 5, None),
            ],
        };
        let text = r#"{"form":1,"after":4,"revision":5,"changed":[["api/chat",5,"{\"é\":1}"],["api/gone",5,null]],"sum":"SUM"}"#;
        // As sha256sum says it; whoever changes this cannot read what is on disks.
        let text = text.replace("SUM", "849216c9730e761a") + "\n";
        assert_eq!(
            String::from_utf8(pack(4, &documents)).as_deref(),
            Ok(&*text)
        );
        assert_eq!(unpack(text.as_bytes()), Ok((4, documents)));
        assert_eq!(pack(0, &Documents::default()), b"");
    }

    #[test]
    fn what_was_not_written_by_us_is_told_from_what_was_damaged() {
        #[track_caller]
        fn check(line: &[u8], foreign: bool, says: &str) {
            match (unpack(line), foreign) {
                (Err(Flaw::Foreign(why)), true) | (Err(Flaw::Damaged(why)), false) => {
                    assert!(why.contains(says), "{why}");
                }
                (other, _) => panic!("{other:?}"),
            }
        }

        check(b"", false, "end is missing");
        check(b"\n", false, "does not end with a checksum");
        check(b"{}\n", false, "does not end with a checksum");
        check(b",\"sum\":\"0123456789abcdef\"}\n", false, "another text");
        let whole = r#"{"form":1,"after":0,"revision":1,"changed":[["a",1,null]]"#;
        assert!(unpack(&line(whole)).is_ok());
        check(&line(whole)[..30], false, "end is missing");
        check(&line("not JSON"), true, "expected");
        check(&line(r#"{"form":1"#), true, "missing field");
        check(
            &line(&whole.replace("form\":1", "form\":2")),
            true,
            "form 2",
        );
        check(
            &line(&whole.replace("revision\":1", "revision\":2")),
            true,
            "revision 2",
        );
        check(
            &line(&whole.replace("after\":0", "after\":1")),
            true,
            "not after 1",
        );
        check(
            &line(&whole.replace("after", "more\":0,\"after")),
            true,
            "unknown field",
        );
    }

    #[test]
    fn two_lines_whose_border_is_damaged_are_two() {
        let whole = line(r#"{"a":",\"sum\":\"0123456789abcdef\"}""#);
        assert!(!holds_another(&whole));
        assert!(!holds_another(&whole[..whole.len() - 1]));
        assert!(!holds_another(b""));
        let border = [&whole[..whole.len() - 1], b"\x0b", &whole[..9]].concat();
        assert!(holds_another(&border));
    }
}
