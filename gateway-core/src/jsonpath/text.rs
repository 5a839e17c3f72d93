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
    // An escape is never shorter than what it stands for.
    let mut out = String::with_capacity(inner.len());
    decode(inner, &mut out);
    Cow::Owned(out)
}

/// Appends what stands between the quotes of a valid JSON string literal.
pub(super) fn decode(inner: &str, out: &mut String) {
    let mut rest = inner;
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        out.push_str(plain);
        let (character, length) = match escape.as_bytes().get(1) {
            Some(b'u') => hex_escape(&escape[1..]),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            // A quote or a slash of either kind stands for itself.
            Some(&itself) => (char::from(itself), 1),
            None => break,
        };
        out.push(character);
        rest = escape.get(1 + length..).unwrap_or_default();
    }
    out.push_str(rest);
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
