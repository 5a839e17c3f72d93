//! Sizes and rates: what is let through, and how the rest is refused.

use std::time::Duration;

use harness::{RawSocket, Table, eventually, frame};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{App, only_the_echo_comes_back, text};

#[tokio::test]
async fn a_message_may_be_as_long_as_its_preset_says() {
    let mut table = Table::about("sizes of messages in one frame");
    for (limits, size, fits) in [
        ("preset: open", 1024 * 1024, true),
        ("preset: open", 1024 * 1024 + 1, false),
        ("preset: aws", 32 * 1024, true),
        ("preset: aws", 32 * 1024 + 1, false),
        ("maxMessageBytes: 1000", 1000, true),
        ("maxMessageBytes: 1000", 1001, false),
        ("preset: aws, maxFrameBytes: 0", 128 * 1024, true),
        ("preset: aws, maxFrameBytes: 0", 128 * 1024 + 1, false),
        ("maxFrameBytes: 100", 100, true),
        ("maxFrameBytes: 100", 101, false),
        ("maxMessageBytes: 0", 3 * 1024 * 1024, true),
    ] {
        let app = App::with(&format!("limits: {{ {limits} }}")).await;
        let (mut client, _) = app.connect().await;
        let sent = client.try_send(Message::text("x".repeat(size))).await;
        let name = format!("{limits}: {size}");
        if fits {
            table.holds(&name, sent, "not taken");
            table.row(&name, app.backend.next("/default").await.body.len(), size);
        } else {
            table.row(&name, client.closed().await.code, 1009);
            let told = app.backend.next("/disconnect").await;
            table.row(&name, told.wiregate("disconnect-code"), "1009");
            table.row(&name, app.backend.requests("/default").len(), 0);
        }
    }
}

#[tokio::test]
async fn a_length_is_judged_before_its_bytes_arrive() {
    let app = App::start().await;
    let mut table = Table::about("lengths that are only announced");
    for (name, header, codes) in [
        (
            "1 MiB + 1",
            &b"\x81\xff\x00\x00\x00\x00\x00\x10\x00\x01"[..],
            &[1009][..],
        ),
        ("2^31", b"\x81\xff\x00\x00\x00\x00\x80\x00\x00\x00", &[1009]),
        (
            "2^63 - 1",
            b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
            &[1009],
        ),
        (
            "the top bit",
            b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00",
            &[1002, 1009],
        ),
        (
            "2^64 - 1",
            b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &[1002, 1009],
        ),
    ] {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        socket.send(&[header, &[1, 2, 3, 4]].concat()).await;
        let code = socket.next_close().await.unwrap_or(1006);
        table.holds(
            name,
            codes.contains(&code),
            &format!("expected {codes:?}, got {code}"),
        );
    }
}

#[tokio::test]
async fn a_message_of_too_many_fragments_is_closed_with_1008() {
    let app = App::with("limits: { maxFragments: 16 }").await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    socket.send(&frame(0x01, b"a")).await;
    for _ in 0..14 {
        socket.send(&frame(0x00, b"")).await;
    }
    socket.send(&frame(0x80, b"b")).await;
    assert_eq!(app.backend.next("/default").await.text(), "ab");
    socket.send(&frame(0x01, b"a")).await;
    for _ in 0..16 {
        socket.send(&frame(0x00, b"")).await;
    }
    assert_eq!(socket.next_close().await, Some(1008));
    assert_eq!(
        app.backend
            .next("/disconnect")
            .await
            .wiregate("disconnect-code"),
        "1008"
    );
}

#[tokio::test]
async fn a_message_that_is_never_finished_is_closed_with_1008() {
    let app = App::with("limits: { messageTimeout: 600ms }").await;
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    socket.send(&frame(0x01, b"begun")).await;
    assert_eq!(socket.next_close().await, Some(1008));
    let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
    socket.send(&frame(0x81, b"half a frame")[..8]).await;
    assert_eq!(socket.next_close().await, Some(1008));
}

#[tokio::test]
async fn a_flood_of_control_frames_is_closed_with_1008() {
    let app = App::with("limits: { controlFramesPerSecond: 20 }").await;
    for first in [0x89, 0x8a] {
        let mut socket = RawSocket::open(app.gateway.handshake("/dev")).await;
        let flood = frame(first, b"x").repeat(500);
        socket.send(&flood).await;
        assert_eq!(socket.next_close().await, Some(1008), "{first:#x}");
    }
}

