//! Start, reload, drain and stop; and that every `$disconnect` is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Answer, Backend, Gate, Request, Table, eventually, read_answer, within};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::app::{self, App, only_the_echo_comes_back};

const TERM_LIMIT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn ready_is_said_once_everything_answers() {
    let app = App::start().await;
    let ready: Vec<String> = app
        .gateway
        .output()
        .lines()
        .filter(|line| line.starts_with("ready"))
        .map(str::to_owned)
        .collect();
    assert_eq!(ready.len(), 1, "{ready:?}");
    assert_eq!(
        Request::get(app.gateway.management(), "/readyz")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(app.gateway.handshake("/dev").status().await, 101);
}

#[tokio::test]
async fn a_drain_closes_with_1001_tells_every_disconnect_and_exits_0() {
    let mut app = App::alone("").await;
    let mut clients = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..50 {
        let (client, id) = app.connect().await;
        clients.push(client);
        ids.push(id);
    }
    let begun = Instant::now();
    app.gateway.signal("TERM");
    let closing: Vec<_> = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.closed_within(TERM_LIMIT).await }))
        .collect();
    for closed in closing {
        assert_eq!(closed.await.unwrap(), (1001, "Going away"));
    }
    let exit = app.gateway.wait_exit(Duration::from_secs(30)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(begun.elapsed() < Duration::from_secs(30));
    let mut told: Vec<String> = Vec::new();
    for request in app.backend.requests("/disconnect") {
        assert_eq!(request.wiregate("disconnect-code"), "1001");
        told.push(request.connection_id());
    }
    told.sort();
    ids.sort();
    assert_eq!(told, ids, "each $disconnect once");
}

#[tokio::test]
async fn a_drain_without_connections_is_quick() {
    let mut app = App::start().await;
    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(5)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}

// G-N5
#[tokio::test]
async fn a_drain_lets_calls_in_flight_finish_and_takes_no_new_clients() {
    let mut app = App::alone("").await;
    let gate = Gate::shut();
    app.backend.hold("/echo", &gate);
    let (mut client, _) = app.connect().await;
    let echo = json!({"action": "echo", "mark": "in flight"});
    client.send_json(&echo).await;
    app.backend.next("/echo").await;
    // Silent until after the signal; accepted before it, since whoever came later to either worker is answered.
    let mut early = app.gateway.handshake("/dev").dial().await.unwrap();
    for _ in 0..20 {
        app.gateway.handshake("/none").refused().await;
    }
    app.gateway.signal("TERM");
    within(Duration::from_secs(1), "readiness fails", async || {
        let ready = Request::get(app.gateway.management(), "/readyz");
        (ready.send().await.status == 503).then_some(())
    })
    .await;
    within(
        Duration::from_secs(1),
        "no client is accepted",
        async || match app.gateway.handshake("/dev").exchange().await {
            Some((_, answer, _)) => (answer.status != 101).then_some(()),
            None => Some(()),
        },
    )
    .await;
    let bytes = app.gateway.handshake("/dev").bytes();
    early.write_all(&bytes).await.unwrap();
    let (answer, _) = read_answer(&mut early, false).await.expect("an answer");
    assert_eq!(answer.status, 503);
    let live = Request::get(app.gateway.management(), "/livez");
    assert_eq!(live.send().await.status, 200);
    assert_eq!(app.backend.requests("/connect").len(), 1);
    gate.open();
    assert_eq!(client.next_json().await, echo);
    assert_eq!(client.closed_within(TERM_LIMIT).await, (1001, "Going away"));
    assert_eq!(app.gateway.wait_exit(TERM_LIMIT).await.code, Some(0));
}

// G-N5
#[tokio::test]
async fn a_drain_spreads_its_closes_over_time() {
    let mut app = App::start().await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(app.gateway.connect("/dev").await);
    }
    let begun = Instant::now();
    app.gateway.signal("TERM");
    let closing: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                client.closed_within(TERM_LIMIT).await;
                begun.elapsed()
            })
        })
        .collect();
    let mut ends = Vec::new();
    for closed in closing {
        ends.push(closed.await.unwrap());
    }
    // 5 ms for each: a second in all, so that no quarter of it has more than twice its share.
    let mut quarters = [0_u32; 5];
    for end in &ends {
        quarters[(end.as_millis() / 250).min(4) as usize] += 1;
    }
    assert!(
        quarters[..3].iter().all(|count| *count <= 100),
        "{quarters:?}"
    );
    assert!(quarters[..3].iter().all(|count| *count > 0), "{quarters:?}");
    assert_eq!(app.gateway.wait_exit(TERM_LIMIT).await.code, Some(0));
}

