//! The keys of integration responses: `$default`, or a `/regex/` for the whole of a status code or error message.

use std::cmp::Ordering;
use std::fmt;

use regex::{Regex, RegexBuilder};

/// Bytes of a `/regex/`. Ours; AWS documents no number.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// Memory of a compiled `/regex/`, in bytes: room for any honest pattern, none for `(((a{99}){99}){99})`.
const COMPILED_LIMIT: usize = 1024 * 1024;

/// The key of an integration response, ready to be matched.
#[derive(Debug, Clone)]
pub struct ResponseKey {
    text: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Default,
    Pattern(Regex),
    Literal,
}

/// Why a `/regex/` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No text.
    #[error("the key is empty: write `$default` or a pattern such as `/2\\d\\d/`")]
    Empty,
    /// `/2\d\d` without the second slash.
    #[error("the pattern is not closed: add `/` at its end")]
    Unclosed,
    /// More text than a pattern may have.
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes: shorten it")]
    TooLong,
    /// A pattern that would need too much memory.
    #[error("the pattern grows too large: use smaller repetitions")]
    TooLarge,
    /// Syntax of Java that cannot be matched in bounded time, or is not known.
    #[error(
        "{0}; look-around, back-references, atomic groups and possessive quantifiers are not supported"
    )]
    Syntax(String),
}

impl ResponseKey {
    /// Parses a key. A text that is neither `$default` nor wrapped in slashes is compared as it is.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let test = match text.strip_prefix('/') {
            _ if text.is_empty() => return Err(PatternError::Empty),
            _ if text == "$default" => Test::Default,
            None => Test::Literal,
            Some(rest) => Test::Pattern(compile(
                rest.strip_suffix('/').ok_or(PatternError::Unclosed)?,
            )?),
        };
        Ok(Self {
            text: text.to_owned(),
            test,
        })
    }

    /// The key as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is `$default`, the key that is taken when no other one matches.
    pub fn is_default(&self) -> bool {
        matches!(self.test, Test::Default)
    }

    /// Whether the key names this value by itself; `$default` names none. Time linear in the value.
    pub fn matches(&self, value: &str) -> bool {
        match &self.test {
            Test::Default => false,
            Test::Pattern(regex) => regex.is_match(value),
            Test::Literal => self.text == value,
        }
    }
}

impl fmt::Display for ResponseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for ResponseKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ResponseKey {}

impl PartialOrd for ResponseKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResponseKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// The key for a value: of those that match, the first in sort order (AWS does not say which); else `$default`; else
/// none. A value that is absent, the error message of a function that succeeded, has only `$default`.
pub fn select<'k>(
    keys: impl IntoIterator<Item = &'k ResponseKey>,
    value: Option<&str>,
) -> Option<&'k ResponseKey> {
    let named = |key: &ResponseKey| value.is_some_and(|value| key.matches(value));
    keys.into_iter()
        .filter(|key| key.is_default() || named(key))
        .min_by_key(|key| (key.is_default(), *key))
}

/// A regex that matches whole texts, as Java's `matches()` does, and whose dot stops at a line's end, as Java's does.
fn compile(pattern: &str) -> Result<Regex, PatternError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(PatternError::TooLong);
    }
    if let Some(quantifier) = possessive(pattern) {
        return Err(PatternError::Syntax(format!(
            "`{quantifier}` is a possessive quantifier"
        )));
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(COMPILED_LIMIT)
            .crlf(true)
            .build()
    };
    // Alone first: a pattern such as `a)|(b` must not become valid by what is put around it.
    build(pattern)
        .and_then(|_| build(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            other => PatternError::Syntax(reason(&other)),
        })
}