#[tokio::test]
async fn a_client_that_sends_too_often_is_closed_with_1008() {
    let app = App::with("limits: { messagesPerSecond: 10 }").await;
    let (mut client, _) = app.connect().await;
    for _ in 0..200 {
        if !client.try_send(Message::text("x")).await {
            break;
        }
    }
    let closed = client.closed().await;
    assert_eq!(closed.code, 1008, "{closed:?}");
    assert_eq!(
        app.backend
            .next("/disconnect")
            .await
            .wiregate("disconnect-code"),
        "1008"
    );
    let passed = app.backend.requests("/default").len();
    assert!((1..=40).contains(&passed), "{passed} messages passed");
}

#[tokio::test]
async fn an_address_that_sends_too_often_gets_error_frames_and_stays() {
    let app = App::with("limits: { messagesPerSecondPerAddress: 5 }").await;
    let (mut client, id) = app.connect().await;
    for n in 0..60 {
        client.send_json(&json!({"action": "echo", "n": n})).await;
    }
    let mut refused = 0;
    for _ in 0..60 {
        let reply = client.next_json().await;
        if reply.get("message").is_some() {
            assert_eq!(text(&reply["message"]), "Too Many Requests");
            assert_eq!(text(&reply["connectionId"]), id);
            refused += 1;
        }
    }
    assert!((1..60).contains(&refused), "{refused} of 60 were refused");
    eventually("the socket takes messages again", async || {
        client.send_json(&json!({"action": "echo"})).await;
        let reply = client.next_json().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        reply.get("action").map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn too_many_handshakes_a_second_are_answered_429() {
    let app = App::with("limits: { connectsPerSecond: 5 }").await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let handshake = app.gateway.handshake("/dev");
        match handshake.send().await {
            harness::Opened::Open(_) => statuses.push(101),
            harness::Opened::Refused(answer) => {
                assert_eq!(answer.message(), "Too Many Requests");
                statuses.push(answer.status);
            }
        }
    }
    let opened = statuses.iter().filter(|status| **status == 101).count();
    assert!(
        statuses.iter().all(|status| [101, 429].contains(status)),
        "{statuses:?}"
    );
    assert!((5..=30).contains(&opened), "{opened} of 40 were let in");
    eventually("handshakes are let in again", async || {
        (app.gateway.handshake("/dev").status().await == 101).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stage_throttles_its_routes_and_the_socket_stays_open() {
    let stages = "stages: { dev: { routeSettings: { sendmessage: { throttlingRateLimit: 0 }, $disconnect: { throttlingRateLimit: 0 } } } }";
    let app = App::with(stages).await;
    let (mut client, id) = app.connect().await;
    for _ in 0..3 {
        client.send_json(&json!({"action": "sendmessage"})).await;
        let refused = client.next_json().await;
        assert_eq!(refused["message"], "Too Many Requests");
        assert_eq!(refused["connectionId"], id.as_str());
    }
    only_the_echo_comes_back(&mut client, "after the throttle").await;
    assert!(app.backend.requests("/sendmessage").is_empty());
    drop(client);
    // The end is told whatever the settings say.
    assert_eq!(app.backend.next("/disconnect").await.connection_id(), id);
}

#[tokio::test]
async fn a_stage_throttles_its_handshakes() {
    let app = App::with("stages: { dev: { defaultRouteSettings: { throttlingBurstLimit: 2, throttlingRateLimit: 0.001 } } }").await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(app.gateway.handshake("/dev").status().await);
    }
    assert_eq!(statuses, [101, 101, 429, 429]);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_until_others_end() {
    let app = App::with_server("server: { maxConnections: 3 }", "").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(app.connect().await);
    }
    let fourth = app.gateway.handshake("/dev");
    let answer = tokio::time::timeout(Duration::from_secs(3), fourth.exchange()).await;
    let status = answer.ok().flatten().map(|(_, answer, _)| answer.status);
    assert!(matches!(status, Some(429 | 503)), "{status:?}");
    for (client, id) in &mut open {
        only_the_echo_comes_back(client, id).await;
    }
    drop(open.pop());
    eventually("a place is free again", async || {
        (app.gateway.handshake("/dev").status().await == 101).then_some(())
    })
    .await;
}
