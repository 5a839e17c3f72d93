//! JSON text as a tree that knows where each value stands.
//!
//! The YAML reader takes most JSON, but not tabs, surrogate pairs and long keys, which JSON has.

use std::collections::HashSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::config::diagnostic::{Origin, Position, quoted};
use crate::config::yaml::{Entry, Flaw, MAX_DEPTH, MAX_VALUES, Node, Tree, check_text};

/// The tree of a JSON text, or the first mistake of form.
pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    let mut reader = Reader {
        rest: check_text(text)?.chars().peekable(),
        position: Position::START,
        values: 0,
    };
    let node = reader.value(0)?;
    reader.skip_space();
    match reader.rest.peek() {
        None => Ok(node),
        Some(_) => Err(reader.flaw("something stands behind the end of the JSON value")),
    }
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    position: Position,
    values: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Flaw> {
        self.skip_space();
        let origin = Origin::File(self.position);
        self.values += 1;
        if self.values > MAX_VALUES {
            let message = format!("the file holds more than {MAX_VALUES} keys and values");
            return Err(self.flaw(message));
        }
        if depth > MAX_DEPTH {
            let message = format!("maps and lists stand deeper than {MAX_DEPTH} levels");
            return Err(self.flaw(message));
        }
        let tree = match self.rest.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Tree::Quoted(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.flaw("this is not JSON: a value is missing at the end")),
        };
        Ok(Node { tree, origin })
    }

    fn object(&mut self, depth: usize) -> Result<Tree, Flaw> {
        self.next();
        let mut entries = Vec::new();
        let mut known = HashSet::new();
        self.skip_space();
        if self.takes('}') {
            return Ok(Tree::Map(entries));
        }
        loop {
            self.skip_space();
            let at = self.position;
            if self.rest.peek() != Some(&'"') {
                return Err(self.flaw("this is not JSON: a key in quotes is missing"));
            }
            let key = self.string()?;
            if !known.insert(key.clone()) {
                return Err(Flaw {
                    position: at,
                    message: format!("duplicate key {}", quoted(&key)),
                    hint: None,
                });
            }
            self.skip_space();
            self.expect(':')?;
            let node = self.value(depth + 1)?;
            entries.push(Entry {
                key,
                key_origin: Origin::File(at),
                node,
            });
            self.skip_space();
            if self.takes('}') {
                return Ok(Tree::Map(entries));
            }
            self.expect(',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Tree, Flaw> {
        self.next();
        let mut items = Vec::new();
        self.skip_space();
        if self.takes(']') {
            return Ok(Tree::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.takes(']') {
                return Ok(Tree::List(items));
            }
            self.expect(',')?;
        }
    }

    fn string(&mut self) -> Result<String, Flaw> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.flaw("this is not JSON: text without its closing quote")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                // serde_json refuses line breaks here; people write them, and what is meant is plain.
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Flaw> {
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&first) && self.takes('\\') {
                    self.expect('u')?;
                    let second = self.hex()?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.flaw("this is not JSON: unknown escape behind \\")),
        })
    }

    fn hex(&mut self) -> Result<u32, Flaw> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16));
            let Some(digit) = digit else {
                return Err(self.flaw("this is not JSON: \\u takes four hexadecimal digits"));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Tree, Flaw> {
        let at = self.position;
        let mut word = String::new();
        while let Some(c) = self.rest.peek().copied() {
            if !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.') {
                break;
            }
            word.push(c);
            self.next();
        }
        match serde_json::from_str::<serde_json::Value>(&word) {
            Ok(serde_json::Value::Null) => Ok(Tree::Null),
            Ok(_) => Ok(Tree::Scalar(word)),
            Err(_) => Err(Flaw {
                position: at,
                message: "this is not JSON: a value is missing".to_owned(),
                hint: None,
            }),
        }
    }

    fn expect(&mut self, c: char) -> Result<(), Flaw> {
        if self.takes(c) {
            return Ok(());
        }
        Err(self.flaw(format!(
            "this is not JSON: {} is missing",
            quoted(&c.to_string())
        )))
    }

    fn takes(&mut self, c: char) -> bool {
        let there = self.rest.peek() == Some(&c);
        if there {
            self.next();
        }
        there
    }

    fn skip_space(&mut self) {
        while matches!(self.rest.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn flaw(&self, message: impl Into<String>) -> Flaw {
        Flaw {
            position: self.position,
            message: message.into(),
            hint: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::template::value::Value;

    #[track_caller]
    fn check(text: &str, expected: Result<serde_json::Value, &str>) {
        let found = parse(text).map(|node| Value::of(node, &"x".into()).to_json());
        let found = found.map_err(|flaw| {
            let Position { line, column } = flaw.position;
            format!("{line}:{column}: {}", flaw.message)
        });
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn json() {
        use serde_json::json;
        check("{}", Ok(json!({})));
        check(
            "\t[1, -2.5e1, \"3\", null]\r\n",
            Ok(json!([1, -25.0, "3", null])),
        );
        check(
            r#"{"a": {"b": [true, "\u00e9\ud83d\ude00\n\/"]}}"#,
            Ok(json!({"a": {"b": [true, "é😀\n/"]}})),
        );
        check(r#""\ud83d""#, Ok(json!("\u{fffd}")));
        check(
            "{\n  \"a\" 1}",
            Err("2:7: this is not JSON: ':' is missing"),
        );
        check("[1, ]", Err("1:5: this is not JSON: a value is missing"));
        check("{\"a\": 1,\n \"a\": 2}", Err("2:2: duplicate key 'a'"));
        check(
            "[1] 2",
            Err("1:5: something stands behind the end of the JSON value"),
        );
        check(
            "\"a",
            Err("1:3: this is not JSON: text without its closing quote"),
        );
        check(
            &"[".repeat(100),
            Err("1:66: maps and lists stand deeper than 64 levels"),
        );
    }
}
