//! Loading the file again while messages flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Answer, Backend, Client, Table, eventually};
use serde_json::json;

use crate::app::App;

/// Messages that are under way at once on one connection.
const BATCH: usize = 10;

/// Sends batch after batch and waits for each one's echoes; how many messages there were.
async fn talk(mut client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let numbers: Vec<_> = (sent..sent + BATCH).collect();
        for number in &numbers {
            let message = json!({"action": "echo", "number": number});
            client.send_json(&message).await;
        }
        let mut echoed = Vec::new();
        for _ in &numbers {
            let echo = client.next_json().await;
            // An error frame has no number.
            let number = echo["number"].as_u64();
            echoed.push(usize::try_from(number.unwrap_or_else(|| panic!("{echo}"))).unwrap());
        }
        echoed.sort_unstable();
        assert_eq!(echoed, numbers);
        sent += BATCH;
    }
    sent
}

// G-U1
#[tokio::test]
async fn no_message_is_lost_while_the_file_changes_under_load() {
    let server = "server: { watch: false }";
    let mut app = App::with_server(server, "").await;
    let other = Backend::start().await;
    other.on("/echo", |request| Answer::ok(request.body.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut talking = Vec::new();
    for _ in 0..8 {
        let client = app.gateway.connect("/dev").await;
        talking.push(tokio::spawn(talk(client, Arc::clone(&stop))));
    }
    let mut table = Table::about("reloads under load");
    for (round, backend) in [&other, &app.backend, &other].into_iter().enumerate() {
        let before = backend.requests("/echo").len();
        app.gateway.rewrite(&App::yaml(backend, server, ""));
        app.gateway.signal("HUP");
        eventually("the new file is in force", async || {
            (backend.requests("/echo").len() > before + 100).then_some(())
        })
        .await;

        let said = app.gateway.log().len();
        app.gateway.rewrite("apis:\n  chat:\n    rootes: {}\n");
        app.gateway.signal("HUP");
        let log = eventually("the refusal is logged", async || {
            let log = app.gateway.log()[said..].to_owned();
            log.contains("rootes").then_some(log)
        })
        .await;
        table.holds("the bad file", log.contains("ERROR"), &log);
        let before = backend.requests("/echo").len();
        eventually("the old file is in force", async || {
            (backend.requests("/echo").len() > before + 100).then_some(())
        })
        .await;
        table.row(
            &format!("a newcomer of round {round}"),
            app.gateway.handshake("/dev").status().await,
            101,
        );
    }
    stop.store(true, Ordering::Relaxed);
    let talked = tokio::time::timeout(Duration::from_secs(30), join_all(talking)).await;
    let talked = talked.expect("the last batches are answered");
    let sent: usize = talked.into_iter().map(Result::unwrap).sum();
    let heard = app.backend.requests("/echo").len() + other.requests("/echo").len();
    table.row("messages at the backends", heard, sent);
    table.row(
        "errors",
        app.gateway.metric("wiregate_errors_total").await,
        None::<f64>,
    );
    table.holds("the process", app.gateway.exited().is_none(), "it ended");
}
