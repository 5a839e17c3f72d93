//! Many clients: idle ones beside traffic, all of a dead node's who come back at once, and those who come and go without end.
//! The sizes are in `size.rs`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use harness::{
    Answer, Calm, Client, Closed, Gateway, Handshake, Opened, PATIENCE, allow_open_files, within,
};
use tokio::runtime::{Builder, Handle};

use super::crowd::{Member, Report, Traffic, post};
use super::generator::Generator;
use super::ledger::{Event, push_text, told_again};
use super::size::{is_measured, patience, size};
use super::world::{LEASE, Place, Setup, World};
use super::{NAME, Random, unique};

/// Descriptors of a process of tests: as many as most machines let it have.
const DESCRIPTORS: u64 = 20_000;
/// Handshakes of a ramp, and lives, that are under way at once.
const AT_ONCE: usize = 50;
/// Says to the backend what to answer a handshake.
const STATUS: &str = "x-status";
/// Everybody is back so soon after the death.
const BACK: Duration = Duration::from_secs(30);
/// The ends of a lost node are told so soon.
const TOLD: Duration = Duration::from_secs(30);
/// What was in use for a moment is free again.
const FREED: Duration = Duration::from_secs(20);
/// Sockets of pools, and files that are read right then.
const SOME_DESCRIPTORS: usize = 5;

/// A world whose backend says which connection is whose, however many there are.
struct Load {
    world: World,
    names: Arc<Mutex<Names>>,
    pushers: Handle,
}

/// What `$connect` told the backend.
#[derive(Default)]
struct Names {
    ids: HashMap<String, String>,
    /// Connections of clients without a name.
    guests: BTreeSet<String>,
}

impl Load {
    async fn start(nodes: usize, lease: Duration) -> Self {
        allow_open_files(DESCRIPTORS);
        let setup = Setup {
            nodes,
            clients: 0,
            lease,
            plain: true,
            // No line for each who is turned away.
            server: "log: { access: off }",
            ..Setup::default()
        };
        let world = World::start(setup).await;
        let names: Arc<Mutex<Names>> = Arc::default();
        let told = Arc::clone(&names);
        world.backend.on("/connect", move |request| {
            let mut names = told.lock().unwrap_or_else(PoisonError::into_inner);
            let id = request.connection_id();
            match request.header(NAME) {
                Some(name) => drop(names.ids.insert(name.to_owned(), id)),
                None => drop(names.guests.insert(id)),
            }
            let status = request.header(STATUS).unwrap_or("200");
            Answer::status(status.parse().expect("a status"))
        });
        Self {
            world,
            names,
            pushers: a_thread(),
        }
    }

    fn node(&self, node: usize) -> &Gateway {
        &self.world.nodes[node].gateway
    }

    /// A handshake whose connection [`id_of`](Self::id_of) knows by its name.
    fn handshake(&self, node: usize) -> (String, Handshake) {
        let number = unique();
        let name = format!("client-{number}");
        // Clients of the world have addresses of their own; those of one address are limited.
        let source = [127, 0, (1 + number % 200) as u8, 1];
        let handshake = self.node(node).handshake("/dev").header(NAME, &name);
        (name, handshake.source(source))
    }

    fn id_of(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.ids.remove(name).expect("it asked")
    }

