//! Nodes that stall: for so long that the others believe them dead, or not.

use std::time::{Duration, Instant};

use harness::within;

use super::death::{BURIED, TOLD, keep_pushing, told_as_lost, unknown_then_gone};
use super::ledger::{Allowed, Entry, Event, push_text};
use super::size::{patience, scaled};
use super::{Cluster, all_are_told, ids, settled};

// G-N4
#[tokio::test]
async fn a_node_that_was_stopped_for_longer_than_a_lease_closes_with_1012_before_it_acts_and_goes_on_as_a_new_one()
 {
    let cluster = Cluster::start(3, "2s").await;
    let victims = cluster.crowd(0, scaled(100)).await;
    let others = cluster.crowd(1, 10).await;
    let ended = ids(&victims);
    for member in &victims {
        member.say("before");
    }
    let heard = |what: &'static str| {
        let requests = cluster.backend.requests("/sendmessage");
        requests
            .iter()
            .filter(|one| one.text().contains(what))
            .count()
    };
    within(patience(TOLD), "all are heard", async || {
        (heard("before") == victims.len()).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;

    cluster.nodes[0].signal("STOP");
    // The signal is on its way when `kill` returns; what came before it stops is the node's to act upon.
    let process = format!("/proc/{}/stat", cluster.nodes[0].process());
    within(patience(TOLD), "it stands still", async || {
        std::fs::read_to_string(&process)
            .ok()?
            .contains(") T ")
            .then_some(())
    })
    .await;
    let stopped = Instant::now();
    // Its kernel takes these in.
    for member in &victims {
        member.say("during");
    }
    let some: Vec<String> = ended.iter().step_by(ended.len() / 4).cloned().collect();
    let to_itself = tokio::spawn(
        cluster.nodes[0]
            .push_request(&some[0], "by itself")
            .try_send(),
    );
    tokio::join!(
        keep_pushing(&cluster, "to-stopped", &[1, 2], &some, stopped + BURIED),
        all_are_told(&cluster, &ended),
    );
    assert!(victims.iter().all(|one| !one.is_over()));
    cluster.nodes[0].signal("CONT");
    // What the process was asked before is not acted upon now.
    let answer = to_itself.await.unwrap().expect("an answer");
    assert!([410, 503].contains(&answer.status), "{}", answer.status);
    for member in victims {
        assert_eq!(member.over().await, (1012, "Service restart"));
    }
    for id in &some {
        unknown_then_gone(&cluster.ledger, id, stopped);
    }
    assert!((cluster.metric(&[0], "wiregate_fenced_total").await - 1.0).abs() < 0.5);

    // It goes on as a new one.
    let late = cluster.crowd(0, 20).await;
    cluster.nodes.know_each_other(&[0, 1, 2]).await;
    for (via, member) in late.iter().enumerate() {
        member.say("after");
        let text = push_text("after", 0, &member.id);
        assert_eq!(cluster.push(via % 3, &member.id, &text).await, 200);
    }
    within(patience(TOLD), "the new are heard", async || {
        (heard("after") == 20).then_some(())
    })
    .await;
    settled(&cluster, &[0, 1, 2]).await;
    told_as_lost(&cluster, &ended);
    assert_eq!(heard("during"), 0, "frames that came during the pause");
    assert!(others.iter().chain(&late).all(|one| !one.is_over()));
    let lost = some.iter().map(|id| (id.clone(), stopped)).collect();
    let allowed = Allowed {
        lost: Some(&lost),
        repeated: ended.len() / 100,
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}

// G-N4
#[tokio::test]
async fn a_pause_shorter_than_the_lease_changes_nothing() {
    let cluster = Cluster::start(2, "5s").await;
    let members = cluster.crowd(0, scaled(50)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.nodes[0].signal("STOP");
    for member in &members {
        member.say("during");
    }
    let unknown = cluster.post(1, &members[0].id, "too late").await.unwrap();
    assert_eq!(unknown.status, 503);
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.nodes[0].signal("CONT");
    within(patience(TOLD), "all are heard", async || {
        (cluster.backend.requests("/sendmessage").len() == members.len()).then_some(())
    })
    .await;
    within(patience(TOLD), "pushes are taken again", async || {
        let answer = cluster.post(1, &members[0].id, "again").await.unwrap();
        (answer.status == 200).then_some(())
    })
    .await;
    for member in &members {
        let text = push_text("after", 0, &member.id);
        assert_eq!(cluster.push(1, &member.id, &text).await, 200);
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(members.iter().all(|one| !one.is_over()));
    assert!(cluster.told().is_empty());
    cluster.holds();
    let troubles = ["wiregate_fenced_total", "wiregate_nodes_buried_total"];
    for trouble in troubles {
        assert!(cluster.metric(&[0, 1], trouble).await < 0.5, "{trouble}");
    }
    let late = |entry: &Entry| entry.event == Event::Read("too late".to_owned());
    let unread = !cluster.ledger.entries().iter().any(late);
    assert!(
        unread,
        "a push that was answered 503 was written all the same"
    );
}
