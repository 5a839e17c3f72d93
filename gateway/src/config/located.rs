//! Where each setting stands, so that mistakes found later, in what was loaded, point into the file too.

use std::sync::Arc;

use super::api::InlineIntegration;
use super::diagnostic::{Diagnostic, Origin, Position};
use super::yaml::{Entry, Node, Tree};

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

    /// Line and column of a setting such as `apis.chat.routes.echo.integration.integrationUri`, or of the nearest thing
    /// around it that was written.
    pub fn line_of(&self, path: &str) -> Option<(u32, u32)> {
        let Position { line, column } = self.origin_of(path).position()?;
        Some((line, column))
    }

    /// A mistake in an API, with a path below it such as `routes.echo.integration.integrationUri`.
    pub fn mistake(
        &self,
        api_id: &str,
        path: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        let path = format!("apis.{api_id}.{path}");
        Diagnostic {
            file: Arc::clone(&self.file),
            origin: self.origin_of(&path),
            path,
            message: message.into(),
            hint,
        }
    }

    /// Where a setting came from, or else what stands around it.
    pub fn origin_of(&self, path: &str) -> Origin {
        let (found, _) = self.walk(path);
        found.cloned().unwrap_or(Origin::WholeFile)
    }

    /// Where a setting came from, if it was written.
    pub(super) fn exact(&self, path: &str) -> Option<&Origin> {
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
    fn walk(&self, path: &str) -> (Option<&Origin>, bool) {
        let written = self.as_written(path);
        let mut rest = written.as_deref().unwrap_or(path);
        let mut node = &self.tree;
        let mut found = None;
        while !rest.is_empty() {
            let Some((origin, next, after)) = step(node, rest) else {
                return (found, false);
            };
            (found, node, rest) = (Some(origin), next, after);
        }
        (found, true)
    }

    /// `integrations.echo` of an integration that stands in its route is `routes.echo.integration` in the file.
    fn as_written(&self, path: &str) -> Option<String> {
        let (api_id, rest) = path.strip_prefix("apis.")?.split_once('.')?;
        let rest = rest.strip_prefix("integrations.")?;
        let (id, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let inline = self
            .inline
            .iter()
            .find(|inline| inline.api_id == api_id && inline.integration_id == id)?;
        let way = format!("apis.{api_id}.routes.{}.integration", inline.route_key);
        Some(match rest {
            "" => way,
            rest => format!("{way}.{rest}"),
        })
    }
}

/// One step down: where it leads, and what is left of the way. Keys may hold dots, so the longest that fits is taken.
fn step<'n, 'p>(node: &'n Node, way: &'p str) -> Option<(&'n Origin, &'n Node, &'p str)> {
    match &node.tree {
        Tree::Map(entries) => {
            let fits = |entry: &&Entry| after(way, &entry.key).is_some();
            let entry = entries.iter().filter(fits).max_by_key(|e| e.key.len())?;
            let origin = match entry.node.tree {
                Tree::Scalar(_) => &entry.node.origin,
                _ => &entry.key_origin,
            };
            Some((origin, &entry.node, after(way, &entry.key)?))
        }
        Tree::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            let rest = after(way, &index.to_string()).or_else(|| {
                let id = |key| match &item.child(key)?.node.tree {
                    Tree::Scalar(text) => after(way, text),
                    _ => None,
                };
                match &item.tree {
                    Tree::Scalar(text) => after(way, text),
                    _ => ID_KEYS.into_iter().find_map(id),
                }
            })?;
            Some((&item.origin, item, rest))
        }),
        _ => None,
    }
}

/// What follows `name` on the way.
fn after<'p>(way: &'p str, name: &str) -> Option<&'p str> {
    match way.strip_prefix(name)? {
        "" => Some(""),
        rest => rest.strip_prefix('.').filter(|_| !name.is_empty()),
    }
}
