//! A document as a tree that keeps what `serde_json::Value` loses: the text of numbers, and halves of surrogate pairs.
//!
//! Built only for what needs it: `[*]`, `..`, negative indexes, and arrays or objects that become text. The tree is one
//! list, in document order, so that a message of half a million values costs one allocation and not as many.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cursor::Cursor;
use super::fuel::Fuel;
use super::select::Json;
use super::text::{decode, unquote};
use super::{ReadError, Reading};

/// Members that are compared with each other; larger objects keep a table of their names.
const FEW_MEMBERS: usize = 16;

/// What it costs to decode a name, beyond the look at it: it allocates.
const ESCAPED: usize = 16;

/// What it costs to enter a name into a table and to look for it there.
const TABLED: usize = 4;

/// A value and all below it.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    text: &'t str,
    entries: Vec<Entry>,
}

/// A value, or the name before one.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its text begins, with its quotes; of arrays and objects only this is kept.
    start: u32,
    /// Where its text ends.
    end: u32,
    /// Of a value: the entry behind all that is below it. Of a name: the value that counts for it.
    next: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Array,
    Object,
    Name,
    /// A name that came before in the same object: its value counts at the earlier place.
    Repeated,
}

/// One value of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'n, 't> {
    tree: &'n Tree<'t>,
    at: usize,
}

impl<'t> Tree<'t> {
    /// Builds the tree of `json`, which is known to be one valid JSON value of bounded depth.
    pub(super) fn build(json: &'t str, fuel: &mut Fuel) -> Result<Self, ReadError> {
        // Positions take four bytes.
        u32::try_from(json.len()).map_err(|_| ReadError::OutOfFuel)?;
        let mut builder = Builder {
            cursor: Cursor::new(json),
            // No value takes less than two bytes. What is not used is never touched.
            entries: Vec::with_capacity(json.len() / 2 + 1),
            fuel,
        };
        builder.value()?;
        Ok(Self {
            text: json,
            entries: builder.entries,
        })
    }

    /// The value itself.
    pub(super) fn root(&self) -> Node<'_, 't> {
        Node { tree: self, at: 0 }
    }

    fn text_of(&self, entry: Entry) -> &'t str {
        self.text
            .get(entry.start as usize..entry.end as usize)
            .unwrap_or_default()
    }
}

impl<'n, 't: 'n> Json for Node<'n, 't> {
    fn children(self) -> impl Iterator<Item = Self> {
        self.members().map(|(_, value)| value)
    }

    fn member(self, name: &str) -> (Option<Self>, usize) {
        if self.entry().kind != Kind::Object {
            return (None, 0);
        }
        let (mut looked_at, mut decoded) = (0, String::new());
        for (known, value) in self.members() {
            looked_at += 1;
            let inner = inside(known);
            let is_it = if inner.contains('\\') {
                looked_at += ESCAPED;
                decoded.clear();
                decode(inner, &mut decoded);
                decoded == name
            } else {
                inner == name
            };
            if is_it {
                return (Some(value), looked_at);
            }
        }
        (None, looked_at)
    }

    fn is_array(self) -> bool {
        self.entry().kind == Kind::Array
    }
}

impl<'n, 't> Node<'n, 't> {
    fn entry(self) -> Entry {
        self.tree.entries[self.at]
    }

    /// What is one level below, in the order of first appearance; elements have an empty name.
    fn members(self) -> Members<'n, 't> {
        let entry = self.entry();
        let end = match entry.kind {
            Kind::Array | Kind::Object => entry.next as usize,
            Kind::Scalar | Kind::Name | Kind::Repeated => self.at + 1,
        };
        Members {
            tree: self.tree,
            at: self.at + 1,
            end,
        }
    }

    /// The value as text for a key or a header.
    pub(super) fn reading(self, fuel: &mut Fuel) -> Result<Reading<'t>, ReadError> {
        let entry = self.entry();
        if entry.kind == Kind::Scalar {
            return scalar(self.tree.text_of(entry), fuel);
        }
        let mut out = String::new();
        self.write(&mut out, fuel)?;
        Ok(Reading::Text(Cow::Owned(out)))
    }

    /// Appends the value as Java prints it. As deep as the document.
    fn write(self, out: &mut String, fuel: &mut Fuel) -> Result<(), ReadError> {
        fuel.work(1)?;
        let entry = self.entry();
        let (open, close) = match entry.kind {
            Kind::Array => ("[", "]"),
            Kind::Object => ("{", "}"),
            Kind::Scalar | Kind::Name | Kind::Repeated => {
                return append_scalar(out, self.tree.text_of(entry), fuel);
            }
        };
        append(out, open, fuel)?;
        for (place, (name, value)) in self.members().enumerate() {
            append(out, if place == 0 { "" } else { ", " }, fuel)?;
            if entry.kind == Kind::Object {
                append_scalar(out, name, fuel)?;
                append(out, "=", fuel)?;
            }
            value.write(out, fuel)?;
        }
        append(out, close, fuel)
    }
}

/// Many values as text, as one list.
#[derive(Default)]
pub(super) struct List(String);

impl List {
    /// Appends one.
    pub(super) fn push(&mut self, node: Node<'_, '_>, fuel: &mut Fuel) -> Result<(), ReadError> {
        let before = if self.0.is_empty() { "[" } else { ", " };
        append(&mut self.0, before, fuel)?;
        node.write(&mut self.0, fuel)
    }

    /// The text; missing where nothing came.
    pub(super) fn close<'t>(mut self, fuel: &mut Fuel) -> Result<Reading<'t>, ReadError> {
        if self.0.is_empty() {
            return Ok(Reading::Missing);
        }
        append(&mut self.0, "]", fuel)?;
        Ok(Reading::Text(Cow::Owned(self.0)))
    }
}

