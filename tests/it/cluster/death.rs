//! Nodes that die without a word.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Answer, Gate, Opened, within};

use super::ledger::{Allowed, Event, Ledger, Lost, push_text};
use super::size::{patience, scaled};
use super::{Cluster, Member, Random, all_are_told, ids, settled};

const REASON: &str = "The node that held the connection was lost";
/// With a lease of two seconds: from a death until pushes are answered 410 for ever. A lease, a look of another node, its
/// questions, and as much again for two cores on which all nodes run.
pub(super) const BURIED: Duration = Duration::from_secs(6);
/// Until all ends of a lost node were told.
pub(super) const TOLD: Duration = Duration::from_secs(10);

/// All of them are lost from now on.
fn lost(members: &[Member], since: Instant) -> Lost {
    members
        .iter()
        .map(|member| (member.id.clone(), since))
        .collect()
}

/// These ends were told and no other, and each says that its node was lost.
#[track_caller]
pub(super) fn told_as_lost(cluster: &Cluster, expected: &BTreeSet<String>) {
    assert_eq!(cluster.told(), *expected);
    for end in cluster.backend.requests("/disconnect") {
        assert_eq!(end.wiregate("disconnect-code"), "1006");
        assert_eq!(end.disconnect_reason(), REASON);
    }
}

/// The lease is 2 s, and was renewed up to a fifth of it before.
const SHORTEST: Duration = Duration::from_millis(1500);

/// What became of pushes that were posted since then: never 200, 503 for a while, from one moment on always 410, which came
/// in time.
#[track_caller]
pub(super) fn unknown_then_gone(ledger: &Ledger, id: &str, since: Instant) {
    let answers: Vec<(Instant, u16)> = ledger
        .answers(id)
        .into_iter()
        .filter(|(posted, _)| *posted > since)
        .collect();
    let statuses: Vec<u16> = answers.iter().map(|(_, status)| *status).collect();
    let gone = statuses.iter().position(|status| *status == 410);
    let gone = gone.unwrap_or_else(|| panic!("{id} is never gone: {statuses:?}"));
    // A node that is silent is asked for 1.5 s before the store is; nobody is dead before his lease is over.
    let answered = answers[gone].0 + Duration::from_millis(1750) - since;
    assert!(answered > SHORTEST, "{id} is gone at once: {statuses:?}");
    let unknown = statuses[..gone].iter().all(|status| *status == 503);
    assert!(unknown, "before it was gone: {statuses:?}");
    let for_ever = statuses[gone..].iter().all(|status| *status == 410);
    assert!(for_ever, "after it was gone: {statuses:?}");
    let took = answers[gone].0 - since;
    assert!(took < BURIED, "gone after {took:?}");
}

