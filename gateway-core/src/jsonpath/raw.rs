//! Evaluation on JSON text. The common path, plain keys and indexes, walks the text and copies nothing.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::text::unquote;
use super::tree::{Node, render_list};
use super::{JsonPath, MAX_DEPTH, NotJson, Reading, Step, select};

/// Whether the text is one JSON document that paths can be evaluated on.
pub fn is_json(text: &str) -> bool {
    check_depth(text).is_ok() && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

pub(super) fn read<'t>(path: &JsonPath, json: &'t str) -> Result<Reading<'t>, NotJson> {
    check_depth(json)?;
    let walkable = |step: &Step| matches!(step, Step::Key(_) | Step::Index(0..));
    let walked = path.steps.iter().take_while(|step| walkable(step)).count();
    let (plain, others) = path.steps.split_at(walked);

    let Some(value) = walk(plain, json)? else {
        return Ok(Reading::Missing);
    };
    if others.is_empty() {
        return reading_of(value);
    }
    let tree = Node::build(value)?;
    let found = select::select(&tree, others);
    if path.is_definite() {
        return Ok(found
            .first()
            .map_or(Reading::Missing, |node| node.reading()));
    }
    Ok(render_list(&found))
}

fn reading_of(value: &str) -> Result<Reading<'_>, NotJson> {
    Ok(match value.as_bytes().first() {
        Some(b'"') => Reading::Text(unquote(value)),
        _ => Node::build(value)?.reading(),
    })
}

/// Refuses what `serde_json::Value` would refuse for its depth, so that a message is JSON for every part of the
/// gateway or for none. (Values that are skipped are skipped without recursion; this is not about the stack.)
fn check_depth(json: &str) -> Result<(), NotJson> {
    // Both counts over-estimate, and settle nearly every message.
    if json.len() < 2 * (MAX_DEPTH + 1) {
        return Ok(());
    }
    if json.bytes().filter(|b| matches!(b, b'[' | b'{')).count() <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(NotJson);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The text of the value at `steps`. The first pass sees the whole document, so that it is valid throughout.
fn walk<'t>(steps: &[Step], json: &'t str) -> Result<Option<&'t str>, NotJson> {
    let whole: fn(&'t str) -> Result<&'t RawValue, NotJson> =
        |text| serde_json::from_str(text).map_err(|_| NotJson);
    let Some((first, rest)) = steps.split_first() else {
        return whole(json).map(|value| Some(value.get()));
    };
    let mut found = child(json, first)?;
    for step in rest {
        let Some(value) = found else { return Ok(None) };
        found = child(value, step)?;
    }
    Ok(found)
}

/// The text one step further down.
fn child<'t>(json: &'t str, step: &Step) -> Result<Option<&'t str>, NotJson> {
    let mut deserializer = Deserializer::from_str(json);
    let start = json
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .as_bytes()
        .first();
    let found = match (step, start) {
        (Step::Key(key), Some(b'{')) => deserializer.deserialize_map(Member(key)),
        (Step::Index(index), Some(b'[')) => deserializer.deserialize_seq(Element(*index)),
        _ => deserializer
            .deserialize_ignored_any(IgnoredAny)
            .map(|_| None),
    };
    let found = found.map_err(|_| NotJson)?;
    deserializer.end().map_err(|_| NotJson)?;
    Ok(found.map(RawValue::get))
}

/// Takes the last member of that name from an object.
struct Member<'p>(&'p str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        // Names are compared as raw text: decoding them would refuse half a surrogate pair anywhere in the object.
        while let Some(name) = members.next_key::<&RawValue>()? {
            if unquote(name.get()) == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Takes one element of an array.
struct Element(i64);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut ahead = self.0;
        while ahead > 0 {
            if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
            ahead -= 1;
        }
        let found = elements.next_element()?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}
