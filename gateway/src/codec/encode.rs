//! The sending half: messages and control frames to the bytes of a server, which masks nothing.
use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{MAX_CONTROL_PAYLOAD, close_frame::may_be_sent};

/// What a message says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// UTF-8; the caller has checked it, clients close with 1007 otherwise.
    Text,
    /// Any bytes.
    Binary,
}

/// One message in one allocation of its exact size, in frames of at most `fragment` payload bytes (AWS quotas,
/// WebSocket: 32 KB a frame). `usize::MAX`, or 0, makes it a single frame.
///
/// A text may be cut inside a character, which RFC 6455, 5.6 allows. Write the whole before anything else: frames of
/// two messages may not mix.
pub fn encode(kind: FrameKind, payload: &[u8], fragment: usize) -> Bytes {
    let fragment = if fragment == 0 { usize::MAX } else { fragment };
    let mut opcode = OpCode::Data(match kind {
        FrameKind::Text => Data::Text,
        FrameKind::Binary => Data::Binary,
    });
    let mut out = Vec::with_capacity(encoded_len(payload.len(), fragment));
    let mut rest = payload;
    loop {
        let (chunk, after) = rest.split_at(fragment.min(rest.len()));
        write_frame(opcode, after.is_empty(), chunk, &mut out);
        if after.is_empty() {
            return Bytes::from(out);
        }
        opcode = OpCode::Data(Data::Continue);
        rest = after;
    }
}

/// A ping. Of the payload the first 125 bytes are sent.
pub fn ping(payload: &[u8]) -> Bytes {
    control(Control::Ping, payload)
}

/// The answer to a ping, with the ping's payload (RFC 6455, 5.5.3).
pub fn pong(payload: &[u8]) -> Bytes {
    control(Control::Pong, payload)
}

/// A close frame. The reason is cut to the 123 bytes that fit, between two characters. `None`, and a code that may
/// not stand on the wire such as 1005 or 1006, make it empty.
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code.filter(|code| may_be_sent(*code)) else {
        return control(Control::Close, &[]);
    };
    let mut payload = [0; MAX_CONTROL_PAYLOAD];
    let len = reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2);
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + len].copy_from_slice(&reason.as_bytes()[..len]);
    control(Control::Close, &payload[..2 + len])
}

fn control(opcode: Control, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)];
    let mut out = Vec::with_capacity(2 + payload.len());
    write_frame(OpCode::Control(opcode), true, payload, &mut out);
    Bytes::from(out)
}

fn write_frame(opcode: OpCode, is_final: bool, payload: &[u8], out: &mut Vec<u8>) {
    let header = FrameHeader {
        is_final,
        opcode,
        ..FrameHeader::default()
    };
    header
        .format(payload.len() as u64, out)
        .expect("a Vec takes every write");
    out.extend_from_slice(payload);
}

fn encoded_len(payload: usize, fragment: usize) -> usize {
    let header = |length: usize| FrameHeader::default().len(length as u64);
    let full_frames = payload.saturating_sub(1) / fragment;
    let last = payload - full_frames * fragment;
    full_frames * (header(fragment.min(payload)) + fragment.min(payload)) + header(last) + last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encoded: &Bytes, expected: &[u8]) {
        assert_eq!(&encoded[..], expected);
    }

    #[test]
    fn frames_on_the_wire() {
        check(&encode(FrameKind::Text, b"hi", usize::MAX), b"\x81\x02hi");
        check(&encode(FrameKind::Text, b"", usize::MAX), b"\x81\x00");
        check(&encode(FrameKind::Binary, b"\xff", 0), b"\x82\x01\xff");
        check(&encode(FrameKind::Text, b"abcd", 4), b"\x81\x04abcd");
        check(
            &encode(FrameKind::Text, b"abcde", 2),
            b"\x01\x02ab\x00\x02cd\x80\x01e",
        );
        check(
            &encode(FrameKind::Binary, b"abcd", 2),
            b"\x02\x02ab\x80\x02cd",
        );
        check(&ping(b"p"), b"\x89\x01p");
        check(&pong(b""), b"\x8a\x00");
        check(
            &pong(&[b'x'; 126]),
            &[b"\x8a\x7d", &[b'x'; 125][..]].concat(),
        );
    }

    #[test]
    fn close_frames_on_the_wire() {
        check(
            &close(Some(1000), "Connection Closed Normally"),
            b"\x88\x1c\x03\xe8Connection Closed Normally",
        );
        check(&close(Some(4999), ""), b"\x88\x02\x13\x87");
        for code in [None, Some(1005), Some(1006), Some(1015), Some(0)] {
            check(&close(code, "dropped"), b"\x88\x00");
        }
        let cut = close(Some(1000), &("x".repeat(122) + "é"));
        check(
            &cut,
            &[b"\x88\x7c\x03\xe8", "x".repeat(122).as_bytes()].concat(),
        );
        let fits = close(Some(1000), &("x".repeat(121) + "é"));
        assert_eq!(fits.len(), 2 + MAX_CONTROL_PAYLOAD);
    }

    #[test]
    fn an_allocation_is_exact() {
        for len in [0, 1, 125, 126, 1000, 65_535, 65_536, 131_072] {
            for fragment in [0, 1, 100, 125, 126, 32_768, 65_536, usize::MAX] {
                let encoded = encode(FrameKind::Binary, &vec![7; len], fragment);
                let size = encoded.len();
                let capacity = encoded.try_into_mut().expect("nobody shares it").capacity();
                assert_eq!(
                    (size, capacity),
                    (
                        encoded_len(len, if fragment == 0 { usize::MAX } else { fragment }),
                        size
                    )
                );
            }
        }
    }
}
