//! Evaluation on JSON text: one pass finds the values that plain keys and indexes lead to, and copies nothing.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::cursor::Cursor;
use super::set::{Fork, Stop};
use super::text::unquote;
use super::{MAX_DEPTH, ReadError};

/// Whether the text is one JSON document that paths can be evaluated on.
pub fn is_json(text: &str) -> bool {
    check_depth(text).is_ok() && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Puts the text of each value that `root` asks for into its place among `found`, which begins empty. The whole
/// document is checked, whatever is asked.
pub(super) fn find<'t>(
    root: &Stop,
    json: &'t str,
    found: &mut [Option<&'t str>],
) -> Result<(), ReadError> {
    check_depth(json)?;
    let fork = match root {
        Stop::Value(place) => {
            let value: &RawValue = serde_json::from_str(json).map_err(|_| ReadError::NotJson)?;
            found[*place] = Some(value.get());
            return Ok(());
        }
        Stop::Fork(fork) => fork,
    };
    check_and_find(fork, json, found).map_err(|_| ReadError::NotJson)?;
    // Below the first level nothing needs to be checked any more.
    for stop in fork.stops() {
        if let Stop::Fork(deeper) = stop
            && let Some(value) = found[deeper.first].take()
        {
            walk(deeper, &mut Cursor::new(value), found).ok_or(ReadError::NotJson)?;
        }
    }
    Ok(())
}

/// Refuses what `serde_json::Value` would refuse for its depth, so that a message is JSON for every part of the
/// gateway or for none. (Values that are skipped are skipped without recursion; this is not about the stack.)
fn check_depth(json: &str) -> Result<(), ReadError> {
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
                    return Err(ReadError::NotJson);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Reads the whole document; what the fork's members and elements are goes to the first place of each.
fn check_and_find<'t>(
    fork: &Fork,
    json: &'t str,
    found: &mut [Option<&'t str>],
) -> Result<(), serde_json::Error> {
    let mut deserializer = Deserializer::from_str(json);
    let start = json
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .as_bytes()
        .first();
    match start {
        Some(b'{') if !fork.members.is_empty() => {
            deserializer.deserialize_map(Level { fork, found })?;
        }
        Some(b'[') if !fork.elements.is_empty() => {
            deserializer.deserialize_seq(Level { fork, found })?;
        }
        _ => {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
        }
    }
    deserializer.end()
}

struct Level<'p, 'f, 't> {
    fork: &'p Fork,
    found: &'f mut [Option<&'t str>],
}

impl<'de> Visitor<'de> for Level<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        // Names are compared as raw text: decoding them would refuse half a surrogate pair anywhere in the object.
        while let Some(name) = members.next_key::<&RawValue>()? {
            if let Some(stop) = self.fork.member(&unquote(name.get())) {
                // The last member of a name wins.
                self.found[stop.first()] = Some(members.next_value::<&RawValue>()?.get());
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut next = 0_usize;
        for (index, stop) in &self.fork.elements {
            while next < *index {
                if elements.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(());
                }
                next += 1;
            }
            let Some(element) = elements.next_element::<&RawValue>()? else {
                return Ok(());
            };
            self.found[stop.first()] = Some(element.get());
            next += 1;
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Finds what the fork asks for in the value at the cursor. As deep as a path has steps.
fn walk<'t>(fork: &Fork, cursor: &mut Cursor<'t>, found: &mut [Option<&'t str>]) -> Option<()> {
    match cursor.peek()? {
        b'{' if !fork.members.is_empty() => {
            cursor.step()?;
            while !cursor.closes(b'}')? {
                let name = cursor.name()?;
                match fork.member(&unquote(name)) {
                    Some(stop) => stop_at(stop, cursor, found)?,
                    None => drop(cursor.value()?),
                }
            }
        }
        b'[' if !fork.elements.is_empty() => {
            cursor.step()?;
            let (mut index, mut wanted) = (0, fork.elements.iter().peekable());
            while !cursor.closes(b']')? {
                match wanted.next_if(|(wanted, _)| *wanted == index) {
                    Some((_, stop)) => stop_at(stop, cursor, found)?,
                    None => drop(cursor.value()?),
                }
                index += 1;
            }
        }
        _ => drop(cursor.value()?),
    }
    Some(())
}

fn stop_at<'t>(stop: &Stop, cursor: &mut Cursor<'t>, found: &mut [Option<&'t str>]) -> Option<()> {
    match stop {
        Stop::Value(place) => found[*place] = Some(cursor.value()?),
        Stop::Fork(deeper) => {
            // What an earlier member of the same name held is gone with it.
            found[deeper.first..deeper.end].fill(None);
            walk(deeper, cursor, found)?;
        }
    }
    Some(())
}
