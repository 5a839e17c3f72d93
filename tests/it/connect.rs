//! Who is let in, and how the others are refused (data plane: admission and `$connect`).

use std::time::Duration;

use harness::{Answer, Backend, Gate, Handshake, Opened, RawBackend, Table, eventually};

use crate::app::{self, App, error_frame, is_connection_id, is_request_id, is_uuid};

#[tokio::test]
async fn an_api_without_a_connect_route_lets_everyone_in() {
    let backend = Backend::start().await;
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $default: {} }} }} }}",
        backend.url("/default")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("hello").await;
    let seen = backend.next("/default").await;
    assert_eq!(seen.text(), "hello");
    assert_eq!(backend.everything().len(), 1, "nothing else was called");
}

#[tokio::test]
async fn the_status_of_connect_decides_who_is_let_in() {
    let app = App::start().await;
    let mut table = Table::about("the backend's status and the handshake's");
    for (status, expected) in [
        (200, 101),
        (201, 101),
        (204, 101),
        (299, 101),
        (302, 302),
        (304, 304),
        (400, 400),
        (401, 401),
        (403, 403),
        (404, 404),
        (429, 429),
        (500, 500),
        (503, 503),
        (599, 599),
    ] {
        app.backend.on("/connect", move |_| Answer::status(status));
        let got = app.gateway.handshake("/dev").status().await;
        table.row(&format!("the backend answers {status}"), got, expected);
    }
}

#[tokio::test]
async fn who_was_refused_never_disconnects() {
    let app = App::start().await;
    app.backend.on("/connect", |_| Answer::status(403));
    app.gateway.handshake("/dev").refused().await;
    app.backend.on("/connect", |_| Answer::status(200));
    let refused = app.backend.next("/connect").await.connection_id();
    let (mut client, id) = app.connect().await;
    client.close(Some((1000, ""))).await;
    let disconnect = app.backend.next("/disconnect").await;
    assert_eq!(disconnect.connection_id(), id);
    assert_ne!(refused, id);
    assert_eq!(app.gateway.push(&refused, "x").await.status, 410);
    assert_eq!(app.backend.requests("/disconnect").len(), 1);
}

#[tokio::test]
async fn a_refusal_carries_what_the_handler_said() {
    let app = App::start().await;
    app.backend.on("/connect", |_| {
        Answer::status(403).body(r#"{"why":"full"}"#)
    });
    let answer = app.gateway.handshake("/dev").refused().await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, r#"{"why":"full"}"#)
    );
}

#[tokio::test]
async fn a_connect_that_fails_is_refused_with_the_documented_status_and_body() {
    let down = Backend::down();
    let slow = Backend::start().await;
    slow.hold("/connect", &Gate::shut());
    let broken = RawBackend::start(|stream| async move { drop(stream) }).await;
    let route = |url: &str| {
        format!(
            "{{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}\", timeoutInMillis: 300 }} }}"
        )
    };
    let yaml = format!(
        "apis:\n  down: {{ routes: {{ $connect: {} }} }}\n  slow: {{ routes: {{ $connect: {} }} }}\n  broken: {{ routes: {{ $connect: {} }} }}\n",
        route(&down.url("/connect")),
        route(&slow.url("/connect")),
        route(&broken.url("/connect")),
    );
    let gateway = app::start(&yaml).await;
    let mut table = Table::about("a $connect that fails");
    for (api, status, message) in [
        ("down", 500, "Internal server error"),
        ("slow", 504, "Endpoint request timed out"),
        ("broken", 504, "Network error communicating with endpoint"),
    ] {
        let path = format!("/_aws/execute-api/{api}/dev");
        let answer = gateway.handshake(&path).refused().await;
        table.row(api, answer.status, status);
        let body = answer.json();
        let connection = app::text(&body["connectionId"]);
        let request = app::text(&body["requestId"]);
        table.row(
            api,
            answer.text(),
            error_frame(message, &connection, &request),
        );
        table.holds(
            api,
            is_connection_id(&connection),
            &format!("connectionId {connection}"),
        );
        table.holds(
            api,
            is_request_id(&request),
            &format!("requestId {request}"),
        );
        table.row(
            api,
            answer.header("content-type"),
            Some("application/json; charset=UTF-8"),
        );
        table.row(api, answer.header("x-amzn-errortype"), None);
        let id = answer.header("x-amz-apigw-id").unwrap_or_default();
        table.holds(api, is_request_id(id), &format!("x-amz-apigw-id {id}"));
    }
}

