//! Files of variables, as `.env` is written for Node.js, Python, Docker and shells alike. Values are taken as they stand: no `$` in them
//! is replaced. No mistake shows a value, for it may be a secret.

use std::fmt;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// The variables of a text in their order, a later one standing for an earlier of its name; or every line that is wrong.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Vec<Flaw>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    let (mut variables, mut flaws) = (Vec::new(), Vec::new());
    while !reader.rest.is_empty() {
        let line = reader.line;
        match reader.variable() {
            Ok(Some(variable)) => variables.push(variable),
            Ok(None) => {}
            Err(message) => {
                flaws.push(Flaw { line, message });
                reader.skip_line();
            }
        }
    }
    if flaws.is_empty() {
        return Ok(variables);
    }
    Err(flaws)
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// One line, or several where a value in quotes goes on; nothing where there is no variable on it.
    fn variable(&mut self) -> Result<Option<(String, String)>, String> {
        let line = self.rest.lines().next().unwrap_or_default();
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            self.skip_line();
            return Ok(None);
        }
        let assignment = trimmed
            .strip_prefix("export ")
            .unwrap_or(trimmed)
            .trim_start();
        let Some((name, _)) = assignment.split_once('=') else {
            return Err("expected NAME=value".to_owned());
        };
        let name = name.trim();
        if !is_name(name) {
            return Err("a name has letters, digits and _, and begins with no digit".to_owned());
        }
        let equals = line.find('=').map_or(0, |at| at + 1);
        self.advance(equals);
        let gap = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        self.advance(gap);
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(quote)?,
            _ => self.bare(),
        };
        Ok(Some((name.to_owned(), value)))
    }

    /// Up to the end of the line, or to a comment.
    fn bare(&mut self) -> String {
        let line = self.rest.lines().next().unwrap_or_default();
        let comment = [" #", "\t#"]
            .iter()
            .filter_map(|mark| line.find(mark))
            .min();
        // `NAME=#comment` has no value.
        let end = if line.starts_with('#') {
            Some(0)
        } else {
            comment
        };
        let value = line[..end.unwrap_or(line.len())].trim().to_owned();
        self.skip_line();
        value
    }

    /// Up to the same quote, over several lines; only double quotes know escapes.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        let end = loop {
            match chars.next() {
                None => return Err(format!("the value's {quote} has no end")),
                Some((at, c)) if c == quote => break at + c.len_utf8(),
                Some((_, '\\')) if quote == '"' => match chars.next() {
                    None => return Err(format!("the value's {quote} has no end")),
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
                    Some((_, other)) => value.extend(['\\', other]),
                },
                Some((_, c)) => value.push(c),
            }
        };
        let after = self.rest[end..].lines().next().unwrap_or_default().trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err("after a value in quotes only a comment may stand".to_owned());
        }
        self.advance(end);
        self.skip_line();
        Ok(value.replace("\r\n", "\n"))
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.advance(end);
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest): (&'t str, &'t str) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parse(text).unwrap_or_else(|flaws| panic!("{text:?}: {flaws:?}"));
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[track_caller]
    fn check_flaws(text: &str, expected: &[&str]) {
        let flaws = parse(text).expect_err(text);
        let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        assert_eq!(flaws, expected, "{text:?}");
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        check("", &[]);
        check("# nothing\n\n  \r\n", &[]);
        check("A=1", &[("A", "1")]);
        check("\u{feff}A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]);
        check("  A = spaces and words  \n", &[("A", "spaces and words")]);
        check("export A=1\nexport  B=2", &[("A", "1"), ("B", "2")]);
        check("exported=1", &[("exported", "1")]);
        check("A=", &[("A", "")]);
        check("A=#x", &[("A", "")]);
        check("A=a#b", &[("A", "a#b")]);
        check("A=a # comment", &[("A", "a")]);
        check("A=a=b==", &[("A", "a=b==")]);
        check("A=$HOME/${X}", &[("A", "$HOME/${X}")]);
        check("A='a \\n #b' # comment", &[("A", "a \\n #b")]);
        check("A=\"a\\n\\\"b\\\" \\$ \\x\"", &[("A", "a\n\"b\" $ \\x")]);
        check("A=`it's`", &[("A", "it's")]);
        check(
            "A=\"one\ntwo\r\nthree\"\nB=1",
            &[("A", "one\ntwo\nthree"), ("B", "1")],
        );
        check("A='one\ntwo'", &[("A", "one\ntwo")]);
        check("A=it's \"odd\"", &[("A", "it's \"odd\"")]);
        check("A=1\nA=2", &[("A", "1"), ("A", "2")]);
        check("A=ünï", &[("A", "ünï")]);
    }

    #[test]
    fn each_line_that_is_wrong_is_named_without_its_value() {
        check_flaws(
            "A=1\nSECRET\n1A=x\n",
            &[
                "line 2: expected NAME=value",
                "line 3: a name has letters, digits and _, and begins with no digit",
            ],
        );
        check_flaws("A=\"one\nB=2", &["line 1: the value's \" has no end"]);
        check_flaws(
            "\nA='x' y",
            &["line 2: after a value in quotes only a comment may stand"],
        );
        check_flaws("A=\"x\\", &["line 1: the value's \" has no end"]);
        check_flaws(
            "=x",
            &["line 1: a name has letters, digits and _, and begins with no digit"],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_=\"'`\\\\# \n\r$é]{0,80}") {
            if let Err(flaws) = parse(&text) {
                assert!(!flaws.is_empty());
            }
        }
    }
}
