//! Header fields as HTTP/1.1 writes them: one buffer, a line for each field.
//!
//! The fields of a call are written once and sent as they stand, those of an answer are looked at only if somebody asks.
//! A map would cost several allocations for each field in both directions.

use std::fmt::{self, Write};

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Fields in order, `name: value` and CRLF each; a name may come more than once.
///
/// What is pushed is end-to-end: fields of the connection (framing, `Host`) belong to whoever owns it, and are not taken.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderLines {
    bytes: Vec<u8>,
}

impl HeaderLines {
    /// No fields, and room for this many bytes of them.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Fields as they were received, all of them. The caller's parser has accepted them: no folded lines, no empty name.
    pub fn received(lines: &[u8]) -> Self {
        Self {
            bytes: lines.to_vec(),
        }
    }

    /// Adds a field.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name, |bytes| bytes.extend_from_slice(value.as_bytes()));
    }

    /// Adds a field with a text. One that a field cannot carry is percent-encoded, its `%` with it.
    pub fn push_text(&mut self, name: &HeaderName, text: &str) {
        self.line(name, |bytes| write_text(bytes, text));
    }

    /// Adds a field with a value that is seldom more than a number, an address or an id; else it is [`push_text`].
    ///
    /// [`push_text`]: Self::push_text
    pub fn push_display(&mut self, name: &HeaderName, value: impl fmt::Display) {
        self.line(name, |bytes| {
            let begin = bytes.len();
            write!(Bytes(bytes), "{value}").expect("writing to memory cannot fail");
            if !is_plain(&bytes[begin..]) {
                let text = String::from_utf8_lossy(&bytes.split_off(begin)).into_owned();
                write_text(bytes, &text);
            }
        });
    }

    /// Sets a field's only value, in the place of all it had.
    pub fn set_text(&mut self, name: &HeaderName, text: &str) {
        self.remove(name.as_str());
        self.push_text(name, text);
    }

    /// [`set_text`](Self::set_text) with a value that is one already.
    pub fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.remove(name.as_str());
        self.push(name, value);
    }

    fn line(&mut self, name: &HeaderName, write_value: impl FnOnce(&mut Vec<u8>)) {
        if is_of_connection(name.as_str()) {
            return;
        }
        self.bytes.extend_from_slice(name.as_str().as_bytes());
        self.bytes.extend_from_slice(b": ");
        write_value(&mut self.bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Takes all fields of this name out.
    pub fn remove(&mut self, name: &str) {
        if !self.contains(name) {
            return;
        }
        let mut kept = Vec::with_capacity(self.bytes.len());
        for line in self.bytes.split_inclusive(|&byte| byte == b'\n') {
            if field(line).is_none_or(|(found, _)| !found.eq_ignore_ascii_case(name)) {
                kept.extend_from_slice(line);
            }
        }
        self.bytes = kept;
    }

    /// True where a field has this name, in whatever case.
    pub fn contains(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The first value of a name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The first value of a name, if it is visible ASCII.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.get(name).filter(|value| is_plain(value))?;
        str::from_utf8(value).ok()
    }

    /// All values of a name, in order.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields, in order, with the names as they are spelled.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.bytes.split(|&byte| byte == b'\n').filter_map(field)
    }

    /// The lines, ready to stand in a head: each with its CRLF, if they were pushed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Values may be secrets: only the names are shown.
impl fmt::Debug for HeaderLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Fields that a peer reads as framing or as an order to the connection, and `Host`; two opinions about them are
/// request smuggling.
///
/// What a `Connection` field names is not dropped with it: the names may have come from a client, who must not choose
/// which of the gateway's fields arrive.
fn is_of_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "expect"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?;
    Some((name, line[colon + 1..].trim_ascii()))
}

/// Visible ASCII, spaces and tabs: what every reader reads alike.
fn is_plain(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| matches!(byte, b' '..=b'~' | b'\t'))
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    /// What a reader could not tell from an escape is one too.
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
    if text
        .bytes()
        .all(|byte| byte >= b' ' && byte != 0x7f || byte == b'\t')
    {
        bytes.extend_from_slice(text.as_bytes());
        return;
    }
    for part in utf8_percent_encode(text, UNSAFE) {
        bytes.extend_from_slice(part.as_bytes());
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: &[(&str, &str)]) -> HeaderLines {
        let mut lines = HeaderLines::default();
        for (name, value) in fields {
            lines.push_text(&HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        lines
    }

    #[track_caller]
    fn check(lines: &HeaderLines, expected: &str) {
        assert_eq!(String::from_utf8_lossy(lines.as_bytes()), expected);
    }

    #[test]
    fn fields_are_lines() {
        let mut found = lines(&[("X-A", "1"), ("x-b", "two"), ("x-a", "3")]);
        check(&found, "x-a: 1\r\nx-b: two\r\nx-a: 3\r\n");
        assert_eq!(found.get("X-A"), Some(&b"1"[..]));
        assert_eq!(found.values("x-a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(found.text("x-b"), Some("two"));
        assert_eq!(found.get("x"), None);
        found.set_text(&HeaderName::from_static("x-a"), "");
        check(&found, "x-b: two\r\nx-a: \r\n");
        found.remove("x-b");
        found.push_display(&HeaderName::from_static("x-n"), 42);
        check(&found, "x-a: \r\nx-n: 42\r\n");
        found.remove("x-n");
        found.push_display(&HeaderName::from_static("x-n"), "1\r\n2");
        check(&found, "x-a: \r\nx-n: 1%0D%0A2\r\n");
        found.set_text(&HeaderName::from_static("x-n"), "42");
        check(&found, "x-a: \r\nx-n: 42\r\n");
    }

    #[test]
    fn no_value_can_end_its_line() {
        check(
            &lines(&[
                ("x-a", "b\r\nevil: 1"),
                ("x-b", "100%\u{e9}"),
                ("x-c", "100%"),
            ]),
            "x-a: b%0D%0Aevil: 1\r\nx-b: 100%\u{e9}\r\nx-c: 100%\r\n",
        );
        check(
            &lines(&[("x-a", "\0"), ("x-b", "\u{7f}")]),
            "x-a: %00\r\nx-b: %7F\r\n",
        );
    }

    #[test]
    fn fields_of_the_connection_are_not_taken() {
        let names = [
            "Connection",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Keep-Alive",
            "Proxy-Connection",
            "HTTP2-Settings",
            "Host",
        ];
        check(&lines(&names.map(|name| (name, "v"))), "");
    }

    #[test]
    fn received_lines_are_read_as_they_came() {
        let found = HeaderLines::received(b"X-A:1\r\nx-b: \t two \r\nX-a:\nKey: a: b\r\n\r\n");
        let fields: Vec<_> = found
            .iter()
            .map(|(name, value)| (name, str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(
            fields,
            [("X-A", "1"), ("x-b", "two"), ("X-a", ""), ("Key", "a: b")]
        );
        assert_eq!(format!("{found:?}"), r#"["X-A", "x-b", "X-a", "Key"]"#);
    }
}