/// A string, number, boolean or null as text.
pub(super) fn scalar<'t>(value: &'t str, fuel: &mut Fuel) -> Result<Reading<'t>, ReadError> {
    let text = match value {
        "null" => return Ok(Reading::Null),
        string if string.starts_with('"') => unquote(string),
        literal => Cow::Borrowed(literal),
    };
    fuel.text(text.len())?;
    Ok(Reading::Text(text))
}

fn append(out: &mut String, text: &str, fuel: &mut Fuel) -> Result<(), ReadError> {
    fuel.text(text.len())?;
    out.push_str(text);
    Ok(())
}

/// Appends a string without its quotes, or a literal as it is. An escape is never shorter than what it stands for.
fn append_scalar(out: &mut String, text: &str, fuel: &mut Fuel) -> Result<(), ReadError> {
    let before = out.len();
    if text.starts_with('"') {
        decode(inside(text), out);
    } else {
        out.push_str(text);
    }
    fuel.text(out.len() - before)
}

/// A string literal without its quotes.
fn inside(literal: &str) -> &str {
    literal
        .get(1..literal.len().saturating_sub(1))
        .unwrap_or_default()
}

/// Names, with their quotes, and values.
struct Members<'n, 't> {
    tree: &'n Tree<'t>,
    at: usize,
    end: usize,
}

impl<'n, 't> Iterator for Members<'n, 't> {
    type Item = (&'t str, Node<'n, 't>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let (at, entries) = (self.at, &self.tree.entries);
            let entry = entries[at];
            let node = |at| Node {
                tree: self.tree,
                at,
            };
            match entry.kind {
                Kind::Name => {
                    self.at = entries[at + 1].next as usize;
                    return Some((self.tree.text_of(entry), node(entry.next as usize)));
                }
                Kind::Repeated => self.at = entries[at + 1].next as usize,
                Kind::Scalar | Kind::Array | Kind::Object => {
                    self.at = entry.next as usize;
                    return Some(("", node(at)));
                }
            }
        }
        None
    }
}

struct Builder<'t, 'f> {
    cursor: Cursor<'t>,
    entries: Vec<Entry>,
    fuel: &'f mut Fuel,
}

impl<'t> Builder<'t, '_> {
    /// Takes the next value. As deep as the document.
    fn value(&mut self) -> Result<(), ReadError> {
        self.fuel.work(1)?;
        match self.cursor.peek().ok_or(ReadError::NotJson)? {
            b'[' => {
                let array = self.push(Kind::Array, 0);
                self.cursor.step();
                while !self.closes(b']')? {
                    self.value()?;
                }
                self.close(array);
            }
            b'{' => self.object()?,
            _ => {
                let text = self.cursor.scalar().ok_or(ReadError::NotJson)?;
                let at = self.push(Kind::Scalar, text.len());
                self.close(at);
            }
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), ReadError> {
        let object = self.push(Kind::Object, 0);
        self.cursor.step();
        let (mut members, mut table) = (0, None);
        while !self.closes(b'}')? {
            self.cursor.peek();
            let literal = self.cursor.scalar().ok_or(ReadError::NotJson)?;
            let name = self.push(Kind::Name, literal.len());
            let is_escaped = literal.contains('\\');
            self.fuel.work(if table.is_some() { TABLED } else { 1 })?;
            self.fuel.work(if is_escaped { ESCAPED } else { 0 })?;
            members += 1;
            // Names with escapes are compared decoded; the table decodes each only once.
            if table.is_none() && (members > FEW_MEMBERS || is_escaped) {
                table = Some(self.table(object, name));
            }
            let earlier = match &mut table {
                Some(table) => match table.entry(unquote(literal)) {
                    std::collections::hash_map::Entry::Occupied(known) => Some(*known.get()),
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(name);
                        None
                    }
                },
                None => self
                    .names(object, name)
                    .find(|&at| self.text(at) == literal),
            };
            let value = self.entries.len();
            if let Some(earlier) = earlier {
                self.entries[earlier].next = value as u32;
                self.entries[name].kind = Kind::Repeated;
            } else {
                self.entries[name].next = value as u32;
            }
            self.cursor.step(); // the colon
            self.value()?;
        }
        self.close(object);
        Ok(())
    }

    /// The names of an object so far, before the one at `end`.
    fn names(&self, object: usize, end: usize) -> impl Iterator<Item = usize> {
        let mut at = object + 1;
        let next = move || {
            let name = at;
            (name < end).then(|| {
                at = self.entries[name + 1].next as usize;
                name
            })
        };
        std::iter::from_fn(next).filter(|&name| self.entries[name].kind == Kind::Name)
    }

    fn table(&self, object: usize, end: usize) -> HashMap<Cow<'t, str>, usize> {
        let names = self.names(object, end);
        names.map(|name| (unquote(self.text(name)), name)).collect()
    }

    fn text(&self, at: usize) -> &'t str {
        let entry = self.entries[at];
        self.cursor
            .between(entry.start as usize, entry.end as usize)
    }

    /// Adds an entry whose text are the `length` bytes before the cursor.
    fn push(&mut self, kind: Kind, length: usize) -> usize {
        let end = self.cursor.position();
        self.entries.push(Entry {
            start: (end - length) as u32,
            end: end as u32,
            next: 0,
            kind,
        });
        self.entries.len() - 1
    }

    /// All that is below an entry has come.
    fn close(&mut self, at: usize) {
        self.entries[at].next = self.entries.len() as u32;
    }

    fn closes(&mut self, bracket: u8) -> Result<bool, ReadError> {
        self.cursor.closes(bracket).ok_or(ReadError::NotJson)
    }
}