/// The last line of the regex crate's report, without the drawing above it.
fn reason(error: &regex::Error) -> String {
    let report = error.to_string();
    let last = report.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A possessive quantifier (`a*+`), which the regex crate would read as an ordinary repetition of a repetition.
fn possessive(pattern: &str) -> Option<&'static str> {
    let (mut escaped, mut in_class, mut last) = (false, false, ' ');
    for c in pattern.chars() {
        let was = std::mem::replace(&mut last, c);
        if escaped {
            (escaped, last) = (false, ' ');
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '+' if !in_class => match was {
                '*' => return Some("*+"),
                '+' => return Some("++"),
                '?' => return Some("?+"),
                '}' => return Some("}+"),
                _ => {}
            },
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{MAX_PATTERN_BYTES, PatternError, ResponseKey, select};

    #[track_caller]
    fn check(key: &str, value: &str, expected: bool) {
        let parsed = ResponseKey::parse(key).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(parsed.matches(value), expected, "{key} on {value:?}");
    }

    #[test]
    fn a_pattern_matches_whole_values() {
        check(r"/2\d\d/", "200", true);
        check(r"/2\d\d/", "2000", false);
        check(r"/2\d\d/", "1200", false);
        check("/.*Bad request.*/", "x Bad request: y", true);
        check("/Bad request/", "x Bad request: y", false);
        check("/a|ab/", "ab", true);
        check("/a|b/", "ab", false);
        check("//", "", true);
        check("//", "x", false);
        check("/a/b/", "a/b", true);
        check("/(?i)timeout/", "TimeOut", true);
        check("/200$/", "200", true);
        check("/200/", "200\n", false);
        // Java's dot stops at both characters of a line's end.
        check("/.*/", "a\nb", false);
        check("/.*/", "a\rb", false);
        check(r"/(.|\n)*/", "a\nb", true);
        check(r"/a\++/", "a++", true);
        check("/[*+]+/", "*+", true);
        check("/é+/", "éé", true);
    }

    #[test]
    fn other_keys_are_compared() {
        check("200", "200", true);
        check("200", "2000", false);
        check("$default", "200", false);
        check("$default", "$default", false);
    }

    #[track_caller]
    fn check_refused(key: &str, said: &str) {
        let error = ResponseKey::parse(key).expect_err(key).to_string();
        assert!(error.contains(said), "{key}: {error}");
    }

    #[test]
    fn what_cannot_be_matched_is_refused() {
        check_refused("", "empty");
        check_refused(r"/2\d\d", "add `/`");
        check_refused("/", "add `/`");
        check_refused("/(?=a)b/", "look-around");
        check_refused("/(?<!a)b/", "look-around");
        check_refused(r"/(a)\1/", "backreferences are not supported");
        check_refused("/(?>a)b/", "atomic groups");
        for possessive in ["/a*+/", "/a++/", "/a?+/", "/a{2}+/", "/(a*+)b/"] {
            check_refused(possessive, "possessive");
        }
        check_refused("/a)|(b/", "unopened group");
        check_refused("/(a/", "unclosed group");
        check_refused("/(((a{99}){99}){99})/", "smaller repetitions");
        check_refused(
            &format!("/{}/", "a".repeat(MAX_PATTERN_BYTES + 1)),
            "shorten",
        );
        assert_eq!(
            ResponseKey::parse("/(((a{99}){99}){99})/").map(|key| key.text),
            Err(PatternError::TooLarge)
        );
    }

    #[track_caller]
    fn check_select(keys: &[&str], value: Option<&str>, expected: Option<&str>) {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| ResponseKey::parse(key).unwrap())
            .collect();
        assert_eq!(
            select(&keys, value).map(ResponseKey::as_str),
            expected,
            "{value:?}"
        );
    }

    #[test]
    fn the_first_match_in_sort_order_is_selected() {
        let keys = ["$default", "/4\\d\\d/", "/404/", "/2\\d\\d/"];
        check_select(&keys, Some("200"), Some("/2\\d\\d/"));
        check_select(&keys, Some("404"), Some("/404/"));
        check_select(&keys, Some("403"), Some("/4\\d\\d/"));
        check_select(&keys, Some("500"), Some("$default"));
        check_select(&keys, None, Some("$default"));
        check_select(&keys[1..], Some("500"), None);
        check_select(&["/.*/"], None, None);
        check_select(&["/.*/", "$default"], Some("anything"), Some("/.*/"));
        check_select(&[], Some("200"), None);
    }
}