#[tokio::test]
async fn a_drain_tells_of_ends_although_a_handler_hangs() {
    let mut app = App::with_server("server: { drainTimeout: 4s }", "").await;
    app.backend.hold("/echo", &Gate::shut());
    let (mut client, id) = app.connect().await;
    client.send_json(&json!({"action": "echo"})).await;
    app.backend.next("/echo").await;
    app.gateway.signal("TERM");
    assert_eq!(client.closed_within(TERM_LIMIT).await, (1001, "Going away"));
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.connection_id(), id);
    assert_eq!(told.wiregate("disconnect-code"), "1001");
    assert_eq!(app.gateway.wait_exit(TERM_LIMIT).await.code, Some(0));
}

#[tokio::test]
async fn a_handshake_that_outlives_the_drain_is_answered_in_http() {
    let mut app = App::with_server("server: { drainTimeout: 4s }", "").await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let handshake = app.gateway.handshake("/dev");
    let answer = tokio::spawn(async move { handshake.exchange().await });
    app.backend.next("/connect").await;
    app.gateway.signal("TERM");
    // The drain's patience, 3 s of its 4, ends unseen: nothing outside shows it.
    tokio::time::sleep(Duration::from_millis(3300)).await;
    gate.open();
    let (_, answer, _) = answer.await.unwrap().expect("an answer in HTTP");
    assert_eq!(answer.status, 503);
    // $connect accepted, so its end is told.
    assert_eq!(
        app.backend
            .next("/disconnect")
            .await
            .wiregate("disconnect-code"),
        "1001"
    );
    assert_eq!(app.gateway.wait_exit(TERM_LIMIT).await.code, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    let mut app = App::start().await;
    app.backend.hold("/disconnect", &Gate::shut());
    let (mut client, _) = app.connect().await;
    app.gateway.signal("TERM");
    assert_eq!(client.closed_within(TERM_LIMIT).await, (1001, "Going away"));
    app.backend.next("/disconnect").await;
    assert!(
        app.gateway.exited().is_none(),
        "it did not wait for the $disconnect"
    );
    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(2)).await;
    assert_ne!(exit.code, Some(0), "a $disconnect was not delivered");
}

#[tokio::test]
async fn what_a_drain_could_not_deliver_is_said_and_the_exit_code_is_1() {
    let hooks = Backend::start().await;
    let down = Backend::down();
    let yaml = format!(
        "server: {{ drainTimeout: 2s }}\napis: {{ chat: {{ routes: {{ $connect: {}, $disconnect: {} }} }} }}",
        hooks.url("/connect"),
        down.url("/disconnect")
    );
    let mut gateway = app::start_alone(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let id = hooks.next("/connect").await.connection_id();
    gateway.signal("TERM");
    assert_eq!(client.closed_within(TERM_LIMIT).await, (1001, "Going away"));
    let exit = gateway.wait_exit(TERM_LIMIT).await;
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    let log = exit.stdout + &exit.stderr;
    assert!(
        log.contains(&id) || log.contains("disconnect"),
        "nothing was said: {log}"
    );
}

#[tokio::test]
async fn a_disconnect_is_told_again_until_its_backend_is_there() {
    let hooks = Backend::start().await;
    let mut down = Backend::down();
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {}, $disconnect: {} }} }} }}",
        hooks.url("/connect"),
        down.url("/disconnect")
    );
    let gateway = app::start(&yaml).await;
    let mut ids = Vec::new();
    for code in 4000..4005 {
        let mut client = gateway.connect("/dev").await;
        ids.push((
            code.to_string(),
            hooks.next("/connect").await.connection_id(),
        ));
        client.close(Some((code, "bye"))).await;
        assert_eq!(client.closed().await.code, code);
    }
    eventually("the closed connections are gone", async || {
        (gateway.push(&ids[4].1, "x").await.status == 410).then_some(())
    })
    .await;
    down.up();
    let mut told = Vec::new();
    for _ in 0..5 {
        let request = down
            .next_within(Duration::from_secs(20), "/disconnect")
            .await;
        told.push((
            request.wiregate("disconnect-code").to_owned(),
            request.connection_id(),
        ));
    }
    told.sort();
    assert_eq!(told, ids);
}

#[tokio::test]
async fn a_disconnect_that_was_not_answered_is_told_again_under_the_same_event_id() {
    let app = App::start().await;
    let attempts = AtomicUsize::new(0);
    app.backend.on("/disconnect", move |_| {
        match attempts.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::hang_up(),
            _ => Answer::status(200),
        }
    });
    let (mut client, id) = app.connect().await;
    client.close(Some((1000, ""))).await;
    let first = app.backend.next("/disconnect").await;
    let second = app
        .backend
        .next_within(Duration::from_secs(20), "/disconnect")
        .await;
    assert_eq!(
        (first.connection_id(), second.connection_id()),
        (id.clone(), id)
    );
    assert!(!first.wiregate("event-id").is_empty());
    assert_eq!(first.wiregate("event-id"), second.wiregate("event-id"));
}

