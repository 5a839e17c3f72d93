//! The one JSONPath of the gateway: parsed once, read from raw JSON text or from a parsed `Value`.
//!
//! Selection expressions (`$request.body.action`) and parameter mappings (`route.request.body.user.id`) take
//! whatever stands behind `request.body.` as a path. The dialect is the part of Jayway's JSONPath that can name a
//! value: `.key`, `['key']`, `["key"]`, `[0]`, `[-1]`, `[*]`, `.*` and one `..`. Filters, slices, unions and functions
//! are refused when the path is parsed.
//!
//! What counts as JSON, the same for every path:
//! * the whole text must be one JSON document (RFC 8259), nested at most [`MAX_DEPTH`] deep;
//! * of members with the same name the last one wins, as in Java's Jackson;
//! * a number keeps its source text, however large (`1e999` is `1e999`);
//! * half of a surrogate pair, which a JavaScript client makes by cutting a string inside an emoji, reads as U+FFFD;
//! * `\u0000` reads as a NUL character.
//!
//! `serde_json::Value` is stricter in two points: it refuses numbers beyond `f64` and unpaired surrogates. In all
//! that it accepts, both evaluators find the same values; the text of a number only the first one keeps.

mod cursor;
mod fuel;
mod parse;
mod raw;
mod select;
mod set;
mod text;
mod tree;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use fuel::Fuel;
pub use fuel::{MAX_TEXT_BYTES, MAX_WORK};
pub(crate) use parse::{Dialect, parse_tail};
pub use parse::{JsonPathError, JsonPathProblem};
pub use raw::is_json;
pub use set::PathSet;

/// The deepest nesting of arrays and objects that is read; serde_json's own limit for a `Value`.
pub const MAX_DEPTH: usize = 127;

/// Steps in one path. Ours; AWS documents no number.
pub const MAX_STEPS: usize = 16;

/// A JSONPath, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `.key` or `['key']`: the member of an object.
    Key(String),
    /// `[0]`, `[-1]`: the element of an array; negative counts from the end.
    Index(i64),
    /// `[*]` or `.*`: every element, or every member's value.
    Every,
    /// `..`: the value itself and everything below it, parents before children.
    Descendants,
}

/// What stands at a path, as the text that takes its place in a key or a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reading<'t> {
    /// Nothing is there.
    #[default]
    Missing,
    /// A JSON `null`.
    Null,
    /// A string without its quotes; a number or boolean as it was written; an array as `[a, b]`, an object as
    /// `{a=1, b=x}`, the way Java prints lists and maps. Borrowed from the message where it stands there as it is.
    Text(Cow<'t, str>),
}

impl<'t> Reading<'t> {
    /// The text for a place where missing, null and empty are the same.
    pub fn into_text(self) -> Cow<'t, str> {
        match self {
            Self::Missing | Self::Null => Cow::Borrowed(""),
            Self::Text(text) => text,
        }
    }
}

/// Why paths could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The text is not one JSON document, or is nested deeper than [`MAX_DEPTH`].
    #[error("the message is not JSON, or is nested deeper than {MAX_DEPTH} levels")]
    NotJson,
    /// The paths of one evaluation together need more than [`MAX_WORK`] or yield more than [`MAX_TEXT_BYTES`].
    #[error(
        "reading the message takes too much: more than {MAX_WORK} values are visited, or {MAX_TEXT_BYTES} bytes of \
         text made"
    )]
    OutOfFuel,
}

impl JsonPath {
    /// Reads a path such as `user.name`, `$.users[0]['full name']` or `$`.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        parse::parse_whole(text)
    }

    /// The steps, outermost first; none for `$`, the whole document.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the path names at most one value: it has neither `*` nor `..`.
    pub fn is_definite(&self) -> bool {
        !self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Every | Step::Descendants))
    }

    /// The steps up to the first that needs more than a look at the text.
    fn plain_steps(&self) -> &[Step] {
        let plain = |step: &&Step| matches!(step, Step::Key(_) | Step::Index(0..));
        let length = self.steps.iter().take_while(plain).count();
        &self.steps[..length]
    }

    /// Evaluates on JSON text: [`PathSet::read`] for one path.
    pub fn read<'t>(&self, json: &'t str) -> Result<Reading<'t>, ReadError> {
        let mut readings = [Reading::Missing];
        PathSet::new([self]).read(json, &mut readings)?;
        let [reading] = readings;
        Ok(reading)
    }

    /// Evaluates on a parsed document: all values at the path, in document order, parents before children.
    pub fn select<'v>(&self, document: &'v Value) -> Result<Vec<&'v Value>, ReadError> {
        let mut found = Vec::new();
        let mut take = |value, _: &mut Fuel| {
            found.push(value);
            Ok(())
        };
        select::select(document, &self.steps, &mut Fuel::full(), &mut take)?;
        Ok(found)
    }

    /// Writes the path without its root: `.a[0]`.
    pub(crate) fn write_tail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut after_dots = false;
        for step in &self.steps {
            match step {
                Step::Key(key) if parse::is_plain(key) => {
                    f.write_str(if after_dots { "" } else { "." })?;
                    f.write_str(key)?;
                }
                Step::Key(key) => {
                    let escaped = key.replace('\\', r"\\").replace('\'', r"\'");
                    write!(f, "['{escaped}']")?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Every => f.write_str("[*]")?,
                Step::Descendants => f.write_str("..")?,
            }
            after_dots = *step == Step::Descendants;
        }
        Ok(())
    }
}

impl fmt::Display for JsonPath {
    /// The path from its root, in one canonical spelling that parses to the same path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.write_tail(f)
    }
}
