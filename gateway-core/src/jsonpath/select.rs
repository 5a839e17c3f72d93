//! The meaning of each step, once for every kind of document tree.

use serde_json::Value;

use super::fuel::Fuel;
use super::{ReadError, Step};

/// A JSON value as the steps see it.
pub(super) trait Json: Copy {
    /// The values of an object's members or the elements of an array, in document order.
    fn children(self) -> impl Iterator<Item = Self>;
    /// The member of an object, and how many names were looked at; nothing on other values.
    fn member(self, name: &str) -> (Option<Self>, usize);
    /// Whether the children are elements.
    fn is_array(self) -> bool;
}

impl Json for &Value {
    fn children(self) -> impl Iterator<Item = Self> {
        let members = self
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::values);
        self.as_array().into_iter().flatten().chain(members)
    }

    fn member(self, name: &str) -> (Option<Self>, usize) {
        (self.as_object().and_then(|members| members.get(name)), 1)
    }

    fn is_array(self) -> bool {
        self.is_array()
    }
}

/// Hands all values at `steps` below `node` to `take`, in document order, parents before children. As deep as a path has
/// steps.
pub(super) fn select<J: Json>(
    node: J,
    steps: &[Step],
    fuel: &mut Fuel,
    take: &mut impl FnMut(J, &mut Fuel) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    fuel.work(1)?;
    let Some((step, rest)) = steps.split_first() else {
        return take(node, fuel);
    };
    match step {
        Step::Key(name) => {
            let (member, looked_at) = node.member(name);
            fuel.work(looked_at)?;
            member.map_or(Ok(()), |member| select(member, rest, fuel, take))
        }
        Step::Index(index) => {
            element(node, *index, fuel)?.map_or(Ok(()), |element| select(element, rest, fuel, take))
        }
        Step::Every => node
            .children()
            .try_for_each(|child| select(child, rest, fuel, take)),
        Step::Descendants => {
            // A stack of its own, since a `Value` may be built of any depth.
            select(node, rest, fuel, take)?;
            let mut open = vec![node.children()];
            while let Some(siblings) = open.last_mut() {
                match siblings.next() {
                    None => drop(open.pop()),
                    Some(child) => {
                        select(child, rest, fuel, take)?;
                        open.push(child.children());
                    }
                }
            }
            Ok(())
        }
    }
}

fn element<J: Json>(node: J, index: i64, fuel: &mut Fuel) -> Result<Option<J>, ReadError> {
    if !node.is_array() {
        return Ok(None);
    }
    let from_start = if index < 0 {
        let length = node.children().count();
        fuel.work(length)?;
        let back = usize::try_from(index.unsigned_abs()).ok();
        back.and_then(|back| length.checked_sub(back))
    } else {
        usize::try_from(index).ok()
    };
    let Some(from_start) = from_start else {
        return Ok(None);
    };
    for (place, child) in node.children().enumerate() {
        if place == from_start {
            fuel.work(place)?;
            return Ok(Some(child));
        }
    }
    Ok(None)
}
