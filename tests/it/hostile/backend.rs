//! Backends that hang, lie or never end, and what a client may see of it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Gate, RawBackend, RawSocket, Table, within};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::MIB;
use crate::app::{self, App, LambdaApp, only_the_echo_comes_back, text};

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
        ("100-continue first", format!("{}{ok}Content-Length: 2\r\n\r\nok", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)).into(), Some("ok")),
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
        ("a chunk that breaks off", format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nab").into(), None),
        ("chunks without an end", format!("{ok}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").into(), None),
        ("chunks beside a length", format!("{ok}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").into(), Some("ok")),
        ("two lengths", format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk").into(), None),
        ("more than its length", format!("{ok}Content-Length: 2\r\n\r\nok{ok}Content-Length: 5\r\n\r\nother").into(), Some("ok")),
        ("1,000 headers", format!("{ok}{}Content-Length: 2\r\n\r\nok", &many[..many.find("x-1000:").unwrap()]).into(), None),
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

// G-B3: a body that is no text is a binary message.
#[tokio::test]
async fn a_backend_may_answer_bytes_that_are_no_text() {
    let raw =
        RawBackend::saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00a".to_vec())
            .await;
    let gateway = app::start(&format!(
        "apis:\n  chat:\n    routes:\n{}",
        route("odd", &raw)
    ))
    .await;
    let mut client = gateway.connect("/dev").await;
    client.send_json(&json!({"action": "odd"})).await;
    assert_eq!(client.next_binary().await, b"\xff\xfe\x00a");
}

/// A two-way route of a raw backend, with a second's patience.
fn route(name: &str, backend: &RawBackend) -> String {
    let url = backend.url("/");
    format!(
        "      {name}: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}\", timeoutInMillis: 1000 }}, routeResponseSelectionExpression: $default }}\n"
    )
}

/// Answers `head` and so many bytes, as fast as they are taken, and then ends with a RST.
async fn breaking_off(head: &'static str, bytes: usize) -> RawBackend {
    RawBackend::start(move |mut stream| async move {
        let _ = stream.write_all(head.as_bytes()).await;
        let block = vec![b'x'; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let next = left.min(block.len());
            if stream.write_all(&block[..next]).await.is_err() {
                return;
            }
            left -= next;
        }
        RawSocket::from_stream(stream).reset();
    })
    .await
}

// G-B3: what broken and endless answers cost while they last, and that nothing of it stays.
#[tokio::test]
async fn broken_answers_are_error_frames_and_their_memory_comes_back() {
    const CALLS: usize = 16;
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
    let open_end = "HTTP/1.1 200 OK\r\n\r\n";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6400000\r\n";
    let header = "HTTP/1.1 200 OK\r\nx-long: ";
    let mib = 1024 * 1024;
    let backends = [
        ("reset_at_once", breaking_off("", 0).await),
        ("reset_in_status", breaking_off("HTTP/1.1 20", 0).await),
        ("reset_in_header", breaking_off(header, 30 * 1024).await),
        ("reset_before_body", breaking_off(length, 0).await),
        ("reset_mid_body", breaking_off(length, 512 * 1024).await),
        ("reset_mid_chunk", breaking_off(chunk, 512 * 1024).await),
        ("reset_open_end", breaking_off(open_end, 512 * 1024).await),
        ("hundred_mib", breaking_off(length, 100 * mib).await),
        ("hundred_mib_chunk", breaking_off(chunk, 100 * mib).await),
        (
            "hundred_mib_open_end",
            breaking_off(open_end, 100 * mib).await,
        ),
        ("hundred_mib_header", breaking_off(header, 100 * mib).await),
    ];
    let mut yaml = "apis:\n  chat:\n    routes:\n".to_owned();
    for (name, backend) in &backends {
        yaml += &route(name, backend);
    }
    let gateway = app::start(&yaml).await;
    let mut clients = Vec::new();
    for _ in 0..CALLS {
        clients.push(gateway.connect("/dev").await);
    }
    let before = gateway.memory();
    let mut table = Table::about("broken answers");
    let mut peak = 0;
    for round in 0..3 {
        for (name, _) in &backends {
            let sent = Instant::now();
            for client in &mut clients {
                client.send_json(&json!({"action": name})).await;
            }
            let frames = join_all(clients.iter_mut().map(harness::Client::next_text));
            let (frames, highest) = beside(frames, || gateway.memory()).await;
            peak = peak.max(highest);
            for frame in frames {
                let is_error = frame.starts_with(r#"{"message": ""#) && frame.len() < 300;
                table.holds(
                    &format!("{name}, round {round}"),
                    is_error,
                    &format!("{frame:.100}"),
                );
            }
            table.holds(
                name,
                sent.elapsed() < Duration::from_secs(3),
                "took too long",
            );
        }
    }
    // Each call may hold the 1 MiB that an answer may have, and a quarter of that in buffers; the process itself grows
    // by what it had not touched yet.
    let bound = CALLS as u64 * (MIB + MIB / 4) + 4 * MIB;
    let during = peak.saturating_sub(before);
    table.holds(
        "during the calls",
        during <= bound,
        &format!("{during} bytes more"),
    );
    // What the allocator keeps for answers to come; if they themselves stayed it would be 20 MiB for each round and backend.
    within(
        Duration::from_secs(5),
        "the memory comes back",
        async || (gateway.memory().saturating_sub(before) <= 12 * MIB).then_some(()),
    )
    .await;
}

/// Awaits `work` and looks at a figure meanwhile: returns its highest value too.
async fn beside<T>(work: impl Future<Output = T>, figure: impl Fn() -> u64) -> (T, u64) {
    let mut work = std::pin::pin!(work);
    let mut highest = figure();
    loop {
        tokio::select! {
            done = &mut work => return (done, highest.max(figure())),
            () = tokio::time::sleep(Duration::from_millis(2)) => highest = highest.max(figure()),
        }
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
    let yaml = format!(
        "apis:\n  chat:\n    routes:\n{}{}",
        route("endless", &endless),
        route("dripping", &dripping)
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

#[tokio::test]
async fn a_backend_that_hangs_up_after_each_answer_gets_each_message_once() {
    let raw = RawBackend::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $default: {{ integration: {}, routeResponseSelectionExpression: $default }} }} }} }}",
        raw.url("/")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let mut answered = 0;
    for n in 0..50 {
        client.send_text(&format!("message {n};")).await;
        answered += usize::from(client.next_text().await == "ok");
    }
    assert!(answered >= 45, "only {answered} of 50 were answered");
    let requests = raw.requests();
    let all: Vec<String> = requests
        .iter()
        .map(|request| String::from_utf8_lossy(request).into_owned())
        .collect();
    for n in 0..50 {
        let times = all
            .iter()
            .filter(|request| request.contains(&format!("message {n};")))
            .count();
        assert!(times <= 1, "message {n} came {times} times");
    }
}
