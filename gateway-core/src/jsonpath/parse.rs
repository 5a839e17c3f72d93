//! Text to [`JsonPath`]. Every refusal names the place and the way to mend it.

use super::{JsonPath, MAX_STEPS, Step};

/// Where a path stands decides which characters an unquoted key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Something else marks the end (a `}`, the end of the text): all but JSONPath's own signs and spaces.
    Delimited,
    /// Loose in a selection expression: letters, digits, `_` and `-`; the first other character ends the path.
    Open,
}

/// Why a path was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {problem}")]
pub struct JsonPathError {
    /// Byte offset in the text that was parsed.
    pub position: usize,
    /// What is wrong there.
    pub problem: JsonPathProblem,
}

/// What can be wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathProblem {
    /// No path at all.
    #[error("the path is empty: name a key, such as `action`")]
    EmptyPath,
    /// A dot without a key.
    #[error("a key is missing after the dot: write `.key`, or `['']` for an empty name")]
    EmptyKey,
    /// `[` without `]`.
    #[error("`[` is not closed: add `]`")]
    UnclosedBracket,
    /// A quote inside brackets that never ends.
    #[error("the quoted key is not closed: add {0} before `]`")]
    UnclosedQuote(char),
    /// Brackets with neither a number, nor `*`, nor a quoted key.
    #[error("`[{0}]` is not an index: write `[0]`, `[-1]`, `[*]` or `['key']`")]
    BadIndex(String),
    /// `[?(...)]` or `[(...)]`.
    #[error("filters and scripts are not supported: name the element, such as `[0]` or `['key']`")]
    Filter,
    /// `[1:2]`.
    #[error("slices are not supported: use `[*]` for all elements or one index")]
    Slice,
    /// `[0,1]` or `['a','b']`.
    #[error("more than one index in brackets is not supported: use `[*]` or one index")]
    Union,
    /// A second `..`; each one would multiply the work.
    #[error("`..` may stand only once in a path")]
    SecondDescent,
    /// The path is too long.
    #[error("the path has more than {MAX_STEPS} steps: shorten it")]
    TooManySteps,
    /// A character that no path may have here.
    #[error("unexpected `{0}`: put a key with such characters in quotes, as in `['a b']`")]
    Unexpected(char),
}

/// Parses a whole text, with or without the root `$`.
pub(super) fn parse_whole(text: &str) -> Result<JsonPath, JsonPathError> {
    let refuse = |position, problem| JsonPathError { position, problem };
    if text.is_empty() {
        return Err(refuse(0, JsonPathProblem::EmptyPath));
    }
    let mut parser = Parser {
        text,
        at: 0,
        dialect: Dialect::Delimited,
        steps: Vec::new(),
    };
    if text.starts_with('$') {
        parser.at = 1;
    } else if !text.starts_with(['.', '[']) {
        parser.name()?;
    }
    parser.tail()?;
    match parser.peek() {
        None => Ok(JsonPath {
            steps: parser.steps,
        }),
        Some(found) => Err(refuse(parser.at, JsonPathProblem::Unexpected(found))),
    }
}

/// Parses the steps that start at byte `at` of `text` (`.a[0]`) as far as they reach; the path and where it ends.
pub(crate) fn parse_tail(
    text: &str,
    at: usize,
    dialect: Dialect,
) -> Result<(JsonPath, usize), JsonPathError> {
    let mut parser = Parser {
        text,
        at,
        dialect,
        steps: Vec::new(),
    };
    parser.tail()?;
    Ok((
        JsonPath {
            steps: parser.steps,
        },
        parser.at,
    ))
}

/// Whether a key may be written without quotes wherever a path may stand.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| belongs_to_key(c, Dialect::Open))
}

