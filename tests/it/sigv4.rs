//! `@connections` on the clients' listener: for callers with a signature only.

use std::time::{Duration, SystemTime};

use harness::{HttpAnswer, Request, Signer, Table};

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
