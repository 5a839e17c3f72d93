//! A document as a tree that keeps what `serde_json::Value` loses: the text of numbers, and halves of surrogate pairs.
//!
//! Built only for what needs it: `[*]`, `..`, negative indexes, and arrays or objects that become text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::select::Json;
use super::text::unquote;
use super::{MAX_RENDERED_BYTES, NotJson, Reading};

/// One value; scalars borrow from the text it was built from.
#[derive(Debug)]
pub(super) enum Node<'t> {
    Null,
    /// A number or boolean, as written.
    Literal(&'t str),
    String(Cow<'t, str>),
    Array(Vec<Node<'t>>),
    /// Members in the order of their first appearance, each name once.
    Object(Vec<(Cow<'t, str>, Node<'t>)>),
}

impl Json for Node<'_> {
    fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    fn children(&self) -> impl DoubleEndedIterator<Item = &Self> {
        let members: &[_] = match self {
            Self::Object(members) => members,
            _ => &[],
        };
        let elements = self.elements().unwrap_or_default();
        elements
            .iter()
            .chain(members.iter().map(|(_, value)| value))
    }
}

impl<'t> Node<'t> {
    /// Builds the tree of `json`, which is known to be one valid JSON value of bounded depth.
    pub(super) fn build(json: &'t str) -> Result<Self, NotJson> {
        Reader { rest: json }.value().ok_or(NotJson)
    }

    /// The value as text for a key or a header.
    pub(super) fn reading(&self) -> Reading<'t> {
        match self {
            Self::Null => Reading::Null,
            Self::Literal(text) => Reading::Text(Cow::Borrowed(text)),
            Self::String(text) => Reading::Text(text.clone()),
            Self::Array(_) | Self::Object(_) => render(self),
        }
    }

    /// Appends the value as Java prints it. `Err` when the text grows too long.
    fn write(&self, out: &mut String) -> Result<(), TooLong> {
        match self {
            Self::Null => append(out, "null"),
            Self::Literal(text) => append(out, text),
            Self::String(text) => append(out, text),
            Self::Array(elements) => write_list(elements.iter(), out),
            Self::Object(members) => {
                append(out, "{")?;
                for (place, (key, value)) in members.iter().enumerate() {
                    append(out, if place == 0 { "" } else { ", " })?;
                    append(out, key)?;
                    append(out, "=")?;
                    value.write(out)?;
                }
                append(out, "}")
            }
        }
    }
}

struct TooLong;

fn append(out: &mut String, text: &str) -> Result<(), TooLong> {
    if out.len() + text.len() > MAX_RENDERED_BYTES {
        return Err(TooLong);
    }
    out.push_str(text);
    Ok(())
}

fn write_list<'n, 't: 'n>(
    nodes: impl Iterator<Item = &'n Node<'t>>,
    out: &mut String,
) -> Result<(), TooLong> {
    append(out, "[")?;
    for (place, node) in nodes.enumerate() {
        append(out, if place == 0 { "" } else { ", " })?;
        node.write(out)?;
    }
    append(out, "]")
}

fn render<'t>(node: &Node<'_>) -> Reading<'t> {
    let mut out = String::new();
    match node.write(&mut out) {
        Ok(()) => Reading::Text(Cow::Owned(out)),
        Err(TooLong) => Reading::Missing,
    }
}

/// What an indefinite path found, as one list.
pub(super) fn render_list<'t>(nodes: &[&Node<'_>]) -> Reading<'t> {
    let mut out = String::new();
    match write_list(nodes.iter().copied(), &mut out) {
        Ok(()) if !nodes.is_empty() => Reading::Text(Cow::Owned(out)),
        _ => Reading::Missing,
    }
}

/// Walks text that is known to be valid JSON; `None` would mean that it was not.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Option<Node<'t>> {
        self.skip_space();
        match self.rest.bytes().next()? {
            b'"' => Some(Node::String(unquote(self.string()?))),
            b'[' => self.array(),
            b'{' => self.object(),
            _ => {
                let end = self
                    .rest
                    .find([',', ']', '}', ' ', '\t', '\n', '\r'])
                    .unwrap_or(self.rest.len());
                let literal = self.take(end)?;
                Some(if literal == "null" {
                    Node::Null
                } else {
                    Node::Literal(literal)
                })
            }
        }
    }

    fn array(&mut self) -> Option<Node<'t>> {
        self.take(1)?;
        let mut elements = Vec::new();
        while !self.closes(b']')? {
            elements.push(self.value()?);
        }
        Some(Node::Array(elements))
    }

    fn object(&mut self) -> Option<Node<'t>> {
        self.take(1)?;
        let mut members: Vec<(Cow<'t, str>, Node<'t>)> = Vec::new();
        let mut places: BTreeMap<Cow<'t, str>, usize> = BTreeMap::new();
        while !self.closes(b'}')? {
            let key = unquote(self.string()?);
            self.skip_space();
            self.take(1)?; // the colon
            let value = self.value()?;
            if let Some(&place) = places.get(&key) {
                members[place].1 = value;
            } else {
                places.insert(key.clone(), members.len());
                members.push((key, value));
            }
        }
        Some(Node::Object(members))
    }

    /// Steps over a comma or the closing bracket; whether it was the bracket. Leaves the reader at the next value.
    fn closes(&mut self, bracket: u8) -> Option<bool> {
        self.skip_space();
        if self.rest.starts_with(',') {
            self.take(1)?;
            self.skip_space();
        }
        let closed = self.rest.bytes().next()? == bracket;
        if closed {
            self.take(1)?;
        }
        Some(closed)
    }

    /// A string literal with its quotes.
    fn string(&mut self) -> Option<&'t str> {
        let mut escaped = false;
        for (at, byte) in self.rest.bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return self.take(at + 1),
                _ => {}
            }
        }
        None
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, length: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
