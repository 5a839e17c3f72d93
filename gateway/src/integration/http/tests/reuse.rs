//! Which requests share a connection, and which are repeated.

use std::io::{Read, Write};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let stub = Stub::start(|mut peer| async move {
        let seen = peer.request().await.unwrap();
        peer.say(format!(
            "HTTP/1.1 201 Created\r\nX-Seen: yes\r\nContent-Length: {}\r\n\r\n{seen}",
            seen.len()
        ))
        .await;
    });
    let mut request = post(&stub.uri(), "{\"a\":1}");
    request
        .headers
        .push_text(&HeaderName::from_static("x-wiregate-stage"), "dev");
    let response = client().send(request).await.unwrap();
    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.headers.text("x-seen"), Some("yes"));
    let expected = format!(
        "POST /path?q=1 HTTP/1.1\r\nhost: {}\r\nx-wiregate-stage: dev\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}",
        stub.address
    );
    assert_eq!(response.body, expected);
}

#[tokio::test]
async fn framing_headers_of_the_caller_never_arrive() {
    let stub = Stub::start(|mut peer| async move {
        let seen = peer.request().await.unwrap();
        peer.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{seen}",
            seen.len()
        ))
        .await;
    });
    let mut request = post(&stub.uri(), "body");
    for (name, value) in [
        ("connection", "x-api-key, close"),
        ("content-length", "2"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"),
        ("x-api-key", "kept"),
        ("host", "ignored.example"),
    ] {
        request
            .headers
            .push_text(&HeaderName::from_static(name), value);
    }
    request.host = Some(HeaderValue::from_static("mapped.example"));
    let response = client().send(request).await.unwrap();
    let expected = "POST /path?q=1 HTTP/1.1\r\nhost: mapped.example\r\nx-api-key: kept\r\ncontent-length: 4\r\n\r\nbody";
    assert_eq!(response.body, expected);
}

#[tokio::test]
async fn a_post_without_a_body_says_so_and_a_get_says_nothing() {
    let stub = Stub::start(|mut peer| async move {
        while let Some(seen) = peer.request().await {
            peer.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{seen}",
                seen.len()
            ))
            .await;
        }
    });
    let client = client();
    let seen = client.send(post(&stub.uri(), "")).await.unwrap().body;
    assert!(
        seen.windows(19)
            .any(|bytes| bytes == b"content-length: 0\r\n"),
        "{seen:?}"
    );
    let seen = client.send(get(&stub.uri())).await.unwrap().body;
    assert!(
        !seen.windows(14).any(|bytes| bytes == b"content-length"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn requests_in_sequence_share_one_connection() {
    let stub = Stub::answering(OK);
    let client = client();
    for _ in 0..20 {
        assert_eq!(
            client.send(post(&stub.uri(), "x")).await.unwrap().body,
            "ok"
        );
    }
    assert_eq!((stub.accepts(), stub.requests()), (1, 20));
}

#[tokio::test]
async fn chunked_answers_and_empty_ones_keep_the_connection_too() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let stub = Stub::answering(chunked);
    let client = client();
    for _ in 0..5 {
        assert_eq!(client.send(get(&stub.uri())).await.unwrap().body, "abcde");
    }
    assert_eq!(stub.accepts(), 1);

    let stub = Stub::answering("HTTP/1.1 204 No Content\r\n\r\n");
    for _ in 0..5 {
        assert!(client.send(get(&stub.uri())).await.unwrap().body.is_empty());
    }
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn requests_at_once_use_a_connection_each_and_leave_them_for_later() {
    let stub = Stub::answering(OK);
    let client = Arc::new(client());
    for _ in 0..2 {
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let (client, request) = (Arc::clone(&client), post(&stub.uri(), "x"));
                tokio::spawn(async move { client.send(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().body, "ok");
        }
    }
    assert_eq!(stub.requests(), 20);
    assert!(stub.accepts() <= 10, "{} connections", stub.accepts());
}

#[tokio::test]
async fn a_connection_that_the_backend_ends_is_not_used_again() {
    let stub =
        Stub::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(get(&stub.uri())).await.unwrap().body, "ok");
    }
    assert_eq!((stub.accepts(), stub.requests()), (3, 3));
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_whole() {
    let stub = Stub::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    });
    let client = client();
    for _ in 0..2 {
        assert_eq!(
            client.send(get(&stub.uri())).await.unwrap().body,
            "until the end"
        );
    }
    assert_eq!(stub.accepts(), 2);
}