fn belongs_to_key(c: char, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Open => c.is_alphanumeric() || matches!(c, '_' | '-'),
        Dialect::Delimited => {
            !c.is_whitespace() && !c.is_control() && !r#".[](){}'"$*?,\"#.contains(c)
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    dialect: Dialect,
    steps: Vec<Step>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn refuse<T>(&self, problem: JsonPathProblem) -> Result<T, JsonPathError> {
        Err(JsonPathError {
            position: self.at,
            problem,
        })
    }

    fn push(&mut self, step: Step) -> Result<(), JsonPathError> {
        if self.steps.len() == MAX_STEPS {
            return self.refuse(JsonPathProblem::TooManySteps);
        }
        self.steps.push(step);
        Ok(())
    }

    fn tail(&mut self) -> Result<(), JsonPathError> {
        loop {
            let dots = self
                .rest()
                .bytes()
                .take_while(|&b| b == b'.')
                .take(2)
                .count();
            let after = self.rest()[dots..].chars().next();
            if dots == 0 && after == Some('[') {
                self.bracket()?;
                continue;
            }
            if dots == 0 {
                return Ok(());
            }
            // In running text a dot that no key follows is an ordinary full stop.
            let goes_on =
                after.is_some_and(|c| matches!(c, '[' | '*') || belongs_to_key(c, self.dialect));
            if self.dialect == Dialect::Open && !goes_on {
                return Ok(());
            }
            if dots == 2 {
                if self.steps.contains(&Step::Descendants) {
                    return self.refuse(JsonPathProblem::SecondDescent);
                }
                self.push(Step::Descendants)?;
            }
            self.at += dots;
            match after {
                Some('[') => self.bracket()?,
                _ => self.name()?,
            }
        }
    }

    /// `*` or an unquoted key at the current place.
    fn name(&mut self) -> Result<(), JsonPathError> {
        if self.peek() != Some('*') {
            return self.key();
        }
        self.push(Step::Every)?;
        self.at += 1;
        Ok(())
    }

    fn key(&mut self) -> Result<(), JsonPathError> {
        let rest = self.rest();
        let length = rest
            .find(|c| !belongs_to_key(c, self.dialect))
            .unwrap_or(rest.len());
        if length == 0 {
            return match self.peek() {
                None | Some('.' | '}') => self.refuse(JsonPathProblem::EmptyKey),
                Some(found) => self.refuse(JsonPathProblem::Unexpected(found)),
            };
        }
        let key = rest[..length].to_owned();
        self.push(Step::Key(key))?;
        self.at += length;
        Ok(())
    }

    /// `[...]` at the current place.
    fn bracket(&mut self) -> Result<(), JsonPathError> {
        let inside = self.at + 1;
        let rest = &self.text[inside..];
        let trimmed = rest.trim_start_matches(' ');
        let start = inside + rest.len() - trimmed.len();
        if let Some(quote @ ('\'' | '"')) = trimmed.chars().next() {
            return self.quoted(start, quote);
        }
        if trimmed.starts_with(['?', '(']) {
            return self.refuse(JsonPathProblem::Filter);
        }
        let Some(length) = trimmed.find(']') else {
            return self.refuse(JsonPathProblem::UnclosedBracket);
        };
        let index = trimmed[..length].trim_end_matches(' ');
        let step = if index == "*" {
            Step::Every
        } else {
            Step::Index(self.index(index)?)
        };
        self.push(step)?;
        self.at = start + length + 1;
        Ok(())
    }

    fn index(&self, text: &str) -> Result<i64, JsonPathError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        // `parse` alone would take a `+` as well.
        if digits.bytes().all(|b| b.is_ascii_digit())
            && let Ok(index) = text.parse()
        {
            return Ok(index);
        }
        if text.contains(':') {
            return self.refuse(JsonPathProblem::Slice);
        }
        if text.contains(',') {
            return self.refuse(JsonPathProblem::Union);
        }
        self.refuse(JsonPathProblem::BadIndex(text.chars().take(40).collect()))
    }

    /// `'key']` from byte `start`; a backslash makes the next character ordinary.
    fn quoted(&mut self, start: usize, quote: char) -> Result<(), JsonPathError> {
        let mut key = String::new();
        let mut characters = self.text[start..].char_indices().skip(1);
        let closed = loop {
            match characters.next() {
                None => return self.refuse(JsonPathProblem::UnclosedQuote(quote)),
                Some((offset, c)) if c == quote => break start + offset + 1,
                Some((_, '\\')) => key.extend(characters.next().map(|(_, c)| c)),
                Some((_, c)) => key.push(c),
            }
        };
        let after = self.text[closed..].trim_start_matches(' ');
        match after.chars().next() {
            Some(']') => {
                self.push(Step::Key(key))?;
                self.at = self.text.len() - after.len() + 1;
                Ok(())
            }
            Some(',') => self.refuse(JsonPathProblem::Union),
            _ => self.refuse(JsonPathProblem::UnclosedBracket),
        }
    }
}
