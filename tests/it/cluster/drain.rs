//! Nodes that leave in good order, also while their backend is down, and what becomes of ends that nobody takes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Calm, Gate, Request, eventually, within};

use super::ledger::{Allowed, Event, push_text};
use super::size::{patience, scaled, size};
use super::{Cluster, Member, all_are_told, ids, settled};

/// The end of a process that drains, with all that slows two cores.
const EXIT: Duration = Duration::from_secs(15);
/// Until all ends that were left to others are in the outbox, or dead.
const TOLD: Duration = Duration::from_secs(15);

/// Every end of these was told with that code and reason.
#[track_caller]
fn told_as(cluster: &Cluster, expected: &BTreeSet<String>, code: &str, reason: &str) {
    for end in cluster.backend.requests("/disconnect") {
        if expected.contains(&end.connection_id()) {
            let told = (end.wiregate("disconnect-code"), &*end.disconnect_reason());
            assert_eq!(told, (code, reason));
        }
    }
}

// G-N5
#[tokio::test]
async fn a_drain_tells_all_ends_and_from_its_exit_on_the_others_answer_410_at_once() {
    // With such a lease nobody finds out by its end.
    let mut cluster = Cluster::start(2, "60s").await;
    let leaving = cluster.crowd(0, scaled(100)).await;
    let staying = cluster.crowd(1, 20).await;
    let ended = ids(&leaving);
    for id in &ended {
        assert_eq!(cluster.push(1, id, &push_text("before", 0, id)).await, 200);
    }
    cluster.nodes[0].signal("TERM");
    within(Duration::from_secs(2), "readiness fails", async || {
        let ready = Request::get(cluster.nodes[0].management(), "/readyz");
        // A node that has left by then is not ready, either.
        let status = ready.try_send().await.map_or(503, |answer| answer.status);
        (status == 503).then_some(())
    })
    .await;
    let exit = cluster.nodes[0].wait_exit(patience(EXIT)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    for id in ended.iter().step_by(10) {
        assert_eq!(cluster.push(1, id, &push_text("after", 1, id)).await, 410);
    }
    for member in leaving {
        assert_eq!(member.over().await, (1001, "Going away"));
    }
    assert_eq!(cluster.told(), ended, "before the exit");
    told_as(&cluster, &ended, "1001", "Going away");
    assert!(staying.iter().all(|one| !one.is_over()));
    cluster.holds();
}

// G-N5
#[tokio::test]
async fn a_drain_of_one_of_two_nodes_spreads_its_closes_over_time_and_the_other_serves_all_who_come_back()
 {
    let calm = Calm::turn().await;
    let mut cluster = Cluster::start(2, "10s").await;
    let leaving = cluster.crowd(0, size().drained).await;
    let staying = cluster.crowd(1, 20).await;
    let ended = ids(&leaving);
    calm.lag();
    let begun = Instant::now();
    cluster.nodes[0].signal("TERM");
    let returning = leaving.into_iter().map(async |member| {
        assert_eq!(member.over().await, (1001, "Going away"));
        cluster.enter(1).await
    });
    let returned = join_all(returning).await;
    let lag = calm.lag();
    let back = cluster.members(returned);

    // 5 ms for each, and not more than six tenths of the 25 s that a drain may take. No quarter of it has more than twice its
    // share, but for what a machine that stood still did afterwards.
    let count = ended.len();
    let spread = (Duration::from_millis(5) * count as u32).min(Duration::from_secs(15));
    let mut quarters = [0; 5];
    for (at, _) in cluster.ledger.closed().values() {
        let quarter = (*at - begun).as_millis() * 4 / spread.as_millis();
        quarters[(quarter as usize).min(4)] += 1;
    }
    println!("{quarters:?} of {count} in quarters of {spread:?}, lag {lag:?}");
    let late = count * lag.as_millis() as usize / spread.as_millis() as usize;
    let spread_out = |count: &usize| *count > 0 && *count <= ended.len() / 2 + late;
    assert!(quarters[..3].iter().all(spread_out), "{quarters:?}");

    for (n, member) in back.iter().chain(&staying).enumerate() {
        member.say("back");
        let text = push_text("to-all", n, &member.id);
        assert_eq!(cluster.push(1, &member.id, &text).await, 200);
    }
    within(patience(TOLD), "all are heard, and have read", async || {
        let mut heard = 0;
        cluster.backend.each("/sendmessage", |_| heard += 1);
        let entries = cluster.ledger.entries();
        let read = entries
            .iter()
            .filter(|entry| matches!(entry.event, Event::Read(_)));
        let all = back.len() + staying.len();
        (heard == all && read.count() == all).then_some(())
    })
    .await;
    let exit = cluster.nodes[0].wait_exit(patience(EXIT)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert_eq!(cluster.told(), ended, "before the exit");
    assert!(back.iter().chain(&staying).all(|one| !one.is_over()));
    cluster.holds();
}

// G-N5
#[tokio::test]
async fn ends_that_a_drain_could_not_tell_are_told_by_another_node_with_their_own_code_and_reason()
{
    let server = "server: { drainTimeout: 3s, cluster: { lease: 2s } }";
    let mut cluster = Cluster::with(2, server, "").await;
    let (left, stayed) = (
        cluster.crowd(0, scaled(40)).await,
        cluster.crowd(0, scaled(40)).await,
    );
    let (early, late) = (ids(&left), ids(&stayed));
    let other = cluster.crowd(1, 5).await;
    cluster.backend.break_down();
    for member in &left {
        member.close(4001, "had enough");
    }
    eventually("they have left", async || {
        left.iter().all(Member::is_over).then_some(())
    })
    .await;
    cluster.nodes[0].signal("TERM");
    let exit = cluster.nodes[0].wait_exit(patience(EXIT)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    for id in [early.first().unwrap(), late.first().unwrap()] {
        assert_eq!(cluster.push(1, id, &push_text("after", 0, id)).await, 410);
    }
    within(patience(TOLD), "all wait in the outbox", async || {
        let waiting = cluster.metric(&[1], "wiregate_outbox_waiting").await;
        (waiting > scaled(80) as f64 - 0.5).then_some(())
    })
    .await;
    assert!(cluster.told().is_empty());
    cluster.backend.recover();
    let ended: BTreeSet<String> = early.union(&late).cloned().collect();
    all_are_told(&cluster, &ended).await;
    settled(&cluster, &[1]).await;
    told_as(&cluster, &early, "4001", "had enough");
    told_as(&cluster, &late, "1001", "Going away");
    assert_eq!(cluster.told(), ended);
    assert!(other.iter().all(|one| !one.is_over()));
    cluster.holds();
}

// G-N5
#[tokio::test]
async fn an_end_that_its_backend_was_hearing_at_the_exit_keeps_its_code_and_reason() {
    let server = "server: { drainTimeout: 2s, cluster: { lease: 2s } }";
    let mut cluster = Cluster::with(2, server, "").await;
    let gate = Gate::shut();
    cluster.backend.hold("/disconnect", &gate);
    let left = cluster.crowd(0, scaled(10)).await;
    let ended = ids(&left);
    for member in &left {
        member.close(4001, "had enough");
    }
    all_are_told(&cluster, &ended).await;
    cluster.nodes[0].signal("TERM");
    let exit = cluster.nodes[0].wait_exit(patience(EXIT)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    gate.open();
    settled(&cluster, &[1]).await;
    told_as(&cluster, &ended, "4001", "had enough");
    assert_eq!(cluster.told(), ended);
    let allowed = Allowed {
        repeated: ended.len(),
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}

// G-N5
#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once_and_the_others_finish_the_work() {
    let mut cluster = Cluster::start(2, "2s").await;
    let members = cluster.crowd(0, scaled(50)).await;
    let ended = ids(&members);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.backend.break_down();
    cluster.nodes[0].signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let second = Instant::now();
    cluster.nodes[0].signal("TERM");
    let exit = cluster.nodes[0].wait_exit(patience(EXIT)).await;
    assert!(
        second.elapsed() < Duration::from_secs(1),
        "{:?}",
        second.elapsed()
    );
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    cluster.backend.recover();
    all_are_told(&cluster, &ended).await;
    settled(&cluster, &[1]).await;
    assert_eq!(cluster.told(), ended);
    for member in &members {
        assert_eq!(cluster.push(1, &member.id, "x").await, 410);
    }
    let allowed = Allowed {
        repeated: 1,
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}

// Drill of a backend that is down for longer than an end is kept
#[tokio::test]
async fn what_no_backend_takes_becomes_a_dead_letter_that_is_counted() {
    let server = "server: { cluster: { lease: 1s, outboxMaxAge: 2s } }";
    let mut cluster = Cluster::with(2, server, "").await;
    let members = cluster.crowd(0, scaled(30)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.backend.break_down();
    cluster.nodes.kill(0).await;
    within(patience(TOLD), "they wait", async || {
        let waiting = cluster.metric(&[1], "wiregate_outbox_waiting").await;
        (waiting > scaled(30) as f64 - 0.5).then_some(())
    })
    .await;
    within(patience(TOLD), "they are dead letters", async || {
        let dead = cluster.metric(&[1], "wiregate_outbox_dead_letters").await;
        (dead > scaled(30) as f64 - 0.5).then_some(())
    })
    .await;
    settled(&cluster, &[1]).await;
    let ends = |result: &str| format!("wiregate_outbox_ends_total{{result=\"{result}\"}}");
    let dead = cluster.metric(&[1], &ends("dead")).await;
    assert!((dead - scaled(30) as f64).abs() < 0.5, "{dead}");
    let postponed = cluster.metric(&[1], &ends("postponed")).await;
    assert!(postponed > scaled(30) as f64 - 0.5, "{postponed}");
    // What was given up is not told, and what comes later is.
    cluster.backend.recover();
    let late = cluster.crowd(1, 3).await;
    let ended = ids(&late);
    for member in &late {
        member.close(1000, "");
    }
    all_are_told(&cluster, &ended).await;
    assert_eq!(cluster.told(), ended);
    for member in &members {
        cluster.ledger.write(&member.id, Event::GivenUp);
    }
    cluster.holds();
}
