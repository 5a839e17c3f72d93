//! TLS on the clients' port: the same WebSockets and the same `@connections`, encrypted; `certificate.rs` has what it is set up with.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use harness::{Authority, Issued, PATIENCE, SecureStream, Signer, eventually, secure};
use rustls::HandshakeKind;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{App, LambdaApp, indent};

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

pub(crate) type Secure = WebSocketStream<SecureStream>;

/// The section `server` with certificate and key as text, and further members.
pub(crate) fn server(issued: &Issued, more: &str) -> String {
    format!(
        "server:\n  tls:\n    cert: |\n{}    key: |\n{}{}",
        indent(6, &issued.cert),
        indent(6, &issued.key),
        indent(2, more)
    )
}

async fn start(authority: &Authority, more: &str, api: &str) -> App {
    let top = server(&authority.issue("wiregate"), more);
    App::with_server(&top, api).await
}

async fn upgrade(stream: SecureStream) -> Secure {
    let handshake = tokio_tungstenite::client_async("wss://localhost/dev", stream).await;
    handshake.expect("a WebSocket").0
}

pub(crate) async fn connect(app: &App, authority: &Authority) -> (Secure, String) {
    let client = upgrade(authority.connect(app.gateway.public()).await).await;
    let id = app.backend.next("/connect").await.connection_id();
    (client, id)
}

async fn next(client: &mut Secure) -> Option<Message> {
    loop {
        let next = tokio::time::timeout(PATIENCE, client.next());
        match next.await.expect("a message in time") {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return Some(message),
            Some(Err(_)) | None => return None,
        }
    }
}

async fn next_text(client: &mut Secure) -> String {
    match next(client).await {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("expected a text message, got {other:?}"),
    }
}

pub(crate) async fn echoes(client: &mut Secure, mark: &str) {
    let echo = json!({"action": "echo", "mark": mark}).to_string();
    client.send(Message::text(echo.clone())).await.unwrap();
    assert!(
        next_text(client).await == echo,
        "the echo of {} bytes",
        echo.len()
    );
}

#[tokio::test]
async fn wss_and_ws_share_one_port() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut secret, id) = connect(&app, &authority).await;
    let (mut plain, plain_id) = app.connect().await;
    echoes(&mut secret, "over TLS").await;
    crate::app::only_the_echo_comes_back(&mut plain, "in the open").await;
    assert_eq!(app.gateway.push(&id, "to wss").await.status, 200);
    assert_eq!(app.gateway.push(&plain_id, "to ws").await.status, 200);
    assert_eq!(next_text(&mut secret).await, "to wss");
    assert_eq!(plain.next_text().await, "to ws");
    let banner = app.gateway.output();
    assert!(
        banner.contains("wss://") && banner.contains(" ws://"),
        "{banner}"
    );
}

#[tokio::test]
async fn messages_and_pushes_of_every_size_come_whole() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut client, id) = connect(&app, &authority).await;
    // Around the limits of a record (2^14), of what is read at once (2^16), and of a message.
    for size in [
        0, 1, 125, 126, 16_379, 16_380, 16_384, 16_385, 65_535, 65_536, 300_000, 1_048_000,
    ] {
        echoes(&mut client, &"m".repeat(size)).await;
        let body = "p".repeat(size);
        assert_eq!(app.gateway.push(&id, &body).await.status, 200);
        assert!(
            next_text(&mut client).await == body,
            "a push of {size} bytes"
        );
    }
    assert_eq!(
        app.gateway.push(&id, vec![b'x'; 1024 * 1024]).await.status,
        200
    );
    assert_eq!(next_text(&mut client).await.len(), 1024 * 1024);
}

