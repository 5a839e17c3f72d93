//! Attacks and ill luck, each bounded in time and size: what must hold is said by the tests' names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{
    Answer, Backend, Gate, GatewayCommand, RawBackend, RawSocket, Request, Table, eventually,
    frame, read_answer,
};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{self, App, BINARY, LambdaApp, is_connection_id, only_the_echo_comes_back, text};

const MIB: u64 = 1024 * 1024;

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

// T1
#[tokio::test]
async fn a_client_that_dawdles_over_its_handshake_is_cut_off() {
    let top = "server: { handshakeTimeout: 2s, maxHandshakesPerAddress: 1000 }";
    let app = App::with_server(top, "").await;
    let head = app.gateway.handshake("/dev").bytes();
    let address = app.gateway.public();
    let dawdle = |name: &'static str, head: Vec<u8>| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        match name {
            "silent" => {}
            "one byte" => stream.write_all(&head[..1]).await.unwrap(),
            "half a header" => stream.write_all(&head[..head.len() / 2]).await.unwrap(),
            "all but the last byte" => stream.write_all(&head[..head.len() - 1]).await.unwrap(),
            _ => {
                let begun = Instant::now();
                for byte in &head {
                    if stream.write_all(&[*byte]).await.is_err()
                        || begun.elapsed() > Duration::from_secs(8)
                    {
                        break;
                    }
                    // The attack itself: a byte now and then.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                return (
                    name,
                    Some(begun.elapsed()).filter(|took| *took < Duration::from_secs(6)),
                );
            }
        }
        (name, ends(&mut stream, Duration::from_secs(8)).await)
    };
    let kinds = [
        "silent",
        "one byte",
        "half a header",
        "all but the last byte",
        "dripped",
    ];
    let attacks = kinds
        .iter()
        .flat_map(|kind| (0..40).map(|_| dawdle(kind, head.clone())));
    let attacks = tokio::spawn(join_all(attacks.collect::<Vec<_>>()));
    let begun = Instant::now();
    let (mut client, _) = app.connect().await;
    let waited = begun.elapsed();
    let mut table = Table::about("slow handshakes");
    table.holds(
        "a good client",
        waited < Duration::from_secs(1),
        &format!("waited {waited:?}"),
    );
    only_the_echo_comes_back(&mut client, "meanwhile").await;
    for (name, ended) in attacks.await.unwrap() {
        table.holds(name, ended.is_some(), "still open after 8 s");
    }
    table.row(
        "calls of $connect",
        app.backend.requests("/connect").len(),
        0,
    );
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

// T18
#[tokio::test]
async fn nothing_a_client_sends_adds_a_header_or_a_request_at_the_backend() {
    let raw =
        RawBackend::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {}, $default: {}, $disconnect: {} }} }} }}",
        raw.url("/connect"),
        raw.url("/default"),
        raw.url("/disconnect")
    );
    let gateway = app::start(&yaml).await;
    let handshake = gateway
        .handshake("/dev?a=%0d%0aX-Injected:%201&b=%00&c=%E2%80%AE")
        .with("Connection", "Upgrade, X-Own, x-wiregate-connection-id")
        .header("X-Own", "dropped with the hop")
        .header("Transfer-Encoding-X", "chunked")
        .header(
            "x-amzn-trace-id",
            "Root=1-00000000-000000000000000000000000",
        );
    let mut client = handshake.open().await;
    client
        .send_text("POST /smuggled HTTP/1.1\r\nHost: x\r\nX-Injected: 1\r\n\r\n")
        .await;
    eventually("the message", async || {
        (raw.requests().len() == 2).then_some(())
    })
    .await;
    client.close(Some((4000, "bye\r\nX-Injected: 1"))).await;
    eventually("the $disconnect", async || {
        (raw.requests().len() == 3).then_some(())
    })
    .await;
    let mut table = Table::about("bytes at the backend");
    for (request, path) in raw
        .requests()
        .iter()
        .zip(["/connect", "/default", "/disconnect"])
    {
        let whole = String::from_utf8_lossy(request).into_owned();
        let head = whole
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        table.holds(path, head.starts_with(&format!("post {path}")), &head);
        let lines: Vec<&str> = head.split("\r\n").skip(1).collect();
        table.holds(
            path,
            !lines.iter().any(|line| line.starts_with("x-injected")),
            &head,
        );
        table.holds(path, !head.contains("\n\n") && !head.contains('\0'), &head);
        let own = lines.iter().any(|line| line.starts_with("x-own"));
        table.holds(path, !own, "a header that Connection names was forwarded");
        let ids = lines
            .iter()
            .filter_map(|line| line.strip_prefix("x-wiregate-connection-id: "));
        table.row(path, ids.count(), 1);
    }
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
        ("HTTP/0.9", "GET /dev\r\n".to_owned()),
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

