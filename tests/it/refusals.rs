//! Refusals whole: status, headers and body as they stand on the wire, and what the log says of them.

use std::fmt::Write as _;

use harness::{Answer, Backend, HttpAnswer, Request, Table, eventually};
use serde_json::json;

use crate::app::{self, App, error_frame, is_uuid, text};

/// The family of refusals that know no connection id: type, body and id of one answer.
fn check(table: &mut Table, name: &str, answer: &HttpAnswer, expected: (u16, &str, &str)) {
    let (status, kind, message) = expected;
    table.row(name, answer.status, status);
    table.row(name, answer.header("x-amzn-errortype"), Some(kind));
    table.row(name, answer.text(), json!({"message": message}).to_string());
    table.row(
        name,
        answer.header("content-type"),
        Some("application/json"),
    );
    let id = answer.header("x-amzn-requestid").unwrap_or_default();
    table.holds(name, is_uuid(id), &format!("x-amzn-RequestId {id}"));
}

#[tokio::test]
async fn a_handshake_that_breaks_a_rule_is_told_which() {
    let app = App::start().await;
    let good = || app.gateway.handshake("/dev");
    let bad = |message| (400, "BadRequestException", message);
    let key = "Sec-WebSocket-Key must be 16 bytes in base64";
    let mut many = good();
    for n in 0..100 {
        many = many.header(&format!("x-{n}"), "y");
    }
    let mut table = Table::about("handshakes that break a rule");
    for (name, handshake, expected) in [
        (
            "two Authorization headers",
            good()
                .header("Authorization", "a")
                .header("Authorization", "b"),
            bad("Bad Request"),
        ),
        (
            "no Connection: Upgrade",
            good().without("connection"),
            bad("Bad Request"),
        ),
        (
            "version 8",
            good().with("Sec-WebSocket-Version", "8"),
            bad("Sec-WebSocket-Version must be 13"),
        ),
        (
            "a short key",
            good().with("Sec-WebSocket-Key", "abc"),
            bad(key),
        ),
        (
            "a long URL",
            app.gateway
                .handshake(&format!("/dev?q={}", "x".repeat(4096))),
            (414, "BadRequestException", "Request URI too long"),
        ),
        (
            "105 headers",
            many,
            (
                431,
                "BadRequestException",
                "Request header fields too large",
            ),
        ),
        (
            "a header of 65 KiB",
            good().header("x-long", &"x".repeat(65 * 1024)),
            (
                431,
                "BadRequestException",
                "Request header fields too large",
            ),
        ),
    ] {
        check(&mut table, name, &handshake.refused().await, expected);
    }
    table.row(
        "calls of $connect",
        app.backend.requests("/connect").len(),
        0,
    );
}

#[tokio::test]
async fn a_full_gateway_says_when_to_come_back() {
    let app = App::with_server("server: { maxConnections: 1 }", "").await;
    let (_client, _) = app.connect().await;
    let refused = app.gateway.handshake("/dev").refused().await;
    let mut table = Table::about("a handshake beyond server.maxConnections");
    let expected = (503, "ServiceUnavailableException", "Service Unavailable");
    check(&mut table, "full", &refused, expected);
    table.row("full", refused.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_throttled_handshake_has_an_id_already() {
    let stages = "stages: { dev: { routeSettings: { $connect: { throttlingRateLimit: 0 } } } }";
    let app = App::with(stages).await;
    let refused = app.gateway.handshake("/dev").refused().await;
    let body = refused.json();
    let expected = error_frame(
        "Too Many Requests",
        &text(&body["connectionId"]),
        &text(&body["requestId"]),
    );
    assert_eq!((refused.status, refused.text()), (429, expected));
    assert_eq!(refused.header("x-amzn-errortype"), None);
}

#[tokio::test]
async fn a_callback_that_is_refused_has_its_type_and_words() {
    let app = App::aws().await;
    let (_client, id) = app.connect().await;
    let to = app.gateway.management();
    let path = format!("/dev/@connections/{id}");
    let mut table = Table::about("callbacks that are refused");
    let missing = (
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
    for method in ["PUT", "PATCH", "OPTIONS"] {
        let answer = Request::new(to, method, &path).body("x").send().await;
        check(&mut table, method, &answer, missing);
    }
    let forbidden = (403, "ForbiddenException", "Forbidden");
    for path in [
        format!("/prod/@connections/{id}"),
        format!("/dev/dev/@connections/{id}"),
        format!("/dev/x/@connections/{id}"),
        format!("/_aws/execute-api/other/dev/@connections/{id}"),
    ] {
        let answer = Request::post(to, &path, "x").send().await;
        check(&mut table, &path, &answer, forbidden);
    }
    let long = app.gateway.push(&id, vec![b'x'; 128 * 1024 + 1]).await;
    let too_long = "Message too long: the limit is 131072 bytes";
    check(
        &mut table,
        "131,073 bytes",
        &long,
        (413, "PayloadTooLargeException", too_long),
    );
    let odd = Request::post(to, "/dev/@connections/abc", "x").send().await;
    let invalid = (400, "BadRequestException", "Invalid connectionId: abc");
    check(&mut table, "abc", &odd, invalid);
}

#[tokio::test]
async fn what_cannot_be_carried_out_as_configured_is_an_internal_error_to_the_client() {
    let backend = Backend::start().await;
    backend.on("/http", |_| Answer::status(404));
    let url = backend.url("/http");
    let mut yaml = "apis:\n  chat:\n    routes:\n".to_owned();
    for (key, kind, more) in [
        ("unmatched", "HTTP", "integrationResponses: { /200/: {} }"),
        (
            "undecodable",
            "HTTP_PROXY",
            "contentHandlingStrategy: CONVERT_TO_BINARY",
        ),
    ] {
        let _ = writeln!(
            yaml,
            "      {key}: {{ routeResponseSelectionExpression: $default, integration: {{ integrationType: {kind}, integrationUri: \"{url}\", {more} }} }}"
        );
    }
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    for key in ["unmatched", "undecodable"] {
        client.send_json(&json!({"action": key})).await;
        let got = client.next_text().await;
        let frame: serde_json::Value = serde_json::from_str(&got).unwrap_or_default();
        let expected = error_frame(
            "Internal server error",
            &text(&frame["connectionId"]),
            &text(&frame["requestId"]),
        );
        assert_eq!(got, expected, "{key}");
    }
}

#[tokio::test]
async fn the_log_tells_a_backend_that_is_away_from_a_mistake_in_the_file() {
    let down = Backend::down();
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {} }} }} }}",
        down.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    assert_eq!(gateway.handshake("/dev").refused().await.status, 500);
    let line = eventually("a line about the refusal", async || {
        let log = gateway.log();
        let found = log
            .lines()
            .find(|line| line.contains("backend unreachable"));
        found.map(str::to_owned)
    })
    .await;
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("error=\"INTEGRATION_FAILURE\""), "{line}");
}
