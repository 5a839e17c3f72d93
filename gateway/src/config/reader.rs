//! Reading a tree into settings: every wrong thing is written down, and reading goes on.
//!
//! A key is known because something asks for it, so the list of known keys that a mistake names cannot go stale.

use std::cell::RefCell;
use std::path::{Path as FilePath, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::diagnostic::{ConfigErrors, Diagnostic, MAX_REPORTED, Origin, quoted, suggestion};
use super::secret::may_hold_secret;
use super::yaml::{Entry, Node, Tree};

/// Where mistakes and warnings are collected.
pub(super) struct Sink {
    file: Arc<str>,
    /// What relative paths in the file are relative to.
    pub(super) folder: PathBuf,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    mistakes: Vec<Diagnostic>,
    more: usize,
    warnings: Vec<Diagnostic>,
}

impl Sink {
    pub(super) fn new(file: &str, folder: &FilePath) -> Self {
        Self {
            file: file.into(),
            folder: folder.to_owned(),
            found: RefCell::default(),
        }
    }

    pub(super) fn mistake(
        &self,
        origin: &Origin,
        path: impl FnOnce() -> String,
        message: impl Into<String>,
        hint: impl FnOnce() -> Option<String>,
    ) {
        let mut found = self.found.borrow_mut();
        if found.mistakes.len() >= MAX_REPORTED {
            found.more += 1;
            return;
        }
        let mistake = self.diagnostic(origin, path(), message.into(), hint());
        found.mistakes.push(mistake);
    }

    fn warning(&self, origin: &Origin, path: &Path<'_>, message: String) {
        let mut found = self.found.borrow_mut();
        if found.warnings.len() < MAX_REPORTED {
            let warning = self.diagnostic(origin, path.to_string(), message, None);
            found.warnings.push(warning);
        }
    }

    fn diagnostic(
        &self,
        origin: &Origin,
        path: String,
        message: String,
        hint: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: Arc::clone(&self.file),
            origin: origin.clone(),
            path,
            message,
            hint,
        }
    }

    /// The warnings, or all mistakes in the order of the file.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, ConfigErrors> {
        let mut found = self.found.into_inner();
        if found.mistakes.is_empty() {
            return Ok(found.warnings);
        }
        found.mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
        Err(ConfigErrors {
            mistakes: found.mistakes,
            more: found.more,
        })
    }

    /// How the settings file was named.
    pub(super) fn file(&self) -> &str {
        &self.file
    }
}

/// The way to a value, written out only when a mistake needs it.
#[derive(Clone, Default)]
pub(super) struct Path<'a>(Option<Rc<Step<'a>>>);

struct Step<'a> {
    before: Path<'a>,
    name: Name<'a>,
}

enum Name<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(super) fn key(&self, name: &'a str) -> Self {
        self.step(Name::Key(name))
    }

    fn index(&self, index: usize) -> Self {
        self.step(Name::Index(index))
    }

    fn may_hold_secret(&self) -> bool {
        self.0.as_ref().is_some_and(|step| {
            let here = matches!(step.name, Name::Key(key) if may_hold_secret(key));
            here || step.before.may_hold_secret()
        })
    }

    fn step(&self, name: Name<'a>) -> Self {
        let before = self.clone();
        Self(Some(Rc::new(Step { before, name })))
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(step) = &self.0 else { return Ok(()) };
        if step.before.0.is_some() {
            write!(f, "{}.", step.before)?;
        }
        match step.name {
            Name::Key(name) => f.write_str(name),
            Name::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A value on its way to being read.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) node: &'a Node,
    pub(super) path: Path<'a>,
    pub(super) sink: &'a Sink,
}

impl<'a> Cursor<'a> {
    pub(super) fn root(node: &'a Node, sink: &'a Sink) -> Self {
        Self {
            node,
            path: Path::default(),
            sink,
        }
    }

    pub(super) fn mistake(&self, message: impl Into<String>) {
        self.report(message, || None);
    }

