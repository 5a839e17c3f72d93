//! YAML text as a tree that knows where each value stands.
//!
//! Settings take only the plain part of YAML: maps, lists and text. Templates take tags, anchors, aliases and merge keys
//! as well ([`Decoration`]). Size, depth and number of values are capped, and what an alias brings is counted like what is
//! written, so a small file cannot unfold into a large tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::decoration::{Decoration, Mark};
use super::diagnostic::{Origin, Position, quoted};

/// Bytes that one file may have.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Maps and lists that may stand inside each other.
pub(super) const MAX_DEPTH: usize = 64;
/// Keys and values that one file may hold.
pub(super) const MAX_VALUES: usize = 250_000;

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) origin: Origin,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    /// Nothing was written, or `null`, or `~`.
    Null,
    /// Text as it was written; what it means is for the reader of the key to say.
    Scalar(String),
    /// Text that stood in quotes or in a block and so is no number; told apart in templates only.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; readers pass over it in silence.
    Broken,
}

/// One key of a map with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: Origin,
    pub(super) node: Node,
}

impl Node {
    /// A map without keys.
    pub(super) fn empty_map(origin: Origin) -> Self {
        Self {
            tree: Tree::Map(Vec::new()),
            origin,
        }
    }

    /// The value of a key, where this is a map that has it.
    pub(super) fn child(&self, key: &str) -> Option<&Entry> {
        match &self.tree {
            Tree::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// A mistake of form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) position: Position,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

/// The tree of one document and the mistakes of form in it; no tree where the rest could not be read.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Flaw>) {
    build(text, Builder::default())
}

/// Like [`parse`], for templates: tags become the long form of their function, aliases and merge keys what they stand for.
pub(super) fn parse_template(text: &str) -> (Option<Node>, Vec<Flaw>) {
    let builder = Builder {
        decoration: Some(Decoration::default()),
        ..Builder::default()
    };
    build(text, builder)
}

fn build(text: &str, mut builder: Builder) -> (Option<Node>, Vec<Flaw>) {
    let tree = match check_text(text).and_then(|text| builder.run(text)) {
        Ok(()) => Some(
            builder
                .root
                .unwrap_or_else(|| Node::empty_map(Origin::File(Position::START))),
        ),
        Err(flaw) => {
            builder.flaws.push(flaw);
            None
        }
    };
    (tree, builder.flaws)
}

/// Refuses what the parser would not see as text: too many bytes, and control characters (it takes NUL for the end).
pub(super) fn check_text(text: &str) -> Result<&str, Flaw> {
    if text.len() > MAX_BYTES {
        return Err(Flaw {
            position: Position::START,
            message: "the file is larger than 4 MiB".to_owned(),
            hint: None,
        });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    match text.find(bad) {
        None => Ok(text),
        Some(at) => Err(Flaw {
            position: Position::of_offset(text, at),
            message: "a control character cannot stand in a settings file".to_owned(),
            hint: None,
        }),
    }
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Frame>,
    flaws: Vec<Flaw>,
    values: usize,
    /// Absent for settings, which refuse it.
    decoration: Option<Decoration>,
}

enum Frame {
    List {
        origin: Origin,
        mark: Mark,
        items: Vec<Node>,
    },
    Map {
        origin: Origin,
        mark: Mark,
        entries: Vec<Entry>,
        first: HashMap<String, Position>,
        key: Option<Key>,
        /// What stood behind `<<`.
        merged: Option<Node>,
    },
}

/// A key that waits for its value.
struct Key {
    text: String,
    position: Position,
    /// An equal key came before: this one is reported and dropped.
    repeated: bool,
    /// `<<`, where that means something.
    merge: bool,
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<(), Flaw> {
        let mut parser = Parser::new_from_str(text);
        let lines = line_count(text);
        // What the parser notices only after the end is said of the last line.
        let position = |marker: &Marker| Position {
            line: clamped(marker.line()).clamp(1, lines),
            column: clamped(marker.col() + 1),
        };
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| Flaw {
                position: position(error.marker()),
                message: format!("this is not YAML: {}", error.info()),
                hint: hint_for(error.info(), text, position(error.marker())),
            })?;
            self.take(event, position(&span.start))?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Flaw> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => self.take_alias(anchor, position),
            Event::Scalar(text, style, anchor, tag) => {
                let mark = self.mark(position, anchor, tag.as_deref());
                let plain = style == ScalarStyle::Plain && !mark.is_text();
                if self.wants_key() {
                    return self.set_key(text.into_owned(), position, plain);
                }
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let tree = if null {
                    Tree::Null
                } else if plain || self.decoration.is_none() {
                    Tree::Scalar(text.into_owned())
                } else {
                    Tree::Quoted(text.into_owned())
                };
                self.place(tree, position, &mark)
            }
            Event::SequenceStart(anchor, tag) => {
                let mark = self.mark(position, anchor, tag.as_deref());
                self.open(Frame::List {
                    origin: Origin::File(position),
                    mark,
                    items: Vec::new(),
                })
            }
            Event::MappingStart(anchor, tag) => {
                let mark = self.mark(position, anchor, tag.as_deref());
                self.open(Frame::Map {
                    origin: Origin::File(position),
                    mark,
                    entries: Vec::new(),
                    first: HashMap::new(),
                    key: None,
                    merged: None,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), Flaw> {
        let position = match &frame {
            Frame::List { origin, .. } | Frame::Map { origin, .. } => {
                origin.position().unwrap_or(Position::START)
            }
        };
        if self.wants_key() {
            return Err(fatal(position, "a key must be plain text"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(position));
        }
        self.open.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Flaw> {
        let (tree, origin, mark) = match self.open.pop() {
            Some(Frame::List {
                origin,
                mark,
                items,
            }) => (Tree::List(items), origin, mark),
            Some(Frame::Map {
                origin,
                mark,
                mut entries,
                mut first,
                merged,
                ..
            }) => {
                if let Some(flaw) =
                    merged.and_then(|it| Decoration::merge(&mut entries, &mut first, it))
                {
                    self.flaws.push(flaw);
                }
                (Tree::Map(entries), origin, mark)
            }
            None => return Ok(()),
        };
        self.finish(Node { tree, origin }, &mark)
    }

    /// A value is whole: it may be kept for aliases, and its tag is a function around it.
    fn finish(&mut self, node: Node, mark: &Mark) -> Result<(), Flaw> {
        let position = node.origin.position().unwrap_or(Position::START);
        let node = mark.wrap(node);
        if let Some(decoration) = &mut self.decoration {
            let weight = decoration.keep(mark, &node);
            self.count(weight, position)?;
        }
        self.attach(node)
    }

    fn take_alias(&mut self, anchor: usize, position: Position) -> Result<(), Flaw> {
        let Some(decoration) = &self.decoration else {
            self.refuse(position, "aliases (*name) are not read");
            return self.place(Tree::Broken, position, &Mark::default());
        };
        if self.wants_key() {
            return Err(fatal(position, "a key must be plain text"));
        }
        let Some(kept) = decoration.kept(anchor) else {
            return Err(fatal(position, "this alias stands inside what it names"));
        };
        if self.open.len() + kept.depth > MAX_DEPTH {
            return Err(too_deep(position));
        }
        let node = kept.node.clone();
        let weight = kept.weight;
        self.count(weight, position)?;
        self.attach(node)
    }

    /// What stands before a value; refused in settings.
    fn mark(&mut self, position: Position, anchor: usize, tag: Option<&Tag>) -> Mark {
        if self.decoration.is_none() {
            self.refuse_decoration(position, anchor, tag.is_some());
            return Mark::default();
        }
        let (mark, flaw) = Mark::read(anchor, tag, position);
        self.flaws.extend(flaw);
        mark
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame::Map { key: None, .. }))
    }

    fn set_key(&mut self, text: String, position: Position, plain: bool) -> Result<(), Flaw> {
        self.count(1, position)?;
        let merge = plain && text == "<<" && self.decoration.is_some();
        if let Some(Frame::Map { first, key, .. }) = self.open.last_mut() {
            let earlier = first.get(&text).copied();
            if let Some(earlier) = earlier {
                self.flaws.push(Flaw {
                    position,
                    message: format!(
                        "duplicate key {}, first written in line {}",
                        quoted(&text),
                        earlier.line
                    ),
                    hint: None,
                });
            } else {
                first.insert(text.clone(), position);
            }
            *key = Some(Key {
                text,
                position,
                repeated: earlier.is_some(),
                merge,
            });
        }
        Ok(())
    }

    fn place(&mut self, tree: Tree, position: Position, mark: &Mark) -> Result<(), Flaw> {
        if self.wants_key() {
            return Err(fatal(position, "a key must be plain text"));
        }
        self.count(1, position)?;
        let origin = Origin::File(position);
        self.finish(Node { tree, origin }, mark)
    }

    fn attach(&mut self, mut node: Node) -> Result<(), Flaw> {
        match self.open.last_mut() {
            None if self.root.is_some() => {
                let position = node.origin.position().unwrap_or(Position::START);
                return Err(fatal(
                    position,
                    "a second document begins; one file holds one document",
                ));
            }
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map {
                entries,
                key,
                merged,
                ..
            }) => {
                if let Some(key) = key.take().filter(|key| !key.repeated) {
                    if key.merge {
                        *merged = Some(node);
                        return Ok(());
                    }
                    // The parser places a value that was left out at whatever comes next.
                    if matches!(node.tree, Tree::Null) {
                        node.origin = Origin::File(key.position);
                    }
                    entries.push(Entry {
                        key: key.text,
                        key_origin: Origin::File(key.position),
                        node,
                    });
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, values: usize, position: Position) -> Result<(), Flaw> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(fatal(
                position,
                format!("the file holds more than {MAX_VALUES} keys and values"),
            ));
        }
        Ok(())
    }

    fn refuse_decoration(&mut self, position: Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(position, "anchors (&name) are not read");
        }
        if tagged {
            self.refuse(position, "tags (!name) are not read");
        }
    }

    fn refuse(&mut self, position: Position, message: &str) {
        self.flaws.push(Flaw {
            position,
            message: message.to_owned(),
            hint: Some("write the value out, or in quotes if it is meant as text"),
        });
    }
}

fn fatal(position: Position, message: impl Into<String>) -> Flaw {
    Flaw {
        position,
        message: message.into(),
        hint: None,
    }
}

fn too_deep(position: Position) -> Flaw {
    fatal(
        position,
        format!("maps and lists stand deeper than {MAX_DEPTH} levels"),
    )
}

fn line_count(text: &str) -> u32 {
    clamped(text.lines().count().max(1))
}

fn clamped(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The usual cause of broken YAML in a file of URLs and expressions.
fn hint_for(why: &str, text: &str, position: Position) -> Option<&'static str> {
    if why.contains("anchor") {
        return Some("text that begins with * or & needs quotes");
    }
    let line = text.lines().nth(position.line.saturating_sub(1) as usize)?;
    if line.contains("${") {
        return Some("text that holds ${…} needs quotes inside braces");
    }
    if line.contains("[::") {
        return Some("an IPv6 address needs quotes");
    }
    if line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces, not tabs");
    }
    None
}
