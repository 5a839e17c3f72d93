//! What may stand before a YAML value, for the readers that take it: tags, anchors, aliases and merge keys.
//!
//! CloudFormation's short tags become the long form of their function: `!Sub x` is read as `Fn::Sub: x`.

use std::collections::HashMap;

use saphyr_parser::Tag;

use super::diagnostic::{Position, quoted};
use super::yaml::{Entry, Flaw, Node, Tree};

/// The functions that have a tag ("AWS CloudFormation, intrinsic function reference"), each with its long form.
const FUNCTIONS: [(&str, &str); 20] = [
    ("Ref", "Ref"),
    ("Condition", "Condition"),
    ("And", "Fn::And"),
    ("Base64", "Fn::Base64"),
    ("Cidr", "Fn::Cidr"),
    ("Equals", "Fn::Equals"),
    ("FindInMap", "Fn::FindInMap"),
    ("ForEach", "Fn::ForEach"),
    ("GetAtt", "Fn::GetAtt"),
    ("GetAZs", "Fn::GetAZs"),
    ("If", "Fn::If"),
    ("ImportValue", "Fn::ImportValue"),
    ("Join", "Fn::Join"),
    ("Not", "Fn::Not"),
    ("Or", "Fn::Or"),
    ("Select", "Fn::Select"),
    ("Split", "Fn::Split"),
    ("Sub", "Fn::Sub"),
    ("ToJsonString", "Fn::ToJsonString"),
    ("Transform", "Fn::Transform"),
];

/// Bytes of text that count as one value when they are copied.
const BYTES_OF_A_VALUE: usize = 64;

/// What stands before one value.
#[derive(Default)]
pub(super) struct Mark {
    /// 0 where there is none.
    anchor: usize,
    function: Option<&'static str>,
    text: bool,
    /// A tag that is unknown, which has been said.
    broken: bool,
}

impl Mark {
    /// Reads a tag; one that means nothing here is a flaw.
    pub(super) fn read(
        anchor: usize,
        tag: Option<&Tag>,
        position: Position,
    ) -> (Self, Option<Flaw>) {
        let mut mark = Self {
            anchor,
            ..Self::default()
        };
        let Some(tag) = tag else { return (mark, None) };
        if tag.is_yaml_core_schema() || tag.handle == "!!" {
            mark.text = tag.suffix == "str";
            if matches!(
                &*tag.suffix,
                "str" | "int" | "float" | "bool" | "null" | "map" | "seq"
            ) {
                return (mark, None);
            }
        } else if tag.handle == "!" {
            if tag.suffix.is_empty() {
                mark.text = true;
                return (mark, None);
            }
            let function = FUNCTIONS.iter().find(|(short, _)| *short == tag.suffix);
            if let Some((_, long)) = function {
                mark.function = Some(long);
                return (mark, None);
            }
        }
        mark.broken = true;
        let flaw = Flaw {
            position,
            message: format!("unknown tag {}", quoted(&tag.to_string())),
            hint: Some("templates know CloudFormation's functions, such as !Ref, !Sub and !GetAtt"),
        };
        (mark, Some(flaw))
    }

    /// `!!str 1` is text, not a number.
    pub(super) fn is_text(&self) -> bool {
        self.text
    }

    /// The value inside the function that its tag names.
    pub(super) fn wrap(&self, node: Node) -> Node {
        if self.broken {
            return Node {
                tree: Tree::Broken,
                origin: node.origin,
            };
        }
        let Some(function) = self.function else {
            return node;
        };
        let origin = node.origin.clone();
        let entry = Entry {
            key: function.to_owned(),
            key_origin: origin.clone(),
            node,
        };
        Node {
            tree: Tree::Map(vec![entry]),
            origin,
        }
    }
}

/// The values that aliases may name.
#[derive(Default)]
pub(super) struct Decoration {
    anchors: HashMap<usize, Kept>,
}

/// A value with what a copy of it costs.
pub(super) struct Kept {
    pub(super) node: Node,
    /// Values, counted as if they were written again.
    pub(super) weight: usize,
    /// Maps and lists inside each other.
    pub(super) depth: usize,
}

impl Decoration {
    /// Keeps a value that has an anchor; what that copy costs.
    pub(super) fn keep(&mut self, mark: &Mark, node: &Node) -> usize {
        if mark.anchor == 0 {
            return 0;
        }
        let (weight, depth) = measure(node);
        let kept = Kept {
            node: node.clone(),
            weight,
            depth,
        };
        self.anchors.insert(mark.anchor, kept);
        weight
    }

    /// What an alias names, once that is whole.
    pub(super) fn kept(&self, anchor: usize) -> Option<&Kept> {
        self.anchors.get(&anchor)
    }

    /// Adds what stands behind `<<` to a map; its own keys stand before those, and earlier maps before later ones.
    pub(super) fn merge(
        entries: &mut Vec<Entry>,
        first: &mut HashMap<String, Position>,
        merged: Node,
    ) -> Option<Flaw> {
        let position = merged.origin.position().unwrap_or(Position::START);
        let maps = match merged.tree {
            Tree::List(items) => items,
            _ => vec![merged],
        };
        let mut flaw = None;
        for map in maps {
            match map.tree {
                Tree::Map(others) => {
                    for entry in others {
                        if !first.contains_key(&entry.key) {
                            first.insert(entry.key.clone(), position);
                            entries.push(entry);
                        }
                    }
                }
                Tree::Broken => {}
                _ => {
                    flaw = Some(Flaw {
                        position,
                        message: "<< takes a map, or a list of maps".to_owned(),
                        hint: None,
                    });
                }
            }
        }
        flaw
    }
}

/// Values and depth of a tree.
fn measure(node: &Node) -> (usize, usize) {
    let of_text = |text: &str| text.len() / BYTES_OF_A_VALUE;
    match &node.tree {
        Tree::Null | Tree::Broken => (1, 0),
        Tree::Scalar(text) | Tree::Quoted(text) => (1 + of_text(text), 0),
        Tree::List(items) => items.iter().fold((1, 1), |(weight, depth), item| {
            let (w, d) = measure(item);
            (weight + w, depth.max(d + 1))
        }),
        Tree::Map(entries) => entries.iter().fold((1, 1), |(weight, depth), entry| {
            let (w, d) = measure(&entry.node);
            (weight + w + 1 + of_text(&entry.key), depth.max(d + 1))
        }),
    }
}
