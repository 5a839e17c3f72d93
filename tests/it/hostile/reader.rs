//! Clients that do not read.

use std::time::{Duration, Instant};

use harness::{RawSocket, read_answer};
use socket2::{Domain, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::MIB;
use crate::app::App;

/// An open socket whose kernel takes in very little.
async fn narrow(app: &App) -> (RawSocket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&app.gateway.public().into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(socket.into()).unwrap();
    stream
        .write_all(&app.gateway.handshake("/dev").bytes())
        .await
        .unwrap();
    let (answer, _) = read_answer(&mut stream, false).await.unwrap();
    assert_eq!(answer.status, 101);
    let id = app.backend.next("/connect").await.connection_id();
    (RawSocket::from_stream(stream), id)
}

// G-C2
#[tokio::test]
async fn a_client_that_does_not_read_costs_little_and_its_pushers_hear_429() {
    let app = App::with("limits: { writeTimeout: 3s, pingInterval: 0 }").await;
    let (mut slow, slow_id) = narrow(&app).await;
    let (mut fast, fast_id) = app.connect().await;
    let before = app.gateway.memory();
    let body = vec![b'x'; 32 * 1024];
    let mut taken = 0;
    let refused = loop {
        let answer = app.gateway.push(&slow_id, &body).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
        assert!(
            taken < 200,
            "6 MiB were taken for a client that does not read"
        );
    };
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.header("x-amzn-errortype"),
        Some("LimitExceededException")
    );
    assert_eq!(refused.message(), "Too Many Requests");
    assert!(taken >= 32, "only {taken} pushes of 32 KiB were taken");
    let grown = app.gateway.memory().saturating_sub(before);
    assert!(grown < 4 * MIB, "{grown} bytes more");
    for _ in 0..20 {
        let sent = Instant::now();
        assert_eq!(app.gateway.push(&fast_id, "quick").await.status, 200);
        assert_eq!(fast.next_text().await, "quick");
        assert!(
            sent.elapsed() < Duration::from_millis(500),
            "{:?}",
            sent.elapsed()
        );
    }
    // Reading again shows every push that was answered 200, in whole frames.
    for n in 0..taken {
        let frame = slow.next().await;
        let frame = frame.unwrap_or_else(|| panic!("the end instead of push {n} of {taken}"));
        assert_eq!(
            (frame.opcode, frame.payload.len()),
            (1, body.len()),
            "push {n}"
        );
    }
    assert_eq!(app.gateway.push(&slow_id, "again").await.status, 200);
}

// G-C2, the end of patience
#[tokio::test]
async fn a_client_that_never_reads_is_closed_with_1013() {
    let app = App::with("limits: { writeTimeout: 1s, pingInterval: 0 }").await;
    let (slow, id) = narrow(&app).await;
    let body = vec![b'x'; 32 * 1024];
    while app.gateway.push(&id, &body).await.status == 200 {}
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.connection_id(), id);
    assert_eq!(told.wiregate("disconnect-code"), "1013");
    assert_eq!(app.gateway.push(&id, "x").await.status, 410);
    drop(slow);
}