    /// One client, let in at last: a node that waits for the store's word turns clients away.
    async fn enter(&self, node: usize) -> (Client, String) {
        loop {
            let (name, handshake) = self.handshake(node);
            match handshake.send().await {
                Opened::Open(client) => return (*client, self.id_of(&name)),
                Opened::Refused(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn member(&self, node: usize) -> Member {
        let (client, id) = self.enter(node).await;
        Member::new(client, id, node, &self.world.seen)
    }

    /// So many clients, of these nodes in turn.
    async fn ramp(&mut self, nodes: &[usize], count: usize) -> Arc<Vec<Member>> {
        let coming = (0..count).map(|place| self.member(nodes[place % nodes.len()]));
        let members = stream::iter(coming).buffer_unordered(AT_ONCE).collect();
        let members: Arc<Vec<Member>> = Arc::new(members.await);
        self.world.members.push(Arc::clone(&members));
        members
    }

    /// Echoes and pushes to these, posted to those nodes.
    fn traffic(&self, members: &Arc<Vec<Member>>, nodes: &[usize]) -> Traffic {
        let doors = nodes.iter().map(|node| self.world.nodes[*node].door());
        // On a thread of their own: what is measured are the nodes, not a runtime that thousands of clients keep busy.
        let _own = self.pushers.enter();
        Traffic::start(
            Arc::clone(members),
            doors.collect(),
            self.world.seen.clone(),
        )
    }

    /// Calls that Redis has had from its clients so far; what a script calls is its own affair.
    async fn calls(&self) -> u64 {
        let text = self.world.redis.command(&["INFO", "commandstats"]).await;
        let calls = |name: &str| -> u64 {
            let line = text[0].lines().find_map(|line| line.strip_prefix(name));
            let calls = line.and_then(|line| line.strip_prefix(":calls=")?.split(',').next());
            calls.map_or(0, |calls| calls.parse().unwrap())
        };
        calls("cmdstat_evalsha") + calls("cmdstat_eval")
    }
}

/// Fails unless pushes were as quick as is promised of a quiet machine, or, on one that is not, quick enough to see that nothing
/// waits for anything: one in a hundred may take longer than the first, one in a thousand longer than the second.
#[track_caller]
fn pushes_are_quick(report: &Report, calm: &Calm, [hundredth, thousandth]: [Duration; 2]) {
    let mut took: Vec<Duration> = report.pushes.iter().map(|push| push.took).collect();
    took.sort_unstable();
    let share = |rest: usize| took[took.len() - 1 - took.len() / rest];
    let (lag, slow, slowest) = (calm.lag(), share(100), share(1000));
    println!(
        "{} pushes, p99 {slow:?}, p99.9 {slowest:?}, lag {lag:?}",
        took.len()
    );
    // A push waits for the word of another node for 1.5 s.
    let loose = Duration::from_secs(if is_measured() { 0 } else { 2 }) + lag;
    assert!(slow <= hundredth + loose, "p99 {slow:?}, lag {lag:?}");
    assert!(
        slowest <= thousandth + loose * 2,
        "p99.9 {slowest:?}, lag {lag:?}"
    );
}

/// What nodes may say: on a machine that is busy with other things Redis may be late, too.
fn excused() -> &'static [&'static str] {
    if is_measured() {
        return &[];
    }
    &["the store is away"]
}

/// A runtime with a thread of its own, which ends with the process.
fn a_thread() -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// Open descriptors of a node.
fn descriptors(place: &Place) -> usize {
    let folder = format!("/proc/{}/fd", place.gateway.process());
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

// G-L1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_thousands_of_idle_connections_traffic_goes_on_quickly_nobody_is_dropped_and_each_end_is_told_once()
 {
    const NODES: [usize; 3] = [0, 1, 2];
    let calm = Calm::turn().await;
    let mut load = Load::start(NODES.len(), LEASE * 5).await;
    let memory = |load: &Load| -> u64 { NODES.map(|node| load.node(node).memory()).iter().sum() };
    let before = memory(&load);
    let share = size().idle / NODES.len();
    let mut generators = Vec::new();
    for node in NODES {
        generators.push(Generator::open(load.node(node), share).await);
    }
    let each = memory(&load).saturating_sub(before) / (share * NODES.len()) as u64;
    println!("{each} bytes of each idle connection");
    // Without optimization futures are larger.
    if is_measured() {
        assert!(each <= 4096, "{each} bytes");
    }
    let guests = load.names.lock().unwrap().guests.clone();
    assert_eq!(guests.len(), share * NODES.len());
    for id in &guests {
        load.world.seen.write(id, Event::Opened);
    }
    load.world.guests.extend(guests);

    let active = load.ramp(&NODES, size().active).await;
    let traffic = load.traffic(&active, &NODES);
    calm.lag();
    tokio::time::sleep(size().length).await;
    let report = traffic.stop(&load.world.seen).await;
    report.pushes_are(&[200], &[200, 503]);
    let unknown = report.pushes.iter().filter(|push| push.status != 200);
    assert!(unknown.count() <= report.pushes.len() / 100);
    let bars = [50, 250].map(Duration::from_millis);
    pushes_are_quick(&report, &calm, bars);
    report.echoes_within(Duration::from_secs(1) + calm.lag());
    for generator in &mut generators {
        generator.all_are_alive().await;
    }
    load.world.nobody_has_ended();
    load.world.holds_now().await;

    for id in &load.world.guests {
        load.world.seen.write(id, Event::Dropped);
    }
    drop(generators);
    let guests = load.world.guests.clone();
    load.world.ends_are_told(&guests, patience(TOLD)).await;
    assert_eq!(told_again(&load.world.backend), 0);
    load.world.end(excused()).await;
}

// G-L2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clients_of_a_dead_node_who_come_back_at_once_are_let_in_within_30_s_by_5_calls_of_redis_at_most_and_pushes_go_on()
 {
    let calm = Calm::turn().await;
    let mut load = Load::start(3, LEASE).await;
    let victims = load.ramp(&[0], size().storm).await;
    let others = load.ramp(&[1, 2], 2 * size().beside_storm).await;
    let connects = || {
        let mut connects = 0;
        load.world.backend.each("/connect", |_| connects += 1);
        connects
    };
    let (asked, called) = (connects(), load.calls().await);
    let traffic = load.traffic(&others, &[1, 2]);
    calm.lag();
    load.node(0).signal("KILL");
    let killed = Instant::now();
    for member in victims.iter() {
        load.world.lost.insert(member.id.clone(), killed);
    }
    // Who comes back gives the old socket back first: this process has no descriptors for both.
    within(PATIENCE, "all have read their end", async || {
        let mut all = victims.iter();
        all.all(|one| load.world.seen.is_over(&one.id))
            .then_some(())
    })
    .await;
    let load_ref = &load;
    let mut random = Random::of_run();
    let returning = (0..victims.len()).map(|place| {
        let jitter = Duration::from_millis(random.below(2000));
        async move {
            tokio::time::sleep(jitter).await;
            load_ref.member(1 + place % 2).await
        }
    });
    let returned: Vec<Member> = stream::iter(returning)
        .buffer_unordered(victims.len())
        .collect()
        .await;
    let took = killed.elapsed();
    let report = traffic.stop(&load.world.seen).await;
    println!("{} are back after {took:?}", returned.len());
    assert!(took <= BACK, "back after {took:?}");
    assert_eq!(connects() - asked, victims.len(), "$connect for each, once");
    // A node that lets thousands in may be late with its word.
    report.pushes_are(&[200, 503], &[200, 503]);
    let unknown = report.pushes.iter().filter(|push| push.status != 200);
    let few = if is_measured() { 20 } else { 5 };
    assert!(unknown.count() <= report.pushes.len() / few);
    let bars = [250, 1000].map(Duration::from_millis);
    pushes_are_quick(&report, &calm, bars);
    load.world.members.push(Arc::new(returned));
    let ended: BTreeSet<String> = load.world.lost.keys().cloned().collect();
    let soon = if is_measured() { TOLD } else { patience(TOLD) };
    load.world.ends_are_told(&ended, soon).await;
    // Leases are renewed and ends of the dead are told meanwhile, all of it within the same bound.
    let calls = load.calls().await - called;
    println!("{calls} calls of Redis for {} clients", ended.len());
    assert!(calls <= 5 * ended.len() as u64, "{calls} calls of Redis");
    assert!(told_again(&load.world.backend) <= ended.len() / 100);
    // From now on for ever.
    for member in victims.iter().step_by(victims.len() / 20) {
        let seen = &load.world.seen;
        let text = push_text("late", 0, &member.id);
        let push = post(
            seen,
            load.world.nodes[1].door(),
            member.id.clone(),
            false,
            text,
        );
        assert_eq!(push.await.status, 410);
    }
    load.world.holds_now().await;
    load.world.end(excused()).await;
}

impl Load {
    /// One client comes, gets a push by another node, and leaves in good order; some are turned away, some leave without a word.
    /// Its connection, where it had one.
    async fn live(&self, turn: usize) -> Option<String> {
        let (node, other) = (turn % 2, (turn + 1) % 2);
        let seen = &self.world.seen;
        if turn % 10 == 1 {
            let (name, handshake) = self.handshake(node);
            let status = handshake.header(STATUS, "403").status().await;
            assert_eq!(status, 403);
            seen.write(&self.id_of(&name), Event::TurnedAway);
            return None;
        }
        let (mut client, id) = self.enter(node).await;
        seen.write(&id, Event::Opened);
        let door = self.world.nodes[other].door();
        let text = push_text("life", 0, &id);
        let push = post(seen, door, id.clone(), false, text.clone()).await;
        assert_eq!(push.status, 200, "{id} is here");
        assert_eq!(client.next_text().await, text);
        seen.write(&id, Event::Read(text));
        if turn % 10 == 2 {
            seen.write(&id, Event::Dropped);
            drop(client);
            return Some(id);
        }
        seen.write(&id, Event::Leaving);
        client.close(Some((1000, ""))).await;
        let closed = Closed::of(client.next_within(PATIENCE).await);
        seen.write(&id, Event::Closed(closed.expect("nothing but the end")));
        while client.next_within(PATIENCE).await.is_some() {}
        let text = push_text("life", 1, &id);
        let push = post(seen, door, id.clone(), false, text).await;
        assert_eq!(push.status, 410, "{id} is over");
        Some(id)
    }

    /// One round of lives; at its end nothing is left of them, and nothing of it in the ledgers.
    async fn round(&mut self) {
        let lives = (0..size().lives).map(|turn| self.live(turn));
        let lives = stream::iter(lives).buffer_unordered(AT_ONCE);
        let ended: BTreeSet<String> = lives.filter_map(async |id| id).collect().await;
        self.world.ends_are_told(&ended, patience(TOLD)).await;
        assert_eq!(told_again(&self.world.backend), 0);
        self.world.guests = ended;
        self.world.holds_now().await;
        self.world.guests.clear();
        self.world.seen.clear();
        self.world.backend.forget();
    }

    /// What Redis holds, keys that come and go with time left out.
    async fn keys(&self) -> BTreeSet<String> {
        let keys = self.world.redis.command(&["KEYS", "*"]).await;
        keys.into_iter().collect()
    }
}

// G-L3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go_leave_no_memory_descriptor_or_key_behind_and_each_end_is_told_once()
 {
    let _calm = Calm::turn().await;
    let mut load = Load::start(2, LEASE * 5).await;
    let at_first: Vec<usize> = load.world.nodes.iter().map(descriptors).collect();
    load.round().await;
    let keys = load.keys().await;
    let memory = [0, 1].map(|node| load.node(node).memory());
    for _ in 1..size().rounds {
        load.round().await;
    }
    let after = [0, 1].map(|node| load.node(node).memory());
    println!("memory {memory:?} after the first round, {after:?} after the last");
    for (before, after) in memory.into_iter().zip(after) {
        // A first round that is short has not touched all that is used again and again.
        let more = if is_measured() { 0 } else { 2 << 20 };
        assert!(after <= before + before / 10 + more, "{before} to {after}");
    }
    within(FREED, "descriptors as at first", async || {
        let now = load.world.nodes.iter().map(descriptors);
        let mut both = now.zip(&at_first);
        let freed = both.all(|(now, first)| now <= first + SOME_DESCRIPTORS);
        freed.then_some(())
    })
    .await;
    let left = load.keys().await;
    assert_eq!(left, keys, "keys in Redis");
    load.world.end(excused()).await;
}