#[tokio::test]
async fn a_disconnect_is_told_even_if_the_client_left_before_the_101() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let mut stream = tokio::net::TcpStream::connect(app.gateway.public())
        .await
        .unwrap();
    let bytes = app.gateway.handshake("/dev").bytes();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    let id = app.backend.next("/connect").await.connection_id();
    harness::RawSocket::from_stream(stream).reset();
    gate.open();
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.connection_id(), id);
    assert_eq!(told.wiregate("disconnect-code"), "1006");
    assert_eq!(app.gateway.push(&id, "x").await.status, 410);
}

/// Both ways of loading the file again, for sockets that are open and for new ones.
#[tokio::test]
async fn a_changed_file_is_loaded_without_closing_a_socket() {
    for by_signal in [true, false] {
        let server = format!("server: {{ watch: {} }}", !by_signal);
        let app = App::with_server(&server, "").await;
        let other = Backend::start().await;
        other.on("/echo", |_| Answer::ok("the new one"));
        let (mut client, id) = app.connect().await;
        only_the_echo_comes_back(&mut client, "before").await;
        app.gateway.rewrite(&App::yaml(&other, &server, ""));
        if by_signal {
            // Longer than a watcher would take to see it.
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                only_the_echo_comes_back(&mut client, "the file is not watched").await;
            }
            app.gateway.signal("HUP");
        }
        eventually("the new file is in force", async || {
            client.send_json(&json!({"action": "echo"})).await;
            (client.next_text().await == "the new one").then_some(())
        })
        .await;
        let _second = app.gateway.connect("/dev").await;
        other.next("/connect").await;
        assert_eq!(app.gateway.push(&id, "same socket").await.status, 200);
        assert_eq!(client.next_text().await, "same socket");
        client.close(Some((1000, ""))).await;
        assert_eq!(other.next("/disconnect").await.connection_id(), id);
    }
}

#[tokio::test]
async fn a_file_with_a_mistake_leaves_the_old_one_in_force() {
    let mut app = App::start().await;
    let (mut client, _) = app.connect().await;
    let mut table = Table::about("files that are refused");
    for (name, bad) in [
        ("an unknown key", "apis:\n  chat:\n    rootes: {}\n"),
        ("no YAML", "apis: [unclosed\n"),
        (
            "an unknown preset",
            "apis: { chat: { limits: { preset: gcp } } }\n",
        ),
    ] {
        let said = app.gateway.output().len();
        app.gateway.rewrite(bad);
        app.gateway.signal("HUP");
        let log = eventually("the refusal is logged", async || {
            let log = app.gateway.output()[said..].to_owned();
            (log.contains("wiregate.yaml") || log.contains("ERROR") || log.contains("WARN"))
                .then_some(log)
        })
        .await;
        table.holds(name, app.gateway.exited().is_none(), &log);
        only_the_echo_comes_back(&mut client, name).await;
        table.row(name, app.gateway.handshake("/dev").status().await, 101);
    }
}

#[tokio::test]
async fn what_a_client_said_before_it_left_is_still_handled() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    for n in 0..10 {
        client
            .send_json(&json!({"action": "sendmessage", "n": n}))
            .await;
    }
    client.close(Some((1000, ""))).await;
    assert_eq!(app.backend.next("/disconnect").await.connection_id(), id);
    eventually("all ten messages", async || {
        (app.backend.requests("/sendmessage").len() == 10).then_some(())
    })
    .await;
    assert_eq!(app.backend.requests("/disconnect").len(), 1);
}

#[tokio::test]
async fn a_disconnect_of_lambda_is_told_again_until_the_service_is_there() {
    let mut service = Backend::down();
    let hooks = Backend::start().await;
    let yaml = format!(
        "lambda: {{ endpoint: {} }}\napis: {{ chat: {{ routes: {{ $connect: {}, $disconnect: {} }} }} }}",
        service.url(""),
        hooks.url("/connect"),
        harness::Lambda::uri("bye"),
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let id = hooks.next("/connect").await.connection_id();
    client.close(Some((4000, "bye"))).await;
    eventually("the connection is gone", async || {
        (gateway.push(&id, "x").await.status == 410).then_some(())
    })
    .await;
    service.up();
    let event = within(Duration::from_secs(20), "the event", async || {
        service.everything().first().map(harness::Recorded::json)
    })
    .await;
    assert_eq!(event["requestContext"]["connectionId"], json!(id));
    assert_eq!(event["requestContext"]["disconnectStatusCode"], json!(4000));
}
