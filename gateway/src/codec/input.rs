//! Bytes on their way in: what one read brought, and what the read before it left over.
use super::MAX_CONTROL_PAYLOAD;

/// Bytes read from the socket and how many of them are used.
pub(super) struct Input<'a> {
    bytes: &'a mut [u8],
    pub(super) used: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// At most the next `len` bytes, left unused.
    pub(super) fn peek(&self, len: usize) -> &[u8] {
        let rest = &self.bytes[self.used..];
        &rest[..len.min(rest.len())]
    }

    /// At most the next `len` bytes, used.
    pub(super) fn take(&mut self, len: usize) -> &mut [u8] {
        let rest = &mut self.bytes[self.used..];
        let len = len.min(rest.len());
        self.used += len;
        &mut rest[..len]
    }
}

/// The beginning of a header, or of a control frame's payload: never both at once.
#[derive(Debug)]
pub(super) struct Scrap {
    len: u8,
    bytes: [u8; MAX_CONTROL_PAYLOAD],
}

impl Default for Scrap {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: [0; MAX_CONTROL_PAYLOAD],
        }
    }
}

impl Scrap {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// A header has at most 14 bytes and an admitted control payload at most 125, so it always fits.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

/// XORs `bytes` with the repeated mask, eight at a time.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut::<{ size_of::<u64>() }>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}