#[tokio::test]
async fn what_was_acknowledged_is_readable_and_the_rest_was_429() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut client, id) = connect(&app, &authority).await;
    let mut accepted = Vec::new();
    let mut refused = 0;
    for number in 0..200 {
        let body = format!("{number:>4}{}", "x".repeat(50_000));
        match app.gateway.push(&id, &body).await.status {
            200 => accepted.push(body),
            429 => refused += 1,
            other => panic!("push {number}: {other}"),
        }
    }
    assert!(refused > 0, "10 MB fit somewhere");
    // Queue and socket buffers, not more: nobody hides megabytes.
    assert!(accepted.len() < 150, "{} accepted", accepted.len());
    for body in &accepted {
        assert!(next_text(&mut client).await == *body, "frames in order");
    }
    echoes(&mut client, "and it goes on").await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_over_tls_too() {
    let authority = Authority::new();
    let app = start(&authority, "", "limits: { writeTimeout: 1s }").await;
    let (client, id) = connect(&app, &authority).await;
    while app.gateway.push(&id, vec![b'x'; 100_000]).await.status == 200 {}
    let gone = app.backend.next("/disconnect").await;
    assert_eq!(gone.wiregate("disconnect-code"), "1013");
    drop(client);
}

#[tokio::test]
async fn records_cut_anywhere_are_put_together() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    // Between client and gateway a wire that passes one byte at a time.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = app.gateway.public();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(to).await.unwrap();
        far.set_nodelay(true).unwrap();
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        let back = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut far_read, &mut near_write).await;
        });
        let mut byte = [0];
        while near_read.read_exact(&mut byte).await.is_ok() {
            if far_write.write_all(&byte).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = back.await;
    });
    let mut client = upgrade(authority.connect(address).await).await;
    echoes(&mut client, "byte by byte").await;
    echoes(&mut client, &"l".repeat(20_000)).await;
}

#[tokio::test]
async fn frames_behind_the_handshake_are_not_lost() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let mut stream = authority.connect(app.gateway.public()).await;
    let mut all = b"GET /dev HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".to_vec();
    // More than is read at once with a head, in few records: what is decrypted with it must wait for the session.
    for number in 0..5_u8 {
        let body = format!(
            r#"{{"action":"sendmessage","text":"{number}{}"}}"#,
            "x".repeat(3000)
        );
        all.extend_from_slice(&[0x81, 0x80 | 0x7e]);
        all.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        all.extend_from_slice(&[0; 4]);
        all.extend_from_slice(body.as_bytes());
    }
    stream.write_all(&all).await.unwrap();
    for number in 0..5 {
        let message = app.backend.next("/sendmessage").await.text();
        assert!(
            message.contains(&format!(r#""{number}x"#)),
            "message {number}"
        );
    }
}

#[tokio::test]
async fn keys_may_be_updated_at_any_time() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut client, id) = connect(&app, &authority).await;
    for round in 0..5 {
        let (_, tls) = client.get_mut().get_mut();
        tls.refresh_traffic_keys().unwrap();
        echoes(&mut client, &format!("round {round}")).await;
        assert_eq!(app.gateway.push(&id, "pushed").await.status, 200);
        assert_eq!(next_text(&mut client).await, "pushed");
    }
}

#[tokio::test]
async fn both_versions_are_spoken_and_http_2_is_not() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    for version in rustls::ALL_VERSIONS {
        for alpn in [&["http/1.1"][..], &[], &["h2", "http/1.1"]] {
            let tcp = TcpStream::connect(app.gateway.public()).await.unwrap();
            let stream = secure(&authority.client(&[version], alpn), tcp)
                .await
                .unwrap();
            let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            assert_eq!(chosen.is_some(), !alpn.is_empty());
            assert_ne!(chosen.as_deref(), Some(&b"h2"[..]));
            let mut client = upgrade(stream).await;
            echoes(&mut client, &format!("{version:?}")).await;
        }
        // Who comes again need not do the whole handshake.
        let again = authority.client(&[version], &[]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let tcp = TcpStream::connect(app.gateway.public()).await.unwrap();
            let mut client = upgrade(secure(&again, tcp).await.unwrap()).await;
            assert_eq!(
                client.get_ref().get_ref().1.handshake_kind(),
                Some(expected)
            );
            echoes(&mut client, "again").await;
        }
        let tcp = TcpStream::connect(app.gateway.public()).await.unwrap();
        let refused = secure(&authority.client(&[version], &["h2"]), tcp).await;
        let why = refused.expect_err("h2 alone").to_string();
        assert!(why.contains("NoApplicationProtocol"), "{why}");
    }
}

