//! Settings that are understood but that nothing acts upon yet: asking for one is a mistake, never a silence.
//!
//! A feature that lands takes its line out of this table.

use super::reader::Cursor;
use super::yaml::Tree;

/// A setting by its path, where `*` is any member, and the values of it that ask for what is not there.
struct Unbuilt {
    path: &'static str,
    values: Values,
    sentence: &'static str,
}

enum Values {
    Any,
    These(&'static [&'static str]),
}

const UNBUILT: &[Unbuilt] = &[
    Unbuilt {
        path: "apis.*.protocolType",
        values: Values::These(&["HTTP"]),
        sentence: "HTTP APIs are not built yet; protocolType must be WEBSOCKET",
    },
    Unbuilt {
        path: "apis.*.routes.*.authorizationType",
        values: Values::These(&["AWS_IAM", "JWT"]),
        sentence: "this authorization is not built yet; authorizationType must be NONE or CUSTOM",
    },
    Unbuilt {
        path: "apis.*.routes.*.apiKeyRequired",
        values: Values::These(&["true"]),
        sentence: "API keys are not built yet; apiKeyRequired must be false",
    },
    Unbuilt {
        path: "apis.*.routes.*.modelSelectionExpression",
        values: Values::Any,
        sentence: "validation by models is not built yet; leave out modelSelectionExpression",
    },
];

/// Reports every setting in the tree that asks for what is not there.
pub(super) fn check(root: &Cursor<'_>) {
    for unbuilt in UNBUILT {
        let way: Vec<&str> = unbuilt.path.split('.').collect();
        unbuilt.walk(root, &way);
    }
}

impl Unbuilt {
    fn walk(&self, cursor: &Cursor<'_>, way: &[&str]) {
        let [step, rest @ ..] = way else {
            if self.values.hold(&cursor.node.tree) {
                cursor.mistake(self.sentence);
            }
            return;
        };
        match &cursor.node.tree {
            Tree::Map(_) => {
                for (entry, member) in cursor.members() {
                    if *step == "*" || entry.key == *step {
                        self.walk(&member, rest);
                    }
                }
            }
            Tree::List(_) if *step == "*" => {
                for item in cursor.items() {
                    self.walk(&item, rest);
                }
            }
            _ => {}
        }
    }
}

impl Values {
    fn hold(&self, tree: &Tree) -> bool {
        match (self, tree) {
            (_, Tree::Null | Tree::Broken) => false,
            (Self::Any, _) => true,
            (Self::These(values), Tree::Scalar(text)) => values.contains(&text.as_str()),
            _ => false,
        }
    }
}
