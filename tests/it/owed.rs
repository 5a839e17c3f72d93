//! `$disconnect`s whose backend is down: kept, bounded, told once it is back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::{Answer, Backend, Client, eventually, within};

use crate::app::App;

/// What the log says when a backend begins to fail, and when it has recovered.
const FAILS: &str = "does not take $disconnects";
const RECOVERED: &str = "takes $disconnects again";

async fn connect(app: &App, count: usize) -> (Vec<Client>, BTreeSet<String>) {
    let (mut clients, mut ids) = (Vec::new(), BTreeSet::new());
    for _ in 0..count {
        let (client, id) = app.connect().await;
        clients.push(client);
        ids.insert(id);
    }
    (clients, ids)
}

/// Ends them all and waits until so many are owed.
async fn end(app: &App, clients: Vec<Client>, owed: usize) {
    drop(clients);
    owes(app, owed).await;
}

async fn owes(app: &App, expected: usize) {
    eventually(&format!("{expected} owed"), async || {
        let owed = app.gateway.metric("wiregate_disconnects_owed").await;
        (owed == Some(expected as f64)).then_some(())
    })
    .await;
}

/// The backend fails and the gateway has found out, by an end of its own.
async fn break_down(app: &App) -> String {
    let (clients, ids) = connect(app, 1).await;
    app.backend.break_down();
    drop(clients);
    eventually("the log says that it fails", async || {
        app.gateway.log().contains(FAILS).then_some(())
    })
    .await;
    ids.into_iter().next().unwrap()
}

fn told(backend: &Backend) -> BTreeSet<String> {
    let requests = backend.requests("/disconnect");
    requests
        .iter()
        .map(harness::Recorded::connection_id)
        .collect()
}

