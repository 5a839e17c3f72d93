//! What becomes of a push: `POST` to `@connections` and the frame that the client sees.

use std::time::Duration;

use harness::{Answer, Gate, Opened, Request, Table};
use tokio_tungstenite::tungstenite::Message;

use crate::app::{App, is_request_id, is_uuid, only_the_echo_comes_back};

#[tokio::test]
async fn a_push_reaches_the_client_as_text() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let answer = app.gateway.push(&id, "hello").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    assert_eq!(client.next_text().await, "hello");
    let request = answer.header("x-amzn-requestid").unwrap_or_default();
    assert!(is_uuid(request), "x-amzn-RequestId {request}");
    let id = answer.header("x-amz-apigw-id").unwrap_or_default();
    assert!(is_request_id(id), "x-amz-apigw-id {id}");
}

#[tokio::test]
async fn what_is_pushed_is_opaque_and_its_content_type_means_nothing() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{id}");
    for (kind, body) in [
        ("application/octet-stream", "from an SDK"),
        ("application/json", "{not json"),
        ("text/plain", "ünïcode \u{1F600}"),
        ("application/json", ""),
    ] {
        let request = Request::post(app.gateway.management(), &path, body);
        let answer = request.header("Content-Type", kind).send().await;
        assert_eq!(answer.status, 200, "{kind}");
        assert_eq!(client.next_text().await, body, "{kind}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_pushed_as_binary_or_mended() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    assert_eq!(app.gateway.push(&id, b"a\xffb").await.status, 200);
    assert_eq!(client.next_binary().await, b"a\xffb");

    let app = App::aws().await;
    let (mut client, id) = app.connect().await;
    assert_eq!(app.gateway.push(&id, b"a\xffb").await.status, 200);
    assert_eq!(client.next_text().await, "a\u{fffd}b");
}

#[tokio::test]
async fn a_pusher_may_force_the_frames_kind() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let path = |query: &str| format!("/dev/@connections/{id}?{query}");
    let post = |query: &str, body: &'static [u8]| {
        Request::post(app.gateway.management(), &path(query), body).send()
    };
    assert_eq!(post("frame=binary", b"text").await.status, 200);
    assert_eq!(client.next_binary().await, b"text");
    assert_eq!(post("frame=text", b"a\xffb").await.status, 200);
    assert_eq!(client.next_text().await, "a\u{fffd}b");
    assert_eq!(post("frame=carrier-pigeon", b"x").await.status, 400);
    only_the_echo_comes_back(&mut client, "after").await;
}

#[tokio::test]
async fn pushes_arrive_in_the_order_in_which_they_were_answered() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    for number in 0..100 {
        assert_eq!(app.gateway.push(&id, number.to_string()).await.status, 200);
    }
    for number in 0..100 {
        assert_eq!(client.next_text().await, number.to_string());
    }
}

#[tokio::test]
async fn a_push_reaches_its_own_connection_and_no_other() {
    let app = App::start().await;
    let mut everyone = Vec::new();
    for _ in 0..10 {
        everyone.push(app.connect().await);
    }
    for (_, id) in everyone.iter().rev() {
        assert_eq!(app.gateway.push(id, format!("for {id}")).await.status, 200);
    }
    for (client, id) in &mut everyone {
        assert_eq!(client.next_text().await, format!("for {id}"));
        only_the_echo_comes_back(client, id).await;
    }
}

#[tokio::test]
async fn a_connection_can_be_pushed_to_as_soon_as_its_client_sees_the_101() {
    let app = App::aws().await;
    for _ in 0..30 {
        let (mut client, id) = app.connect().await;
        assert_eq!(app.gateway.push(&id, "now").await.status, 200);
        assert_eq!(client.next_text().await, "now");
    }
}