    pub(super) fn report(&self, message: impl Into<String>, hint: impl FnOnce() -> Option<String>) {
        let path = || self.path.to_string();
        self.sink.mistake(&self.node.origin, path, message, hint);
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        self.sink
            .warning(&self.node.origin, &self.path, message.into());
    }

    /// Says what should stand here and what does.
    pub(super) fn expected(&self, what: &str, hint: Option<&str>) {
        let found = match &self.node.tree {
            Tree::Broken => return,
            Tree::Null => "nothing".to_owned(),
            Tree::Scalar(_) | Tree::Quoted(_) if self.path.may_hold_secret() => {
                "other text".to_owned()
            }
            Tree::Scalar(text) | Tree::Quoted(text) => quoted(text),
            Tree::List(_) => "a list".to_owned(),
            Tree::Map(_) => "a map".to_owned(),
        };
        self.report(format!("expected {what}, found {found}"), || {
            hint.map(str::to_owned)
        });
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.tree, Tree::Null)
    }

    /// The text of a scalar, without complaint where it is something else.
    pub(super) fn scalar(&self) -> Option<&'a str> {
        match &self.node.tree {
            Tree::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The keys of a map.
    pub(super) fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.entries()?;
        Some(Fields {
            entries,
            path: self.path.clone(),
            origin: &self.node.origin,
            sink: self.sink,
            known: Vec::new(),
        })
    }

    /// A map whose keys are the user's own words, with what stands under each.
    pub(super) fn members(&self) -> Vec<(&'a Entry, Cursor<'a>)> {
        let entries = self.entries().unwrap_or_default();
        let member = |entry: &'a Entry| (entry, self.at(&entry.key, &entry.node));
        entries.iter().map(member).collect()
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Cursor<'a>> {
        let Tree::List(items) = &self.node.tree else {
            self.expected("a list", None);
            return Vec::new();
        };
        let item = |(index, node)| Cursor {
            node,
            path: self.path.index(index),
            sink: self.sink,
        };
        items.iter().enumerate().map(item).collect()
    }

    fn entries(&self) -> Option<&'a [Entry]> {
        if let Tree::Map(entries) = &self.node.tree {
            return Some(entries);
        }
        self.expected("a map", None);
        None
    }

    fn at(&self, name: &'a str, node: &'a Node) -> Self {
        Self {
            node,
            path: self.path.key(name),
            sink: self.sink,
        }
    }
}

/// The keys of one map, taken one by one.
pub(super) struct Fields<'a> {
    entries: &'a [Entry],
    path: Path<'a>,
    origin: &'a Origin,
    sink: &'a Sink,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// What stands under a key; a key without a value is as if it were not written.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let cursor = Cursor {
            node: &entry.node,
            path: self.path.key(&entry.key),
            sink: self.sink,
        };
        (!cursor.is_null()).then_some(cursor)
    }

    /// What a key says, read by `read`.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Cursor<'a>) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|cursor| read(&cursor))
    }

    /// Overwrites `target` where the key is written and well.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        read: impl FnOnce(&Cursor<'a>) -> Option<T>,
    ) {
        if let Some(value) = self.read(key, read) {
            *target = value;
        }
    }

    /// Like `take`, and a mistake where the key is missing.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        let cursor = self.take(key);
        if cursor.is_none() {
            self.mistake(format!("{} is missing", quoted(key)));
        }
        cursor
    }

    /// A mistake of the map as a whole.
    pub(super) fn mistake(&self, message: impl Into<String>) {
        let path = || self.path.to_string();
        self.sink.mistake(self.origin, path, message, || None);
    }

    /// Reports the keys that nothing asked for.
    pub(super) fn finish(self) {
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            self.sink.mistake(
                &entry.key_origin,
                || self.path.key(&entry.key).to_string(),
                format!("unknown key {}", quoted(&entry.key)),
                || suggestion(&entry.key, "the keys here are", &self.known),
            );
        }
    }
}
