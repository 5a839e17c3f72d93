//! A drill whose troubles a seed chooses, judged by the checker of all others. It takes minutes, so it is run by
//! hand, or by `tests/drills`:
//!
//! ```text
//! DRILL_SECONDS=120 [DRILL_SEED=7] cargo test -p tests --test it cluster::random -- --nocapture
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Opened, Weather};

use super::crowd::{Member, Traffic};
use super::world::{LEASE, Link, Setup, World};
use super::{NAME, Random, unique};

const NODES: usize = 3;
/// Redis may lose its data only where no node was declared dead so shortly before: that a declaration can be lost with them is
/// a hole that docs/cluster.md names.
const FORGETTABLE: Duration = Duration::from_secs(12);
/// Until everything must be as if nothing had happened.
const QUIET: Duration = Duration::from_secs(40);

struct Drill {
    world: World,
    random: Random,
    setup: Setup,
    /// When something could last make a node be declared dead.
    endangered: Instant,
}

impl Drill {
    /// Brings one trouble about, and returns what it was.
    async fn trouble(&mut self) -> String {
        let node = self.random.below(NODES as u64) as usize;
        let millis = Duration::from_millis(200 + self.random.below(4_800));
        match self.random.below(7) {
            0 => {
                self.kill(node).await;
                format!("node {node} is killed and another started")
            }
            1 => {
                let gateway = &self.world.nodes[node].gateway;
                gateway.signal("STOP");
                tokio::time::sleep(millis).await;
                gateway.signal("CONT");
                self.endangered = Instant::now();
                format!("node {node} is stopped for {millis:?}")
            }
            2 => {
                self.weather(node, true, false, millis).await;
                format!("node {node} does not reach Redis for {millis:?}")
            }
            3 => {
                self.weather(node, false, true, millis).await;
                format!("node {node} is not reached by the others for {millis:?}")
            }
            4 => {
                self.weather(node, true, true, millis).await;
                format!("node {node} is cut off for {millis:?}")
            }
            5 if self.endangered.elapsed() > FORGETTABLE => {
                self.world.redis.restart().await;
                "Redis is restarted, empty".to_owned()
            }
            _ => {
                let members = self
                    .world
                    .members
                    .last()
                    .map(Arc::clone)
                    .unwrap_or_default();
                members.iter().step_by(3).for_each(Member::leave);
                "a third of the last who came leave".to_owned()
            }
        }
    }

    async fn weather(&mut self, node: usize, store: bool, link: bool, time: Duration) {
        let bad = [Weather::silent(), Weather::refusing()][self.random.below(2) as usize];
        let place = &self.world.nodes[node];
        let mut ways = Vec::new();
        ways.extend(store.then_some(&place.store));
        ways.extend(place.link.as_ref().filter(|_| link));
        for way in &ways {
            way.set(bad);
            way.reset();
        }
        tokio::time::sleep(time).await;
        for way in ways {
            way.heal();
        }
        self.endangered = Instant::now();
    }

    async fn kill(&mut self, node: usize) {
        self.world.nodes[node].gateway.signal("KILL");
        let now = Instant::now();
        let there: Vec<String> = (self.world.everybody())
            .filter(|member| member.node == node && self.world.seen.end_of(&member.id).is_none())
            .map(|member| member.id.clone())
            .collect();
        for id in there {
            self.world.lost.entry(id).or_insert(now);
        }
        self.endangered = now;
        let place = self.world.place(self.setup).await;
        self.world.nodes[node] = place;
    }

    /// Clients come to every node that lets them in.
    async fn come(&mut self, clients: usize) {
        let mut members = Vec::new();
        for number in 0..NODES * clients {
            let node = number % NODES;
            let name = format!("client-{}", unique());
            let handshake = self.world.nodes[node]
                .gateway
                .handshake("/dev")
                .header(NAME, &name);
            if let Some(Opened::Open(client)) = handshake.try_send().await {
                let asked = self.world.backend.requests("/connect");
                let asked = asked
                    .iter()
                    .find(|request| request.header(NAME) == Some(&name));
                let id = asked.expect("it asked").connection_id();
                members.push(Member::new(*client, id, node, &self.world.seen));
            }
        }
        if !members.is_empty() {
            self.world.members.push(Arc::new(members));
        }
    }

    fn traffic(&self) -> Traffic {
        let doors = self
            .world
            .nodes
            .iter()
            .map(super::world::Place::door)
            .collect();
        let members = self.world.members.last().expect("somebody came");
        Traffic::start(Arc::clone(members), doors, self.world.seen.clone())
    }
}

#[tokio::test]
async fn whatever_happens_in_whichever_order_no_promise_is_broken() {
    let Ok(seconds) = std::env::var("DRILL_SECONDS") else {
        println!("skipped: set DRILL_SECONDS to run the drill for so long");
        return;
    };
    let length = Duration::from_secs(seconds.parse().expect("DRILL_SECONDS is a number"));
    let random = Random::of_run();
    let setup = Setup {
        nodes: NODES,
        clients: 10,
        link: Link::Proxied,
        ..Setup::default()
    };
    let mut drill = Drill {
        world: World::start(setup).await,
        random,
        setup,
        endangered: Instant::now(),
    };
    let began = Instant::now();
    while began.elapsed() < length {
        let traffic = drill.traffic();
        let what = drill.trouble().await;
        println!("{:6.1} s: {what}", began.elapsed().as_secs_f64());
        let rest = Duration::from_millis(drill.random.below(2_000));
        tokio::time::sleep(rest).await;
        let report = traffic.stop(&drill.world.seen).await;
        let odd = report
            .pushes
            .iter()
            .find(|push| !matches!(push.status, 0 | 200 | 410 | 503));
        assert!(odd.is_none(), "{odd:?}");
        drill.come(4).await;
    }
    let Drill { world, .. } = drill;
    for place in &world.nodes {
        place.becomes(true, QUIET).await;
    }
    // Whoever may still be declared dead is, and is told of.
    tokio::time::sleep(LEASE * 3).await;
    world.registry_is_complete(QUIET).await;
    world.judge(&world.redis).await;
    for place in &world.nodes {
        assert!(!place.gateway.output().contains("panicked"));
    }
}
