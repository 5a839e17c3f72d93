//! In which order, and how many at once, the messages of one client reach the backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Answer, Backend, Client, Gate, Gateway, RawSocket, eventually, frame};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::app::{self, App, only_the_echo_comes_back};

/// An API whose route `work` waits at a gate, and counts how many wait there at once.
struct Work {
    gateway: Gateway,
    backend: Backend,
    gate: Gate,
    most: Arc<AtomicUsize>,
}

impl Work {
    async fn with(api: &str, route: &str) -> Self {
        let backend = App::backend().await;
        let gate = Gate::shut();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (wait, peak) = (gate.clone(), most.clone());
        backend.on_async("/work", move |request| {
            let (wait, now, peak) = (wait.clone(), now.clone(), peak.clone());
            async move {
                let here = now.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(here, Ordering::SeqCst);
                wait.wait().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Answer::ok(request.body)
            }
        });
        let two_way = |path: &str| {
            format!(
                "integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{}\" }}, routeResponseSelectionExpression: $default",
                backend.url(path)
            )
        };
        let yaml = format!(
            "apis:\n  chat:\n{}    routes:\n      work: {{ {}{route} }}\n      echo: {{ {} }}\n",
            app::indent(4, api),
            two_way("/work"),
            two_way("/echo"),
        );
        let gateway = app::start(&yaml).await;
        Self {
            gateway,
            backend,
            gate,
            most,
        }
    }

    async fn send(client: &mut Client, count: usize) {
        for n in 0..count {
            client.send_json(&json!({"action": "work", "n": n})).await;
        }
    }

    /// Messages at the backend, once another client has gone through it several times.
    async fn settled(&self) -> usize {
        let mut other = self.gateway.connect("/dev").await;
        for mark in 0..20 {
            only_the_echo_comes_back(&mut other, &mark.to_string()).await;
        }
        self.backend.requests("/work").len()
    }

    fn numbers(&self) -> Vec<u64> {
        let seen = self.backend.requests("/work");
        let numbers = seen.iter().map(|request| request.json()["n"].as_u64());
        numbers.map(Option::unwrap_or_default).collect()
    }
}

