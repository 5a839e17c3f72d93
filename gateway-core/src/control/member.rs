//! Members of documents: what each may hold, who may write it, and what a PATCH does to it.
//!
//! A resource is a table of [`Member`]s. One walk over the table checks a body, so every resource refuses in the same words.

use serde_json::{Map, Value};

use super::{ControlError, Document};
use crate::resource::ProtocolType;

/// One member of a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) write: Write,
    /// Must be there when the resource is created, and cannot be cleared.
    pub(super) required: bool,
    pub(super) patch: Patch,
    /// The only protocol that has it.
    pub(super) only: Option<ProtocolType>,
}

/// What a member may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Text of so many characters.
    Text(usize, usize),
    /// One of these.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// Any number from zero.
    Number,
    /// A list of texts, of so many characters each.
    Texts(usize, usize),
    /// Texts of so many characters by key.
    TextMap(usize, usize),
    /// Maps of texts by key.
    TextMaps(usize, usize),
    /// Text that is JSON; templates write it as an object.
    Json(usize),
    /// An object with members of its own.
    Object(&'static [Member]),
    /// Such objects by key.
    ObjectMap(&'static [Member]),
    /// A list of such objects.
    Objects(&'static [Member]),
}

/// Who writes a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Whoever creates or changes the resource.
    Always,
    /// Whoever creates it; a change of it is refused.
    Once,
    /// Whoever creates it, for something else than the resource: it is not kept.
    Passing,
}

/// What a PATCH that names the member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patch {
    /// The new value takes the place of the old one; empty text clears it.
    Replace,
    /// Keys are added or replaced; empty text is a value as any other.
    Merge,
    /// Keys are added or replaced; empty text removes its key.
    MergeOrRemove,
}

/// What is being done with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    Update,
}

impl Member {
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            write: Write::Always,
            required: false,
            patch: Patch::Replace,
            only: None,
        }
    }

    pub(super) const fn text(name: &'static str, least: usize, most: usize) -> Self {
        Self::new(name, Shape::Text(least, most))
    }

    pub(super) const fn flag(name: &'static str) -> Self {
        Self::new(name, Shape::Flag)
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn once(mut self) -> Self {
        self.write = Write::Once;
        self
    }

    pub(super) const fn passing(mut self) -> Self {
        self.write = Write::Passing;
        self
    }

    pub(super) const fn merge(mut self) -> Self {
        self.patch = Patch::Merge;
        self
    }

    pub(super) const fn merge_or_remove(mut self) -> Self {
        self.patch = Patch::MergeOrRemove;
        self
    }

    pub(super) const fn websocket(mut self) -> Self {
        self.only = Some(ProtocolType::Websocket);
        self
    }

    pub(super) const fn http(mut self) -> Self {
        self.only = Some(ProtocolType::Http);
        self
    }
}

/// Entries that a map or a list may have; AWS has lower figures, such as 100 stage variables.
const MOST_ENTRIES: usize = 1000;

/// The members of `body` that the table knows and this mode may write, each of the right shape; what the table does not know
/// is passed over, as AWS does.
pub(super) fn read(
    table: &[Member],
    body: Document,
    mode: Mode,
    protocol: Option<ProtocolType>,
) -> Result<Document, ControlError> {
    let mut flaws = Vec::new();
    let mut read = Document::new();
    let mut body = body;
    for member in table {
        let given = body.remove(member.name).filter(|value| !value.is_null());
        let Some(value) = given else {
            if member.required && mode == Mode::Create {
                flaws.push(missing(member.name));
            }
            continue;
        };
        if mode == Mode::Update && member.write == Write::Once {
            // Clients send back what they read; only what would change is refused, by whoever compares.
            read.insert(member.name.to_owned(), value);
            continue;
        }
        if let (Some(only), Some(protocol)) = (member.only, protocol)
            && only != protocol
        {
            if !is_nothing(&value) {
                flaws.push(not_for(member.name, protocol));
            }
            continue;
        }
        let clears = value.as_str().is_some_and(str::is_empty)
            && !matches!(member.shape, Shape::Text(0, _))
            && !member.required;
        if clears {
            if mode == Mode::Update {
                read.insert(member.name.to_owned(), value);
            }
            continue;
        }
        if let Some(value) = shaped(member.name, &member.shape, value, &mut flaws) {
            read.insert(member.name.to_owned(), value);
        }
    }
    refuse(&flaws)?;
    Ok(read)
}

