//! One tree out of four layers: defaults < file < environment < flags.

use std::sync::Arc;

use super::diagnostic::{Origin, nearest, quoted};
use super::reader::Sink;
use super::yaml::{self, Entry, Node, Tree};

/// The page that documents every option is also what is in force where nothing else is said.
const DEFAULTS: &str = include_str!("../../wiregate.default.yaml");

/// Variables that begin with `WIREGATE_` and are read elsewhere; the last two by the commands that ask a running gateway.
const NOT_SETTINGS: [&str; 4] = [
    "WIREGATE_BIN",
    "WIREGATE_CONFIG",
    "WIREGATE_TOKEN",
    "WIREGATE_URL",
];

/// Values from the command line; each stands over every other layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<String>,
    /// `--management-listen`
    pub management_listen: Option<String>,
    /// `--store`
    pub store: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
}

/// Where each value of the sections `server` and `lambda` came from, in the order of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins(Vec<(String, Origin)>);

impl Origins {
    /// Where a value such as `server.listen` came from.
    pub fn of(&self, path: &str) -> Option<&Origin> {
        let found = self.0.iter().find(|(known, _)| known == path);
        found.map(|(_, origin)| origin)
    }

    /// All of them with their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(path, origin)| (path.as_str(), origin))
    }

    pub(super) fn collect(tree: &Node) -> Self {
        let mut origins = Vec::new();
        for section in ["server", "lambda"] {
            if let Some(entry) = tree.child(section) {
                leaves(section, &entry.node, &mut |path, node| {
                    origins.push((path.to_owned(), node.origin.clone()));
                });
            }
        }
        Self(origins)
    }
}

/// The defaults as a tree.
pub(super) fn defaults() -> Node {
    let (tree, _) = yaml::parse(DEFAULTS);
    let mut tree = tree.expect("it is compiled in, and a test loads it");
    stamp(&mut tree, &Origin::Default);
    tree
}

/// Lays `top` over `base`: maps key by key, anything else whole; a key without a value changes nothing.
pub(super) fn overlay(base: &mut Node, top: Node) {
    match (&mut base.tree, top.tree) {
        (_, Tree::Null) => {}
        (Tree::Map(entries), Tree::Map(over)) => {
            base.origin = top.origin;
            for entry in over {
                match entries.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => {
                        known.key_origin = entry.key_origin;
                        overlay(&mut known.node, entry.node);
                    }
                    None => entries.push(entry),
                }
            }
        }
        (_, tree) => {
            base.tree = tree;
            base.origin = top.origin;
        }
    }
}

/// Lays the `WIREGATE_*` variables over the tree; one that names no setting is a mistake.
pub(super) fn apply_environment(
    tree: &mut Node,
    settings: &[Setting],
    variables: impl IntoIterator<Item = (String, String)>,
    sink: &Sink,
) {
    for (name, value) in variables {
        let foreign = !name.starts_with("WIREGATE_") || NOT_SETTINGS.contains(&name.as_str());
        if foreign || value.is_empty() || written_by_kubernetes(&name) {
            continue;
        }
        let origin = Origin::Environment(Arc::from(name.as_str()));
        if let Some(setting) = settings.iter().find(|setting| setting.variable == name) {
            let node = setting.read(&value, &origin, sink);
            put(tree, &setting.path, node);
            continue;
        }
        let known = settings.iter().map(|setting| setting.variable.as_str());
        let near = nearest(&name, known).map(|word| format!("did you mean {}?", quoted(word)));
        let hint = near.unwrap_or("wiregate.default.yaml lists the settings".to_owned());
        let message = "no setting has this name";
        sink.mistake(&origin, String::new, message, || Some(hint));
    }
}

/// Lays the flags over the tree.
pub(super) fn apply_flags(tree: &mut Node, flags: &Overrides) {
    let flags = [
        ("listen", "--listen", &flags.listen),
        (
            "managementListen",
            "--management-listen",
            &flags.management_listen,
        ),
        ("store", "--store", &flags.store),
        ("dataDir", "--data-dir", &flags.data_dir),
    ];
    for (key, flag, value) in flags {
        if let Some(value) = value {
            let path = ["server".to_owned(), key.to_owned()];
            let node = Node {
                tree: Tree::Scalar(value.clone()),
                origin: Origin::Flag(flag),
            };
            put(tree, &path, node);
        }
    }
}

