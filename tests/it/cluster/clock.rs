//! A wall clock that jumps: everything but signatures and what is shown to people goes by clocks that do not.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::within;

use super::ledger::push_text;
use super::{Cluster, Member};

/// Until all messages are heard.
const HEARD: Duration = Duration::from_secs(10);

/// The library that gives a process another wall clock; `None` where this machine has none, which is said past the capture of
/// tests. Fails the test where `CI` is true.
fn false_clock() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found = libraries
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists());
    if found.is_none() {
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        assert!(
            !in_ci,
            "this test needs libfaketime, which tests/run installs"
        );
        let said = "\nSKIPPED a clock that jumps: no libfaketime; tests/run installs it\n";
        let _ = std::io::stderr().write_all(said.as_bytes());
    }
    found
}

// G-N7
#[tokio::test]
async fn a_wall_clock_that_jumps_by_an_hour_closes_nothing_loses_no_lease_and_locks_nobody_out() {
    let Some(library) = false_clock() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0s").unwrap();
    let api = "limits: { pingInterval: 1s, idleTimeout: 60s, messagesPerSecond: 20 }";
    let mut cluster = Cluster::with(1, "server: { cluster: { lease: 2s } }", api).await;
    let command = cluster.nodes.command();
    let command = command
        .env("LD_PRELOAD", library.to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let jumping = cluster.nodes.join_with(command).await;
    cluster.nodes.know_each_other(&[0, jumping]).await;
    let members = [cluster.crowd(0, 10).await, cluster.crowd(jumping, 10).await];
    let everybody: Vec<&Member> = members.iter().flatten().collect();
    for (step, jump) in ["+1h", "-1h", "+5m", "-5m", "+0s"].into_iter().enumerate() {
        std::fs::write(&clock, jump).unwrap();
        for member in &everybody {
            member.say(jump);
        }
        // From that very moment on, and for longer than any lease lasts without a renewal.
        let until = Instant::now() + Duration::from_millis(2500);
        for n in 0.. {
            for member in &everybody {
                let via = [0, jumping][n % 2];
                let text = push_text(jump, n, &member.id);
                assert_eq!(cluster.push(via, &member.id, &text).await, 200, "{jump}");
            }
            if Instant::now() > until {
                break;
            }
        }
        within(HEARD, "all are heard", async || {
            let heard = cluster.backend.requests("/sendmessage");
            (heard.len() == everybody.len() * (step + 1)).then_some(())
        })
        .await;
        let (_client, id) = cluster.connect(jumping).await;
        let connected = cluster.nodes[0].connection(&id).await.json()["connectedAt"].clone();
        let (_client, id) = cluster.connect(0).await;
        let now = cluster.nodes[0].connection(&id).await.json()["connectedAt"].clone();
        println!("{jump}: {connected} at {now}");
        let hour = |time: &serde_json::Value| time.as_str().unwrap()[..13].to_owned();
        let jumped = hour(&connected) != hour(&now);
        assert!(
            jumped || !jump.ends_with('h'),
            "the clock did not jump: {connected}"
        );
    }
    assert!(everybody.iter().all(|one| !one.is_over()));
    let troubles = ["wiregate_fenced_total", "wiregate_nodes_buried_total"];
    for trouble in troubles {
        assert!(
            cluster.metric(&[0, jumping], trouble).await < 0.5,
            "{trouble}"
        );
    }
    cluster.holds();
}
