//! What a backend may send, by mistake or by malice, and what becomes of it.

use super::*;

/// Sends one request to a stub that answers with these bytes and then closes.
async fn answer_once(answer: Vec<u8>) -> Result<BackendResponse, BackendError> {
    let answer = Arc::new(answer);
    let stub = Stub::start(move |mut peer| {
        let answer = Arc::clone(&answer);
        async move {
            peer.request().await;
            peer.say(&*answer).await;
            let _ = peer.stream.shutdown().await;
            peer.linger().await;
        }
    });
    client().send(post(&stub.uri(), "x")).await
}

async fn check_broken(answer: impl Into<Vec<u8>>, reason: &str) {
    let answer = answer.into();
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
    match answer_once(answer).await {
        Err(
            error @ BackendError::Broken {
                may_have_been_sent: true,
                ..
            },
        ) => {
            assert!(error.to_string().contains(reason), "{shown:?}: {error}");
        }
        found => panic!("{shown:?}: {found:?}"),
    }
}

async fn check_body(answer: impl Into<Vec<u8>>, expected: &[u8]) {
    let answer = answer.into();
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
    let response = answer_once(answer)
        .await
        .unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert_eq!(response.body, expected, "{shown:?}");
}

#[tokio::test]
async fn what_is_not_http_is_broken() {
    check_broken("this is not http\r\n\r\n", "not HTTP").await;
    check_broken(vec![0; 4096], "not HTTP").await;
    check_broken("SSH-2.0-OpenSSH_9.2\r\n", "not HTTP").await;
    check_broken("HTTP/1.1 abc OK\r\n\r\n", "not HTTP").await;
    check_broken("HTTP/3.7 200 OK\r\n\r\n", "not HTTP").await;
    check_broken("HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n", "not HTTP").await;
    check_broken("HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n\r\n", "not HTTP").await;
    check_broken("HTTP/1.1 200 OK\r\nX: a\r\n folded: b\r\n\r\n", "not HTTP").await;
    check_broken("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "not HTTP").await;
    check_broken(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "not HTTP",
    )
    .await;
}

#[tokio::test]
async fn early_ends_are_broken() {
    check_broken("", "closed before the answer was complete").await;
    check_broken(
        "HTTP/1.1 200 OK\r\nContent-",
        "closed before the answer was complete",
    )
    .await;
    check_broken("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!", "").await;
    check_broken(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n",
        "",
    )
    .await;
}

#[tokio::test]
async fn bad_chunks_are_broken() {
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
        "3;\u{0}\nabc\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        check_broken(
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
            "",
        )
        .await;
    }
    // A chunk's size and the room for its extensions are bounded.
    let endless = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;{}",
        "x".repeat(1 << 20)
    );
    check_broken(endless, "").await;
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_broken() {
    let many = headers(10_000, "1");
    check_broken(format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "headers").await;
    let large = "x".repeat(1 << 20);
    check_broken(
        format!("HTTP/1.1 200 OK\r\nx-large: {large}\r\n\r\n"),
        "headers",
    )
    .await;
    check_broken(format!("HTTP/1.1 200 {large}\r\n\r\n"), "headers").await;
    let some = headers(90, &"v".repeat(100));
    check_body(
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{some}\r\nok"),
        b"ok",
    )
    .await;
}

fn headers(count: usize, value: &str) -> String {
    (0..count).fold(String::new(), |headers, n| {
        headers + &format!("x-{n}: {value}\r\n")
    })
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_is_broken() {
    let stub = Stub::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        peer.reset();
    });
    let error = client().send(post(&stub.uri(), "x")).await.unwrap_err();
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
    assert_eq!(stub.requests(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let target = Stub::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            target.uri()
        );
        let response = answer_once(answer.into_bytes()).await.unwrap();
        assert_eq!(response.status, status);
        assert_eq!(response.headers.text("location"), Some(&*target.uri()));
    }
    assert_eq!(target.accepts(), 0);
}

#[tokio::test]
async fn informational_answers_are_skipped() {
    let many = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    check_body(
        format!("{many}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        b"ok",
    )
    .await;
    check_body("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", b"1").await;
}

#[tokio::test]
async fn switching_protocols_unasked_is_broken() {
    check_broken(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "",
    )
    .await;
}

#[tokio::test]
async fn bodies_are_bytes() {
    let invalid = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".as_slice(),
        &[0xff, 0xfe, 0, 0x80],
    ]
    .concat();
    check_body(invalid, &[0xff, 0xfe, 0, 0x80]).await;
    // A gzip bomb stays the few bytes that it is.
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0,
    ];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        gzip.len()
    );
    check_body([head.as_bytes(), &gzip].concat(), &gzip).await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let stub = Stub::answering("HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n");
    let response = client()
        .send(request(Method::HEAD, &stub.uri(), ""))
        .await
        .unwrap();
    assert!(response.body.is_empty());
}

#[tokio::test]
async fn errors_repeat_nothing_of_the_request_or_the_answer() {
    const CANARY: &str = "canary-7f3a";
    let answers = [
        format!("{CANARY} is not http\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{CANARY}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}"),
    ];
    for answer in answers {
        let stub = Stub::start(move |mut peer| {
            let answer = answer.clone();
            async move {
                peer.request().await;
                peer.say(answer).await;
            }
        });
        let mut request = post(
            &format!("http://{}/{CANARY}?{CANARY}", stub.address),
            CANARY,
        );
        request
            .headers
            .push_text(&HeaderName::from_static("authorization"), CANARY);
        let error = client().send(request).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
        assert!(
            error.to_string().contains(&stub.address.to_string()),
            "{error}"
        );
    }
}