// T20
#[tokio::test]
async fn a_log_line_cannot_be_forged() {
    let app = App::with_server(
        "server: { log: { level: debug, format: json, access: all } }",
        "",
    )
    .await;
    let nasty = "%0d%0a{\"level\":\"ERROR\",\"forged\":true}%1b[31m%00%E2%80%AE";
    let handshake = app.gateway.handshake(&format!("/dev?q={nasty}"));
    let handshake = handshake
        .header("User-Agent", "a\tb \u{202e}forged")
        .header("X-A", "{\"forged\":true}");
    let mut client = handshake.open().await;
    app.backend.next("/connect").await;
    client
        .send_text("{\"action\":\"x\\r\\n{\\\"forged\\\":true}\"}")
        .await;
    app.backend.next("/default").await;
    client
        .close(Some((4000, "bye\r\n{\"forged\":true}\u{1b}[0m")))
        .await;
    app.backend.next("/disconnect").await;
    app.gateway.handshake(&format!("/{nasty}")).refused().await;
    let output = app.gateway.output();
    let mut table = Table::about("log lines");
    for line in output.lines().filter(|line| !line.starts_with("ready")) {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        let forged = parsed
            .as_ref()
            .is_ok_and(|entry| entry.get("forged").is_some());
        table.holds(line, parsed.is_ok() && !forged, "is no JSON of ours");
        table.holds(
            line,
            !line.contains('\u{1b}') && !line.contains('\0'),
            "holds control characters",
        );
    }
    table.holds("the log", output.lines().count() > 1, "is empty");
}

// T21
#[tokio::test]
async fn secrets_and_bodies_are_in_no_log_and_no_metric() {
    let top = "server:\n  log: { level: debug, access: all }\n  tokens: [canary-bearer]\n  credentials: [{ accessKeyId: AKIAEXAMPLE, secretAccessKey: canary-key }]\n";
    let app = App::with_server(top, "").await;
    app.backend.on("/sendmessage", |_| {
        Answer::status(500)
            .body("canary-answer")
            .header("X-Answer", "canary-answer-header")
    });
    let handshake = app
        .gateway
        .handshake("/dev?token=canary-query&x=canary-query-2")
        .header("Authorization", "Bearer canary-authorization")
        .header("Cookie", "session=canary-cookie")
        .header("X-Api-Key", "canary-api-key");
    let mut client = handshake.open().await;
    let id = app.backend.next("/connect").await.connection_id();
    client
        .send_json(&json!({"action": "sendmessage", "password": "canary-body"}))
        .await;
    app.backend.next("/sendmessage").await;
    let path = format!("/dev/@connections/{id}");
    for token in ["canary-bearer", "canary-wrong"] {
        let request = Request::post(app.gateway.management(), &path, "canary-push");
        request
            .header("Authorization", &format!("Bearer {token}"))
            .send()
            .await;
    }
    let request = Request::post(app.gateway.public(), &path, "canary-push");
    let signed = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20241111/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=canary";
    request.header("Authorization", signed).send().await;
    client.close(None).await;
    app.backend.next("/disconnect").await;
    let metrics = Request::get(app.gateway.management(), "/metrics")
        .header("Authorization", "Bearer canary-bearer");
    for (name, page) in [
        ("logs", app.gateway.output()),
        ("metrics", metrics.send().await.text()),
    ] {
        let leaks: Vec<&str> = page
            .lines()
            .filter(|line| line.contains("canary"))
            .collect();
        assert!(leaks.is_empty(), "{name}: {leaks:#?}");
    }
}