#[tokio::test]
async fn bytes_after_an_answer_end_the_connection_and_are_nobodys_answer() {
    let stub = Stub::answering(format!(
        "{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    ));
    let client = client();
    for _ in 0..5 {
        assert_eq!(client.send(get(&stub.uri())).await.unwrap().body, "ok");
    }
    assert_eq!((stub.accepts(), stub.requests()), (5, 5));
}

#[tokio::test]
async fn a_dead_idle_connection_is_replaced_and_the_request_sent_once() {
    let stub = Stub::start(|mut peer| async move {
        // Each connection serves one request, then closes without having said so.
        peer.request().await;
        peer.say(OK).await;
    });
    let client = client();
    for _ in 0..50 {
        assert_eq!(
            client.send(post(&stub.uri(), "x")).await.unwrap().body,
            "ok"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((stub.accepts(), stub.requests()), (50, 50));
}

/// The reset and the news that the call waits for arrive in one turn of the event loop, the news first: so the request is
/// handed to a connection of which only the next step can show that it is dead.
#[tokio::test]
async fn a_connection_found_dead_while_the_request_waits_is_replaced() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let backend = std::thread::spawn(move || {
        let (mut news, _) = listener.accept().unwrap();
        let (mut first, _) = listener.accept().unwrap();
        answer_blocking(&mut first);
        news.read_exact(&mut [0]).unwrap();
        news.write_all(b"!").unwrap();
        SockRef::from(&first)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        answer_blocking(&mut second);
    });
    let mut news = TcpStream::connect(address).await.unwrap();
    let client = client();
    let uri = format!("http://{address}/");
    client.send(post(&uri, "x")).await.unwrap();
    news.write_all(b"?").await.unwrap();
    tokio::spawn(async { std::thread::sleep(Duration::from_millis(50)) });
    news.read_exact(&mut [0]).await.unwrap();
    assert_eq!(client.send(post(&uri, "x")).await.unwrap().body, "ok");
    backend.join().unwrap();
}

fn answer_blocking(stream: &mut std::net::TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nx") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    stream.write_all(OK.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_request_that_the_backend_has_read_is_never_repeated() {
    let stub = Stub::start(|mut peer| async move {
        peer.request().await;
        if peer.number == 1 {
            peer.say(OK).await;
            peer.request().await;
        }
        peer.reset();
    });
    let client = client();
    client.send(post(&stub.uri(), "first")).await.unwrap();
    let error = client.send(post(&stub.uri(), "second")).await.unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Broken {
                may_have_been_sent: true,
                ..
            }
        ),
        "{error}"
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((stub.accepts(), stub.requests()), (1, 2));
}

#[tokio::test]
async fn a_fresh_connection_that_closes_at_once_is_an_error_and_no_loop() {
    let stub = Stub::start(|peer| async move { drop(peer) });
    let error = client().send(post(&stub.uri(), "x")).await.unwrap_err();
    assert!(matches!(error, BackendError::Broken { .. }), "{error}");
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn unused_connections_close_after_their_time() {
    let config = HttpClientConfig {
        idle_timeout: Duration::from_millis(100),
        ..HttpClientConfig::default()
    };
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let stub = Stub::start(move |mut peer| {
        let seen = Arc::clone(&seen);
        async move {
            while peer.request().await.is_some() {
                peer.say(OK).await;
            }
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let client = HttpClient::new(&config);
    for round in 1..=2 {
        client.send(get(&stub.uri())).await.unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), round - 1);
        eventually(|| closed.load(Ordering::SeqCst) == round).await;
    }
}

#[tokio::test]
async fn no_more_unused_connections_are_kept_than_allowed() {
    for (max_per_origin, max_idle) in [(3, 256), (64, 3)] {
        let open = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&open);
        let stub = Stub::start(move |mut peer| {
            let seen = Arc::clone(&seen);
            async move {
                seen.fetch_add(1, Ordering::SeqCst);
                while peer.request().await.is_some() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    peer.say(OK).await;
                }
                seen.fetch_sub(1, Ordering::SeqCst);
            }
        });
        let config = HttpClientConfig {
            max_idle_per_origin: max_per_origin,
            max_idle,
            ..HttpClientConfig::default()
        };
        let client = Arc::new(HttpClient::new(&config));
        let calls: Vec<_> = (0..12)
            .map(|_| {
                let (client, request) = (Arc::clone(&client), get(&stub.uri()));
                tokio::spawn(async move { client.send(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(stub.accepts(), 12);
        eventually(|| open.load(Ordering::SeqCst) == 3).await;
    }
}

#[tokio::test]
async fn dropping_the_client_closes_its_connections() {
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let stub = Stub::start(move |mut peer| {
        let seen = Arc::clone(&seen);
        async move {
            while peer.request().await.is_some() {
                peer.say(OK).await;
            }
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let client = client();
    client.send(get(&stub.uri())).await.unwrap();
    drop(client);
    eventually(|| closed.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_connection_is_not_used_past_the_backends_promise() {
    for (promise, accepts) in [("timeout=1", 3), ("timeout=60", 1)] {
        let answer =
            format!("HTTP/1.1 200 OK\r\nKeep-Alive: {promise}\r\nContent-Length: 2\r\n\r\nok");
        let stub = Stub::answering(answer);
        let client = client();
        for _ in 0..3 {
            client.send(get(&stub.uri())).await.unwrap();
        }
        assert_eq!(stub.accepts(), accepts, "{promise}");
    }
}

/// The answer comes before the backend has read the request to its end: good for this call, but for no other yet.
#[tokio::test]
async fn an_early_answer_does_not_let_the_next_request_into_a_half_sent_one() {
    let body: &'static str = "x".repeat(8 << 20).leak();
    let stub = Stub::start(|mut peer| async move {
        if peer.number > 1 {
            peer.request().await;
            return peer.say(OK).await;
        }
        peer.stream.read_exact(&mut [0; 1000]).await.unwrap();
        peer.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            .await;
        tokio::time::sleep(PATIENCE).await;
    });
    let client = client();
    let response = client.send(post(&stub.uri(), body)).await.unwrap();
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.send(get(&stub.uri())).await.unwrap().body, "ok");
    assert_eq!((stub.accepts(), stub.requests()), (2, 1));
}

#[tokio::test]
async fn giving_a_call_up_closes_its_connection() {
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let stub = Stub::start(move |mut peer| {
        let seen = Arc::clone(&seen);
        async move {
            peer.request().await;
            peer.linger().await;
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (client, request) = (client(), get(&stub.uri()));
    let call = tokio::spawn(async move {
        let _ = client.send(request).await;
        client
    });
    eventually(|| stub.requests() == 1).await;
    call.abort();
    eventually(|| closed.load(Ordering::SeqCst) == 1).await;
}

/// What a backend that comes back finds: one attempt for each call while it is away, none saved up.
#[tokio::test]
async fn a_backend_that_comes_back_is_called_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client();
    let uri = format!("http://{address}/");
    for _ in 0..20 {
        assert!(matches!(
            client.send(get(&uri)).await,
            Err(BackendError::Connect { .. })
        ));
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let back = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer {
            stream,
            number: 1,
            requests: Arc::default(),
        };
        peer.request().await;
        peer.say(OK).await;
        tokio::time::timeout(Duration::from_millis(50), listener.accept())
            .await
            .is_err()
    });
    assert_eq!(client.send(get(&uri)).await.unwrap().body, "ok");
    assert!(back.await.unwrap(), "another connection was opened");
}
