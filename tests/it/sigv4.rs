//! `@connections` on the clients' listener: for callers with a signature only.

use std::time::{Duration, Instant, SystemTime};

use harness::{HttpAnswer, RawSocket, Request, Signer, Table, read_answer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::app::{App, only_the_echo_comes_back};

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

async fn guarded() -> (App, tempfile::TempDir) {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let top = format!(
        "server: {{ credentials: [{{ accessKeyId: {KEY}, secretAccessKeyFile: \"{}\" }}] }}",
        file.display()
    );
    (App::with_server(&top, "").await, directory)
}

async fn send(app: &App, signer: &Signer, path: &str, signed_path: &str) -> HttpAnswer {
    let host = app.gateway.public().to_string();
    let headers = signer.sign("POST", &host, signed_path, b"hello");
    let request = Request::post(app.gateway.public(), path, "hello");
    request.headers(&headers).send().await
}

#[test]
fn the_signer_of_these_tests_agrees_with_botocore() {
    let signer = Signer {
        region: "eu-west-1".to_owned(),
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_731_332_746),
        ..Signer::new("AKIDEXAMPLE", SECRET)
    };
    let host = "4qxjtz3xx8.execute-api.eu-west-1.amazonaws.com";
    let path = "/prod/@connections/BFaT_fALIAMCKug%3D";
    let headers = signer.sign("POST", host, path, b"hello");
    assert_eq!(headers[0].1, "20241111T134546Z");
    let signature = "9d87bde18a926662b728f4a45fe8147f1b61e1a28094a33ce757e645f716fb8a";
    assert!(headers[1].1.ends_with(signature), "{}", headers[1].1);
}

#[tokio::test]
async fn a_signed_caller_may_push_look_up_and_delete() {
    let (app, _secret) = guarded().await;
    let (mut client, id) = app.connect().await;
    let signer = Signer::new(KEY, SECRET);
    let encoded = id.replace('=', "%3D");
    let mut table = Table::about("signed spellings of the path");
    for path in [
        format!("/dev/@connections/{encoded}"),
        format!("/dev/@connections/{id}"),
        format!("/dev/%40connections/{encoded}"),
        format!("/dev//@connections/{encoded}"),
        format!("/@connections/{encoded}"),
    ] {
        let answer = send(&app, &signer, &path, &path).await;
        table.row(&path, answer.status, 200);
        if answer.status == 200 {
            table.row(&path, client.next_text().await, "hello".to_owned());
        }
    }
    // The JavaScript SDK signs the path without the doubled slash that it sends.
    let sent = format!("/dev//@connections/{encoded}");
    let signed = format!("/dev/@connections/{encoded}");
    let answer = send(&app, &signer, &sent, &signed).await;
    table.row("signed with one slash, sent with two", answer.status, 200);
    if answer.status == 200 {
        client.next_text().await;
    }
    let host = app.gateway.public().to_string();
    for (method, expected) in [("GET", 200), ("DELETE", 204)] {
        let headers = signer.sign(method, &host, &signed, b"");
        let request = Request::new(app.gateway.public(), method, &signed).headers(&headers);
        table.row(method, request.send().await.status, expected);
    }
    table.holds(
        "DELETE",
        client.closed().await == (1000, "Connection Closed Normally"),
        "not closed",
    );
}