// T22
#[tokio::test]
async fn what_goes_wrong_behind_the_gateway_is_not_shown_to_clients() {
    let raw =
        RawBackend::saying("HTTP/1.1 200 canary\r\nContent-Length: canary\r\n\r\ncanary").await;
    let lambda = LambdaApp::start().await;
    let throws = harness::LambdaAnswer::Throws("canary at /canary.js:1".to_owned());
    lambda.lambda.on("twoway", move |_| throws.clone());
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ bad: {{ integration: {}, routeResponseSelectionExpression: $default }}, down: http://canary.invalid/canary }} }} }}",
        raw.url("/canary")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    for action in ["bad", "down"] {
        client.send_json(&json!({"action": action})).await;
        let frame = client.next_text().await;
        assert!(
            frame.starts_with(r#"{"message": ""#) && !frame.contains("canary"),
            "{frame}"
        );
    }
    let (mut client, _) = lambda.connect().await;
    client.send_json(&json!({"action": "twoway"})).await;
    let frame = client.next_text().await;
    assert!(!frame.contains("canary"), "{frame}");
}

// G-B1 is in reply.rs (`a_failing_backend_shows…`). G-B2:
#[tokio::test]
async fn a_backend_that_never_answers_holds_up_nobody_else() {
    let backend = App::backend().await;
    backend.hold("/stuck", &Gate::shut());
    let yaml = format!(
        r#"
apis:
  chat:
    routes:
      stuck: {{ concurrency: 20, integration: {{ integrationType: HTTP_PROXY, integrationUri: "{0}/stuck", timeoutInMillis: 2000 }} }}
      echo: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: "{0}/echo" }}, routeResponseSelectionExpression: $default }}
"#,
        backend.url("")
    );
    let gateway = Arc::new(app::start(&yaml).await);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.connect("/dev").await;
        for _ in 0..20 {
            client.send_json(&json!({"action": "stuck"})).await;
        }
        stuck.push(client);
    }
    let begun = Instant::now();
    let mut other = gateway.connect("/dev").await;
    let mut slowest = Duration::ZERO;
    for n in 0..50 {
        let sent = Instant::now();
        only_the_echo_comes_back(&mut other, &n.to_string()).await;
        slowest = slowest.max(sent.elapsed());
    }
    assert!(
        slowest < Duration::from_millis(500),
        "an echo took {slowest:?}"
    );
    for client in &mut stuck {
        for _ in 0..20 {
            let frame = client.next_json().await;
            assert_eq!(text(&frame["message"]), "Endpoint request timed out");
        }
    }
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(3500),
        "the last timeout came after {took:?}"
    );
}

