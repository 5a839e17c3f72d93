//! A node that is cut off, from Redis or from everybody: it is buried only where nobody hears it, and then it does not act.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::Weather;

use super::crowd::{Member, Push, Report, ids, parts, post};
use super::ledger::{Entry, Event, push_text};
use super::world::{LEASE, Link, Setup, World};

const ECHO: Duration = Duration::from_secs(1);
const COMPLETE: Duration = Duration::from_secs(8);
/// What the log of who is cut off from Redis may say.
const AWAY: &[&str] = &["the store is away"];
/// What it may say if it is cut off from everybody.
const CUT_OFF: &[&str] = &[
    "the store is away",
    "cannot tell whether the others believe it dead",
    "reaches neither the store nor any other node",
    "was declared dead while it did not answer",
];
/// By when who hears nobody has let its clients go: 1.4 leases, and the time that it takes to notice.
const LET_GO: Duration = Duration::from_millis(3_600);

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

// G-R5
#[tokio::test]
async fn a_node_that_loses_only_redis_goes_on_and_is_reached_by_the_others() {
    let world = World::start(Setup::default()).await;
    for weather in [Weather::silent(), Weather::refusing()] {
        let traffic = world.traffic();
        let cut = &world.nodes[0];
        cut.store.set(weather);
        if weather.refusing {
            cut.store.reset();
        }
        // The lease, and as long again, and the time in which others would bury it.
        seconds(3.0).await;
        assert_eq!(cut.is("/readyz").await, 503);
        assert_eq!(cut.is("/livez").await, 200);
        seconds(4.0).await;
        cut.store.heal();
        cut.becomes(true, LEASE * 3).await;
        let report = traffic.stop(&world.seen).await;
        world.all_went_on(&report, &[200], ECHO);
        world.registry_is_complete(COMPLETE).await;
        assert_eq!(
            world.nodes[0].gateway.metric("wiregate_fenced_total").await,
            Some(0.0)
        );
    }
    world.end(AWAY).await;
}

// G-R6
#[tokio::test]
async fn a_node_that_loses_everybody_stops_and_lets_its_clients_go_and_the_others_tell() {
    let mut world = World::start(Setup {
        link: Link::Proxied,
        ..Setup::default()
    })
    .await;
    let (of_cut, of_other) = halves(&world, 0);
    let begun = Instant::now();
    world.nodes[0].store.set(Weather::silent());
    for place in &world.nodes {
        place.link.as_ref().unwrap().set(Weather::silent());
    }
    // Its clients go on talking, each message with its time.
    let cut: Vec<&Member> = on(&world, 0);
    let mut answers = Vec::new();
    let mut turn = 0;
    while begun.elapsed() < Duration::from_secs(7) {
        let member = cut[turn % cut.len()];
        let at = begun.elapsed().as_millis();
        member.send("sendmessage", &format!("{at}"));
        let text = push_text("cut", turn, &member.id);
        let (node, id) = (turn % 2, member.id.clone());
        let door = world.nodes[node].door();
        answers.push(post(&world.seen, door, id, node == 0, text).await);
        turn += 1;
        seconds(0.02).await;
    }
    // From the end of its term on nothing was handed on: the last renewal was sent just before the cut at the latest.
    let handed = world.backend.requests("/sendmessage");
    let late = handed
        .iter()
        .filter(|message| message.at - begun > LEASE + Duration::from_millis(200));
    assert_eq!(late.count(), 0, "messages that a node in doubt handed on");
    assert!(!handed.is_empty(), "before that they were");
    for id in &of_cut {
        let (at, code) = world.seen.end_of(id).expect("its socket was closed");
        assert_eq!(code, 1012);
        assert!(at - begun < LET_GO, "closed after {:?}", at - begun);
    }
    for id in &of_other {
        assert_eq!(world.seen.end_of(id), None);
    }
    // Acted upon, or unknown, or gone; and nothing is acted upon once it is gone.
    let gone = answers.iter().position(|push| push.status == 410);
    let (before, after) = answers.split_at(gone.expect("gone in the end"));
    // The order was waited for before the store was asked.
    let answered = after[0].at + after[0].took - begun;
    assert!(answered > LEASE * 4 / 5, "{:?}", after[0]);
    let known = |push: &&Push| matches!(push.status, 200 | 503);
    assert_eq!(
        before.iter().filter(known).count(),
        before.len(),
        "{before:?}"
    );
    assert!(after.iter().all(|push| push.status != 200), "{after:?}");
    let last = answers.iter().rev().find(|push| !push.local).unwrap();
    assert_eq!(last.status, 410, "for ever: {last:?}");
    world.ends_are_told(&of_cut, COMPLETE).await;

    world.nodes[0].store.heal();
    for place in &world.nodes {
        place.link.as_ref().unwrap().heal();
    }
    reborn(&mut world, 0, &of_cut).await;
    world.told_are(&of_cut);
    world.end(CUT_OFF).await;
}

/// The node came back as a new one, which takes clients that every node reaches.
async fn reborn(world: &mut World, node: usize, old: &BTreeSet<String>) {
    world.nodes[node].becomes(true, LEASE * 4).await;
    let fenced = world.nodes[node].gateway.metric("wiregate_fenced_total");
    assert_eq!(fenced.await, Some(1.0));
    world.come(3).await;
    let new: Vec<&Member> = world.members[1].iter().collect();
    let of_old = parts(old.first().unwrap()).0;
    for member in new {
        assert_ne!(parts(&member.id).0, of_old, "a new incarnation");
        for (door, place) in world.nodes.iter().enumerate() {
            let local = door == member.node;
            let text = push_text("to-new", door, &member.id);
            let push = post(&world.seen, place.door(), member.id.clone(), local, text).await;
            // Another node may yet have to find its way to the new incarnation, but never takes it for the old one.
            let right = push.status == 200 || !local && push.status == 503;
            assert!(right, "{push:?}");
        }
    }
    world.registry_is_complete(COMPLETE).await;
}