/// Lays the members that [`read`] let through over a stored document.
pub(super) fn patch(
    table: &[Member],
    stored: &mut Document,
    change: Document,
) -> Result<(), ControlError> {
    for (name, value) in change {
        let Some(member) = table.iter().find(|member| member.name == name) else {
            continue;
        };
        match member.write {
            Write::Always => {}
            Write::Passing => continue,
            Write::Once if stored.get(&name) == Some(&value) => continue,
            Write::Once => {
                return Err(ControlError::bad(format!(
                    "{name} cannot be changed once it is set"
                )));
            }
        }
        match (member.patch, value, stored.get_mut(&name)) {
            (Patch::Replace, Value::String(text), _) if text.is_empty() => {
                stored.remove(&name);
            }
            (Patch::Merge, Value::Object(new), Some(Value::Object(old))) => old.extend(new),
            (Patch::MergeOrRemove, Value::Object(new), Some(Value::Object(old))) => merge(old, new),
            (Patch::MergeOrRemove, Value::Object(new), None) => {
                let mut fresh = Map::new();
                merge(&mut fresh, new);
                stored.insert(name, Value::Object(fresh));
            }
            (_, value, _) => {
                stored.insert(name, value);
            }
        }
    }
    Ok(())
}

fn merge(old: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        if value == "" {
            old.remove(&key);
        } else {
            old.insert(key, value);
        }
    }
}

/// Removes what an update of the map would remove, from a map that is created.
pub(super) fn drop_empty(document: &mut Document, table: &[Member]) {
    for member in table
        .iter()
        .filter(|member| member.patch == Patch::MergeOrRemove)
    {
        if let Some(Value::Object(map)) = document.get_mut(member.name) {
            map.retain(|_, value| value != "");
        }
    }
}

