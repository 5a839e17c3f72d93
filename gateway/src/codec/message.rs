//! A message that has not come whole yet: its payload so far, in a buffer that follows what has really arrived.
use std::str;

use bytes::Bytes;

use super::{Event, Utf8Bytes, Violation};

/// The unmasked payload of a message under way.
#[derive(Debug)]
pub(super) struct Message {
    /// Frames begun so far.
    pub(super) fragments: u32,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(Text),
    Binary(Vec<u8>),
}

/// Text checked as it comes, so that a bad byte ends the connection at once and nothing is checked twice.
#[derive(Debug, Default)]
struct Text {
    valid: String,
    /// The first bytes of a character that a chunk boundary has cut, at most three of four.
    cut: [u8; 4],
    cut_len: usize,
}

impl Message {
    pub(super) fn text() -> Self {
        Self {
            fragments: 1,
            body: Body::Text(Text::default()),
        }
    }

    pub(super) fn binary() -> Self {
        Self {
            fragments: 1,
            body: Body::Binary(Vec::new()),
        }
    }

    /// Payload bytes that have arrived.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.valid.len() + text.cut_len,
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Adds payload. `whole` is what the message will come to, or may at most, in bytes: a bound for the buffer's
    /// growth, never a reason to grow.
    pub(super) fn append(&mut self, chunk: &[u8], whole: usize) -> Result<(), Violation> {
        match &mut self.body {
            Body::Text(text) => text.append(chunk, whole),
            Body::Binary(bytes) => {
                bytes.reserve_exact(growth(bytes.len(), bytes.capacity(), chunk.len(), whole));
                bytes.extend_from_slice(chunk);
                Ok(())
            }
        }
    }

    /// The message, in an allocation of its exact size.
    pub(super) fn finish(self) -> Result<Event, Violation> {
        match self.body {
            Body::Text(text) if text.cut_len > 0 => Err(Violation::InvalidUtf8),
            Body::Text(Text { mut valid, .. }) => {
                valid.shrink_to_fit();
                Ok(Event::Text(Utf8Bytes::from(valid)))
            }
            Body::Binary(mut bytes) => {
                bytes.shrink_to_fit();
                Ok(Event::Binary(Bytes::from(bytes)))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.valid.capacity(),
            Body::Binary(bytes) => bytes.capacity(),
        }
    }
}

impl Text {
    fn append(&mut self, mut chunk: &[u8], whole: usize) -> Result<(), Violation> {
        let (len, capacity) = (self.valid.len(), self.valid.capacity());
        self.valid
            .reserve_exact(growth(len, capacity, self.cut_len + chunk.len(), whole));
        while self.cut_len > 0 {
            let Some((first, rest)) = chunk.split_first() else {
                return Ok(());
            };
            chunk = rest;
            self.cut[self.cut_len] = *first;
            self.cut_len += 1;
            self.mend()?;
        }
        match str::from_utf8(chunk) {
            Ok(text) => self.valid.push_str(text),
            Err(error) if error.error_len().is_some() => return Err(Violation::InvalidUtf8),
            Err(error) => {
                let (sound, cut) = chunk.split_at(error.valid_up_to());
                self.valid
                    .push_str(str::from_utf8(sound).map_err(|_| Violation::InvalidUtf8)?);
                self.cut[..cut.len()].copy_from_slice(cut);
                self.cut_len = cut.len();
            }
        }
        Ok(())
    }

    /// Takes the cut character over once it is whole. Four bytes are either a character or an error, so `cut` never
    /// overflows.
    fn mend(&mut self) -> Result<(), Violation> {
        match str::from_utf8(&self.cut[..self.cut_len]) {
            Ok(character) => {
                self.valid.push_str(character);
                self.cut_len = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(Violation::InvalidUtf8),
        }
    }
}

/// How much to reserve beyond `len` for `more` bytes: doubling keeps the number of copies small, `whole` keeps the
/// last doubling from overshooting, and a client that only declares a length gets nothing.
fn growth(len: usize, capacity: usize, more: usize, whole: usize) -> usize {
    let needed = len.saturating_add(more);
    if needed <= capacity {
        return 0;
    }
    capacity.saturating_mul(2).min(whole).max(needed) - len
}