#[tokio::test]
async fn one_clients_messages_are_handled_in_order_and_one_at_a_time() {
    let work = Work::with("", "").await;
    let mut client = work.gateway.connect("/dev").await;
    Work::send(&mut client, 100).await;
    eventually("the first message", async || {
        (!work.numbers().is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        work.settled().await,
        1,
        "a message overtook one that is still handled"
    );
    work.gate.open();
    for n in 0..100 {
        assert_eq!(
            client.next_json().await["n"],
            json!(n),
            "the replies' order"
        );
    }
    assert_eq!(work.numbers(), (0..100).collect::<Vec<u64>>());
    assert_eq!(work.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_route_may_handle_several_messages_of_one_client_at_once() {
    let work = Work::with("", ", concurrency: 4").await;
    let mut client = work.gateway.connect("/dev").await;
    Work::send(&mut client, 20).await;
    eventually("four at once", async || {
        (work.numbers().len() >= 4).then_some(())
    })
    .await;
    assert_eq!(work.settled().await, 4);
    let mut first = work.numbers();
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3], "started in the order of arrival");
    work.gate.open();
    let mut replies: Vec<u64> = Vec::new();
    for _ in 0..20 {
        replies.extend(client.next_json().await["n"].as_u64());
    }
    replies.sort_unstable();
    assert_eq!(replies, (0..20).collect::<Vec<u64>>());
    assert_eq!(work.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn under_the_aws_preset_up_to_64_messages_are_handled_at_once() {
    let work = Work::with("limits: { preset: aws }", "").await;
    let mut client = work.gateway.connect("/dev").await;
    Work::send(&mut client, 100).await;
    eventually("64 at once", async || {
        (work.numbers().len() >= 64).then_some(())
    })
    .await;
    assert_eq!(work.settled().await, 64);
    let mut first = work.numbers();
    first.sort_unstable();
    assert_eq!(
        first,
        (0..64).collect::<Vec<u64>>(),
        "started in the order of arrival"
    );
    work.gate.open();
    let mut replies: Vec<u64> = Vec::new();
    for _ in 0..100 {
        replies.extend(client.next_json().await["n"].as_u64());
    }
    replies.sort_unstable();
    assert_eq!(replies, (0..100).collect::<Vec<u64>>());
}

#[tokio::test]
async fn one_clients_wait_is_not_anothers() {
    let work = Work::with("", "").await;
    let mut waiting = work.gateway.connect("/dev").await;
    Work::send(&mut waiting, 50).await;
    let mut other = work.gateway.connect("/dev").await;
    only_the_echo_comes_back(&mut other, "free").await;
    Work::send(&mut other, 1).await;
    eventually("both clients' first messages", async || {
        (work.numbers().len() == 2).then_some(())
    })
    .await;
    work.gate.open();
}

#[tokio::test]
async fn pushes_reach_a_client_whose_message_is_still_handled() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/sendmessage", &gate);
    let (mut client, id) = app.connect().await;
    client.send_json(&json!({"action": "sendmessage"})).await;
    app.backend.next("/sendmessage").await;
    assert_eq!(app.gateway.push(&id, "meanwhile").await.status, 200);
    assert_eq!(client.next_text().await, "meanwhile");
    gate.open();
}

#[tokio::test]
async fn a_client_that_sends_faster_than_its_backend_works_is_slowed_down() {
    let work = Work::with(
        "limits: { pingInterval: 300ms, pongTimeout: 500ms, idleTimeout: 1s }",
        "",
    )
    .await;
    let mut socket = RawSocket::open(work.gateway.handshake("/dev")).await;
    let before = work.gateway.memory();
    let message = format!(
        "{{\"action\":\"work\",\"n\":0,\"pad\":\"{}\"}}",
        "x".repeat(60_000)
    );
    let bytes = frame(0x81, message.as_bytes());
    let mut taken = 0;
    // The socket stops being read, so that writing stops too; pings and idleness do not end it meanwhile.
    while let Ok(written) =
        tokio::time::timeout(Duration::from_secs(2), socket.stream.write_all(&bytes)).await
    {
        assert!(written.is_ok(), "the socket was closed after {taken} bytes");
        taken += bytes.len();
        assert!(taken < 64 * 1024 * 1024, "nothing slows the client down");
    }
    let grown = work.gateway.memory().saturating_sub(before);
    assert!(
        grown < 8 * 1024 * 1024,
        "{grown} bytes more for {taken} sent"
    );
    assert_eq!(work.backend.requests("/work").len(), 1);
    work.gate.open();
    eventually("the rest of the messages", async || {
        (work.backend.requests("/work").len() > 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_message_is_handled_before_its_connect_is_done() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let mut bytes = app.gateway.handshake("/dev").bytes();
    bytes.extend(frame(0x81, br#"{"action":"sendmessage"}"#));
    let mut stream = tokio::net::TcpStream::connect(app.gateway.public())
        .await
        .unwrap();
    stream.write_all(&bytes).await.unwrap();
    let id = app.backend.next("/connect").await.connection_id();
    // Others come and go meanwhile.
    app.backend.on("/connect", |_| Answer::status(200));
    let (mut other, _) = app.connect().await;
    for mark in 0..20 {
        only_the_echo_comes_back(&mut other, &mark.to_string()).await;
    }
    assert!(app.backend.requests("/sendmessage").is_empty());
    gate.open();
    assert_eq!(app.backend.next("/sendmessage").await.connection_id(), id);
}

#[tokio::test]
async fn calls_of_one_integration_are_capped_and_waiting_counts_towards_their_timeout() {
    let backend = App::backend().await;
    let gate = Gate::shut();
    backend.hold("/work", &gate);
    let yaml = format!(
        r#"
apis:
  chat:
    routes:
      work: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: "{0}/work", maxInFlight: 2, timeoutInMillis: 1500 }}, routeResponseSelectionExpression: $default }}
      echo: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: "{0}/echo" }}, routeResponseSelectionExpression: $default }}
"#,
        backend.url("")
    );
    let gateway = app::start(&yaml).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = gateway.connect("/dev").await;
        client.send_json(&json!({"action": "work"})).await;
        clients.push(client);
    }
    let mut other = gateway.connect("/dev").await;
    for mark in 0..20 {
        only_the_echo_comes_back(&mut other, &mark.to_string()).await;
    }
    assert_eq!(backend.requests("/work").len(), 2, "calls in flight");
    for client in &mut clients {
        let frame = client.next_json().await;
        assert_eq!(frame["message"], json!("Endpoint request timed out"));
    }
    gate.open();
    clients[0]
        .send_json(&json!({"action": "work", "again": true}))
        .await;
    assert_eq!(clients[0].next_json().await["again"], json!(true));
}
