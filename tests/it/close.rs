//! How sockets end, and what each side is told (data plane §12).

use std::time::{Duration, Instant};

use harness::{Frame, Gate, RawSocket, Table, frame};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{App, only_the_echo_comes_back};

/// Closes of the client: what it sends, what it gets back, and what `$disconnect` is told.
#[tokio::test]
async fn a_clients_close_is_answered_in_kind_and_told_to_disconnect() {
    let app = App::start().await;
    let mut table = Table::about("closes of the client");
    for (sent, code, reason) in [
        (Some((1000, "")), "1000", ""),
        (Some((1000, "done")), "1000", "done"),
        (Some((1001, "")), "1001", ""),
        (Some((1011, "oops")), "1011", "oops"),
        (Some((3000, "registered")), "3000", "registered"),
        (Some((4001, "bye")), "4001", "bye"),
        (Some((4999, "señor & co")), "4999", "señor & co"),
        (Some((4002, "100%25 sure%")), "4002", "100%25 sure%"),
        (None, "1005", "Client-side close frame status not set"),
    ] {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        let id = app.backend.next("/connect").await.connection_id();
        let payload = sent.map_or_else(Vec::new, |(code, reason): (u16, &str)| {
            [&code.to_be_bytes(), reason.as_bytes()].concat()
        });
        socket.send(&frame(0x88, &payload)).await;
        let name = format!("{sent:?}");
        let answer = socket.next().await;
        let expected = Some(Frame {
            fin: true,
            opcode: 8,
            payload,
        });
        table.row(&name, answer, expected);
        table.holds(
            &name,
            socket.ends_within(Duration::from_secs(5)).await,
            "the stream stays open",
        );
        let told = app.backend.next("/disconnect").await;
        table.row(&name, told.connection_id(), id);
        table.row(&name, told.wiregate("disconnect-code"), code);
        table.row(&name, told.disconnect_reason(), reason.to_owned());
        table.row(&name, told.wiregate("event-type"), "DISCONNECT");
    }
}

/// What a client must not send: its bytes, the close code it gets, which `$disconnect` is told too.
#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_the_code_for_it() {
    let app = App::aws().await;
    let mut table = Table::about("violations");
    let big = vec![b'x'; 32 * 1024];
    let fragments = |count: usize| {
        let mut bytes = frame(0x01, &big);
        for _ in 2..count {
            bytes.extend(frame(0x00, &big));
        }
        bytes.extend(frame(0x80, &big));
        bytes
    };
    let unmasked = b"\x81\x05hello".to_vec();
    let close_with = |code: u16| frame(0x88, &code.to_be_bytes());
    for (name, bytes, code) in [
        ("a binary frame", frame(0x82, b"x"), 1003),
        (
            "a frame of 32769 bytes",
            frame(0x81, &vec![b'x'; 32 * 1024 + 1]),
            1009,
        ),
        ("5 fragments of 32768 bytes", fragments(5), 1009),
        ("invalid UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("a surrogate", frame(0x81, b"\xed\xa0\x80"), 1007),
        ("an unmasked frame", unmasked, 1002),
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("an unknown data opcode", frame(0x83, b"x"), 1002),
        ("an unknown control opcode", frame(0x8b, b"x"), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        (
            "a text inside a text",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
        ),
        ("a fragmented ping", frame(0x09, b"x"), 1002),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), 1002),
        ("a close of one byte", frame(0x88, b"x"), 1002),
        ("close code 999", close_with(999), 1002),
        ("close code 1004", close_with(1004), 1002),
        ("close code 1005", close_with(1005), 1002),
        ("close code 1006", close_with(1006), 1002),
        ("close code 5000", close_with(5000), 1002),
        (
            "a close reason that is no UTF-8",
            frame(0x88, b"\x03\xe8\xff"),
            1007,
        ),
    ] {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        app.backend.next("/connect").await;
        socket.send(&bytes).await;
        table.row(name, socket.next_close().await, Some(code));
        table.holds(
            name,
            socket.ends_within(Duration::from_secs(6)).await,
            "the stream stays open",
        );
        let told = app.backend.next("/disconnect").await;
        table.row(
            name,
            told.wiregate("disconnect-code"),
            code.to_string().as_str(),
        );
    }
    table.row(
        "messages at the backend",
        app.backend.requests("/default").len(),
        0,
    );
}

