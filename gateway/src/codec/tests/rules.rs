//! The rules of RFC 6455 and of the limits, a line each.
use super::*;

/// Decodes the frames at once and byte by byte.
#[track_caller]
fn check_with(limits: &Limits, frames: &[Vec<u8>], expected: Result<&[Event], (u16, &str)>) {
    let stream = frames.concat();
    let every: Vec<usize> = (0..stream.len()).collect();
    for cuts in [&[][..], &every] {
        let (events, violation) = decode_cut(&stream, cuts, limits);
        match (expected, violation) {
            (Ok(expected), None) => assert_eq!(events, expected),
            (Err((code, reason)), Some(violation)) => {
                assert_eq!((violation.close_code(), violation.reason()), (code, reason));
            }
            (expected, violation) => {
                panic!("expected {expected:?}, got {events:?} and {violation:?}")
            }
        }
    }
}

#[track_caller]
fn check(frames: &[Vec<u8>], expected: Result<&[Event], (u16, &str)>) {
    check_with(&LIMITS, frames, expected);
}

fn close_event(code: u16, reason: &str) -> Event {
    Event::Close {
        code: Some(code),
        reason: reason.to_owned(),
    }
}

#[test]
fn messages_in_one_frame() {
    check(&[frame(FIN | TEXT, b"hi")], Ok(&[text("hi")]));
    check(&[frame(FIN | TEXT, b"")], Ok(&[text("")]));
    check(
        &[frame(FIN | BINARY, b"\xff\x00")],
        Ok(&[Event::Binary(Bytes::from_static(b"\xff\x00"))]),
    );
    check(
        &[frame(FIN | TEXT, b"a"), frame(FIN | TEXT, b"b")],
        Ok(&[text("a"), text("b")]),
    );
    for len in [1, 3, 4, 7, 8, 9, 124, 125, 126, 127, 255, 256, 300] {
        let long = "abcdefghi".repeat(34)[..len].to_owned();
        check(&[frame(FIN | TEXT, long.as_bytes())], Ok(&[text(&long)]));
    }
    for len in [65_535, 65_536] {
        let wide = Limits {
            frame: 65_536,
            message: 65_536,
            ..LIMITS
        };
        let long = "z".repeat(len);
        check_with(
            &wide,
            &[frame(FIN | TEXT, long.as_bytes())],
            Ok(&[text(&long)]),
        );
    }
}

#[test]
fn messages_in_fragments() {
    let cut = "né€𝄞".as_bytes();
    for at in 0..=cut.len() {
        check(
            &[frame(TEXT, &cut[..at]), frame(FIN, &cut[at..])],
            Ok(&[text("né€𝄞")]),
        );
    }
    let bytes = Event::Binary(Bytes::from_static(b"\xe2\x28"));
    check(
        &[
            frame(BINARY, b"\xe2"),
            frame(CONTINUATION, b""),
            frame(FIN, b"\x28"),
        ],
        Ok(&[bytes]),
    );
    check(
        &[
            frame(TEXT, b"a"),
            frame(PING, b"p"),
            frame(CONTINUATION, b"b"),
            frame(PONG, b""),
            frame(FIN, b"c"),
        ],
        Ok(&[
            Event::Ping(Bytes::from_static(b"p")),
            Event::Pong,
            text("abc"),
        ]),
    );
    check(
        &[frame(TEXT, b"a"), frame(CLOSE, &[0x03, 0xe8])],
        Ok(&[close_event(1000, "")]),
    );
}

#[test]
fn control_frames() {
    let most = [b'x'; 125];
    check(
        &[frame(PING, &most)],
        Ok(&[Event::Ping(Bytes::copy_from_slice(&most))]),
    );
    check(&[frame(PING, b"")], Ok(&[Event::Ping(Bytes::new())]));
    check(&[frame(PONG, &most)], Ok(&[Event::Pong]));

    let too_long = (1002, "A control frame's payload is longer than 125 bytes");
    let cut = (1002, "A control frame may not be fragmented");
    for first in [CLOSE, PING, PONG] {
        check(&[frame(first, &[b'x'; 126])], Err(too_long));
        check(&[frame(first & !FIN, b"")], Err(cut));
    }
}

