//! tungstenite as the judge: its client's bytes are read by our decoder, our bytes by its client, and for bytes that
//! are damaged the two verdicts are compared. What it does not judge is held to our own invariants.
use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    protocol::{
        CloseFrame, Role, WebSocketConfig,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use super::{decode_cut, frame};
use crate::codec::*;

const LIMITS: Limits = Limits {
    frame: 70_000,
    message: 200_000,
    fragments: u32::MAX,
    binary: true,
};

/// Reads what it was given, takes what is written.
struct Pipe {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn socket(role: Role, input: Vec<u8>) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(LIMITS.frame))
        .max_message_size(Some(LIMITS.message));
    WebSocket::from_raw_socket(
        Pipe {
            input: Cursor::new(input),
            output: Vec::new(),
        },
        role,
        Some(config),
    )
}

/// What a client may do next.
#[derive(Debug, Clone)]
enum Step {
    Text(String, Vec<usize>),
    Binary(Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fragments = || prop::collection::vec(0..100_usize, 0..4);
    let control = || prop::collection::vec(any::<u8>(), 0..126);
    let step = prop_oneof![
        4 => (".{0,60}", fragments()).prop_map(|(text, cuts)| Step::Text(text, cuts)),
        1 => ("\\PC{0,40}", 0..1500_usize, fragments()).prop_map(|(text, n, cuts)| Step::Text(text.repeat(n / 20), cuts)),
        2 => (prop::collection::vec(any::<u8>(), 0..300), fragments()).prop_map(|(bytes, cuts)| Step::Binary(bytes, cuts)),
        1 => (65_500..65_600_usize, fragments()).prop_map(|(n, cuts)| Step::Binary(vec![7; n], cuts)),
        2 => control().prop_map(Step::Ping),
        1 => control().prop_map(Step::Pong),
    ];
    prop::collection::vec(step, 0..8)
}

/// The bytes that tungstenite's client sends for `steps`, with a ping before each continuation, and what they mean.
fn client_bytes(steps: &[Step], close: Option<&(u16, String)>) -> (Vec<u8>, Vec<Event>) {
    let mut client = socket(Role::Client, Vec::new());
    let mut events = Vec::new();
    for step in steps {
        match step {
            Step::Text(text, cuts) => {
                send_fragments(&mut client, Data::Text, text.as_bytes(), cuts, &mut events);
                events.push(Event::Text(text.as_str().into()));
            }
            Step::Binary(bytes, cuts) => {
                send_fragments(&mut client, Data::Binary, bytes, cuts, &mut events);
                events.push(Event::Binary(bytes.clone().into()));
            }
            Step::Ping(payload) => {
                client.send(Message::Ping(payload.clone().into())).unwrap();
                events.push(Event::Ping(payload.clone().into()));
            }
            Step::Pong(payload) => {
                client.send(Message::Pong(payload.clone().into())).unwrap();
                events.push(Event::Pong);
            }
        }
    }
    if let Some((code, reason)) = close {
        client
            .close(Some(CloseFrame {
                code: CloseCode::from(*code),
                reason: reason.as_str().into(),
            }))
            .unwrap();
        events.push(Event::Close {
            code: Some(*code),
            reason: reason.clone(),
        });
    }
    (client.into_inner().output, events)
}

fn send_fragments(
    client: &mut WebSocket<Pipe>,
    kind: Data,
    payload: &[u8],
    cuts: &[usize],
    events: &mut Vec<Event>,
) {
    let mut opcode = OpCode::Data(kind);
    let mut rest = payload;
    for cut in cuts {
        let (now, later) = rest.split_at(rest.len() * cut / 100);
        client
            .send(Message::Frame(Frame::message(now.to_vec(), opcode, false)))
            .unwrap();
        client
            .send(Message::Ping(Bytes::from_static(b"between")))
            .unwrap();
        events.push(Event::Ping(Bytes::from_static(b"between")));
        opcode = OpCode::Data(Data::Continue);
        rest = later;
    }
    client
        .send(Message::Frame(Frame::message(rest.to_vec(), opcode, true)))
        .unwrap();
}

/// Positions in ascending order from arbitrary numbers.
fn cut_positions(stream: &[u8], cuts: &[u32]) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|cut| *cut as usize % (stream.len() + 1))
        .collect();
    cuts.sort_unstable();
    cuts
}

