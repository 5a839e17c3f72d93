//! What a worker writes: cut into lines of bounded length, bounded in number, the last of it kept for whoever asked for
//! the tail of a call's log.

use gateway_core::limit::Bucket;

/// The longest line that is passed on, in bytes; the rest of it is left out.
const MAX_LINE: usize = 16 * 1024;
/// What `X-Amz-Log-Result` holds (Lambda Invoke API: the last 4 KB).
const TAIL: usize = 4096;
/// Lines a second, and how many may come at once.
const RATE: (f64, u32) = (500.0, 2000);

/// One stream of one worker, its lines not yet ended.
#[derive(Debug, Default)]
pub(super) struct Stream {
    begun: Vec<u8>,
    cut: bool,
}

impl Stream {
    /// Takes what was written, and passes on each line that it ends.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.append(&bytes[..end]);
            self.end(&mut line);
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    /// Passes on a last line without an end.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            self.end(&mut line);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.begun.len();
        self.cut |= bytes.len() > room;
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.begun);
        let text = text.trim_end_matches('\r');
        if self.cut {
            line(&format!("{text} (the line is longer)"));
        } else {
            line(text);
        }
        self.begun = Vec::new();
        self.cut = false;
    }
}

/// What of a worker's lines is passed on, and what the present call's tail is.
#[derive(Debug)]
pub(super) struct Journal {
    bucket: Bucket,
    left_out: u64,
    tail: Vec<u8>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            bucket: Bucket::new(RATE.0, RATE.1),
            left_out: 0,
            tail: Vec::new(),
        }
    }

    /// Another call begins: its tail is empty.
    pub(super) fn begin(&mut self) {
        self.tail.clear();
    }

    /// Keeps a line for the tail; says whether it may be passed on, and after how many that might not.
    pub(super) fn note(&mut self, line: &str, now: u64) -> Option<u64> {
        self.keep(line);
        if self.bucket.take(1, now) {
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }

    /// Keeps a line of ours for the tail.
    pub(super) fn keep(&mut self, line: &str) {
        let line = line.as_bytes();
        self.tail
            .extend_from_slice(&line[line.len().saturating_sub(TAIL)..]);
        self.tail.push(b'\n');
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
    }

    /// The last 4 KB of the present call's log.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &[&str]) {
        let mut stream = Stream::default();
        let mut lines = Vec::new();
        for piece in pieces {
            stream.push(piece.as_bytes(), |line| lines.push(line.to_owned()));
        }
        stream.finish(|line| lines.push(line.to_owned()));
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_written_becomes_lines() {
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a", "b\n", "c"], &["ab", "c"]);
        check(&["a\r\n\n"], &["a", ""]);
        check(&[""], &[]);
        let long = "x".repeat(MAX_LINE);
        check(&[&long, "\n"], &[&long]);
        let cut = format!("{long} (the line is longer)");
        check(&[&long, "y", "z\nw\n"], &[&cut, "w"]);
    }

    #[test]
    fn a_flood_of_lines_is_thinned_and_counted() {
        let mut journal = Journal::new();
        for _ in 0..RATE.1 {
            assert_eq!(journal.note("x", 0), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(journal.note("x", 0), None);
        }
        assert_eq!(journal.note("x", 1000), Some(3));
        assert_eq!(journal.note("x", 1000), Some(0));
    }

    #[test]
    fn the_tail_is_the_last_of_it() {
        let mut journal = Journal::new();
        journal.keep("first");
        assert_eq!(journal.tail(), b"first\n");
        journal.keep(&"x".repeat(TAIL - 3));
        assert_eq!(journal.tail().len(), TAIL);
        assert!(journal.tail().starts_with(b"t\nx"));
        journal.keep(&"y".repeat(TAIL * 2));
        assert!(journal.tail().starts_with(b"yy") && journal.tail().ends_with(b"y\n"));
        assert_eq!(journal.tail().len(), TAIL);
        journal.begin();
        assert_eq!(journal.tail(), b"");
    }
}
