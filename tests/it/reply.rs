//! What comes back on the socket: replies of two-way routes, silence of one-way ones, error frames (data plane §5).

use harness::{Answer, Backend, Gate, Gateway, RawBackend, RawSocket, Recorded, Table};
use serde_json::json;

use crate::app::{self, App, error_frame, is_request_id, only_the_echo_comes_back};

/// One two-way route `echo` with an API's settings.
async fn two_way(url: &str, api: &str) -> Gateway {
    let yaml = format!(
        r#"
apis:
  chat:
{}    routes:
      $default:
        integration: {{ integrationType: HTTP_PROXY, integrationUri: "{url}", timeoutInMillis: 400 }}
        routeResponseSelectionExpression: $default
"#,
        app::indent(4, api)
    );
    app::start(&yaml).await
}

#[tokio::test]
async fn a_two_way_route_answers_with_the_backends_body_whatever_its_status() {
    let backend = Backend::start().await;
    let gateway = two_way(&backend.url("/echo"), "").await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about("the backend's status and the reply");
    for status in [200, 201, 302, 400, 403, 404, 500, 503] {
        backend.on("/echo", move |_| {
            Answer::status(status)
                .header("Content-Type", "application/octet-stream")
                .header("Location", "/elsewhere")
                .body(format!("body of {status}"))
        });
        client.send_text("x").await;
        let reply = client.next_text().await;
        table.row(&status.to_string(), reply, format!("body of {status}"));
    }
    table.row(
        "redirects followed",
        backend.requests("/elsewhere").len(),
        0,
    );
}

#[tokio::test]
async fn a_two_way_route_answers_an_empty_body_with_an_empty_text() {
    let backend = Backend::start().await;
    let gateway = two_way(&backend.url("/echo"), "").await;
    let mut client = gateway.connect("/dev").await;
    for status in [200, 204] {
        backend.on("/echo", move |_| Answer::status(status));
        client.send_text("x").await;
        assert_eq!(client.next_text().await, "", "{status}");
    }
}