#[tokio::test]
async fn a_signed_push_comes_over_https() {
    let authority = Authority::new();
    let more = format!("credentials: [{{ accessKeyId: {KEY}, secretAccessKey: {SECRET} }}]");
    let app = start(&authority, &more, "").await;
    let (mut client, id) = connect(&app, &authority).await;
    let to = app.gateway.public();
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let request = |headers: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for body in ["hello".to_owned(), "y".repeat(1_000_000)] {
        let signed: String = Signer::new(KEY, SECRET)
            .sign("POST", &to.to_string(), &path, body.as_bytes())
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let answer = authority
            .request(to, request(&signed, &body).as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(next_text(&mut client).await == body, "{} bytes", body.len());
    }
    let answer = authority.request(to, request("", "hello").as_bytes()).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[tokio::test]
async fn a_refused_handshake_is_answered_over_tls() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    app.backend
        .on("/connect", |_| harness::Answer::status(401).body("not you"));
    let upgrade = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let to = app.gateway.public();
    let answer = authority.request(to, upgrade("/dev").as_bytes()).await;
    assert_eq!((answer.status, answer.text().as_str()), (401, "not you"));
    let answer = authority.request(to, upgrade("/nowhere").as_bytes()).await;
    assert_eq!(answer.status, 403);
    let answer = authority.request(to, b"GARBAGE\r\n\r\n").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn events_say_that_the_client_came_by_https() {
    let authority = Authority::new();
    let lambda = harness::Lambda::start().await;
    lambda.returns("connect", json!({"statusCode": 200}));
    let yaml = LambdaApp::yaml(&lambda, "", "");
    let top = server(&authority.issue("wiregate"), "");
    let gateway = crate::app::start(&format!("{top}{yaml}")).await;
    for (secret, expected) in [(true, "https"), (false, "http")] {
        if secret {
            drop(upgrade(authority.connect(gateway.public()).await).await);
        } else {
            drop(gateway.connect("/dev").await);
        }
        let event = lambda.next("connect").await.event;
        assert_eq!(event["headers"]["X-Forwarded-Proto"], expected);
    }
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_let_go() {
    let authority = Authority::new();
    let app = start(&authority, "handshakeTimeout: 1s", "").await;
    let to = app.gateway.public();
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for said in [&b""[..], &hello[..1], &hello[..6], hello] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open after {} bytes", said.len());
        assert!(answer.is_empty(), "{answer:?}");
    }
    // TLS is done, but no request comes: the same clock.
    let mut stream = authority.connect(to).await;
    let ended = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
    assert!(ended.is_ok(), "still open after TLS");
    let (mut client, _) = connect(&app, &authority).await;
    echoes(&mut client, "others come in").await;
}

#[tokio::test]
async fn unfinished_tls_counts_among_the_unfinished_handshakes() {
    let authority = Authority::new();
    let app = start(
        &authority,
        "maxHandshakesPerAddress: 2\nhandshakeTimeout: 60s",
        "",
    )
    .await;
    // Which of them is counted first is for the gateway to say: no order is promised among connections.
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(app.gateway.public()).await.unwrap();
        waiting.spawn(async move {
            // It may be gone before it has said anything.
            let _ = stream.write_all(b"\x16\x03\x01").await;
            stream.read_u8().await.is_err()
        });
    }
    let turned_away = tokio::time::timeout(PATIENCE, waiting.join_next()).await;
    let turned_away = turned_away.expect("one of the three is turned away");
    assert!(turned_away.unwrap().unwrap(), "it is closed without a word");
    let next = tokio::time::timeout(Duration::from_millis(200), waiting.join_next()).await;
    assert!(next.is_err(), "the other two are waited for");
}

#[tokio::test]
async fn garbage_after_the_first_byte_ends_that_connection_only() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut client, _) = connect(&app, &authority).await;
    let to = app.gateway.public();
    let long = [&b"\x16\x03\x01\xff\xff"[..], &vec![0; 70_000]].concat();
    let endless = [
        &b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..],
        &vec![0; 200_000],
    ]
    .concat();
    for garbage in [
        &b"\x16GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x16\x16\x16\x16\x16\x16\x16",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        &long,
        &endless,
    ] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open after {:?}", &garbage[..8]);
        // An alert at most: nothing in the open.
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    echoes(&mut client, "nobody else noticed").await;
    assert!(!app.gateway.log().contains("panicked"));
}

