//! WebSocket frames as bytes (RFC 6455, section 5): only what a generator of load has to say and to hear.

use std::ops::Range;

/// Text frame.
pub(crate) const TEXT: u8 = 0x1;
/// Binary frame.
pub(crate) const BINARY: u8 = 0x2;
/// Close frame.
pub(crate) const CLOSE: u8 = 0x8;
/// Ping frame.
pub(crate) const PING: u8 = 0x9;
/// Pong frame.
pub(crate) const PONG: u8 = 0xA;

/// The key of every masked frame: the server has to unmask all the same, and a frame that is encoded once can be sent for ever.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// True on the last fragment of a message.
    pub(crate) last: bool,
    /// Kind of frame.
    pub(crate) opcode: u8,
    /// The client's mask, where there is one.
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes before the payload.
    pub(crate) start: usize,
    /// Bytes of payload.
    pub(crate) payload_len: usize,
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` while it is incomplete.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (payload_len, mut start) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(array(bytes, 2)?)), 4),
            127 => (u64::from_be_bytes(array(bytes, 2)?), 10),
            short => (u64::from(short), 2),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let mask = array(bytes, start)?;
            start += 4;
            Some(mask)
        };
        // A length beyond the address space is beyond every limit here too; the caller's limit refuses it.
        let payload_len = usize::try_from(payload_len).unwrap_or(usize::MAX);
        Some(Self {
            last: first & 0x80 != 0,
            opcode: first & 0x0f,
            mask,
            start,
            payload_len,
        })
    }

    /// Where the payload lies in the bytes that the header was read from.
    pub(crate) fn payload(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.payload_len)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// A whole frame as a client sends it.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(MASK, &mut frame[start..]);
    frame
}

/// A whole frame as a server sends it.
pub(crate) fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// Puts the mask on, or takes it off.
pub(crate) fn unmask(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn header(opcode: u8, len: usize, mask_bit: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(len + 14);
    frame.push(0x80 | opcode);
    match len {
        0..=125 => frame.push(mask_bit | len as u8),
        126..=0xffff => {
            frame.push(mask_bit + 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask_bit + 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(len: usize, expected_header: usize) {
        let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let frame = masked(TEXT, &payload);
        let header = Header::read(&frame).unwrap();
        assert_eq!(
            (header.opcode, header.last, header.payload_len),
            (TEXT, true, len)
        );
        assert_eq!(header.start, expected_header + 4);
        let mut read = frame[header.payload()].to_vec();
        unmask(header.mask.unwrap(), &mut read);
        assert_eq!(read, payload);

        let frame = unmasked(BINARY, &payload);
        let header = Header::read(&frame).unwrap();
        assert_eq!(
            (header.opcode, header.mask, header.start),
            (BINARY, None, expected_header)
        );
        assert_eq!(frame[header.payload()], payload);
        for cut in 0..expected_header {
            assert_eq!(Header::read(&frame[..cut]), None, "cut after {cut} bytes");
        }
    }

    #[test]
    fn a_frame_reads_back_at_every_length_form() {
        check(0, 2);
        check(125, 2);
        check(126, 4);
        check(65_535, 4);
        check(65_536, 10);
    }

    #[test]
    fn a_fragment_is_not_last() {
        assert!(!Header::read(&[TEXT, 0]).unwrap().last);
    }
}
