//! Collections whose members have an id: a map by the id, or a list whose items hold it.
//!
//! `stages: { dev: {…} }`, `stages: [dev]` and `stages: [{ stageName: dev, … }]` say the same.

use std::collections::HashMap;

use super::diagnostic::{Origin, quoted};
use super::reader::{Cursor, Fields, Path, Sink};
use super::yaml::Tree;

/// One member.
pub(super) struct Keyed<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// What is said of it; `None` where only its id stands.
    pub(super) body: Option<Cursor<'a>>,
    /// Where the id stands.
    origin: &'a Origin,
    path: Path<'a>,
    sink: &'a Sink,
    /// The key that holds the id, in the list form.
    id_key: Option<&'static str>,
}

impl<'a> Keyed<'a> {
    /// The keys of a member that is a map.
    pub(super) fn fields(&self) -> Option<Fields<'a>> {
        let mut fields = self.body.as_ref()?.fields()?;
        if let Some(key) = self.id_key {
            fields.take(key);
        }
        Some(fields)
    }

    /// Something is wrong with the id, or with the member as a whole.
    pub(super) fn mistake(&self, message: impl Into<String>, hint: Option<String>) {
        let path = || self.path.to_string();
        self.sink.mistake(self.origin, path, message, || hint);
    }
}

/// The members of a collection; equal ids are reported.
pub(super) fn read<'a>(collection: &Cursor<'a>, id_key: &'static str) -> Vec<Keyed<'a>> {
    if matches!(collection.node.tree, Tree::Map(_)) {
        return collection
            .members()
            .into_iter()
            .map(|(entry, cursor)| Keyed {
                id: &entry.key,
                origin: &entry.key_origin,
                path: cursor.path.clone(),
                sink: cursor.sink,
                body: Some(cursor).filter(|cursor| !cursor.is_null()),
                id_key: None,
            })
            .collect();
    }
    if !matches!(collection.node.tree, Tree::List(_)) {
        collection.expected("a map or a list", None);
        return Vec::new();
    }
    let mut seen = HashMap::new();
    let mut members = Vec::new();
    for item in collection.items() {
        let Some(member) = item_of_list(collection, &item, id_key) else {
            continue;
        };
        match seen.insert(member.id, member.origin.position()) {
            None => members.push(member),
            Some(earlier) => {
                let line = earlier.map_or(0, |position| position.line);
                let id = quoted(member.id);
                member.mistake(
                    format!("duplicate {id_key} {id}, first written in line {line}"),
                    None,
                );
            }
        }
    }
    members
}

fn item_of_list<'a>(
    collection: &Cursor<'a>,
    item: &Cursor<'a>,
    id_key: &'static str,
) -> Option<Keyed<'a>> {
    if let Some(id) = item.scalar() {
        return Some(Keyed {
            id,
            body: None,
            origin: &item.node.origin,
            path: collection.path.key(id),
            sink: item.sink,
            id_key: None,
        });
    }
    let id_at = item.fields()?.required(id_key)?;
    let id = id_at.text()?;
    let path = collection.path.key(id);
    Some(Keyed {
        id,
        origin: &id_at.node.origin,
        sink: item.sink,
        body: Some(Cursor {
            path: path.clone(),
            ..item.clone()
        }),
        path,
        id_key: Some(id_key),
    })
}