#[test]
fn close_frames() {
    check(
        &[frame(CLOSE, b"")],
        Ok(&[Event::Close {
            code: None,
            reason: String::new(),
        }]),
    );
    check(
        &[frame(CLOSE, b"\x03\xe8bye")],
        Ok(&[close_event(1000, "bye")]),
    );
    check(
        &[frame(CLOSE, b"\x03\xe8"), frame(FIN | TEXT, b"late")],
        Ok(&[close_event(1000, "")]),
    );
    let longest = "é".repeat(61) + "x";
    let payload = [&[0x0f, 0xa0], longest.as_bytes()].concat();
    check(
        &[frame(CLOSE, &payload)],
        Ok(&[close_event(4000, &longest)]),
    );

    check(
        &[frame(CLOSE, b"\x03")],
        Err((1002, "A close frame with half a code")),
    );
    check(
        &[frame(CLOSE, b"\x03\xe8\xff")],
        Err((1007, "Invalid UTF-8")),
    );
    check(
        &[frame(CLOSE, b"\x03\xe8\xe2\x82")],
        Err((1007, "Invalid UTF-8")),
    );

    for code in [
        1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16,
    ] {
        check(
            &[frame(CLOSE, &code.to_be_bytes())],
            Ok(&[close_event(code, "")]),
        );
    }
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535_u16,
    ] {
        check(
            &[frame(CLOSE, &code.to_be_bytes())],
            Err((1002, "A close code that may not be sent")),
        );
    }
}

#[test]
fn headers_that_may_not_be() {
    for bit in [0x40, 0x20, 0x10] {
        let reserved = (
            1002,
            "A reserved bit is set, but no extension was agreed on",
        );
        check(&[frame(FIN | TEXT | bit, b"x")], Err(reserved));
        check(&[frame(PING | bit, b"x")], Err(reserved));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&[frame(FIN | opcode, b"x")], Err((1002, "Reserved opcode")));
    }
    check(
        &[vec![FIN | TEXT, 1, b'x']],
        Err((1002, "A client must mask its frames")),
    );
    check(
        &[vec![PING, 0]],
        Err((1002, "A client must mask its frames")),
    );
    check(
        &[frame(FIN, b"x")],
        Err((1002, "A continuation of no message")),
    );
    check(
        &[frame(FIN | TEXT, b""), frame(CONTINUATION, b"")],
        Err((1002, "A continuation of no message")),
    );
    for second in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
        let early = (1002, "A new message before the last one has ended");
        check(&[frame(TEXT, b"x"), frame(second, b"y")], Err(early));
    }
}