#[tokio::test]
async fn a_push_may_be_as_long_as_a_message_and_no_longer() {
    let mut table = Table::about("sizes of pushes");
    for (preset, limit) in [("open", 1024 * 1024), ("aws", 128 * 1024)] {
        let app = App::with(&format!("limits: {{ preset: {preset} }}")).await;
        let (mut client, id) = app.connect().await;
        let body = vec![b'x'; limit];
        let answer = app.gateway.push(&id, &body).await;
        table.row(&format!("{preset}: {limit}"), answer.status, 200);
        if answer.status == 200 {
            table.row(preset, client.next_text().await.len(), limit);
        }
        let answer = app.gateway.push(&id, vec![b'x'; limit + 1]).await;
        let name = format!("{preset}: {limit} + 1");
        table.row(&name, answer.status, 413);
        table.row(
            &name,
            answer.header("x-amzn-errortype"),
            Some("PayloadTooLargeException"),
        );
        table.holds(&name, !answer.message().is_empty(), "no message");
        only_the_echo_comes_back(&mut client, preset).await;
    }
}

#[tokio::test]
async fn a_push_during_connect_is_held_until_the_socket_is_open() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let opening = tokio::spawn(app.gateway.handshake("/dev").send());
    let id = app.backend.next("/connect").await.connection_id();
    for text in ["first", "second"] {
        let answer = app.gateway.push(&id, text).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-wiregate-delivery"), Some("held"));
    }
    gate.open();
    let Opened::Open(mut client) = opening.await.unwrap() else {
        panic!("refused");
    };
    assert_eq!(client.next_text().await, "first");
    assert_eq!(client.next_text().await, "second");
    let answer = app.gateway.push(&id, "third").await;
    assert_eq!(answer.header("x-wiregate-delivery"), None);
    assert_eq!(client.next_text().await, "third");
}

#[tokio::test]
async fn a_push_held_for_a_client_that_is_then_refused_is_dropped() {
    let app = App::start().await;
    let gate = Gate::shut();
    let wait = gate.clone();
    app.backend.on_async("/connect", move |_| {
        let wait = wait.clone();
        async move {
            wait.wait().await;
            Answer::status(403)
        }
    });
    let opening = tokio::spawn(app.gateway.handshake("/dev").status());
    let id = app.backend.next("/connect").await.connection_id();
    assert_eq!(app.gateway.push(&id, "lost").await.status, 200);
    gate.open();
    assert_eq!(opening.await.unwrap(), 403);
    assert_eq!(app.gateway.push(&id, "later").await.status, 410);
    assert!(app.backend.requests("/disconnect").is_empty());
}

#[tokio::test]
async fn under_the_aws_preset_a_push_during_connect_is_gone() {
    let app = App::aws().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let opening = tokio::spawn(app.gateway.handshake("/dev").send());
    let id = app.backend.next("/connect").await.connection_id();
    let answer = app.gateway.push(&id, "too early").await;
    assert_eq!(answer.status, 410);
    assert_eq!(answer.header("x-amzn-errortype"), Some("GoneException"));
    assert_eq!(app.gateway.connection(&id).await.status, 410);
    assert_eq!(app.gateway.delete(&id).await.status, 410);
    gate.open();
    let Opened::Open(mut client) = opening.await.unwrap() else {
        panic!("refused");
    };
    assert_eq!(app.gateway.push(&id, "in time").await.status, 200);
    assert_eq!(client.next_text().await, "in time");
}

#[tokio::test]
async fn what_was_pushed_is_written_before_a_close() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    for number in 0..50 {
        assert_eq!(app.gateway.push(&id, number.to_string()).await.status, 200);
    }
    assert_eq!(app.gateway.delete(&id).await.status, 204);
    for number in 0..50 {
        assert_eq!(client.next_text().await, number.to_string());
    }
    assert_eq!(client.closed().await, (1000, "Connection Closed Normally"));
}

#[tokio::test]
async fn a_push_counts_as_activity_and_needs_no_backend() {
    let app = App::with("limits: { idleTimeout: 1500ms }").await;
    let (mut client, id) = app.connect().await;
    let start = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    while start.elapsed() < Duration::from_millis(3500) {
        tick.tick().await;
        assert_eq!(app.gateway.push(&id, "x").await.status, 200);
        let message = client.next_within(harness::PATIENCE).await;
        assert_eq!(message, Some(Message::text("x")));
    }
    assert_eq!(client.closed().await, (1001, "Going away"));
    assert_eq!(
        app.backend
            .everything()
            .iter()
            .filter(|seen| seen.path != "/disconnect")
            .count(),
        1
    );
}