#[tokio::test]
async fn a_caller_without_a_right_signature_reaches_nobody() {
    let (app, _secret) = guarded().await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let good = Signer::new(KEY, SECRET);
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let mut table = Table::about("wrong signatures");
    let wrong = [
        (
            "a wrong secret",
            Signer::new(KEY, "wrong"),
            "InvalidSignatureException",
        ),
        (
            "an unknown key",
            Signer::new("AKIANOBODY", SECRET),
            "UnrecognizedClientException",
        ),
        (
            "six minutes old",
            Signer {
                at: SystemTime::now() - minutes(6),
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "six minutes early",
            Signer {
                at: SystemTime::now() + minutes(6),
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another service",
            Signer {
                service: "s3".to_owned(),
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
    ];
    for (name, signer, kind) in wrong {
        let answer = send(&app, &signer, &path, &path).await;
        table.row(name, answer.status, 403);
        table.row(name, answer.header("x-amzn-errortype"), Some(kind));
        table.holds(
            name,
            !answer.text().contains(SECRET),
            "the secret is in the answer",
        );
    }
    let answer = send(&app, &good, &path, "/dev/@connections/other").await;
    table.row("signed for another path", answer.status, 403);

    let unsigned = Request::post(app.gateway.public(), &path, "x").send().await;
    table.row("unsigned", unsigned.status, 403);
    table.row(
        "unsigned",
        unsigned.header("x-amzn-errortype"),
        Some("MissingAuthenticationTokenException"),
    );
    table.row(
        "unsigned",
        unsigned.text(),
        r#"{"message":"Missing Authentication Token"}"#.to_owned(),
    );

    let host = app.gateway.public().to_string();
    let headers = good.sign("POST", &host, &path, b"hello");
    for (name, request) in [
        (
            "another body",
            Request::post(app.gateway.public(), &path, "other").headers(&headers),
        ),
        (
            "another method",
            Request::delete(app.gateway.public(), &path).headers(&headers),
        ),
        (
            "another host",
            Request::post(app.gateway.public(), &path, "hello")
                .headers(&headers)
                .header("Host", "localhost"),
        ),
        (
            "garbage",
            Request::post(app.gateway.public(), &path, "x")
                .header("Authorization", "AWS4-HMAC-SHA256 garbage"),
        ),
        (
            "a bearer",
            Request::post(app.gateway.public(), &path, "x").header("Authorization", "Bearer x"),
        ),
        (
            "method override",
            Request::post(app.gateway.public(), &path, "x").header("X-HTTP-Method-Override", "GET"),
        ),
    ] {
        let answer = request.send().await;
        table.row(name, answer.status, 403);
        table.holds(
            name,
            answer.header("x-amzn-errortype").is_some(),
            "no x-amzn-ErrorType",
        );
    }
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}

#[tokio::test]
async fn a_wrong_signature_is_answered_with_what_should_have_been_signed() {
    let (app, _secret) = guarded().await;
    let (_client, id) = app.connect().await;
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let wrong = Signer::new(KEY, "wrong");
    let host = app.gateway.public().to_string();
    let canonical = wrong.canonical("POST", &host, &path, b"hello");
    let message = format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{}'\n",
        wrong.string_to_sign(&canonical)
    );
    let answer = send(&app, &wrong, &path, &path).await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("InvalidSignatureException")
    );
    assert_eq!(answer.json(), serde_json::json!({"message": message}));
}

#[tokio::test]
async fn a_refused_signature_is_refused_in_the_words_of_aws() {
    let (app, _secret) = guarded().await;
    let good = Signer::new(KEY, SECRET);
    let path = "/dev/@connections/x";
    let mut table = Table::about("messages of refused signatures");
    let unknown = send(&app, &Signer::new("AKIANOBODY", SECRET), path, path).await;
    table.row(
        "an unknown key",
        unknown.text(),
        r#"{"message":"The security token included in the request is invalid."}"#,
    );
    let minutes = Duration::from_mins(1);
    for (name, at, begins) in [
        (
            "six minutes old",
            good.at - 6 * minutes,
            "Signature expired: ",
        ),
        (
            "six minutes early",
            good.at + 6 * minutes,
            "Signature not yet current: ",
        ),
    ] {
        let skewed = Signer { at, ..good.clone() };
        let answer = send(&app, &skewed, path, path).await;
        let message = answer.message();
        table.holds(name, message.starts_with(begins), &message);
    }
    for (name, at) in [
        ("four minutes old", good.at - 4 * minutes),
        ("four minutes early", good.at + 4 * minutes),
    ] {
        let skewed = Signer { at, ..good.clone() };
        // Past the signature the id is judged.
        table.row(name, send(&app, &skewed, path, path).await.status, 400);
    }
}

#[tokio::test]
async fn temporary_credentials_need_their_token_and_end() {
    let key = |id: &str, more: &str| {
        format!("{{ accessKeyId: {id}, secretAccessKey: {SECRET}, {more} }}")
    };
    let top = format!(
        "server: {{ credentials: [{}, {}, {}] }}",
        key(
            "ASIALIVE",
            "sessionToken: t0ken, expiration: 2999-01-01T00:00:00Z"
        ),
        key(
            "ASIAENDED",
            "sessionToken: t0ken, expiration: 2020-01-01T00:00:00Z"
        ),
        key("AKIAENDED", "expiration: 2020-01-01T00:00:00Z"),
    );
    let app = App::with_server(&top, "").await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let mut table = Table::about("temporary credentials");
    let expired = (
        403,
        "ExpiredTokenException",
        r#"{"message":"The security token included in the request is expired"}"#,
    );
    let unknown = (
        403,
        "UnrecognizedClientException",
        r#"{"message":"The security token included in the request is invalid."}"#,
    );
    for (name, key, token, expected) in [
        ("with its token", "ASIALIVE", Some("t0ken"), (200, "", "")),
        ("without its token", "ASIALIVE", None, unknown),
        ("with another token", "ASIALIVE", Some("other"), unknown),
        ("expired", "ASIAENDED", Some("t0ken"), expired),
        ("a long-lived key that ended", "AKIAENDED", None, expired),
        ("a token for a key without", "AKIAENDED", Some("t"), unknown),
    ] {
        let mut signer = Signer::new(key, SECRET);
        signer.credentials.session_token = token.map(str::to_owned);
        let answer = send(&app, &signer, &path, &path).await;
        let kind = answer.header("x-amzn-errortype").unwrap_or_default();
        table.row(
            name,
            (answer.status, kind, answer.text().as_str()),
            expected,
        );
    }
    assert_eq!(client.next_text().await, "hello");
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}

/// One POST on a connection that is kept; `None` if there is no answer.
async fn post_on(stream: &mut TcpStream, host: &str, path: &str, signer: &Signer) -> Option<u16> {
    let headers = signer.sign("POST", host, path, b"hello");
    let headers: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: 5\r\n\r\nhello");
    stream.write_all(request.as_bytes()).await.ok()?;
    let answered = tokio::time::timeout(Duration::from_secs(5), read_answer(stream, false));
    Some(answered.await.ok()??.0.status)
}

#[tokio::test]
async fn a_poster_that_proved_itself_may_keep_its_connection_and_be_silent_but_not_dawdle() {
    let top = format!(
        "server: {{ handshakeTimeout: 1s, credentials: [{{ accessKeyId: {KEY}, secretAccessKey: {SECRET} }}] }}"
    );
    let app = App::with_server(&top, "").await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let host = app.gateway.public().to_string();
    let good = Signer::new(KEY, SECRET);
    let open = || TcpStream::connect(app.gateway.public());

    let mut stream = open().await.unwrap();
    for n in 0..3 {
        let status = post_on(&mut stream, &host, &path, &good).await;
        assert_eq!(status, Some(200), "request {n}");
        assert_eq!(client.next_text().await, "hello");
        // Silence longer than a head may take: what is tested.
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    let begun = Instant::now();
    while stream.write_all(b"P").await.is_ok() && begun.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let dawdled = begun.elapsed();
    assert!(dawdled < Duration::from_secs(6), "dawdled for {dawdled:?}");

    for (name, signer) in [
        ("a wrong secret", Signer::new(KEY, "wrong")),
        ("an unknown key", Signer::new("AKIANOBODY", SECRET)),
    ] {
        let mut stream = open().await.unwrap();
        assert_eq!(post_on(&mut stream, &host, &path, &good).await, Some(200));
        assert_eq!(client.next_text().await, "hello");
        assert_eq!(post_on(&mut stream, &host, &path, &signer).await, Some(403));
        let mut stream = RawSocket::from_stream(stream);
        let ended = stream.ends_within(Duration::from_secs(3)).await;
        assert!(ended, "{name} keeps its connection");
    }
}

#[tokio::test]
async fn an_unsigned_caller_cannot_learn_who_is_connected() {
    let (app, _secret) = guarded().await;
    let (_client, id) = app.connect().await;
    let mut answers = Vec::new();
    for id in [id.as_str(), "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhc=", "abc", ""] {
        let path = format!("/dev/@connections/{id}");
        let answer = Request::get(app.gateway.public(), &path).send().await;
        answers.push((answer.status, answer.text()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 403);
}

#[tokio::test]
async fn without_credentials_nobody_can_push_through_the_clients_listener() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{id}");
    let unsigned = Request::post(app.gateway.public(), &path, "x").send().await;
    assert_eq!(unsigned.status, 403);
    let signer = Signer::new(KEY, SECRET);
    assert_eq!(send(&app, &signer, &path, &path).await.status, 403);
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}

// What presigners make: the signature in the query, and a URL that works for a while without any header.
#[tokio::test]
async fn a_presigned_url_may_be_used_until_it_expires_and_only_as_it_was_signed() {
    let (app, _secret) = guarded().await;
    let (mut client, id) = app.connect().await;
    let good = Signer::new(KEY, SECRET);
    let host = app.gateway.public().to_string();
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let ago = |seconds| Signer {
        at: good.at - Duration::from_secs(seconds),
        ..good.clone()
    };
    let url = |signer: &Signer, method: &str, body: &str, expires: u64| {
        let query = signer.presign(method, &host, &path, body.as_bytes(), expires);
        format!("{path}?{query}")
    };
    let post = async |url: &str, body: &str| {
        let request = Request::post(app.gateway.public(), url, body);
        request.send().await
    };
    let mut table = Table::about("presigned URLs");
    for (name, signer, expires) in [
        ("now", &good, 60),
        // Older than a signature in a header may be.
        ("ten minutes old, good for an hour", &ago(600), 3600),
    ] {
        let answer = post(&url(signer, "POST", name, expires), name).await;
        table.row(name, answer.status, 200);
        if answer.status == 200 {
            table.row(name, client.next_text().await, name.to_owned());
        }
    }
    let get = url(&good, "GET", "", 60);
    let answer = Request::get(app.gateway.public(), &get).send().await;
    table.row("GET", answer.status, 200);

    let right = url(&good, "POST", "hello", 60);
    let expired = url(&ago(600), "POST", "hello", 60);
    let wrong = url(&Signer::new(KEY, "wrong"), "POST", "hello", 60);
    let longer = right.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    let unsigned = right.split_once("&X-Amz-Signature").unwrap().0;
    let invalid = "InvalidSignatureException";
    for (name, url, body, kind) in [
        ("expired", &*expired, "hello", invalid),
        ("a wrong secret", &wrong, "hello", invalid),
        ("another body", &right, "other", invalid),
        ("for another method", &get, "", invalid),
        ("made to last longer", &longer, "hello", invalid),
        (
            "without its signature",
            unsigned,
            "hello",
            "IncompleteSignatureException",
        ),
    ] {
        let answer = post(url, body).await;
        table.row(name, answer.status, 403);
        table.row(name, answer.header("x-amzn-errortype"), Some(kind));
    }
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}
