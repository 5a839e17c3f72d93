//! What the decoder uses, holds and counts.
use super::*;

#[test]
fn what_is_not_used_is_untouched() {
    let (one, two) = (frame(FIN | TEXT, b"one"), frame(FIN | TEXT, b"two"));
    let mut input = [one.clone(), two.clone()].concat();
    let mut decoder = Decoder::default();
    assert_eq!(
        decoder.decode(&mut input, &LIMITS).unwrap(),
        (one.len(), Some(text("one")))
    );
    assert_eq!(input[one.len()..], two);
    assert_eq!(decoder.decode(&mut [], &LIMITS).unwrap(), (0, None));
}

#[test]
fn an_idle_connection_costs_nothing() {
    assert!(size_of::<Decoder>() <= 40, "{} bytes", size_of::<Decoder>());
    let mut decoder = Decoder::default();
    let mut feed = |mut piece: Vec<u8>| {
        let event = decoder.decode(&mut piece, &AWS).unwrap().1;
        (event, decoder.held(), decoder.mid_message())
    };
    let big = "x".repeat(32 * 1024);
    for first in [TEXT, CONTINUATION, CONTINUATION] {
        assert!(feed(frame(first, big.as_bytes())).2);
    }
    let (event, held, mid) = feed(frame(FIN, big.as_bytes()));
    assert_eq!((event, held, mid), (Some(text(&big.repeat(4))), 0, false));
    let long_ping = frame(PING, &[b'p'; 125]);
    assert!(feed(long_ping[..50].to_vec()).1 > 0);
    assert_eq!(
        feed(long_ping[50..].to_vec()),
        (Some(Event::Ping(vec![b'p'; 125].into())), 0, false)
    );
}

#[test]
fn a_declared_length_reserves_nothing() {
    let mut decoder = Decoder::default();
    let whole = frame(FIN | TEXT, "x".repeat(32 * 1024).as_bytes());
    for (end, most) in [
        (3, 150),
        (8, 150),
        (9, 100),
        (108, 300),
        (1008, 1200),
        (20_008, 20_200),
        (32_000, 33_000),
    ] {
        let start = if end == 3 {
            0
        } else {
            [3, 8, 9, 108, 1008, 20_008]
                .into_iter()
                .filter(|e| *e < end)
                .max()
                .unwrap()
        };
        assert_eq!(
            decoder
                .decode(&mut whole[start..end].to_vec(), &AWS)
                .unwrap(),
            (end - start, None)
        );
        assert!(
            decoder.held() <= most,
            "{} bytes held after {end}",
            decoder.held()
        );
    }
}

#[test]
fn messages_are_allocated_at_their_exact_size() {
    let parts = [
        frame(TEXT, &[b'x'; 100]),
        frame(CONTINUATION, &[b'x'; 90]),
        frame(FIN, &[b'x'; 3]),
    ]
    .concat();
    let whole = frame(FIN | TEXT, &[b'x'; 193]);
    for (stream, cuts) in [
        (&whole, &[][..]),
        (&whole, &[20, 60]),
        (&parts, &[]),
        (&parts, &[20, 60, 150]),
    ] {
        let (events, _) = decode_cut(stream, cuts, &LIMITS);
        let [Event::Text(text)] = &events[..] else {
            panic!("{events:?}")
        };
        let bytes = Bytes::from(text.clone());
        drop(events);
        assert_eq!(
            (bytes.len(), bytes.try_into_mut().unwrap().capacity()),
            (193, 193)
        );
    }
}

#[test]
fn an_unfinished_message_keeps_its_number() {
    let mut decoder = Decoder::default();
    let mut feed = |piece: &[u8]| {
        let (mut piece, mut used) = (piece.to_vec(), 0);
        while let (n, Some(_)) = decoder.decode(&mut piece[used..], &LIMITS).unwrap() {
            used += n;
        }
        assert_eq!(decoder.mid_message(), decoder.unfinished().is_some());
        decoder.unfinished()
    };
    let next = |first: u8| [&frame(FIN | TEXT, b"done")[..], &[first]].concat();
    assert_eq!(feed(b""), None);
    let one = feed(&frame(TEXT, b"a"));
    assert!(one.is_some());
    assert_eq!(feed(&frame(PING, b"b")), one);
    assert_eq!(feed(&frame(PING, b"b")[..3]), one);
    assert_eq!(feed(&frame(PING, b"b")[3..]), one);
    assert_eq!(feed(&frame(FIN, b"c")), None);
    let two = feed(&next(FIN | TEXT));
    assert!(two.is_some() && two != one);
    // The rest of that frame, and again the first byte of another: never between messages, yet each one new.
    let three = feed(&[&frame(FIN | TEXT, b"d")[1..], &[PING]].concat());
    assert!(three.is_some() && three != two);
    let four = feed(&[&frame(PING, b"d")[1..], &[PING]].concat());
    assert!(four.is_some() && four != three);
}
