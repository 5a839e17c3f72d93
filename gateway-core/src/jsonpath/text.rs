//! JSON string literals: from source text to characters.

use std::borrow::Cow;

/// The characters of a valid JSON string literal, quotes included in `literal`. Borrowed when it has no escapes.
/// Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD.
pub(super) fn unquote(literal: &str) -> Cow<'_, str> {
    let inner = literal
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut after = escape.chars();
        match after.next() {
            Some('u') => {
                let (character, length) = hex_escape(escape);
                out.push(character);
                rest = escape.get(length..).unwrap_or_default();
                continue;
            }
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(itself) => out.push(itself),
            None => {}
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that `uXXXX` or `uXXXX\uXXXX` at the start of `text` stands for, and how many bytes it took.
fn hex_escape(text: &str) -> (char, usize) {
    let unit = |from: usize| {
        text.get(from..from + 4)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
    };
    let first = unit(1).unwrap_or(0xFFFD);
    if let 0xD800..0xDC00 = first
        && text.get(5..7) == Some("\\u")
        && let Some(second @ 0xDC00..0xE000) = unit(7)
        && let Some(pair) = char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    {
        return (pair, 11);
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        5,
    )
}
