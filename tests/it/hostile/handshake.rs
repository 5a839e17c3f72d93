//! Attacks before a socket is open: slow, oversized, ambiguous requests, odd paths and forged ids.

use std::time::{Duration, Instant};

use harness::{Backend, Request, Table, read_answer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MIB;
use crate::app::{self, App, is_connection_id, only_the_echo_comes_back, text};

/// Time until the peer ends the stream, or `None` if it does not within `limit`.
async fn ends(stream: &mut TcpStream, limit: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let drain = async {
        let mut sink = [0; 1024];
        while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
    };
    tokio::time::timeout(limit, drain)
        .await
        .ok()
        .map(|()| begun.elapsed())
}

// T2
#[tokio::test]
async fn oversized_headers_are_refused_cheaply() {
    let app = App::start().await;
    let before = app.gateway.memory();
    let huge = "x".repeat(1024 * 1024);
    let many = (0..10_000)
        .map(|n| format!("x-{n}: y\r\n"))
        .collect::<String>();
    let mut table = Table::about("oversized requests");
    for (name, extra) in [
        ("a header of 1 MiB", format!("x-huge: {huge}\r\n")),
        ("10,000 headers", many),
        (
            "a header name of 100 KiB",
            format!("{}: y\r\n", "n".repeat(100 * 1024)),
        ),
    ] {
        let mut head = app.gateway.handshake("/dev").bytes();
        head.truncate(head.len() - 2);
        let mut stream = TcpStream::connect(app.gateway.public()).await.unwrap();
        let _ = stream
            .write_all(&[&head, extra.as_bytes(), b"\r\n"].concat())
            .await;
        let answer =
            tokio::time::timeout(Duration::from_secs(5), read_answer(&mut stream, false)).await;
        // The answer may be lost in the reset that follows unread bytes; what matters is that it is no 101.
        if let Ok(Some((answer, _))) = answer {
            let refused = [400, 413, 431].contains(&answer.status);
            table.holds(name, refused, &format!("answered {}", answer.status));
        }
        table.holds(
            name,
            ends(&mut stream, Duration::from_secs(5)).await.is_some(),
            "stays open",
        );
    }
    table.row(
        "calls of $connect",
        app.backend.requests("/connect").len(),
        0,
    );
    let grown = app.gateway.memory().saturating_sub(before);
    table.holds("memory", grown < 8 * MIB, &format!("{grown} bytes more"));
    let (mut client, _) = app.connect().await;
    only_the_echo_comes_back(&mut client, "alive").await;
}

// T19
#[tokio::test]
async fn an_ambiguous_request_is_refused_once_and_never_split() {
    let app = App::start().await;
    let host = app.gateway.public();
    let upgrade = format!(
        "Host: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    let second = format!("GET /dev HTTP/1.1\r\n{upgrade}\r\n");
    let mut table = Table::about("ambiguous requests");
    for (name, request) in [
        ("length and chunks", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}")),
        ("two lengths", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n{second}")),
        ("a negative length", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n{second}")),
        ("a length with a plus", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nContent-Length: +0\r\n\r\n{second}")),
        ("an odd coding", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{second}")),
        ("chunked twice", format!("POST /dev HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{second}")),
        ("a folded header", format!("GET /dev HTTP/1.1\r\nX-A: b\r\n c: d\r\n{upgrade}\r\n")),
        ("a space before the colon", format!("GET /dev HTTP/1.1\r\nX-A : b\r\n{upgrade}\r\n")),
        ("no host", "GET /dev HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".to_owned()),
        ("two hosts", format!("GET /dev HTTP/1.1\r\nHost: evil.example\r\n{upgrade}\r\n")),
        ("a NUL in a header", format!("GET /dev HTTP/1.1\r\nX-A: a\0b\r\n{upgrade}\r\n")),
        ("a bare CR in a header", format!("GET /dev HTTP/1.1\r\nX-A: a\rb\r\n{upgrade}\r\n")),
        ("HTTP/0.9", "GET /dev\r\n\r\n".to_owned()),
        ("HTTP/1.0", format!("GET /dev HTTP/1.0\r\n{upgrade}\r\n")),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("POST to upgrade", format!("POST /dev HTTP/1.1\r\nContent-Length: 0\r\n{upgrade}\r\n")),
        ("a body on the upgrade", format!("GET /dev HTTP/1.1\r\nContent-Length: 5\r\n{upgrade}\r\nhello")),
        ("chunks on the upgrade", format!("GET /dev HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{upgrade}\r\n0\r\n\r\n")),
    ] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = async {
            while matches!(stream.read_buf(&mut bytes).await, Ok(count) if count > 0) {}
        };
        let ended = tokio::time::timeout(Duration::from_secs(4), read).await.is_ok();
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let opened = answer.matches("HTTP/1.1 101").count();
        table.row(name, opened, 0);
        table.holds(name, answer.matches("HTTP/1.").count() <= 1 || name == "HTTP/2", &answer);
        table.holds(name, ended || answer.starts_with("HTTP/1.1 4"), &format!("no end and no refusal: {answer}"));
    }
    table.row(
        "calls of $connect",
        app.backend.requests("/connect").len(),
        0,
    );
    let (mut client, _) = app.connect().await;
    only_the_echo_comes_back(&mut client, "alive").await;
}

// T14 beyond sigv4.rs
#[tokio::test]
async fn odd_paths_reach_no_connection() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let mut table = Table::about("odd paths");
    for path in [
        format!("/dev/%2e%2e/dev/@connections/{id}"),
        format!("/prod/../dev/@connections/{id}"),
        format!("/dev/.//@connections/{id}"),
        format!("/dev/%2F@connections/{id}"),
        format!("/dev%2F@connections/{id}"),
        format!("/dev/@connections%2F{id}"),
        format!("/dev/@connections/{id}%00"),
        format!("/dev/@connections/{id}%0d%0a"),
        format!("/dev/@connections/{id}%23"),
        format!("/dev/@connections/%20{id}"),
        format!("/dev/%2540connections/{id}"),
        format!("/dev/@connections/{id}/../{id}"),
        format!("/DEV/@connections/{id}"),
        format!("/dev/@CONNECTIONS/{id}"),
        format!("/dev/@connections/{}", id.to_lowercase()),
        format!("/dev/@connections/{}", &id[..31]),
        format!("/dev/@connections/{id}="),
    ] {
        let answer = Request::post(app.gateway.management(), &path, "x")
            .send()
            .await;
        table.holds(
            &path,
            (400..500).contains(&answer.status),
            &format!("answered {}", answer.status),
        );
    }
    only_the_echo_comes_back(&mut client, "nothing was delivered").await;
}

// T16, CI size
#[tokio::test]
async fn strangers_cannot_fill_memory_with_unsigned_bodies() {
    let app = App::with_server(
        "server: { credentials: [{ accessKeyId: AKIAEXAMPLE, secretAccessKey: secret }] }",
        "",
    )
    .await;
    let before = app.gateway.memory();
    let mut strangers = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(app.gateway.public()).await.unwrap();
        let head = "POST /dev/@connections/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // As much as is taken before the refusal; the rest is not wanted.
        let body = vec![b'x'; 1024 * 1024];
        let _ = tokio::time::timeout(Duration::from_millis(50), stream.write_all(&body)).await;
        strangers.push(stream);
    }
    let grown = app.gateway.memory().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes more for 40 unsigned bodies");
    for stream in &mut strangers {
        assert!(ends(stream, Duration::from_secs(5)).await.is_some());
    }
}

#[tokio::test]
async fn a_forged_id_names_nobody() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    assert!(is_connection_id(&id));
    let mut table = Table::about("ids with one character changed");
    for at in [0, 1, 5, 9, 10, 15, 20, 25, 30] {
        let mut forged = id.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let status = app.gateway.push(&forged, "x").await.status;
        table.holds(
            &forged,
            [400, 410].contains(&status),
            &format!("answered {status}"),
        );
    }
    only_the_echo_comes_back(&mut client, "nothing was delivered").await;
}

// G-B1 on $connect, and I2
#[tokio::test]
async fn refused_clients_leave_nothing_behind() {
    let down = Backend::down();
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {} }} }} }}",
        down.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    for _ in 0..20 {
        let answer = gateway.handshake("/dev").refused().await;
        assert_eq!(answer.status, 500);
        let id = text(&answer.json()["connectionId"]);
        assert_eq!(gateway.push(&id, "x").await.status, 410);
    }
}
