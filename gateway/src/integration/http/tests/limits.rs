//! Time, size, and who may be called at all.

use super::*;

const LIMIT: Duration = Duration::from_secs(1);

/// The call ends with a timeout, not before its limit and at most a tenth of it after a plain timer: what a busy machine
/// adds, it adds to both.
async fn check_ends_in_time(client: &HttpClient, uri: &str, limit: Duration) {
    let begin = Instant::now();
    let request = BackendRequest {
        deadline: begin + limit,
        ..post(uri, "x")
    };
    let call = async { (client.send(request).await, begin.elapsed()) };
    let timer = async {
        tokio::time::sleep_until(begin + limit).await;
        begin.elapsed()
    };
    let ((result, took), timer) = futures_util::join!(call, timer);
    assert!(
        matches!(result, Err(BackendError::Timeout { .. })),
        "{result:?}"
    );
    assert!(
        took >= limit && took < timer + limit / 10,
        "{took:?}, the timer {timer:?}"
    );
}

async fn check_ends_at_its_deadline(stub: &Stub) {
    check_ends_in_time(&client(), &stub.uri(), LIMIT).await;
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn a_backend_that_never_answers_costs_the_deadline() {
    let stub = Stub::start(Peer::linger);
    check_ends_at_its_deadline(&stub).await;
}

#[tokio::test]
async fn a_dripping_head_or_body_costs_the_deadline() {
    for head in [
        "HTTP/1.1 200 OK\r\nX-Slow: ",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let stub = Stub::start(move |mut peer| async move {
            peer.request().await;
            peer.say(head).await;
            while peer.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        check_ends_at_its_deadline(&stub).await;
    }
}

#[tokio::test]
async fn endless_informational_answers_cost_the_deadline() {
    let stub = Stub::start(|mut peer| async move {
        peer.request().await;
        while peer
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    });
    check_ends_at_its_deadline(&stub).await;
}

#[tokio::test]
async fn a_connection_that_timed_out_is_closed_and_not_used_again() {
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let stub = Stub::start(move |mut peer| {
        let seen = Arc::clone(&seen);
        async move {
            peer.request().await;
            if peer.number > 1 {
                return peer
                    .say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
                    .await;
            }
            // The late answer comes when nobody waits for it.
            peer.linger().await;
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let client = client();
    let late = BackendRequest {
        deadline: Instant::now() + Duration::from_millis(50),
        ..post(&stub.uri(), "x")
    };
    assert!(matches!(
        client.send(late).await,
        Err(BackendError::Timeout { .. })
    ));
    eventually(|| closed.load(Ordering::SeqCst) == 1).await;
    assert_eq!(
        client.send(post(&stub.uri(), "x")).await.unwrap().body,
        "new"
    );
    assert_eq!(stub.accepts(), 2);
}

#[tokio::test]
async fn a_call_that_is_late_from_the_start_is_not_made() {
    let stub = Stub::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let client = client();
    client.send(get(&stub.uri())).await.unwrap();
    let error = client
        .send(BackendRequest {
            deadline: Instant::now(),
            ..get(&stub.uri())
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Timeout {
                may_have_been_sent: false,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(stub.requests(), 1);
}

#[tokio::test]
async fn a_thousand_calls_in_flight_all_end_at_their_deadlines() {
    let stub = Stub::start(Peer::linger);
    let client = Arc::new(client());
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (client, uri) = (Arc::clone(&client), stub.uri());
            tokio::spawn(
                async move { check_ends_in_time(&client, &uri, Duration::from_secs(2)).await },
            )
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn an_endless_body_ends_at_the_size_limit() {
    for framing in [
        "",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 100000000000\r\n",
    ] {
        let stub = Stub::start(move |mut peer| async move {
            peer.request().await;
            peer.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n")).await;
            let piece = format!("1000\r\n{}\r\n", "x".repeat(4096));
            while peer.stream.write_all(piece.as_bytes()).await.is_ok() {}
        });
        let request = BackendRequest {
            max_response_bytes: 1 << 20,
            ..get(&stub.uri())
        };
        let error = client().send(request).await.unwrap_err();
        assert!(
            matches!(
                error,
                BackendError::TooLarge {
                    limit: 1_048_576,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_announced_size_above_the_limit_is_refused_before_it_comes() {
    let stub = Stub::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
            .await;
        peer.linger().await;
    });
    let error = client().send(get(&stub.uri())).await.unwrap_err();
    assert!(matches!(error, BackendError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_whole() {
    for (size, fits) in [(9_999, true), (10_000, true), (10_001, false)] {
        let chunked: String = vec!["x"; size]
            .chunks(5_000)
            .fold(String::new(), |text, chunk| {
                text + &format!("{:x}\r\n{}\r\n", chunk.len(), chunk.concat())
            });
        let stub = Stub::answering(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}0\r\n\r\n"
        ));
        let request = BackendRequest {
            max_response_bytes: 10_000,
            ..get(&stub.uri())
        };
        match client().send(request).await {
            Ok(response) => assert!(fits && response.body.len() == size, "{size}"),
            Err(error) => assert!(
                !fits && matches!(error, BackendError::TooLarge { .. }),
                "{size}: {error}"
            ),
        }
    }
}

#[tokio::test]
async fn large_bodies_travel_both_ways() {
    let body: &'static str = "0123456789abcdef".repeat(1 << 16).leak();
    let stub = Stub::start(|mut peer| async move {
        while let Some(seen) = peer.request().await {
            let (_, body) = seen.split_once("\r\n\r\n").unwrap();
            peer.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        }
    });
    let client = client();
    for _ in 0..2 {
        assert!(client.send(post(&stub.uri(), body)).await.unwrap().body == body);
    }
    assert_eq!(stub.accepts(), 1);
}

#[tokio::test]
async fn nobody_at_the_port_is_a_refused_connection() {
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let begin = Instant::now();
    let error = client()
        .send(get(&format!("http://{address}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Connect { .. }), "{error}");
    assert!(!error.may_have_been_sent());
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn the_second_address_of_a_name_is_tried_too() {
    let stub = Stub::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    // Bound on 127.0.0.1 alone; where localhost is ::1 first, that one refuses.
    let uri = format!("http://localhost:{}/", stub.address.port());
    assert_eq!(client().send(get(&uri)).await.unwrap().body, "ok");
}

#[tokio::test]
async fn a_name_without_an_address_cannot_be_resolved() {
    // No resolver is asked for a label of more than 63 characters.
    let uri = format!("http://{}.invalid/", "a".repeat(64));
    let client = Arc::new(client());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (client, request) = (Arc::clone(&client), get(&uri));
            tokio::spawn(async move { client.send(request).await.unwrap_err() })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap();
        assert!(matches!(error, BackendError::Resolve { .. }), "{error}");
        assert_eq!(
            (error.may_have_been_sent(), error.fault()),
            (false, Fault::Backend)
        );
    }
}

#[tokio::test]
async fn link_local_backends_are_refused_in_every_spelling() {
    for host in [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let error = client()
            .send(get(&format!("http://{host}/latest/meta-data/")))
            .await
            .unwrap_err();
        assert!(
            matches!(error, BackendError::Forbidden { .. }),
            "{host}: {error}"
        );
        assert_eq!(
            (error.may_have_been_sent(), error.fault()),
            (false, Fault::Configuration)
        );
    }
}

#[tokio::test]
async fn link_local_backends_are_called_where_that_is_allowed() {
    let config = HttpClientConfig {
        allow_link_local: true,
        connect_timeout: Duration::from_millis(50),
        ..HttpClientConfig::default()
    };
    // Nobody can be expected there: the attempt is what counts.
    let result = HttpClient::new(&config)
        .send(get("http://[fe80::1]:9/"))
        .await;
    assert!(
        !matches!(result, Err(BackendError::Forbidden { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    for (method, uri) in [
        (Method::GET, "ftp://127.0.0.1/"),
        (Method::GET, "file://localhost/etc/passwd"),
        (Method::GET, "/path"),
        (Method::GET, "http://user:password@127.0.0.1/"),
        (Method::CONNECT, "http://127.0.0.1/"),
    ] {
        let error = client().send(request(method, uri, "")).await.unwrap_err();
        assert!(
            matches!(error, BackendError::InvalidRequest { .. }),
            "{uri}: {error}"
        );
        assert_eq!(error.fault(), Fault::Configuration);
    }
}