#[test]
fn lengths_that_may_not_be() {
    let longer = (1002, "A frame's length is not in its shortest form");
    for length in [
        &[126, 0, 0][..],
        &[126, 0, 125],
        &[127, 0, 0, 0, 0, 0, 0, 0, 1],
        &[127, 0, 0, 0, 0, 0, 0, 255, 255],
    ] {
        check(&[header_with_length(FIN | TEXT, length)], Err(longer));
        check(&[header_with_length(PING, length)], Err(longer));
    }
    let top = (1002, "The top bit of a frame's length is set");
    for length in [
        [127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        [127; 9].map(|b| b | 0x80),
        [127, 255, 255, 255, 255, 255, 255, 255, 255],
    ] {
        let length = [&[127], &length[1..]].concat();
        check(&[header_with_length(FIN | TEXT, &length)], Err(top));
    }
    for length in [
        [127, 0x7f, 255, 255, 255, 255, 255, 255, 255],
        [127, 0, 0, 0, 0, 0, 1, 0, 0],
    ] {
        check(
            &[header_with_length(FIN | TEXT, &length)],
            Err((1009, "Message too big")),
        );
        check(
            &[frame(TEXT, b"x"), header_with_length(FIN, &length)],
            Err((1009, "Message too big")),
        );
    }
}

#[test]
fn sizes_are_judged_by_the_header_alone() {
    let too_big = Err((1009, "Message too big"));
    let header =
        |first, len: u16| header_with_length(first, &[&[126][..], &len.to_be_bytes()].concat());
    check(
        &[frame(FIN | TEXT, &[b'x'; 300])],
        Ok(&[text(&"x".repeat(300))]),
    );
    check(&[header(FIN | TEXT, 301)], too_big);
    check(
        &[frame(TEXT, &[b'x'; 200]), frame(FIN, &[b'x'; 200])],
        Ok(&[text(&"x".repeat(400))]),
    );
    check(
        &[frame(TEXT, &[b'x'; 200]), header(CONTINUATION, 201)],
        too_big,
    );
    check(
        &[
            frame(TEXT, &[b'x'; 300]),
            frame(PING, b"p"),
            header_with_length(FIN, &[101]),
        ],
        too_big,
    );
    check_with(
        &Limits {
            message: 10,
            ..LIMITS
        },
        &[header_with_length(FIN | TEXT, &[11])],
        too_big,
    );
    check_with(&AWS, &[header(FIN | TEXT, 32_768)], Ok(&[]));
    check_with(&AWS, &[header(FIN | TEXT, 32_769)], too_big);
}

#[test]
fn limits_that_are_off() {
    let off = Limits {
        frame: usize::MAX,
        message: usize::MAX,
        fragments: u32::MAX,
        binary: true,
    };
    let endless = header_with_length(
        CONTINUATION,
        &[127, 0x7f, 255, 255, 255, 255, 255, 255, 255],
    );
    let mut stream = vec![frame(BINARY, b"x"), endless];
    check_with(&off, &stream, Ok(&[]));
    stream.push(vec![MASK[0]; 100_000]);
    let stream = stream.concat();
    assert_eq!(decode_cut(&stream, &[10, 50, 5000], &off).1, None);
}

#[test]
fn fragments_are_counted_empty_ones_too() {
    let too_many = Err((1008, "Too many fragments"));
    let empty = || frame(CONTINUATION, b"");
    check(
        &[frame(TEXT, b""), empty(), empty(), frame(FIN, b"x")],
        Ok(&[text("x")]),
    );
    check(
        &[
            frame(TEXT, b""),
            empty(),
            empty(),
            empty(),
            header_with_length(FIN, &[5]),
        ],
        too_many,
    );

    let endless = |count| [vec![frame(TEXT, b"")], vec![empty(); count]].concat();
    check_with(&AWS, &endless(1023), Ok(&[]));
    check_with(&AWS, &endless(1024), too_many);
    // Each message counts anew.
    let two = [
        vec![frame(TEXT, b"a"), empty(), frame(FIN, b"")],
        vec![frame(TEXT, b"b"), empty(), frame(FIN, b"")],
    ];
    check(&two.concat(), Ok(&[text("a"), text("b")]));
}

#[test]
fn binary_is_refused_by_its_header() {
    let refused = Err((1003, "Binary is not supported"));
    check_with(&AWS, &[header_with_length(FIN | BINARY, &[5])], refused);
    check_with(
        &AWS,
        &[header_with_length(BINARY, &[126, 255, 255])],
        refused,
    );
    check_with(&AWS, &[frame(FIN | TEXT, b"x")], Ok(&[text("x")]));
}

#[test]
fn text_is_utf8_and_a_bad_byte_ends_it_at_once() {
    let bad = Err((1007, "Invalid UTF-8"));
    for payload in [
        &b"\xff"[..],
        b"a\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"ok\xf0",
    ] {
        check(&[frame(FIN | TEXT, payload)], bad);
        check(&[frame(TEXT, payload), frame(FIN, b"")], bad);
    }
    check(&[frame(TEXT, b"\xe2"), frame(CONTINUATION, b"\x28")], bad);
    check(
        &[
            frame(TEXT, b"\xf0\x9d"),
            frame(CONTINUATION, b""),
            frame(CONTINUATION, b"\x84\x20"),
        ],
        bad,
    );
    // The frame is far from whole, and the message farther.
    let mut early = frame(TEXT, b"abc\xff and much more to come");
    early.truncate(6 + 4);
    check(&[early], bad);
}

#[test]
fn violations_fit_a_close_frame() {
    let most = usize::MAX;
    for violation in [
        Violation::Protocol("A reserved bit is set, but no extension was agreed on"),
        Violation::InvalidUtf8,
        Violation::FrameTooBig {
            size: u64::MAX,
            limit: most,
        },
        Violation::MessageTooBig {
            size: u64::MAX,
            limit: most,
        },
        Violation::Binary,
        Violation::TooManyFragments { limit: 1024 },
    ] {
        let bytes = close(Some(violation.close_code()), violation.reason());
        assert_eq!(&bytes[4..], violation.reason().as_bytes());
        assert!(!violation.to_string().is_empty());
    }
}