#[tokio::test]
async fn four_fragments_of_32_kib_are_a_legal_message() {
    let app = App::aws().await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    let big = vec![b'x'; 32 * 1024];
    for first in [0x01, 0x00, 0x00, 0x80] {
        socket.send(&frame(first, &big)).await;
    }
    assert_eq!(app.backend.next("/default").await.body.len(), 128 * 1024);
}

#[tokio::test]
async fn a_control_frame_may_stand_between_fragments() {
    let app = App::start().await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    socket.send(&frame(0x01, b"hel")).await;
    socket.send(&frame(0x89, b"are you there")).await;
    socket.send(&frame(0x80, b"lo")).await;
    let pong = socket.next().await.expect("a pong");
    assert_eq!(
        (pong.opcode, pong.payload.as_slice()),
        (10, &b"are you there"[..])
    );
    assert_eq!(app.backend.next("/default").await.text(), "hello");
}

#[tokio::test]
async fn a_client_that_vanishes_is_told_as_1006() {
    let app = App::start().await;
    let mut table = Table::about("ends without a close frame");
    for name in ["FIN", "RST", "FIN in the middle of a frame", "half closed"] {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        let id = app.backend.next("/connect").await.connection_id();
        let begun = Instant::now();
        let mut kept = None;
        match name {
            "RST" => socket.reset(),
            "half closed" => {
                socket.stream.shutdown().await.unwrap();
                kept = Some(socket);
            }
            "FIN" => drop(socket),
            _ => {
                socket.send(&frame(0x81, b"hello")[..4]).await;
                drop(socket);
            }
        }
        let told = app.backend.next("/disconnect").await;
        table.row(name, told.connection_id(), id);
        table.row(name, told.wiregate("disconnect-code"), "1006");
        table.row(
            name,
            told.disconnect_reason(),
            "Connection closed abnormally".to_owned(),
        );
        table.holds(
            name,
            begun.elapsed() < Duration::from_secs(5),
            "told too late",
        );
        drop(kept);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_1001() {
    let app = App::with("limits: { idleTimeout: 700ms }").await;
    let (mut client, _) = app.connect().await;
    let begun = Instant::now();
    only_the_echo_comes_back(&mut client, "activity").await;
    assert_eq!(client.closed().await, (1001, "Going away"));
    assert!(
        begun.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begun.elapsed()
    );
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.wiregate("disconnect-code"), "1001");
    assert_eq!(told.disconnect_reason(), "Going away");
}

#[tokio::test]
async fn a_clients_own_pings_keep_it_open_and_its_pongs_do_not() {
    let app = App::with("limits: { idleTimeout: 800ms, pingInterval: 200ms }").await;
    let (mut pinging, _) = app.connect().await;
    let (mut silent, _) = app.connect().await;
    let begun = Instant::now();
    let quiet = tokio::spawn(async move {
        // Reading answers the server's pings with pongs.
        let closed = silent.closed().await;
        (closed, begun.elapsed())
    });
    let mut tick = tokio::time::interval(Duration::from_millis(300));
    while begun.elapsed() < Duration::from_millis(2400) {
        tick.tick().await;
        pinging.send(Message::Ping("still here".into())).await;
    }
    only_the_echo_comes_back(&mut pinging, "alive").await;
    let (closed, after) = quiet.await.unwrap();
    assert_eq!(closed, (1001, "Going away"));
    assert!(
        after < Duration::from_millis(2400),
        "pongs kept it open for {after:?}"
    );
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_closed_however_busy_it_is() {
    let app = App::with("limits: { maxAge: 1500ms, maxAgeJitter: 0 }").await;
    let (mut client, _) = app.connect().await;
    let begun = Instant::now();
    let closed = loop {
        let sent = client.try_send(Message::text("busy")).await;
        assert!(begun.elapsed() < Duration::from_secs(6), "still open");
        if !sent || begun.elapsed() > Duration::from_millis(1400) {
            break client.closed().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(closed, (1001, "Going away"));
    assert!(
        begun.elapsed() >= Duration::from_millis(1200),
        "{:?}",
        begun.elapsed()
    );
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.wiregate("disconnect-code"), "1001");
}

#[tokio::test]
async fn the_server_pings_and_gives_up_on_who_does_not_answer() {
    let app = App::with("limits: { pingInterval: 200ms, pongTimeout: 400ms }").await;
    let mut dead = RawSocket::open(app.gateway.handshake("/dev")).await;
    let dead_id = app.backend.next("/connect").await.connection_id();
    let (mut alive, alive_id) = app.connect().await;
    assert_eq!(dead.next().await.expect("a ping").opcode, 9);
    let told = loop {
        tokio::select! {
            told = app.backend.next("/disconnect") => break told,
            message = alive.next_of_any_kind(Duration::from_secs(5)) => assert!(message.is_some()),
        }
    };
    assert_eq!(told.connection_id(), dead_id);
    assert_eq!(told.wiregate("disconnect-code"), "1006");
    assert_eq!(app.gateway.push(&alive_id, "still here").await.status, 200);
    assert_eq!(alive.next_text().await, "still here");
}

#[tokio::test]
async fn under_the_aws_preset_the_server_never_pings_and_answers_pings() {
    let app = App::aws().await;
    let (mut client, _) = app.connect().await;
    client.send(Message::Ping("x".into())).await;
    let pong = client.next_of_any_kind(Duration::from_secs(5)).await;
    assert_eq!(pong, Some(Message::Pong("x".into())));
}

#[tokio::test]
async fn the_socket_is_gone_soon_after_our_close_even_if_the_peer_never_answers() {
    let app = App::start().await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    let id = app.backend.next("/connect").await.connection_id();
    assert_eq!(app.gateway.delete(&id).await.status, 204);
    assert_eq!(socket.next_close().await, Some(1000));
    let told = app
        .backend
        .next_within(Duration::from_secs(6), "/disconnect")
        .await;
    assert_eq!(told.connection_id(), id);
    assert!(
        socket.ends_within(Duration::from_secs(6)).await,
        "the stream stays open"
    );
}

#[tokio::test]
async fn a_client_that_sends_on_after_its_close_is_not_heard() {
    let app = App::start().await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    app.backend.next("/connect").await;
    let close = frame(0x88, &1000_u16.to_be_bytes());
    let late = frame(0x81, br#"{"action":"sendmessage"}"#);
    socket.send(&[close, late.clone(), late].concat()).await;
    assert_eq!(socket.next_close().await, Some(1000));
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.wiregate("disconnect-code"), "1000");
    assert!(app.backend.requests("/sendmessage").is_empty());
}

#[tokio::test]
async fn a_close_that_was_read_behind_a_full_queue_is_not_waited_for() {
    let app = App::with("limits: { concurrency: 1 }").await;
    let gate = Gate::shut();
    app.backend.hold("/echo", &gate);
    let mut client = RawSocket::open(app.gateway.handshake("/dev")).await;
    let id = app.backend.next("/connect").await.connection_id();
    // More than may wait, in one write; nothing is read while they do.
    let mut said = frame(0x81, br#"{"action":"echo"}"#).repeat(100);
    said.extend(frame(0x88, b""));
    assert!(client.send(&said).await);
    app.backend.next("/echo").await;
    assert_eq!(app.gateway.delete(&id).await.status, 204);
    assert_eq!(client.next_close().await, Some(1000));
    // Without a close of the client's it would be 3 s.
    assert!(client.ends_within(Duration::from_secs(2)).await);
    gate.open();
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.connection_id(), id);
}