fn on(world: &World, node: usize) -> Vec<&Member> {
    let members = world.members[0].iter();
    members.filter(|member| member.node == node).collect()
}

/// The ids on a node, and those on all others.
fn halves(world: &World, node: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    let (own, others): (Vec<&Member>, Vec<&Member>) =
        (world.members[0].iter()).partition(|member| member.node == node);
    (ids(own), ids(others))
}

// docs/cluster.md, "When a node is cut off"
#[tokio::test]
async fn without_a_link_a_node_that_holds_serves_its_clients_until_it_learns_that_it_was_buried() {
    let mut world = World::start(Setup {
        link: Link::None,
        cluster: "onIsolation: hold",
        ..Setup::default()
    })
    .await;
    let (of_cut, of_other) = halves(&world, 0);
    world.nodes[0].store.set(Weather::silent());
    world.ends_are_told(&of_cut, LEASE * 5).await;
    for (_, events) in world.told() {
        assert!(events.iter().all(|(_, code)| *code == 1006), "{events:?}");
    }
    // It knows nothing of that: sockets are open, pushes by itself and messages go on.
    for member in on(&world, 0) {
        assert_eq!(world.seen.end_of(&member.id), None);
        let (door, id) = (world.nodes[0].door(), member.id.clone());
        let text = push_text("held", 0, &id);
        let push = post(&world.seen, door, id, true, text).await;
        assert_eq!(push.status, 200, "{push:?}");
        member.send("echo", &format!("echo of {}", member.id));
    }
    seconds(0.5).await;
    let received = |text: &str| {
        let seen = world.seen.entries();
        let came = |entry: &&Entry| matches!(&entry.event, Event::Read(of) if of.contains(text));
        seen.iter().filter(came).count()
    };
    assert_eq!(received("held"), of_cut.len());
    assert_eq!(received("echo of"), of_cut.len());

    world.nodes[0].store.heal();
    for id in &of_cut {
        let (_, code) = ended(&world, id).await;
        assert_eq!(code, 1012);
    }
    for id in &of_other {
        assert_eq!(world.seen.end_of(id), None);
    }
    world.nodes[0].becomes(true, LEASE * 3).await;
    seconds(1.0).await;
    world.told_are(&of_cut);
    assert_eq!(
        world.nodes[0].gateway.metric("wiregate_fenced_total").await,
        Some(1.0)
    );
    world.come(2).await;
    world.end(CUT_OFF).await;
}

async fn ended(world: &World, id: &str) -> (Instant, u16) {
    harness::eventually("the socket is closed", async || world.seen.end_of(id)).await
}

// docs/cluster.md, "When a node is cut off"
#[tokio::test]
async fn without_a_link_a_node_that_closes_lets_its_clients_go_and_each_end_is_told_once() {
    let mut world = World::start(Setup {
        link: Link::None,
        cluster: "onIsolation: close",
        ..Setup::default()
    })
    .await;
    let (of_cut, of_other) = halves(&world, 0);
    let begun = Instant::now();
    world.nodes[0].store.set(Weather::silent());
    for id in &of_cut {
        let (at, code) = ended(&world, id).await;
        assert_eq!(code, 1012);
        assert!(at - begun < LET_GO, "closed after {:?}", at - begun);
    }
    world.ends_are_told(&of_cut, LEASE * 5).await;
    assert_eq!(
        world.arrive(0).await.err(),
        Some(503),
        "who comes is sent away"
    );
    seconds(3.0).await;
    world.nodes[0].store.heal();
    world.nodes[0].becomes(true, LEASE * 3).await;
    world.come(2).await;
    for id in &of_other {
        assert_eq!(world.seen.end_of(id), None);
    }
    world.told_are(&of_cut);
    world.end(CUT_OFF).await;
}

// docs/cluster.md, "The life of a node"
#[tokio::test]
async fn who_is_heard_by_one_of_three_is_buried_by_none() {
    let world = World::start(Setup {
        nodes: 3,
        clients: 30,
        link: Link::Proxied,
        ..Setup::default()
    })
    .await;
    // Node 0 loses Redis; it and node 2 cannot reach each other; both reach node 1.
    let silence = |node: usize| {
        let link = world.nodes[node].link.as_ref().unwrap();
        link.set(Weather::silent());
    };
    silence(0);
    silence(2);
    world.nodes[0].store.set(Weather::silent());
    let traffic = world.traffic();
    seconds(8.0).await;
    world.nodes[0].store.heal();
    for node in [0, 2] {
        world.nodes[node].link.as_ref().unwrap().heal();
    }
    for place in &world.nodes {
        place.becomes(true, LEASE * 3).await;
    }
    let report: Report = traffic.stop(&world.seen).await;
    world.all_went_on(&report, &[200, 503], ECHO);
    world.registry_is_complete(COMPLETE).await;
    for place in &world.nodes {
        let buried = place.gateway.metric("wiregate_nodes_buried_total").await;
        assert_eq!(buried, Some(0.0));
    }
    world.end(AWAY).await;
}
