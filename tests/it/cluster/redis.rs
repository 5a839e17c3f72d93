//! Redis in trouble, for all nodes at once: clients stay, pushes go on over the link, no end is told that was none.

use std::time::Duration;

use harness::{Chaos, Redis, Weather};
use tokio::time::timeout;

use super::crowd::ids;
use super::world::{LEASE, Link, Setup, World};

/// While Redis is away one node must not wait for it, whoever else uses this machine.
const ECHO: Duration = Duration::from_secs(1);
/// Whatever was lost is registered again within this time.
const COMPLETE: Duration = Duration::from_secs(8);
/// What the log may say while Redis is away.
const AWAY: &[&str] = &["the store is away"];

/// And what it may say where answers of Redis arrive with other bits.
const SPOILT: &[&str] = &[
    "the store is away",
    "passed over in Redis",
    "cannot tell whether the others believe it dead",
];

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

// G-R1
#[tokio::test]
async fn a_redis_that_freezes_for_two_leases_ends_nothing_and_stops_no_push() {
    let world = World::start(Setup::default()).await;
    for freeze in [
        ["DEBUG", "SLEEP", "4", ""],
        ["CLIENT", "PAUSE", "3000", "ALL"],
    ] {
        let words: Vec<&str> = freeze.into_iter().filter(|word| !word.is_empty()).collect();
        let traffic = world.traffic();
        let frozen = world.redis.command(&words);
        let watched = async {
            for place in &world.nodes {
                place.becomes(false, LEASE).await;
            }
        };
        tokio::join!(frozen, watched);
        for place in &world.nodes {
            place.becomes(true, LEASE * 3).await;
        }
        // Time enough for somebody to be buried, if anybody thought of it.
        seconds(4.0).await;
        let report = traffic.stop(&world.seen).await;
        world.all_went_on(&report, &[200], ECHO);
        world.registry_is_complete(COMPLETE).await;
    }
    world.end(AWAY).await;
}

// G-R2
#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_everything_again() {
    let mut world = World::start(Setup::default()).await;
    let traffic = world.traffic();
    for down in [2.0, 8.0] {
        world.redis.kill();
        seconds(down / 2.0).await;
        // Who comes now is let in, and is registered later.
        world.come(5).await;
        seconds(down / 2.0).await;
        for place in &world.nodes {
            place.becomes(false, LEASE).await;
        }
        world.redis.restart().await;
        world.registry_is_complete(COMPLETE).await;
        for place in &world.nodes {
            place.becomes(true, LEASE * 2).await;
        }
    }
    seconds(4.0).await;
    let report = traffic.stop(&world.seen).await;
    world.all_went_on(&report, &[200, 503], ECHO);
    world.end(AWAY).await;
}