/// Pushes to these by those nodes in turn until the time is up.
pub(super) async fn keep_pushing(
    cluster: &Cluster,
    pusher: &str,
    via: &[usize],
    to: &[String],
    until: Instant,
) {
    for n in 0.. {
        for (place, id) in to.iter().enumerate() {
            let via = via[(n + place) % via.len()];
            cluster.push(via, id, &push_text(pusher, n, id)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            if Instant::now() >= until {
                return;
            }
        }
    }
}

// G-N1
#[tokio::test]
async fn after_kill_9_pushes_are_503_then_410_in_time_and_all_300_ends_are_told_and_nobody_else_is_disturbed()
 {
    let mut cluster = Cluster::start(3, "2s").await;
    let victims = cluster.crowd(0, scaled(300)).await;
    let others = [cluster.crowd(1, 20).await, cluster.crowd(2, 20).await];
    let ended = ids(&victims);
    let some: Vec<String> = ended.iter().step_by(ended.len() / 5).cloned().collect();
    for (n, id) in some.iter().enumerate() {
        let text = push_text("before", n, id);
        assert_eq!(cluster.push(1, id, &text).await, 200);
    }
    // Every node has been steady for long enough to bury another.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let answer = cluster.post(1, &some[0], "also before").await.unwrap();
    assert_eq!(answer.status, 200);

    cluster.nodes.kill(0).await;
    let killed = Instant::now();
    let answer = cluster.post(2, &some[0], "x").await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let until = killed + BURIED + Duration::from_secs(2);
    let alive: Vec<String> = others.iter().flatten().map(|one| one.id.clone()).collect();
    tokio::join!(
        keep_pushing(&cluster, "to-lost", &[1, 2], &some, until),
        keep_pushing(&cluster, "to-live", &[1, 2], &alive, until),
        all_are_told(&cluster, &ended),
    );
    for id in &some {
        unknown_then_gone(&cluster.ledger, id, killed);
    }
    for one in others.iter().flatten() {
        assert!(!one.is_over());
        let answers = cluster.ledger.answers(&one.id);
        let taken = answers.iter().filter(|(_, status)| *status == 200).count();
        let unknown = answers.iter().filter(|(_, status)| *status == 503).count();
        assert_eq!(taken + unknown, answers.len(), "{answers:?}");
        // Two cores on which everything runs may keep an answer from coming in time, now and then.
        assert!(unknown * 10 <= answers.len(), "{answers:?}");
    }
    told_as_lost(&cluster, &ended);
    let allowed = Allowed {
        lost: Some(&lost(&victims, killed)),
        repeated: ended.len() / 100,
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
    assert!(cluster.metric(&[1, 2], "wiregate_nodes_buried_total").await > 0.5);
    cluster.nodes.know_each_other(&[1, 2]).await;
}

// G-N2, with ten random moments
#[tokio::test]
async fn a_node_killed_during_connect_leaves_no_accepted_connection_without_its_end() {
    const SEEDS: usize = 10;
    let mut cluster = Cluster::start(1, "2s").await;
    // Each handshake says how long it is held, and what comes of it.
    cluster.backend.on_async("/connect", |request| async move {
        let held = request.header("x-held").unwrap_or("0").parse().unwrap();
        tokio::time::sleep(Duration::from_millis(held)).await;
        let status = request.header("x-status").unwrap_or("200").parse().unwrap();
        Answer::status(status)
    });
    let mut victims = Vec::new();
    for _ in 0..SEEDS {
        victims.push(cluster.nodes.join().await);
    }
    let mut random = Random::of_run();
    let (mut handshakes, mut kills) = (Vec::new(), Vec::new());
    for victim in &victims {
        for n in 0..12 {
            let name = format!("{victim}-{n}");
            let status = if n % 4 == 3 { "403" } else { "200" };
            let held = random.below(400).to_string();
            let handshake = cluster.handshake(*victim, &name);
            let handshake = handshake.header("x-held", &held).header("x-status", status);
            handshakes.push(async move { (name, handshake.try_send().await) });
        }
        kills.push((*victim, random.below(400)));
    }
    kills.sort_by_key(|(_, at)| *at);
    let ended = join_all(handshakes.into_iter().map(tokio::spawn));
    let begun = Instant::now();
    for (victim, at) in kills {
        tokio::time::sleep_until((begun + Duration::from_millis(at)).into()).await;
        cluster.nodes.kill(victim).await;
    }
    let (mut opened, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let write = |id: &String, event| cluster.ledger.write(id, event);
    let ids = cluster.ids();
    for ended in ended.await {
        match ended.unwrap() {
            (name, Some(Opened::Open(_))) => opened.extend(ids.get(&name).cloned()),
            // Without an id no backend was asked: the node could not tell whether it may act.
            (name, Some(Opened::Refused(_))) => refused.extend(ids.get(&name).cloned()),
            (_, None) => {}
        }
    }
    println!(
        "{} opened, {} refused, {} asked",
        opened.len(),
        refused.len(),
        ids.len()
    );
    assert!(
        ids.len() > opened.len() + refused.len(),
        "no node died during $connect"
    );
    // One that was registered and whose $connect was under way is told, too.
    all_are_told(&cluster, &opened).await;
    cluster.nodes.know_each_other(&[0]).await;
    settled(&cluster, &[0]).await;
    for id in &opened {
        write(id, Event::Opened);
        write(id, Event::Dropped);
    }
    for id in &refused {
        write(id, Event::TurnedAway);
    }
    // A handshake that its node did not live to finish is told, too: its backend may have let it in, or never heard of it.
    let told = cluster.told();
    assert!(told.is_disjoint(&refused), "refused and told");
    let repeated = 1 + told.len() / 50;
    let allowed = Allowed {
        repeated,
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}

// G-N2, with ten random moments
#[tokio::test]
async fn a_node_killed_while_it_tells_ends_leaves_none_untold() {
    const SEEDS: usize = 10;
    let mut cluster = Cluster::start(1, "2s").await;
    // The first dies before it has heard that any was taken, the others whenever.
    let first_is_dead = Arc::new(Gate::shut());
    let gate = Arc::clone(&first_is_dead);
    cluster.backend.on_async("/disconnect", move |end| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            // Spread over the time in which nodes are killed, without order.
            let held = end.number as u64 * 37 % 200;
            tokio::time::sleep(Duration::from_millis(held)).await;
            Answer::status(200)
        }
    });
    let mut random = Random::of_run();
    let (mut ended, mut kills) = (BTreeSet::new(), Vec::new());
    for _ in 0..SEEDS {
        let victim = cluster.nodes.join().await;
        let members = cluster.crowd(victim, scaled(20)).await;
        ended.extend(ids(&members));
        kills.push((victim, members, random.below(200)));
    }
    let mut dying = Vec::new();
    for (victim, members, at) in kills {
        for member in &members {
            member.close(4000, "bye");
        }
        tokio::time::sleep(Duration::from_millis(at)).await;
        cluster.nodes.kill(victim).await;
        first_is_dead.open();
        dying.push(members);
    }
    all_are_told(&cluster, &ended).await;
    settled(&cluster, &[0]).await;
    // Those that the backend was hearing in that moment are told again, with the same event id.
    assert_eq!(cluster.told(), ended);
    let allowed = Allowed {
        repeated: ended.len(),
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
    let codes: BTreeSet<String> = (cluster.backend.requests("/disconnect").iter())
        .map(|end| end.wiregate("disconnect-code").to_owned())
        .collect();
    println!("told as {codes:?}");
    assert!(
        codes.contains("1006") && codes.contains("4000"),
        "{codes:?}"
    );
}

// G-N3
#[tokio::test]
async fn the_ends_of_two_of_three_nodes_are_told_by_the_third_and_those_of_all_three_by_whoever_starts_next()
 {
    let mut cluster = Cluster::start(3, "2s").await;
    let mut crowds = Vec::new();
    for node in 0..3 {
        crowds.push(cluster.crowd(node, scaled(50)).await);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.nodes.kill(0).await;
    cluster.nodes.kill(1).await;
    let mut ended = ids(&crowds[0]);
    ended.extend(ids(&crowds[1]));
    all_are_told(&cluster, &ended).await;
    told_as_lost(&cluster, &ended);
    assert!(crowds[2].iter().all(|one| !one.is_over()));
    settled(&cluster, &[2]).await;

    cluster.nodes.kill(2).await;
    ended.extend(ids(&crowds[2]));
    let fourth = cluster.nodes.join().await;
    let (mut client, id) = cluster.connect(fourth).await;
    all_are_told(&cluster, &ended).await;
    settled(&cluster, &[fourth]).await;
    told_as_lost(&cluster, &ended);
    assert_eq!(cluster.nodes[fourth].push(&id, "new").await.status, 200);
    assert_eq!(client.next_text().await, "new");
    for crowd in &crowds {
        assert_eq!(cluster.push(fourth, &crowd[0].id, "x").await, 410);
    }
    let allowed = Allowed {
        repeated: ended.len() / 100,
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}

// G-N3
#[tokio::test]
async fn what_a_node_that_buried_another_was_telling_when_it_died_itself_is_told_soon() {
    let mut cluster = Cluster::start(3, "2s").await;
    let members = cluster.crowd(0, 30).await;
    let ended = ids(&members);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let gate = Gate::shut();
    cluster.backend.hold("/disconnect", &gate);
    cluster.nodes.kill(0).await;
    all_are_told(&cluster, &ended).await;
    // The backend has heard each, and nobody has heard the backend. Longer than an end is held without a word.
    tokio::time::sleep(Duration::from_secs(12)).await;
    cluster.holds();
    let before = cluster.backend.requests("/disconnect").len();
    cluster.nodes.kill(1).await;
    cluster.nodes.kill(2).await;
    gate.open();
    let next = cluster.nodes.join().await;
    within(
        patience(TOLD + Duration::from_secs(5)),
        "they are told again",
        async || (cluster.backend.requests("/disconnect").len() == 2 * before).then_some(()),
    )
    .await;
    settled(&cluster, &[next]).await;
    assert_eq!(cluster.told(), ended);
    let allowed = Allowed {
        repeated: ended.len(),
        ..Allowed::default()
    };
    cluster.ledger.holds(&cluster.backend, &allowed);
}
