//! Typed readings of one value: each says what it expected and what it found.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Origin, listed, nearest, quoted};
use super::reader::Cursor;
use super::scalar::{self, Refusal};

impl<'a> Cursor<'a> {
    /// Any text.
    pub(super) fn text(&self) -> Option<&'a str> {
        if self.scalar().is_none() {
            self.expected("text", None);
        }
        self.scalar()
    }

    /// Text that is not empty.
    pub(super) fn string(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.mistake("this cannot be empty");
            return None;
        }
        Some(text.to_owned())
    }

    /// A scalar in a form of its own.
    pub(super) fn parse<T>(
        &self,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let Some(text) = self.scalar() else {
            self.expected(what, None);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(Refusal(hint)) => {
                self.expected(what, hint);
                None
            }
        }
    }

    /// One of the words of a table.
    pub(super) fn one_of<T: Copy>(&self, table: &[(&'static str, T)]) -> Option<T> {
        let text = self.scalar();
        let value = table.iter().find(|(word, _)| Some(*word) == text);
        if value.is_none() {
            let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
            match words[..] {
                [word] => self.expected(word, None),
                _ => self.expected(&format!("one of {}", words.join(", ")), None),
            }
        }
        value.map(|(_, value)| *value)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        self.parse("true or false", scalar::boolean)
    }

    /// A duration; zero is legal and means what the option says it means.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.parse("a duration such as 250ms, 10m or 1h30m", scalar::duration)
    }

    /// A duration that cannot be turned off.
    pub(super) fn positive_duration(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            self.mistake("this duration cannot be turned off; it must be more than 0");
            return None;
        }
        Some(duration)
    }

    /// Bytes; zero is legal.
    pub(super) fn size(&self) -> Option<u32> {
        self.parse(
            "a size such as 128KiB, 1MiB or a number of bytes",
            scalar::size,
        )
    }

    /// Bytes that cannot be turned off.
    pub(super) fn positive_size(&self) -> Option<u32> {
        let size = self.size()?;
        if size == 0 {
            self.mistake("this size cannot be turned off; it must be more than 0");
            return None;
        }
        Some(size)
    }

    /// A whole number of at least `least`.
    pub(super) fn count(&self, least: u32) -> Option<u32> {
        self.count_up_to(least, u32::MAX)
    }

    /// A whole number within bounds.
    pub(super) fn count_up_to(&self, least: u32, most: u32) -> Option<u32> {
        match most {
            u32::MAX => self.number_of(&format!("a whole number of at least {least}"), least, most),
            _ => self.number_of(
                &format!("a whole number from {least} to {most}"),
                least,
                most,
            ),
        }
    }

    /// A whole number within bounds, with words of its own.
    pub(super) fn number_of(&self, what: &str, least: u32, most: u32) -> Option<u32> {
        self.parse(what, |text| {
            scalar::whole(text)
                .ok()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (least..=most).contains(number))
                .ok_or(Refusal(None))
        })
    }

    /// A number that is not negative.
    pub(super) fn number(&self) -> Option<f64> {
        self.parse("a number of at least 0", scalar::number)
    }

    /// Whether a name is one of those that exist; a mistake with the nearest where it is not.
    pub(super) fn refers(&self, kind: &str, name: &str, existing: &impl Names) -> bool {
        let known = existing.has(name);
        if !known {
            let message = format!("there is no {kind} {}", quoted(name));
            self.report(message, || {
                let mut names = existing.names();
                names.sort_unstable();
                let near = nearest(name, names.iter().copied());
                near.map(|word| format!("did you mean {}?", quoted(word)))
                    .or_else(|| few(&names))
            });
        }
        known
    }

    /// A path of the file system: what the file says is relative to the file, the rest to the working directory.
    pub(super) fn file_path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.string()?);
        Some(match self.node.origin {
            Origin::File(_) => self.sink.folder.join(path),
            _ => path,
        })
    }
}

/// Names that can be referred to.
pub(super) trait Names {
    fn has(&self, name: &str) -> bool;
    fn names(&self) -> Vec<&str>;
}

impl Names for HashSet<String> {
    fn has(&self, name: &str) -> bool {
        self.contains(name)
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(String::as_str).collect()
    }
}

impl<T> Names for HashMap<String, T> {
    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

/// The names there are, unless they are too many to list.
fn few(names: &[&str]) -> Option<String> {
    const MOST: usize = 20;
    match names.len() {
        0 => Some("none is defined".to_owned()),
        1..=MOST => Some(format!("there are: {}", listed(names))),
        _ => None,
    }
}
