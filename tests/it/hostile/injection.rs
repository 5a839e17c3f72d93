//! Injection into backend requests and logs, and secrets that must not leak there.

use harness::{Answer, RawBackend, Request, Table, eventually};
use serde_json::json;

use crate::app::{self, App};

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

// T20
#[tokio::test]
async fn a_log_line_cannot_be_forged() {
    let app = App::with_server(
        "server: { log: { level: debug, format: json, access: all } }",
        "",
    )
    .await;
    let nasty = "%0d%0a%7B%22level%22:%22ERROR%22,%22forged%22:true%7D%1b[31m%00%E2%80%AE";
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
    let log = app.gateway.log();
    let mut table = Table::about("log lines");
    for line in log.lines() {
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
    table.holds("the log", log.lines().count() > 1, "is empty");
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
