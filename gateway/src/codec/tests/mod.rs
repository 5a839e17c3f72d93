//! Frames of a client to test with, and a loop that decodes them in pieces.
mod memory;
mod oracle;
mod rules;

use super::{decode::Decoder, *};

/// Small limits, so that the tables stay readable.
const LIMITS: Limits = Limits {
    frame: 300,
    message: 400,
    fragments: 4,
    binary: true,
};
const AWS: Limits = Limits {
    frame: 32 * 1024,
    message: 128 * 1024,
    fragments: 1024,
    binary: false,
};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = FIN | 8;
const PING: u8 = FIN | 9;
const PONG: u8 = FIN | 0xa;

/// A client's frame with the shortest length and a fixed mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        len @ 0..=125 => vec![len as u8],
        len @ 126..=0xffff => [&[126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[127][..], &(len as u64).to_be_bytes()].concat(),
    };
    header_with_length(first, &length)
        .into_iter()
        .chain(masked(payload))
        .collect()
}

/// A header alone, with the length written as given.
fn header_with_length(first: u8, length: &[u8]) -> Vec<u8> {
    let mut head = vec![first];
    head.extend(length);
    head[1] |= 0x80;
    head.extend(MASK);
    head
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn masked(payload: &[u8]) -> impl Iterator<Item = u8> {
    payload
        .iter()
        .zip(MASK.iter().cycle())
        .map(|(byte, key)| byte ^ key)
}

/// Everything that a stream comes to when it arrives in pieces that end at `cuts`.
fn decode_cut(stream: &[u8], cuts: &[usize], limits: &Limits) -> (Vec<Event>, Option<Violation>) {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        let mut piece = stream[start..end].to_vec();
        start = end;
        let mut used = 0;
        loop {
            match decoder.decode(&mut piece[used..], limits) {
                Ok((n, Some(event))) => {
                    used += n;
                    let closed = matches!(event, Event::Close { .. });
                    events.push(event);
                    if closed {
                        return (events, None);
                    }
                }
                Ok((n, None)) => {
                    assert_eq!(used + n, piece.len(), "no event, so all is used");
                    break;
                }
                Err(violation) => {
                    assert_eq!(decoder.held(), 0, "an error frees everything");
                    return (events, Some(violation));
                }
            }
        }
        assert!(
            decoder.held() <= 2 * end + 256,
            "{} bytes held after {end} came",
            decoder.held()
        );
    }
    (events, None)
}

fn text(text: &str) -> Event {
    Event::Text(text.into())
}