// G-R2
#[tokio::test]
async fn while_redis_is_away_who_comes_can_be_refused() {
    let mut world = World::start(Setup {
        server: "onStoreDown: refuse",
        clients: 20,
        ..Setup::default()
    })
    .await;
    world.redis.kill();
    for node in 0..2 {
        let begun = std::time::Instant::now();
        assert_eq!(world.arrive(node).await.err(), Some(503));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    world.redis.restart().await;
    world.registry_is_complete(COMPLETE).await;
    for place in &world.nodes {
        place.becomes(true, LEASE * 2).await;
    }
    world.come(5).await;
    world.nobody_has_ended();
    assert_eq!(
        world.backend.requests("/connect").len(),
        ids(world.everybody()).len(),
        "of who was refused no backend hears"
    );
    world.end(AWAY).await;
}

// G-R3
#[tokio::test]
async fn a_redis_that_forgets_everything_is_told_everything_again() {
    let world = World::start(Setup::default()).await;
    let traffic = world.traffic();
    for _ in 0..3 {
        world.redis.command(&["FLUSHALL"]).await;
        world.registry_is_complete(COMPLETE).await;
        seconds(1.0).await;
    }
    seconds(4.0).await;
    let report = traffic.stop(&world.seen).await;
    world.all_went_on(&report, &[200, 503], ECHO);
    world.end(AWAY).await;
}

// G-R4
#[tokio::test]
async fn a_replica_that_missed_the_last_writes_is_brought_up_to_date() {
    let mut world = World::start(Setup::default()).await;
    let replica = Redis::start().await;
    let (host, port) = ("127.0.0.1", world.redis.address().port().to_string());
    replica.command(&["REPLICAOF", host, &port]).await;
    world.registry_of(&replica, COMPLETE).await;
    // From here on it misses what is written: some come, some go.
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    world.come(10).await;
    let gone = [0, 1, 60, 61].map(|place| world.members[0][place].id.clone());
    for place in [0, 1, 60, 61] {
        world.members[0][place].leave();
    }
    world.ends_are_told(&gone.clone().into(), COMPLETE).await;
    world.registry_is_complete(COMPLETE).await;

    world.redis.kill();
    for place in &world.nodes {
        place.store.lead_to(replica.address());
    }
    world.registry_of(&replica, COMPLETE).await;
    for place in &world.nodes {
        place.becomes(true, LEASE * 2).await;
    }
    seconds(4.0).await;
    // Of nobody else an end was told, and of nobody twice.
    assert_eq!(world.told().len(), gone.len());
    assert_eq!(world.backend.requests("/disconnect").len(), gone.len());
    world.end_on(&replica, AWAY).await;
}

// G-R8
#[tokio::test]
async fn connections_to_redis_that_are_killed_every_second_are_not_missed() {
    for link in [Link::Direct, Link::None] {
        let world = World::start(Setup {
            link,
            clients: 30,
            ..Setup::default()
        })
        .await;
        let traffic = world.traffic();
        for turn in 0..10 {
            let kind = ["normal", "pubsub"][turn % 2];
            world.redis.command(&["CLIENT", "KILL", "TYPE", kind]).await;
            seconds(1.0).await;
        }
        seconds(2.0).await;
        let report = traffic.stop(&world.seen).await;
        let remote: &[u16] = match link {
            Link::None => &[200, 503],
            _ => &[200],
        };
        world.all_went_on(&report, remote, ECHO);
        for place in &world.nodes {
            place.becomes(true, LEASE).await;
        }
        world.end(AWAY).await;
    }
}

// G-R9
#[tokio::test]
async fn a_redis_that_refuses_is_asked_again_quietly_until_it_does_not() {
    let world = World::start(Setup::default()).await;
    let unlikely = ["REPLICAOF", "127.0.0.1", "1"];
    let refusals: [(&[&str], &[&str]); 3] = [
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            &["ACL", "SETUSER", "default", "-evalsha", "-eval"],
            &["ACL", "SETUSER", "default", "+@all"],
        ),
        (&unlikely, &["REPLICAOF", "NO", "ONE"]),
    ];
    for (refuse, permit) in refusals {
        let traffic = world.traffic();
        let before: Vec<usize> = lines(&world);
        world.redis.command(refuse).await;
        for place in &world.nodes {
            place.becomes(false, LEASE).await;
        }
        seconds(3.0).await;
        world.redis.command(permit).await;
        for place in &world.nodes {
            place.becomes(true, LEASE * 2).await;
        }
        seconds(2.0).await;
        let report = traffic.stop(&world.seen).await;
        world.all_went_on(&report, &[200], ECHO);
        world.registry_is_complete(COMPLETE).await;
        for (before, after) in before.into_iter().zip(lines(&world)) {
            assert!(after - before <= 6, "{refuse:?}: {} lines", after - before);
        }
    }
    world.end(AWAY).await;
}

fn lines(world: &World) -> Vec<usize> {
    let count = |place: &super::world::Place| place.gateway.log().lines().count();
    world.nodes.iter().map(count).collect()
}

// G-R7
#[tokio::test]
async fn a_slow_way_to_redis_slows_nobody_down() {
    let weathers = [
        Weather {
            latency: Duration::from_millis(100),
            rate: Some(64 * 1024),
            ..Weather::default()
        },
        Weather {
            slice: Some(3),
            ..Weather::default()
        },
        // Slower than the limit of a call.
        Weather {
            latency: Duration::from_millis(400),
            ..Weather::default()
        },
    ];
    storm(&weathers).await;
}

// G-R7
#[tokio::test]
async fn a_way_to_redis_that_turns_bits_costs_errors_and_new_connections_only() {
    let flips = [2_000, 300, 60].map(|every| Weather {
        flip: Some(every),
        ..Weather::default()
    });
    storm(&flips).await;
}

async fn storm(weathers: &[Weather]) {
    let mut world = World::start(Setup {
        clients: 40,
        ..Setup::default()
    })
    .await;
    for weather in weathers {
        let set = |weather: Weather| {
            world
                .nodes
                .iter()
                .map(|place| &place.store)
                .for_each(|store: &Chaos| {
                    store.set(weather);
                });
        };
        set(*weather);
        let traffic = world.traffic();
        seconds(3.0).await;
        // Where both nodes miss renewals neither can vouch for the other: one may stop acting until its next renewal. Who comes
        // meanwhile is refused at once, pushes are 503, echoes wait.
        let spoils = weather.flip.is_some();
        let came = timeout(Duration::from_secs(10), world.try_to_come(3)).await;
        let refused = came.unwrap_or_else(|_| panic!("who comes waits for Redis: {weather:?}"));
        let allowed = |status: &u16| spoils && *status == 503;
        assert!(refused.iter().all(allowed), "{weather:?}: {refused:?}");
        let heal = async || {
            for place in &world.nodes {
                place.store.heal();
            }
            for place in &world.nodes {
                place.becomes(true, LEASE * 2).await;
            }
        };
        if spoils {
            heal().await;
        }
        let report = traffic.stop(&world.seen).await;
        if spoils {
            report.pushes_are(&[200, 503], &[200, 503]);
            report.echoes_within(LEASE * 3);
            world.nobody_has_ended();
        } else {
            world.all_went_on(&report, &[200, 503], ECHO);
        }
        heal().await;
        world.registry_is_complete(COMPLETE).await;
    }
    world.end(SPOILT).await;
}