/// What tungstenite's server makes of a stream: events, and the code it would close with.
fn tungstenite_verdict(stream: &[u8]) -> (Vec<Event>, Option<u16>) {
    let mut server = socket(Role::Server, stream.to_vec());
    let mut events = Vec::new();
    loop {
        events.push(match server.read() {
            Ok(Message::Text(text)) => Event::Text(text),
            Ok(Message::Binary(bytes)) => Event::Binary(bytes),
            Ok(Message::Ping(payload)) => Event::Ping(payload),
            Ok(Message::Pong(_)) => Event::Pong,
            // It replaces a forbidden code instead of failing.
            Ok(Message::Close(Some(close))) if close.reason.as_str() == "Protocol violation" => {
                return (events, Some(1002));
            }
            Ok(Message::Close(close)) => {
                let code = close.as_ref().map(|close| close.code.into());
                let reason = close
                    .map(|close| close.reason.as_str().to_owned())
                    .unwrap_or_default();
                events.push(Event::Close { code, reason });
                return (events, None);
            }
            Ok(Message::Frame(_)) => unreachable!("a socket reads no bare frames"),
            Err(Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (events, None),
            Err(Error::Protocol(_)) => return (events, Some(1002)),
            Err(Error::Utf8(_)) => return (events, Some(1007)),
            Err(Error::Capacity(_)) => return (events, Some(1009)),
            Err(error) => panic!("{error:?}"),
        });
    }
}

/// Compares both verdicts on any bytes, and ours on the pieces with ours on the whole.
#[track_caller]
fn compare(stream: &[u8], cuts: &[usize]) {
    let (events, violation) = decode_cut(stream, cuts, &LIMITS);
    let at_once = decode_cut(stream, &[], &LIMITS);
    assert_eq!(
        (&events, violation),
        (&at_once.0, at_once.1),
        "cuts changed the outcome"
    );

    let (mut theirs, mut code) = tungstenite_verdict(stream);
    if violation.is_some() && code.is_none() {
        // A header or half a payload was enough for ours; theirs needs the whole frame.
        let whole_frame = [stream, &vec![0; LIMITS.frame + 14]].concat();
        (theirs, code) = tungstenite_verdict(&whole_frame);
    }
    match (violation, code) {
        // tungstenite takes longer forms of a length, and goes on.
        (Some(Violation::Protocol("A frame's length is not in its shortest form")), _) => {
            theirs.truncate(events.len());
        }
        // tungstenite looks at a frame's size before its rules, and at a close frame's reason before its code.
        (Some(Violation::Protocol(_)), Some(1009))
        | (Some(Violation::Protocol("A close code that may not be sent")), Some(1007)) => {}
        // tungstenite does not know 1014.
        (None, Some(1002))
            if matches!(
                events.last(),
                Some(Event::Close {
                    code: Some(1014),
                    ..
                })
            ) =>
        {
            return;
        }
        _ => assert_eq!(
            violation.map(|violation| violation.close_code()),
            code,
            "{violation:?}"
        ),
    }
    assert_eq!(events, theirs);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_client_sends_is_what_we_read(
        steps in steps(),
        close in prop::option::of((prop_oneof![Just(1000_u16), Just(1001), 3000..5000_u16], ".{0,30}")),
        cuts in prop::collection::vec(any::<u32>(), 0..20),
    ) {
        let (stream, events) = client_bytes(&steps, close.as_ref());
        let cuts = cut_positions(&stream, &cuts);
        prop_assert_eq!(decode_cut(&stream, &cuts, &LIMITS), (events, None));
        compare(&stream, &cuts);
    }

    #[test]
    fn damaged_bytes_get_tungstenites_verdict(
        steps in steps(),
        damage in prop::collection::vec((any::<u32>(), any::<u8>()), 1..4),
        keep in any::<u32>(),
        cuts in prop::collection::vec(any::<u32>(), 0..20),
    ) {
        let (mut stream, _) = client_bytes(&steps, Some(&(1000, "bye".to_owned())));
        for (at, bits) in damage {
            let at = at as usize % stream.len();
            stream[at] ^= bits;
        }
        if keep % 2 == 0 {
            stream.truncate(keep as usize % (stream.len() + 1));
        }
        compare(&stream, &cut_positions(&stream, &cuts));
    }

    #[test]
    fn frames_at_random_get_tungstenites_verdict(
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..6)), 0..8),
        cuts in prop::collection::vec(any::<u32>(), 0..6),
    ) {
        // Reserved bits seldom, so that some streams get far.
        let first = |byte: u8| if byte.is_multiple_of(8) { byte } else { byte & 0x8b };
        let stream: Vec<u8> = frames.iter().flat_map(|(byte, payload)| frame(first(*byte), payload)).collect();
        compare(&stream, &cut_positions(&stream, &cuts));
    }

    #[test]
    fn what_we_send_is_what_a_client_reads(
        text in ".{0,200}",
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        repeat in prop_oneof![Just(1_usize), Just(300)],
        fragment in prop_oneof![Just(0_usize), 1..200_usize, Just(usize::MAX)],
        reason in ".{0,100}",
        payload in prop::collection::vec(any::<u8>(), 0..126),
    ) {
        let (text, bytes) = (text.repeat(repeat.min(100)), bytes.repeat(repeat));
        let stream = [
            encode(FrameKind::Text, text.as_bytes(), fragment),
            ping(&payload),
            encode(FrameKind::Binary, &bytes, fragment),
            pong(&payload),
            close(Some(4001), &reason),
        ].concat();
        let mut client = WebSocket::from_raw_socket(
            Pipe { input: Cursor::new(stream), output: Vec::new() }, Role::Client, None);
        prop_assert_eq!(client.read().unwrap(), Message::Text(text.into()));
        prop_assert_eq!(client.read().unwrap(), Message::Ping(payload.clone().into()));
        prop_assert_eq!(client.read().unwrap(), Message::Binary(bytes.into()));
        prop_assert_eq!(client.read().unwrap(), Message::Pong(payload.into()));
        let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close") };
        prop_assert_eq!(u16::from(frame.code), 4001);
        prop_assert!(reason.starts_with(frame.reason.as_str()) && reason.len() - frame.reason.len() <= reason.len().saturating_sub(120));
    }
}

/// A short run of what a fuzz target does, on numbers that are the same each time.
#[test]
fn noise_neither_panics_nor_piles_up() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let seed = [
        frame(0x81, "{\"action\":\"écho\"}".as_bytes()),
        frame(0x01, "é€".as_bytes()),
        frame(0x89, b"ping"),
        frame(0x80, &[b'x'; 200]),
        frame(0x82, &[0xff; 130]),
        frame(0x88, b"\x03\xe8bye"),
    ]
    .concat();
    for _ in 0..20_000 {
        let mut stream = seed.clone();
        for _ in 0..next() % 6 {
            let at = next() as usize % stream.len();
            stream[at] = next() as u8;
        }
        let cuts: Vec<u32> = (0..next() % 6).map(|_| next() as u32).collect();
        compare(&stream, &cut_positions(&stream, &cuts));
    }
    for _ in 0..20_000 {
        let stream: Vec<u8> = (0..next() % 64)
            .map(|_| next() as u8 & next() as u8)
            .collect();
        compare(&stream, &[]);
    }
}