// G-B3: answers that no decent backend gives, and what the client of a two-way route may see of them.
#[tokio::test]
async fn a_backend_may_answer_anything_and_its_client_sees_a_reply_or_an_error_frame() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let many: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("a redirect", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 5\r\n\r\nmoved".to_vec(), Some("moved")),
        ("100-continue first", format!("{}{ok}Content-Length: 2\r\n\r\nok", "HTTP/1.1 100 Continue\r\n\r\n".repeat(5)).into(), Some("ok")),
        ("a body until the end", format!("{ok}\r\nuntil the end").into(), Some("until the end")),
        ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nold".to_vec(), Some("old")),
        ("a gzip that is left alone", [ok.as_bytes(), b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"].concat(), Some("abcd")),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), None),
        ("nothing", Vec::new(), None),
        ("half a header", ok.as_bytes().to_vec(), None),
        ("an early close", format!("{ok}Content-Length: 100\r\n\r\nonly this").into(), None),
        ("a length of 2 GiB", format!("{ok}Content-Length: 2147483648\r\n\r\nx").into(), None),
        ("a bad length", format!("{ok}Content-Length: x\r\n\r\nx").into(), None),
        ("a bad chunk", format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n").into(), None),
        ("a chunk of 2^64", format!("{ok}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n").into(), None),
        ("10,000 headers", format!("{ok}{many}Content-Length: 2\r\n\r\nok").into(), None),
        ("a header of 1 MiB", format!("{ok}x: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(1024 * 1024)).into(), None),
        ("a NUL in a header", format!("{ok}x: a\0b\r\nContent-Length: 2\r\n\r\nok").into(), None),
        ("101 without being asked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx".to_vec(), None),
    ];
    let mut backends = Vec::new();
    let mut yaml = "apis:\n  chat:\n    routes:\n".to_owned();
    for (name, bytes, _) in &cases {
        let backend = RawBackend::saying(bytes.clone()).await;
        yaml += &format!(
            "      '{name}': {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: '{}', timeoutInMillis: 2000 }}, routeResponseSelectionExpression: $default }}\n",
            backend.url("/")
        );
        backends.push(backend);
    }
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about("answers of a raw backend");
    for (name, _, expected) in &cases {
        client.send_json(&json!({"action": name})).await;
        let got = client.next_text().await;
        match expected {
            Some(expected) => table.row(name, got.as_str(), *expected),
            None => table.holds(
                name,
                got.starts_with(r#"{"message": ""#) && got.len() < 300,
                &got,
            ),
        }
    }
    for (backend, (name, ..)) in backends.iter().zip(&cases) {
        table.row(&format!("{name}: calls"), backend.requests().len(), 1);
    }
}

// G-B3, the endless ones
#[tokio::test]
async fn a_backend_that_never_ends_its_answer_is_cut_off() {
    let endless = RawBackend::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let block = vec![b'x'; 64 * 1024];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await;
    let dripping = RawBackend::start(|mut stream| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let route = |name: &str, url: String| {
        format!(
            "      {name}: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}\", timeoutInMillis: 1000 }}, routeResponseSelectionExpression: $default }}\n"
        )
    };
    let yaml = format!(
        "apis:\n  chat:\n    routes:\n{}{}",
        route("endless", endless.url("/")),
        route("dripping", dripping.url("/"))
    );
    let gateway = app::start(&yaml).await;
    let before = gateway.memory();
    let mut client = gateway.connect("/dev").await;
    for action in ["endless", "dripping"] {
        let sent = Instant::now();
        client.send_json(&json!({"action": action})).await;
        let frame = client.next_text().await;
        assert!(
            frame.starts_with(r#"{"message": ""#),
            "{action}: {frame:.100}"
        );
        assert!(
            sent.elapsed() < Duration::from_secs(3),
            "{action} took {:?}",
            sent.elapsed()
        );
    }
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes more");
}

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

// G-F1
#[tokio::test]
async fn without_file_descriptors_those_connected_are_still_served() {
    let backend = App::backend().await;
    let gateway = GatewayCommand::new(BINARY, &App::yaml(&backend, "", ""))
        .open_files(256)
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..400 {
        let handshake = gateway.handshake("/dev");
        let opened = tokio::time::timeout(Duration::from_millis(500), handshake.exchange()).await;
        match opened {
            Ok(Some((stream, answer, _))) if answer.status == 101 => {
                clients.push(RawSocket::from_stream(stream));
            }
            _ if clients.len() > 50 => break,
            _ => {}
        }
    }
    assert!(clients.len() > 50, "only {} were let in", clients.len());
    let worked = gateway.processor_time();
    let begun = Instant::now();
    for client in clients.iter_mut().take(20) {
        client.send(&frame(0x81, br#"{"action":"echo"}"#)).await;
        let reply = client.next().await.expect("a reply");
        assert_eq!(reply.payload, br#"{"action":"echo"}"#);
    }
    assert_eq!(
        Request::get(gateway.management(), "/livez")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        Request::get(gateway.management(), "/metrics")
            .send()
            .await
            .status,
        200
    );
    // A second of standing at the limit, in which accepting must not spin.
    tokio::time::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed())).await;
    let spent = gateway.processor_time().saturating_sub(worked);
    assert!(
        spent < begun.elapsed().mul_f64(0.6),
        "{spent:?} of processor time in {:?}",
        begun.elapsed()
    );
    clients.truncate(20);
    eventually("clients are let in again", async || {
        let handshake = gateway.handshake("/dev");
        let opened = tokio::time::timeout(Duration::from_secs(1), handshake.exchange()).await;
        matches!(opened, Ok(Some((_, answer, _))) if answer.status == 101).then_some(())
    })
    .await;
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