fn shaped(at: &str, shape: &Shape, value: Value, flaws: &mut Vec<String>) -> Option<Value> {
    let count = value
        .as_object()
        .map(Map::len)
        .or(value.as_array().map(Vec::len));
    if count.is_some_and(|count| count > MOST_ENTRIES) {
        flaws.push(format!(
            "Value at '{at}' failed to satisfy constraint: Member must have length less than or equal to {MOST_ENTRIES}"
        ));
        return None;
    }
    let kind = |flaws: &mut Vec<String>, expected: &str| {
        flaws.push(format!(
            "Value at '{at}' failed to satisfy constraint: Member must be {expected}"
        ));
        None
    };
    match (shape, value) {
        (Shape::Text(least, most), Value::String(text)) => {
            within(at, &text, *least, *most, flaws).then_some(Value::String(text))
        }
        (Shape::Choice(choices), Value::String(text)) => {
            if choices.contains(&text.as_str()) {
                return Some(Value::String(text));
            }
            let set = choices.join(", ");
            flaws.push(format!(
                "Value '{text}' at '{at}' failed to satisfy constraint: Member must satisfy enum value set: [{set}]"
            ));
            None
        }
        (Shape::Flag, value @ Value::Bool(_)) => Some(value),
        // Templates and older tools write them as text.
        (Shape::Flag, Value::String(text)) if text == "true" || text == "false" => {
            Some(Value::Bool(text == "true"))
        }
        (Shape::Whole(least, most), Value::Number(number)) => match number.as_i64() {
            Some(whole) if (*least..=*most).contains(&whole) => Some(Value::Number(number)),
            Some(whole) => {
                let (side, bound) = if whole < *least {
                    ("greater", least)
                } else {
                    ("less", most)
                };
                flaws.push(format!(
                    "Value '{whole}' at '{at}' failed to satisfy constraint: Member must have value {side} than or equal to {bound}"
                ));
                None
            }
            None => kind(flaws, "an integer"),
        },
        (Shape::Number, Value::Number(number)) => {
            if number.as_f64().is_some_and(|number| number >= 0.0) {
                return Some(Value::Number(number));
            }
            kind(flaws, "a number from 0")
        }
        (Shape::Whole(..) | Shape::Number, Value::String(text)) => {
            match serde_json::from_str::<Value>(text.trim()) {
                Ok(number @ Value::Number(_)) => shaped(at, shape, number, flaws),
                _ => kind(flaws, "a number"),
            }
        }
        (Shape::Texts(least, most), Value::Array(items)) => items
            .into_iter()
            .map(|item| shaped(at, &Shape::Text(*least, *most), item, flaws))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        (Shape::TextMap(least, most), Value::Object(map)) => {
            entries(at, &Shape::Text(*least, *most), map, flaws)
        }
        (Shape::TextMaps(least, most), Value::Object(map)) => {
            entries(at, &Shape::TextMap(*least, *most), map, flaws)
        }
        (Shape::Json(most), Value::String(text)) => {
            within(at, &text, 0, *most, flaws).then_some(Value::String(text))
        }
        (Shape::Object(table), Value::Object(map)) => object(at, table, map, flaws),
        (Shape::ObjectMap(table), Value::Object(map)) => {
            let entries = map.into_iter().map(|(key, value)| {
                let at = format!("{at}.{key}");
                let value = shaped(&at, &Shape::Object(table), value, flaws)?;
                Some((key, value))
            });
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        (Shape::Objects(table), Value::Array(items)) => items
            .into_iter()
            .map(|item| shaped(at, &Shape::Object(table), item, flaws))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        (shape, _) => kind(flaws, shape.name()),
    }
}

fn entries(
    at: &str,
    shape: &Shape,
    map: Map<String, Value>,
    flaws: &mut Vec<String>,
) -> Option<Value> {
    let entries = map.into_iter().map(|(key, value)| {
        let value = shaped(&format!("{at}.{key}"), shape, value, flaws)?;
        Some((key, value))
    });
    entries.collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn object(
    at: &str,
    table: &[Member],
    mut map: Map<String, Value>,
    flaws: &mut Vec<String>,
) -> Option<Value> {
    let mut read = Map::new();
    let before = flaws.len();
    for member in table {
        let name = format!("{at}.{}", member.name);
        match map.remove(member.name).filter(|value| !value.is_null()) {
            None if member.required => flaws.push(missing(&name)),
            None => {}
            Some(value) => {
                if let Some(value) = shaped(&name, &member.shape, value, flaws) {
                    read.insert(member.name.to_owned(), value);
                }
            }
        }
    }
    (flaws.len() == before).then_some(Value::Object(read))
}

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Self::Text(..) | Self::Choice(_) | Self::Json(_) => "a string",
            Self::Flag => "a boolean",
            Self::Whole(..) => "an integer",
            Self::Number => "a number",
            Self::Texts(..) => "a list of strings",
            Self::TextMap(..) => "a map of strings",
            Self::TextMaps(..) => "a map of maps of strings",
            Self::Object(_) => "an object",
            Self::ObjectMap(_) => "a map of objects",
            Self::Objects(_) => "a list of objects",
        }
    }
}

/// What a client sends that fills in every member it knows.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(false) | Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn within(at: &str, text: &str, least: usize, most: usize, flaws: &mut Vec<String>) -> bool {
    let length = text.chars().count();
    let bound = if length < least {
        format!("greater than or equal to {least}")
    } else if length > most {
        format!("less than or equal to {most}")
    } else {
        return true;
    };
    let shown: String = text.chars().take(64).collect();
    flaws.push(format!(
        "Value '{shown}' at '{at}' failed to satisfy constraint: Member must have length {bound}"
    ));
    false
}

fn missing(name: &str) -> String {
    format!("Value null at '{name}' failed to satisfy constraint: Member must not be null")
}

fn not_for(name: &str, protocol: ProtocolType) -> String {
    let protocol = match protocol {
        ProtocolType::Websocket => "WEBSOCKET",
        ProtocolType::Http => "HTTP",
    };
    format!(
        "Value at '{name}' failed to satisfy constraint: Member is not supported on protocolType {protocol}"
    )
}

/// The refusal of a request that lacks what it must name.
pub(super) fn absent(name: &str) -> ControlError {
    ControlError::bad(format!("1 validation error detected: {}", missing(name)))
}

fn refuse(flaws: &[String]) -> Result<(), ControlError> {
    if flaws.is_empty() {
        return Ok(());
    }
    let errors = if flaws.len() == 1 { "error" } else { "errors" };
    Err(ControlError::bad(format!(
        "{} validation {errors} detected: {}",
        flaws.len(),
        flaws.join("; ")
    )))
}
