//! Mistakes in the settings: where they stand, what is wrong, how to mend it.

use std::fmt;
use std::sync::Arc;

/// A place in a file; both counts begin with 1, the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Where the byte `offset` of a text stands.
    pub(super) fn of_offset(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
        }
    }
}

/// Where a value came from. Later ones win: defaults < file < environment < flags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `wiregate.default.yaml`, compiled in.
    Default,
    /// The settings file as a whole.
    WholeFile,
    /// A place in the settings file.
    File(Position),
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The command line flag of this name.
    Flag(&'static str),
}

impl Origin {
    /// Line and column, where it came from the file.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::File(position) => Some(*position),
            _ => None,
        }
    }

    /// As it is shown to people: `default`, `wiregate.yaml:3`, `WIREGATE_LISTEN`, `--listen`.
    pub fn describe(&self, file: &str) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::WholeFile => file.to_owned(),
            Self::File(position) => format!("{file}:{}", position.line),
            Self::Environment(name) => name.to_string(),
            Self::Flag(name) => (*name).to_owned(),
        }
    }
}

/// One mistake, or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The settings file as it was named.
    pub file: Arc<str>,
    /// Where the wrong value came from.
    pub origin: Origin,
    /// The setting, such as `apis.chat.routes.echo.integration.integrationUri`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// The line in the file, where the value came from there.
    pub fn line(&self) -> Option<u32> {
        self.origin.position().map(|position| position.line)
    }

    /// The column in the file, where the value came from there.
    pub fn column(&self) -> Option<u32> {
        self.origin.position().map(|position| position.column)
    }
}

/// `wiregate.yaml:12:7: unknown key 'integratonUri'; did you mean 'integrationUri'?`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(Position { line, column }) => write!(f, "{}:{line}:{column}: ", self.file),
            origin => write!(f, "{}: ", origin.describe(&self.file)),
        }?;
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Mistakes that are told of one run; a file that is wrong throughout would only bury the first.
pub(super) const MAX_REPORTED: usize = 100;

/// All mistakes of one configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// At most 100.
    pub mistakes: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
}

impl From<Vec<Diagnostic>> for ConfigErrors {
    fn from(mut mistakes: Vec<Diagnostic>) -> Self {
        let more = mistakes.len().saturating_sub(MAX_REPORTED);
        mistakes.truncate(MAX_REPORTED);
        Self { mistakes, more }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.mistakes.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Text in quotes for a message: on one line, and short.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::from("'");
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            shown.push('…');
            break;
        }
        match c {
            '\'' => shown.push('\''),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown.push('\'');
    shown
}

/// `a, b and c`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The word that was probably meant: the nearest, if it is near enough.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let lower = written.to_lowercase();
    let allowed = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|word| word.len() <= LONGEST)
        .map(|word| {
            let distance = strsim::damerau_levenshtein(&lower, &word.to_lowercase());
            (distance, word)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// What to write instead of an unknown word: the nearest known one, else all of them.
pub(super) fn suggestion(written: &str, kind: &str, known: &[&str]) -> Option<String> {
    if let Some(word) = nearest(written, known.iter().copied()) {
        return Some(format!("did you mean {}?", quoted(word)));
    }
    match known {
        [] => None,
        known => Some(format!("{kind}: {}", listed(known))),
    }
}