// G-B4
#[tokio::test]
async fn ends_are_kept_while_their_backend_is_down_and_told_soon_after_its_return() {
    let app = App::start().await;
    let (clients, mut ids) = connect(&app, 299).await;
    ids.insert(break_down(&app).await);
    end(&app, clients, 300).await;

    let (began, before) = (Instant::now(), app.backend.broken_off());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let attempts = app.backend.broken_off() - before;
    // One every half to whole second, and one that was under way.
    let most = began.elapsed().as_millis() as usize / 500 + 2;
    assert!((1..=most).contains(&attempts), "{attempts} attempts");

    app.backend.recover();
    let back = Instant::now();
    let first = app.backend.next("/disconnect").await;
    let waited = first.at - back;
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    owes(&app, 0).await;
    let all = back.elapsed();
    assert!(all < Duration::from_secs(5), "all after {all:?}");
    assert_eq!(told(&app.backend), ids);
    assert_eq!(app.backend.requests("/disconnect").len(), 300, "each once");

    let log = app.gateway.log();
    assert_eq!(log.matches(FAILS).count(), 1, "{log}");
    assert_eq!(log.matches(RECOVERED).count(), 1, "{log}");
    assert!(!log.contains("DISCONNECT"), "a line for an attempt: {log}");

    // The next is told at once, as before.
    let (clients, ids) = connect(&app, 1).await;
    drop(clients);
    eventually("the next is told", async || {
        told(&app.backend).is_superset(&ids).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_end_that_its_backend_never_takes_keeps_no_other_waiting() {
    let app = App::start().await;
    let (clients, ids) = connect(&app, 1).await;
    let never = ids.into_iter().next().unwrap();
    let refused = never.clone();
    app.backend.on("/disconnect", move |told| {
        Answer::status(if told.connection_id() == refused {
            503
        } else {
            200
        })
    });
    drop(clients);
    app.backend.next("/disconnect").await;
    let (clients, ids) = connect(&app, 20).await;
    end(&app, clients, 1).await;
    let told = told(&app.backend);
    assert!(told.is_superset(&ids));
    let attempts = app.backend.requests("/disconnect");
    let attempts = attempts.iter().filter(|told| told.connection_id() == never);
    let events: BTreeSet<&str> = attempts.map(|told| told.wiregate("event-id")).collect();
    assert_eq!(events.len(), 1, "{events:?}");
}

/// So many connections ended and their backend refuses to hear of each; whose they are.
async fn stuck(app: &App, count: usize) -> BTreeSet<String> {
    let (clients, ids) = connect(app, count).await;
    let refused = ids.clone();
    app.backend.on("/disconnect", move |told| {
        let stuck = refused.contains(&told.connection_id());
        Answer::status(if stuck { 503 } else { 200 })
    });
    end(app, clients, count).await;
    // Long enough for the pauses to have grown to their full length.
    tokio::time::sleep(Duration::from_secs(3)).await;
    ids
}

#[tokio::test]
async fn many_ends_that_their_backend_never_takes_keep_no_later_one_waiting() {
    let app = App::start().await;
    let never = stuck(&app, 20).await;
    for _ in 0..3 {
        let (clients, ids) = connect(&app, 1).await;
        drop(clients);
        within(Duration::from_secs(2), "a later end is told", async || {
            told(&app.backend).is_superset(&ids).then_some(())
        })
        .await;
    }
    let (before, began) = (app.backend.requests("/disconnect").len(), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let attempts = app.backend.requests("/disconnect").len() - before;
    // The pauses begin anew after the last that was taken, with a handful each half second at most.
    let most = began.elapsed().as_millis() as usize / 500 + 30;
    assert!(attempts <= most, "{attempts} attempts in three seconds");
    assert!(told(&app.backend).is_superset(&never));
}

#[tokio::test]
async fn a_drain_tells_all_ends_but_those_that_their_backend_never_takes() {
    let mut app = App::alone("server: { drainTimeout: 5s }").await;
    let (clients, healthy) = connect(&app, 50).await;
    stuck(&app, 20).await;
    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(15)).await;
    drop(clients);
    assert!(told(&app.backend).is_superset(&healthy));
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    assert!(exit.stderr.contains("undelivered=20"), "{}", exit.stderr);
}

#[tokio::test]
async fn more_ends_than_may_wait_are_given_up_and_counted_and_a_drain_says_what_it_leaves() {
    let server = "server: { maxOwedDisconnects: 5, drainTimeout: 1s }";
    let mut app = App::alone(server).await;
    let (clients, _) = connect(&app, 19).await;
    break_down(&app).await;
    drop(clients);
    let given_up = async || {
        let lost = app.gateway.metric("wiregate_disconnects_given_up_total");
        lost.await.unwrap_or_default()
    };
    // An attempt that is under way waits beside the five.
    within(Duration::from_secs(5), "15 given up", async || {
        (given_up().await >= 15.0).then_some(())
    })
    .await;
    owes(&app, 5).await;
    assert!((given_up().await - 15.0).abs() < 0.5);
    let log = app.gateway.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("maxOwedDisconnects"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("ERROR"), "{log}");

    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(10)).await;
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    assert!(exit.stderr.contains("undelivered=5"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_reload_reaches_what_is_owed() {
    let app = App::start().await;
    let (clients, mut ids) = connect(&app, 20).await;
    ids.insert(break_down(&app).await);
    end(&app, clients, 21).await;

    let other = Backend::start().await;
    app.gateway.rewrite(&App::yaml(&other, "", ""));
    app.gateway.signal("HUP");
    owes(&app, 0).await;
    assert_eq!(told(&other), ids);
}

#[tokio::test]
async fn where_the_route_is_gone_nothing_is_owed_any_more() {
    let mut app = App::start().await;
    let (clients, _) = connect(&app, 20).await;
    break_down(&app).await;
    end(&app, clients, 21).await;

    let yaml = App::yaml(&app.backend, "", "");
    let without = yaml.lines().filter(|line| !line.contains("$disconnect"));
    let without: String = without.map(|line| format!("{line}\n")).collect();
    app.gateway.rewrite(&without);
    app.gateway.signal("HUP");
    owes(&app, 0).await;
    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(10)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}