#[tokio::test]
async fn garbage_on_an_open_connection_ends_it_as_lost() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    for garbage in [
        &b"\x17\x03\x03\x00\x20................................"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00",
    ] {
        let (mut client, id) = connect(&app, &authority).await;
        let (tcp, _) = client.get_mut().get_mut();
        tcp.write_all(garbage).await.unwrap();
        let gone = app.backend.next("/disconnect").await;
        assert_eq!(gone.connection_id(), id);
        assert_eq!(gone.wiregate("disconnect-code"), "1006");
    }
    assert!(!app.gateway.log().contains("panicked"));
}

#[tokio::test]
async fn a_client_that_vanishes_is_lost_with_or_without_a_goodbye() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    // Without close_notify: TCP just ends.
    let (client, _) = connect(&app, &authority).await;
    let (tcp, _) = client.into_inner().into_inner();
    drop(tcp);
    let gone = app.backend.next("/disconnect").await;
    assert_eq!(gone.wiregate("disconnect-code"), "1006");
    // With it, but without a close frame, and with our half of TCP still open.
    let (mut client, _) = connect(&app, &authority).await;
    client.get_mut().get_mut().1.send_close_notify();
    client.get_mut().flush().await.unwrap();
    let gone = app.backend.next("/disconnect").await;
    assert_eq!(gone.wiregate("disconnect-code"), "1006");
}

#[tokio::test]
async fn the_gateway_says_goodbye_in_both_protocols() {
    let authority = Authority::new();
    let app = start(&authority, "", "").await;
    let (mut client, id) = connect(&app, &authority).await;
    assert_eq!(app.gateway.push(&id, "last").await.status, 200);
    assert_eq!(app.gateway.delete(&id).await.status, 204);
    assert_eq!(next_text(&mut client).await, "last");
    match next(&mut client).await {
        Some(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1000),
        other => panic!("expected a close frame, got {other:?}"),
    }
    // tungstenite answers it here, and then reads the end.
    assert_eq!(next(&mut client).await, None);
    // An end without close_notify would be an error.
    let mut rest = Vec::new();
    let end = client.get_mut().read_to_end(&mut rest).await;
    assert_eq!(end.expect("close_notify"), 0);
}

#[tokio::test]
async fn a_drain_closes_encrypted_sockets_too() {
    let authority = Authority::new();
    let mut app = start(&authority, "", "").await;
    let (mut client, _) = connect(&app, &authority).await;
    app.gateway.signal("TERM");
    match next(&mut client).await {
        Some(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("expected a close frame, got {other:?}"),
    }
    assert_eq!(next(&mut client).await, None);
    let exit = app.gateway.wait_exit(PATIENCE).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

// wss:// where there is no TLS: a browser says nothing but "failed", and must not wait for that.
#[tokio::test]
async fn a_client_that_begins_with_tls_where_there_is_none_is_refused_at_once() {
    let app = App::start().await;
    let authority = Authority::new();
    let tcp = TcpStream::connect(app.gateway.public()).await.unwrap();
    let begun = Instant::now();
    let refused = secure(
        &authority.client(&[&rustls::version::TLS13, &rustls::version::TLS12], &[]),
        tcp,
    )
    .await;
    let why = refused.expect_err("no TLS").to_string();
    assert!(why.contains("HandshakeFailure"), "{why}");
    // An unfinished handshake is cut off after 10 s.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut stream = TcpStream::connect(app.gateway.public()).await.unwrap();
    stream.write_all(b"\x16").await.unwrap();
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert, b"\x15\x03\x03\x00\x02\x02\x28");
    let log = eventually("the log says why", async || {
        let log = app.gateway.log();
        log.contains("server.tls").then_some(log)
    })
    .await;
    assert!(log.contains("no TLS on this port"), "{log}");
    let counted = "wiregate_refused_handshakes_total";
    assert_eq!(app.gateway.metric(counted).await, Some(2.0));
    for _ in 0..100 {
        let mut stream = TcpStream::connect(app.gateway.public()).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    assert_eq!(app.gateway.metric(counted).await, Some(102.0));
    let lines = app.gateway.log().matches("server.tls").count();
    assert!((1..=30).contains(&lines), "{lines} lines");
}
