//! Attacks on an open socket: lying lengths, endless fragments, floods, JSON of any shape.

use harness::{RawSocket, eventually, frame};
use tokio_tungstenite::tungstenite::Message;

use super::MIB;
use crate::app::{App, only_the_echo_comes_back};

// T3 beyond limits.rs
#[tokio::test]
async fn a_length_that_lies_costs_no_memory() {
    let app = App::start().await;
    let before = app.gateway.memory();
    let mut sockets = Vec::new();
    for _ in 0..100 {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        // One MiB is announced and never sent.
        socket
            .send(b"\x81\xff\x00\x00\x00\x00\x00\x10\x00\x00\x01\x02\x03\x04x")
            .await;
        sockets.push(socket);
    }
    let (mut client, _) = app.connect().await;
    only_the_echo_comes_back(&mut client, "meanwhile").await;
    let grown = app.gateway.memory().saturating_sub(before);
    assert!(
        grown < 16 * MIB,
        "{grown} bytes more for 100 promises of 1 MiB"
    );
}

// T4
#[tokio::test]
async fn endless_fragments_end_with_1008() {
    let app = App::start().await;
    let before = app.gateway.memory();
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    socket.send(&frame(0x01, b"")).await;
    let empty = frame(0x00, b"").repeat(100);
    for _ in 0..2000 {
        if !socket.send(&empty).await {
            break;
        }
    }
    let code = socket.next_close().await;
    // A reset may overtake the close frame while bytes are unread.
    assert!(code.is_none() || code == Some(1008), "{code:?}");
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.wiregate("disconnect-code"), "1008");
    assert!(app.gateway.memory().saturating_sub(before) < 4 * MIB);
}

// T5
#[tokio::test]
async fn pings_that_nobody_reads_the_pongs_of_are_bounded() {
    let app = App::start().await;
    let before = app.gateway.memory();
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    let pings = frame(0x89, &[b'x'; 125]).repeat(100);
    for _ in 0..1000 {
        if !socket.send(&pings).await {
            break;
        }
    }
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.wiregate("disconnect-code"), "1008");
    let grown = app.gateway.memory().saturating_sub(before);
    assert!(grown < 4 * MIB, "{grown} bytes more");
}

// T9
#[tokio::test]
async fn json_of_any_shape_goes_to_a_route_or_is_refused() {
    let app = App::start().await;
    let (mut client, _) = app.connect().await;
    let deep = |open: &str, close: &str, count: usize| {
        format!("{}{}", open.repeat(count), close.repeat(count))
    };
    let messages = [
        deep("[", "]", 100_000),
        "[".repeat(128 * 1024),
        deep("{\"action\":", "}", 200),
        format!("{{\"action\":{}}}", deep("[", "]", 10_000)),
        format!(
            "{{\"a\":{},\"action\":\"sendmessage\"}}",
            deep("{\"a\":", "}", 200).replace(":}", ":1}")
        ),
        r#"{"action":"nobody","action":"sendmessage"}"#.to_owned(),
        format!("{{\"action\":{}}}", "9".repeat(10_000)),
        r#"{"action":1e400}"#.to_owned(),
        r#"{"action":"\ud800"}"#.to_owned(),
        r#"{"action":"a\u0000b"}"#.to_owned(),
        "\u{feff}{\"action\":\"sendmessage\"}".to_owned(),
        "{\"action\":\"sendmessage\"}\u{0}".to_owned(),
    ];
    for (n, message) in messages.iter().enumerate() {
        client.send(Message::text(message.clone())).await;
        let seen =
            || app.backend.requests("/default").len() + app.backend.requests("/sendmessage").len();
        eventually(&format!("message {n} reaches a route"), async || {
            (seen() > n).then_some(())
        })
        .await;
        only_the_echo_comes_back(&mut client, &n.to_string()).await;
    }
}
