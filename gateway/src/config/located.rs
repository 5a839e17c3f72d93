//! Where each setting stands, so that mistakes found later, in what was loaded, point into the file too.

use std::sync::Arc;

use super::api::InlineIntegration;
use super::diagnostic::{Diagnostic, Origin, Position};
use super::yaml::{Node, Tree};

/// Keys that hold the id of a list's item.
const ID_KEYS: [&str; 8] = [
    "apiId",
    "routeKey",
    "integrationId",
    "authorizerId",
    "stageName",
    "integrationResponseKey",
    "routeResponseKey",
    "domainName",
];

/// The settings as they were written.
#[derive(Debug, Clone)]
pub struct Located {
    file: Arc<str>,
    pub(super) tree: Node,
    inline: Vec<InlineIntegration>,
}

impl Located {
    pub(super) fn new(file: &str, tree: Node, inline: Vec<InlineIntegration>) -> Self {
        Self {
            file: file.into(),
            tree,
            inline,
        }
    }

    /// Line and column of a setting, named by its keys from the top (`apis`, `chat`, `routes`, `echo`), or of the nearest
    /// thing around it that was written.
    pub fn line_of(&self, path: &[&str]) -> Option<(u32, u32)> {
        let Position { line, column } = self.origin_of(path).position()?;
        Some((line, column))
    }

    /// A mistake in an API, with the keys below it such as `routes`, `echo`, `integration`, `integrationUri`.
    pub fn mistake(
        &self,
        api_id: &str,
        keys: &[impl AsRef<str>],
        message: impl Into<String>,
    ) -> Diagnostic {
        let mut path = vec!["apis", api_id];
        path.extend(keys.iter().map(AsRef::as_ref));
        Diagnostic {
            file: Arc::clone(&self.file),
            origin: self.origin_of(&path),
            path: path.join("."),
            message: message.into(),
            hint: None,
        }
    }

    /// Where a setting came from, or else what stands around it.
    pub fn origin_of(&self, path: &[&str]) -> Origin {
        let (found, _) = self.walk(path);
        found.cloned().unwrap_or(Origin::WholeFile)
    }

    /// Where a setting came from, if it was written.
    pub(super) fn exact(&self, path: &[&str]) -> Option<&Origin> {
        match self.walk(path) {
            (found, true) => found,
            _ => None,
        }
    }

    /// How the settings file was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The deepest origin on the way, and whether the way was found to its end.
    fn walk(&self, path: &[&str]) -> (Option<&Origin>, bool) {
        let mut node = &self.tree;
        let mut found = None;
        for key in self.as_written(path) {
            let Some((origin, next)) = step(node, key) else {
                return (found, false);
            };
            (found, node) = (Some(origin), next);
        }
        (found, true)
    }

    /// `integrations`, `echo` of an integration that stands in its route is `routes`, `echo`, `integration` in the file.
    fn as_written<'p>(&'p self, path: &[&'p str]) -> Vec<&'p str> {
        if let ["apis", api_id, "integrations", id, rest @ ..] = path {
            let is_it = |inline: &&InlineIntegration| {
                inline.api_id == *api_id && inline.integration_id == *id
            };
            if let Some(inline) = self.inline.iter().find(is_it) {
                let way = ["apis", api_id, "routes", &inline.route_key, "integration"];
                return [&way, rest].concat();
            }
        }
        path.to_vec()
    }
}

/// One step down: where it leads, and what stands there.
fn step<'n>(node: &'n Node, key: &str) -> Option<(&'n Origin, &'n Node)> {
    match &node.tree {
        Tree::Map(_) => {
            let entry = node.child(key)?;
            let origin = match entry.node.tree {
                Tree::Scalar(_) => &entry.node.origin,
                _ => &entry.key_origin,
            };
            Some((origin, &entry.node))
        }
        Tree::List(items) => {
            let item = match key.parse::<usize>().ok().and_then(|index| items.get(index)) {
                Some(item) => item,
                None => items.iter().find(|item| has_id(item, key))?,
            };
            Some((&item.origin, item))
        }
        _ => None,
    }
}

/// Whether an item of a list is the one of this id.
fn has_id(item: &Node, id: &str) -> bool {
    let is = |node: &Node| matches!(&node.tree, Tree::Scalar(text) if text == id);
    let holds = |key| item.child(key).is_some_and(|entry| is(&entry.node));
    is(item) || ID_KEYS.into_iter().any(holds)
}
