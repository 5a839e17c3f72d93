//! The meaning of each step, once for every kind of document tree.

use serde_json::Value;

use super::Step;

/// A JSON value as the steps see it.
pub(super) trait Json: Sized {
    /// The member of an object; nothing on other values.
    fn member(&self, name: &str) -> Option<&Self>;
    /// The elements of an array; nothing on other values.
    fn elements(&self) -> Option<&[Self]>;
    /// The elements of an array or the values of an object, in document order.
    fn children(&self) -> impl DoubleEndedIterator<Item = &Self>;
}

impl Json for Value {
    fn member(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    fn elements(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }

    fn children(&self) -> impl DoubleEndedIterator<Item = &Self> {
        let members = self
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::values);
        self.elements().unwrap_or_default().iter().chain(members)
    }
}

/// All values at `steps` below `root`.
pub(super) fn select<'j, J: Json>(root: &'j J, steps: &[Step]) -> Vec<&'j J> {
    let mut here = vec![root];
    for step in steps {
        let mut next = Vec::new();
        for node in here {
            match step {
                Step::Key(key) => next.extend(node.member(key)),
                Step::Index(index) => next.extend(element(node, *index)),
                Step::Every => next.extend(node.children()),
                Step::Descendants => descend(node, &mut next),
            }
        }
        here = next;
    }
    here
}

fn element<J: Json>(node: &J, index: i64) -> Option<&J> {
    let elements = node.elements()?;
    let from_start = if index < 0 {
        let back = usize::try_from(index.unsigned_abs()).ok()?;
        elements.len().checked_sub(back)?
    } else {
        usize::try_from(index).ok()?
    };
    elements.get(from_start)
}

/// A value and everything below it, parents first; a stack of its own, since a `Value` may be built of any depth.
fn descend<'j, J: Json>(node: &'j J, found: &mut Vec<&'j J>) {
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        found.push(node);
        waiting.extend(node.children().rev());
    }
}
