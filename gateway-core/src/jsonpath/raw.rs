//! Evaluation on JSON text: one walk finds the values that plain keys and indexes lead to, and copies nothing.

use serde::de::IgnoredAny;

use super::cursor::Cursor;
use super::set::{Fork, Stop};
use super::text::unquote;
use super::{MAX_DEPTH, ReadError};

/// Whether the text is one JSON document that paths can be evaluated on.
pub fn is_json(text: &str) -> bool {
    check(text).is_ok()
}

/// Puts the text of each value that `root` asks for into its place among `found`, which begins empty. The whole
/// document is checked, whatever is asked; the walk then need not check anything.
pub(super) fn find<'t>(
    root: &Stop,
    json: &'t str,
    found: &mut [Option<&'t str>],
) -> Result<(), ReadError> {
    check(json)?;
    stop_at(root, &mut Cursor::new(json), found).ok_or(ReadError::NotJson)
}

fn check(json: &str) -> Result<(), ReadError> {
    check_depth(json)?;
    let whole = serde_json::from_str::<IgnoredAny>(json);
    whole.map(drop).map_err(|_| ReadError::NotJson)
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