#[tokio::test]
async fn a_one_way_route_answers_nothing() {
    let app = App::start().await;
    let (mut client, _) = app.connect().await;
    for status in [200, 400, 500] {
        app.backend.on("/sendmessage", move |_| {
            Answer::status(status).body("not for the client")
        });
        client.send_text(r#"{"action":"sendmessage"}"#).await;
        app.backend.next("/sendmessage").await;
        only_the_echo_comes_back(&mut client, &status.to_string()).await;
    }
}

#[tokio::test]
async fn a_failing_backend_shows_as_an_error_frame_on_one_way_routes_too() {
    let hooks = Backend::start().await;
    let down = Backend::down();
    let slow = Backend::start().await;
    slow.hold("/slow", &Gate::shut());
    let broken = RawBackend::start(|stream| async move { drop(stream) }).await;
    let routes = [
        ("down", down.url("/down"), "Internal server error"),
        ("slow", slow.url("/slow"), "Endpoint request timed out"),
        (
            "broken",
            broken.url("/broken"),
            "Network error communicating with endpoint",
        ),
        (
            "nowhere",
            "http://nowhere.invalid/".to_owned(),
            "Internal server error",
        ),
    ];
    let mut yaml = format!(
        "apis:\n  chat:\n    routes:\n      $connect: {}\n      echo: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{}\" }}, routeResponseSelectionExpression: $default }}\n",
        hooks.url("/connect"),
        hooks.url("/echo")
    );
    for (name, url, _) in &routes {
        let integration = format!(
            "integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}\", timeoutInMillis: 400 }}"
        );
        yaml += &format!("      one-{name}: {{ {integration} }}\n");
        yaml += &format!(
            "      two-{name}: {{ {integration}, routeResponseSelectionExpression: $default }}\n"
        );
    }
    hooks.on("/echo", |request| Answer::ok(request.body.clone()));
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let id = hooks.next("/connect").await.connection_id();
    let mut table = Table::about("error frames");
    for (name, _, message) in &routes {
        for way in ["one", "two"] {
            client
                .send_json(&json!({"action": format!("{way}-{name}")}))
                .await;
            let text = client.next_text().await;
            let frame: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let request = app::text(&frame["requestId"]);
            table.row(
                &format!("{way}-{name}"),
                text,
                error_frame(message, &id, &request),
            );
            table.holds(
                name,
                is_request_id(&request),
                &format!("requestId {request}"),
            );
        }
    }
    only_the_echo_comes_back(&mut client, "still open").await;
}

#[tokio::test]
async fn an_error_frame_names_the_request_that_the_backend_saw() {
    let backend = Backend::start().await;
    backend.hold("/default", &Gate::shut());
    let gateway = two_way(&backend.url("/default"), "").await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("x").await;
    let seen = backend.next("/default").await;
    let expected = error_frame(
        "Endpoint request timed out",
        &seen.connection_id(),
        seen.wiregate("request-id"),
    );
    assert_eq!(client.next_text().await, expected);
}

#[tokio::test]
async fn a_reply_that_is_no_text_is_binary_or_mended() {
    let backend = Backend::start().await;
    backend.on("/echo", |_| Answer::ok(&b"a\xff\xfeb"[..]));
    let open = two_way(&backend.url("/echo"), "").await;
    let mut client = open.connect("/dev").await;
    client.send_text("x").await;
    assert_eq!(client.next_binary().await, b"a\xff\xfeb");

    let aws = two_way(&backend.url("/echo"), "limits: { preset: aws }").await;
    let mut client = aws.connect("/dev").await;
    client.send_text("x").await;
    assert_eq!(client.next_text().await, "a\u{fffd}\u{fffd}b");
}

#[tokio::test]
async fn a_reply_over_the_limit_is_an_error_frame() {
    let backend = Backend::start().await;
    let gateway = two_way(&backend.url("/echo"), "limits: { preset: aws }").await;
    let mut client = gateway.connect("/dev").await;
    for (size, fits) in [
        (128 * 1024, true),
        (128 * 1024 + 1, false),
        (4 * 1024 * 1024, false),
    ] {
        backend.on("/echo", move |_| Answer::ok("x".repeat(size)));
        client.send_text("x").await;
        let got = client.next_text().await;
        let frame: serde_json::Value = serde_json::from_str(&got).unwrap_or_default();
        if fits {
            assert_eq!(got.len(), size);
        } else {
            assert_eq!(frame["message"], "Internal server error", "{size} bytes");
        }
    }
}

#[tokio::test]
async fn under_the_aws_preset_a_long_reply_comes_in_frames_of_32_kib_or_less() {
    let backend = Backend::start().await;
    // Characters of three bytes: frames may cut through one, the message may not be broken by it.
    let long = "\u{20ac}".repeat(40_000);
    let body = long.clone();
    backend.on("/echo", move |_| Answer::ok(body.clone()));
    let gateway = two_way(&backend.url("/echo"), "limits: { preset: aws }").await;
    let mut socket = RawSocket::open(gateway.handshake("/dev")).await;
    socket.send(&harness::frame(0x81, b"x")).await;
    let mut whole = Vec::new();
    let mut opcodes = Vec::new();
    loop {
        let frame = socket.next().await.expect("a frame");
        assert!(
            frame.payload.len() <= 32 * 1024,
            "{} bytes",
            frame.payload.len()
        );
        opcodes.push(frame.opcode);
        whole.extend(frame.payload);
        if frame.fin {
            break;
        }
    }
    assert_eq!(opcodes[0], 1);
    assert!(
        opcodes.len() > 1 && opcodes[1..].iter().all(|opcode| *opcode == 0),
        "{opcodes:?}"
    );
    assert!(whole == long.as_bytes(), "the message arrived changed");
}

#[tokio::test]
async fn connect_and_disconnect_answer_nothing_on_the_socket() {
    let app = App::start().await;
    app.backend
        .on("/connect", |_| Answer::ok("hello from connect"));
    let (mut client, _) = app.connect().await;
    only_the_echo_comes_back(&mut client, "after connect").await;
}

#[tokio::test]
async fn a_binary_message_reaches_the_backend_as_bytes() {
    let app = App::start().await;
    let (mut client, _) = app.connect().await;
    client.send_binary(b"\x00\xff\x01").await;
    let seen = app.backend.next("/default").await;
    assert_eq!(&seen.body[..], b"\x00\xff\x01");
    assert_eq!(
        seen.header("content-type"),
        Some("application/octet-stream")
    );
}

#[tokio::test]
async fn a_text_message_reaches_the_backend_as_json() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    client.send_text(r#"{"action":"sendmessage"}"#).await;
    let seen: Recorded = app.backend.next("/sendmessage").await;
    let mut table = Table::about("headers of a message request");
    for (name, expected) in [
        ("content-type", Some("application/json")),
        ("content-length", Some("24")),
        ("user-agent", Some("AmazonAPIGateway_chat")),
        ("x-amzn-apigateway-api-id", Some("chat")),
        ("x-forwarded-for", None),
        ("sec-websocket-key", None),
        ("x-wiregate-connection-id", Some(id.as_str())),
    ] {
        table.row(name, seen.header(name), expected);
    }
    let trace = seen.header("x-amzn-trace-id").unwrap_or_default();
    table.holds("x-amzn-trace-id", trace.starts_with("Root=1-"), trace);
}

/// Over HTTP/2 with prior knowledge: the handshake, a message and its reply, the end.
#[tokio::test]
async fn a_backend_may_speak_http2_without_tls() {
    let backend = Backend::http2().await;
    backend.on("/echo", |request| Answer::ok(request.body.clone()));
    let call = |path: &str| {
        let uri = backend.url(path);
        format!(
            "integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{uri}\", httpVersion: '2' }}"
        )
    };
    let yaml = format!(
        "apis:\n  chat:\n    routes:\n      $connect: {{ {} }}\n      $disconnect: {{ {} }}\n      echo: {{ {}, routeResponseSelectionExpression: $default }}\n",
        call("/connect"),
        call("/disconnect"),
        call("/echo")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();
    only_the_echo_comes_back(&mut client, "over HTTP/2").await;
    let seen = backend.next("/echo").await;
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.connection_id(), id);
    assert_eq!(seen.wiregate("route-key"), "echo");
    client.close(Some((1000, ""))).await;
    assert_eq!(backend.next("/disconnect").await.connection_id(), id);
}