/// A Service named `wiregate` puts its own `WIREGATE_SERVICE_HOST`, `WIREGATE_PORT_8080_TCP` and so on into every pod.
fn written_by_kubernetes(name: &str) -> bool {
    let numbered = name
        .split("_PORT_")
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    numbered
        || name.ends_with("_PORT")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
}

/// An option that a variable can set.
pub(super) struct Setting {
    variable: String,
    path: Vec<String>,
    default: Tree,
}

impl Setting {
    /// A variable's text as a value: lists with commas, lists and maps also as in YAML, anything else as it stands.
    fn read(&self, value: &str, origin: &Origin, sink: &Sink) -> Node {
        let is_list = matches!(self.default, Tree::List(_));
        let begins = |c| value.trim_start().starts_with(c);
        let structured = match self.default {
            Tree::List(_) => begins('['),
            Tree::Map(_) => true,
            _ => begins('{'),
        };
        let tree = if structured {
            let (tree, flaws) = yaml::parse(value);
            for flaw in flaws {
                let hint = || flaw.hint.map(str::to_owned);
                sink.mistake(origin, || self.path.join("."), flaw.message, hint);
            }
            tree.map_or(Tree::Broken, |node| node.tree)
        } else if is_list {
            let items = value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let item = |item: &str| Node {
                tree: Tree::Scalar(item.to_owned()),
                origin: origin.clone(),
            };
            Tree::List(items.map(item).collect())
        } else {
            Tree::Scalar(value.to_owned())
        };
        let mut node = Node {
            tree,
            origin: origin.clone(),
        };
        stamp(&mut node, origin);
        node
    }
}

/// Every option of the default page with its variable: `WIREGATE_` and the key, where `server` goes without saying.
pub(super) fn settings(defaults: &Node) -> Vec<Setting> {
    let mut settings = Vec::new();
    leaves("", defaults, &mut |path, node| {
        let named = path.strip_prefix("server.").unwrap_or(path);
        settings.push(Setting {
            variable: format!("WIREGATE_{}", screaming(named)),
            path: path.split('.').map(str::to_owned).collect(),
            default: node.tree.clone(),
        });
    });
    settings
}

/// `log.level` becomes `LOG_LEVEL`, `managementListen` becomes `MANAGEMENT_LISTEN`.
fn screaming(path: &str) -> String {
    let mut name = String::new();
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(if c == '.' {
            '_'
        } else {
            c.to_ascii_uppercase()
        });
    }
    name
}

/// Visits what is not itself a map of options.
fn leaves(path: &str, node: &Node, visit: &mut impl FnMut(&str, &Node)) {
    match &node.tree {
        Tree::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{}", entry.key), &entry.node, visit);
            }
        }
        _ => visit(path, node),
    }
}

/// Sets a value; where the file put something else than a map on the way, that is reported when it is read.
fn put(tree: &mut Node, path: &[String], node: Node) {
    let [key, rest @ ..] = path else {
        *tree = node;
        return;
    };
    let Tree::Map(entries) = &mut tree.tree else {
        return;
    };
    match entries.iter_mut().find(|entry| &entry.key == key) {
        Some(entry) => put(&mut entry.node, rest, node),
        None if rest.is_empty() => entries.push(Entry {
            key: key.clone(),
            key_origin: node.origin.clone(),
            node,
        }),
        None => {}
    }
}

/// Gives a whole tree one origin.
fn stamp(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.tree {
        Tree::List(items) => items.iter_mut().for_each(|item| stamp(item, origin)),
        Tree::Map(entries) => {
            for entry in entries {
                entry.key_origin = origin.clone();
                stamp(&mut entry.node, origin);
            }
        }
        _ => {}
    }
}