#[tokio::test]
async fn an_unknown_place_is_forbidden() {
    let app = App::start().await;
    let mut table = Table::about("handshakes for places that do not exist");
    for path in [
        "/prod",
        "/dev/more",
        "/dev/@connections/x",
        "/Dev",
        "/dev%2F",
        "//dev",
        "/nope/a://b/dev",
        "/x://y/dev",
    ] {
        let answer = match app.gateway.handshake(path).send().await {
            Opened::Refused(answer) => answer,
            Opened::Open(_) => {
                table.holds(path, false, "was let in");
                continue;
            }
        };
        table.row(path, answer.status, 403);
        table.row(path, answer.text(), r#"{"message":"Forbidden"}"#);
        table.row(
            path,
            answer.header("x-amzn-errortype"),
            Some("ForbiddenException"),
        );
        table.row(
            path,
            answer.header("content-type"),
            Some("application/json"),
        );
        let id = answer.header("x-amzn-requestid").unwrap_or_default();
        table.holds(path, is_uuid(id), &format!("x-amzn-RequestId {id}"));
    }
    table.row("calls of the backend", app.backend.everything().len(), 0);
}

#[tokio::test]
async fn a_stage_may_be_written_with_a_slash_at_its_end() {
    let app = App::start().await;
    assert_eq!(app.gateway.handshake("/dev/").status().await, 101);
    assert_eq!(app.gateway.handshake("/dev/?room=a").status().await, 101);
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_to_upgrade() {
    let app = App::start().await;
    let mut table = Table::about("GET without an upgrade");
    for path in ["/dev", "/dev/", "/dev/more", "/nowhere"] {
        let plain = app
            .gateway
            .handshake(path)
            .without("upgrade")
            .without("connection");
        let answer = plain.refused().await;
        table.row(path, answer.status, 426);
        table.row(path, answer.text(), r#"{"message":"Upgrade Required: this is a WebSocket API. Connect with a WebSocket client, to ws:// in place of http://, wss:// in place of https://"}"#);
        table.row(path, answer.header("upgrade"), Some("websocket"));
        table.row(path, answer.header("connection"), Some("upgrade, close"));
        table.row(
            path,
            answer.header("content-type"),
            Some("application/json"),
        );
    }
    assert!(app.backend.everything().is_empty(), "the backend was asked");
}

#[tokio::test]
async fn a_malformed_upgrade_is_a_bad_request() {
    let app = App::start().await;
    let good = || app.gateway.handshake("/dev");
    let long = format!("/dev?q={}", "x".repeat(4096));
    let mut table = Table::about("malformed upgrades");
    for (name, handshake, expected) in [
        (
            "without a key",
            good().without("sec-websocket-key"),
            [400, 400],
        ),
        (
            "a short key",
            good().with("Sec-WebSocket-Key", "abc"),
            [400, 400],
        ),
        (
            "two keys",
            good().header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            [400, 400],
        ),
        (
            "without a version",
            good().without("sec-websocket-version"),
            [400, 426],
        ),
        (
            "version 8",
            good().with("Sec-WebSocket-Version", "8"),
            [400, 426],
        ),
        (
            "two Authorization headers",
            good()
                .header("Authorization", "a")
                .header("Authorization", "b"),
            [400, 400],
        ),
        (
            "a URL of 4103 characters",
            app.gateway.handshake(&long),
            [414, 414],
        ),
    ] {
        let status = handshake.status().await;
        table.holds(
            name,
            expected.contains(&status),
            &format!("expected {expected:?}, got {status}"),
        );
    }
    assert!(app.backend.everything().is_empty(), "the backend was asked");
}

#[tokio::test]
async fn a_url_of_4096_characters_is_not_too_long() {
    let app = App::start().await;
    let path = format!("/dev?q={}", "x".repeat(4096 - "/dev?q=".len()));
    assert_eq!(app.gateway.handshake(&path).status().await, 101);
}

#[tokio::test]
async fn a_required_parameter_that_is_missing_is_named() {
    let backend = Backend::start().await;
    let yaml = format!(
        r#"
apis:
  chat:
    routes:
      $connect:
        integration: {{ integrationType: HTTP_PROXY, integrationUri: "{}" }}
        requestParameters:
          route.request.querystring.token: {{ required: true }}
          route.request.header.X-Own: {{ required: true }}
          route.request.querystring.free: {{ required: false }}
"#,
        backend.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    let answer = gateway
        .handshake("/dev")
        .header("x-own", "1")
        .refused()
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "Missing required request parameters: [token]"
    );
    assert!(backend.everything().is_empty());
    let whole = gateway.handshake("/dev?token=t").header("x-own", "1");
    assert_eq!(whole.status().await, 101);
}

#[tokio::test]
async fn the_upgrade_waits_for_connect() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let opening = tokio::spawn(app.gateway.handshake("/dev").send());
    app.backend.next("/connect").await;
    assert!(!opening.is_finished());
    gate.open();
    assert!(matches!(opening.await.unwrap(), Opened::Open(_)));
}

#[tokio::test]
async fn many_clients_can_connect_at_once() {
    let app = App::start().await;
    let address = app.gateway.public();
    let opening: Vec<_> = (0..200)
        .map(|_| tokio::spawn(Handshake::to(address, "/dev").open()))
        .collect();
    let mut clients = Vec::new();
    for open in opening {
        clients.push(open.await.unwrap());
    }
    let mut ids: Vec<String> = app
        .backend
        .requests("/connect")
        .iter()
        .map(harness::Recorded::connection_id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200, "every connection has an id of its own");
    assert!(ids.iter().all(|id| is_connection_id(id)), "{ids:?}");
    for client in clients.iter_mut().step_by(40) {
        app::only_the_echo_comes_back(client, "x").await;
    }
}

#[tokio::test]
async fn a_message_sent_right_behind_the_handshake_is_not_lost() {
    let app = App::start().await;
    let mut bytes = app.gateway.handshake("/dev").bytes();
    bytes.extend(harness::frame(0x81, br#"{"action":"sendmessage","n":1}"#));
    let mut stream = tokio::net::TcpStream::connect(app.gateway.public())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    let (answer, _) = harness::read_answer(&mut stream, false).await.unwrap();
    assert_eq!(answer.status, 101);
    let seen = app
        .backend
        .next_within(Duration::from_secs(5), "/sendmessage")
        .await;
    assert_eq!(seen.text(), r#"{"action":"sendmessage","n":1}"#);
}

#[tokio::test]
async fn whoever_mistypes_a_stage_finds_it_in_the_log() {
    let app = App::start().await;
    let refused = app.gateway.handshake("/prod?token=secret").status().await;
    assert_eq!(refused, 403);
    let host = app.gateway.public().to_string();
    let line = eventually("a line about the refused handshake", async || {
        let log = app.gateway.log();
        log.lines()
            .find(|line| line.contains("/prod"))
            .map(str::to_owned)
    })
    .await;
    for part in [
        "INFO",
        "access",
        &host,
        "status=403",
        "served=\"/dev\"",
        "no API and stage at this address",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    // What cannot be read is written down too.
    let mut stream = tokio::net::TcpStream::connect(app.gateway.public())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GARBAGE\r\n\r\n")
        .await
        .unwrap();
    eventually("a line about what cannot be read", async || {
        let log = app.gateway.log();
        let mut lines = log.lines();
        lines
            .any(|line| line.contains("status=400") && !line.contains("host="))
            .then_some(())
    })
    .await;
    // What a stranger sends can neither forge a line nor fill the log.
    let forged = "/%0a\u{1b}[31m\u{202e}";
    app.gateway.handshake(forged).status().await;
    let long = format!("/{}", "x".repeat(4000));
    for _ in 0..30 {
        app.gateway.handshake(&long).status().await;
    }
    let log = eventually("the flood", async || {
        Some(app.gateway.log()).filter(|log| log.contains("xxx"))
    })
    .await;
    assert!(!log.contains("secret"), "{log}");
    assert!(
        !log.contains('\u{1b}') && !log.contains('\u{202e}'),
        "{log}"
    );
    let lines = log.lines().filter(|line| line.contains("no API and stage"));
    let lengths: Vec<usize> = lines.map(str::len).collect();
    assert!(lengths.len() <= 15, "{} lines", lengths.len());
    assert!(lengths.iter().all(|length| *length < 1000), "{lengths:?}");
}
