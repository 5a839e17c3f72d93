//! The road through Redis: its contract on every topology, its subscription in trouble, and those who only know Redis.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use connection_store::contract::bus::{Counter, Road as Roads, Start, all};
use connection_store::{
    BusError, ClusterKey, Heard, NodeBus, Redis, RedisBus, RedisBusSettings, StoreClock,
};
use gateway_core::id::NodeId;
use tokio::sync::mpsc;

use crate::peer::Road;
use crate::server::{Cluster, Server, Trio};

const LIMIT: Duration = Duration::from_millis(500);
const ASKER: NodeId = NodeId([1; 6]);
const OWNER: NodeId = NodeId([2; 6]);
const LARGEST: usize = 1024 * 1024 + 64 * 1024;

/// Buses on one Redis, each with connections of its own.
struct Buses {
    url: String,
    started: Mutex<HashMap<NodeId, Arc<RedisBus>>>,
}

fn buses(url: String) -> Buses {
    Buses {
        url,
        started: Mutex::default(),
    }
}

#[async_trait]
impl Roads for Buses {
    async fn start(&self, node: Start) -> Arc<dyn NodeBus> {
        let settings = RedisBusSettings {
            key: node.key,
            clock: node.clock,
            ..settings(node.id)
        };
        let bus = Arc::new(RedisBus::start(redis(&self.url), settings, node.inbox));
        well(&bus).await;
        let mut started = self.started.lock().expect("nobody panics with it");
        started.insert(node.id, bus.clone());
        bus
    }

    async fn kill(&self, node: NodeId) {
        let bus = self
            .started
            .lock()
            .expect("nobody panics with it")
            .remove(&node);
        bus.expect("it was started").stop().await;
    }

    fn largest(&self) -> usize {
        LARGEST
    }
}

fn redis(url: &str) -> Redis {
    Redis::new(url.parse().expect("it is a URL"), LIMIT).expect("it names no files")
}

fn plain(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

fn settings(node: NodeId) -> RedisBusSettings {
    RedisBusSettings {
        node,
        key: ClusterKey::new("the same on all nodes of a cluster").expect("it is long enough"),
        clock: Arc::new(StoreClock::new(own_clock, 1_700_000_000_000)),
        max_order: LARGEST,
        random,
    }
}

fn own_clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(0)
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

fn start(node: NodeId, url: &str) -> (Arc<RedisBus>, Arc<Counter>) {
    let inbox = Arc::new(Counter::default());
    let bus = RedisBus::start(redis(url), settings(node), inbox.clone());
    (Arc::new(bus), inbox)
}

async fn eventually(what: &str, limit: Duration, is_so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

async fn well(bus: &RedisBus) {
    eventually("it hears", Duration::from_secs(10), || bus.deaf().is_none()).await;
}

async fn ask(bus: &RedisBus) -> Result<Bytes, BusError> {
    let order = Bytes::from_static(b"order");
    bus.request(&OWNER, order, Duration::from_secs(2)).await
}

async fn works(bus: &RedisBus) {
    assert_eq!(ask(bus).await.as_deref(), Ok(&b"done"[..]));
}

#[tokio::test]
async fn a_bus_on_one_server_keeps_the_contract() {
    let server = Server::start();
    all(&buses(plain(server.port))).await;
}

#[tokio::test]
async fn a_bus_through_sentinels_keeps_the_contract() {
    let trio = Trio::start();
    all(&buses(trio.url())).await;
}

#[tokio::test]
async fn a_bus_on_a_cluster_keeps_the_contract() {
    let cluster = Cluster::start();
    all(&buses(cluster.url())).await;
}

#[tokio::test]
async fn a_node_that_does_not_hear_is_unreachable_on_a_single_server_at_once() {
    let server = Server::start();
    let (asker, _) = start(ASKER, &plain(server.port));
    well(&asker).await;
    let began = Instant::now();
    let answer = ask(&asker).await;
    assert!(
        matches!(answer, Err(BusError::Unreachable(_))),
        "{answer:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_bus_subscribes_anew_when_its_subscription_is_killed_or_redis_is_restarted() {
    let mut server = Server::start();
    let (asker, _) = start(ASKER, &plain(server.port));
    let (owner, _) = start(OWNER, &plain(server.port));
    well(&asker).await;
    well(&owner).await;
    for _ in 0..3 {
        let subscribed = owner.counts().subscribed;
        let _: u64 = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        eventually("it subscribes anew", Duration::from_secs(3), || {
            owner.counts().subscribed > subscribed
        })
        .await;
        well(&asker).await;
        well(&owner).await;
        works(&asker).await;
    }
    server.kill();
    let deaf = eventually("it is deaf", Duration::from_secs(5), || {
        owner.deaf().is_some()
    })
    .await;
    println!("deaf after {deaf:?}");
    server.restart();
    well(&asker).await;
    well(&owner).await;
    works(&asker).await;
}

#[tokio::test]
async fn a_half_open_subscription_is_noticed_within_five_seconds_and_healed() {
    let server = Server::start();
    let road = Road::to(server.port);
    let (asker, _) = start(ASKER, &plain(server.port));
    let (owner, inbox) = start(OWNER, &plain(road.port));
    well(&asker).await;
    well(&owner).await;
    road.fall_silent();
    // Redis still counts a subscriber.
    assert_eq!(ask(&asker).await, Err(BusError::Unanswered));
    let deaf = |limit| eventually("it is deaf", limit, || owner.deaf().is_some());
    deaf(Duration::from_secs(3)).await;
    well(&owner).await;
    works(&asker).await;
    assert_eq!((inbox.heard(), owner.counts().subscribed), (1, 2));
}

#[tokio::test]
async fn a_paused_or_sleeping_redis_makes_deaf_within_five_seconds_and_is_forgotten_afterwards() {
    let server = Server::start();
    let (asker, _) = start(ASKER, &plain(server.port));
    let (owner, _) = start(OWNER, &plain(server.port));
    well(&asker).await;
    well(&owner).await;
    let () = server.command(&["CLIENT", "PAUSE", "6000", "ALL"]);
    let limit = Duration::from_secs(5);
    eventually("it is deaf", limit, || owner.deaf().is_some()).await;
    let answer = ask(&asker).await;
    assert_eq!(answer, Err(BusError::Unanswered));
    well(&asker).await;
    well(&owner).await;
    works(&asker).await;
    let asleep = thread::spawn(move || {
        let () = server.command(&["DEBUG", "SLEEP", "5.5"]);
        server
    });
    eventually("it is deaf", limit, || owner.deaf().is_some()).await;
    let _server = asleep.join().expect("it sleeps");
    well(&asker).await;
    well(&owner).await;
    works(&asker).await;
}

/// Hears all that is published to a node, as whoever may subscribe in Redis.
async fn eavesdrop(
    redis: &Redis,
    node: NodeId,
) -> (
    connection_store::Subscriber,
    mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let (sender, heard) = mpsc::unbounded_channel();
    let hear = move |what| {
        if let Heard::Message { payload, .. } = what {
            let _ = sender.send(payload);
        }
    };
    let mut subscriber = redis.subscriber(hear).await.expect("connects");
    (subscriber.hear(channel(node).as_bytes()).await).expect("subscribes");
    (subscriber, heard)
}

fn channel(of: NodeId) -> String {
    format!("wg:{{{of}}}:bus")
}

/// The next batch that this node wrote: its head names the sender.
async fn next_from(node: NodeId, heard: &mut mpsc::UnboundedReceiver<Vec<u8>>) -> Vec<u8> {
    loop {
        let batch = heard.recv().await.expect("it goes on hearing");
        if batch[1..7] == node.0 {
            return batch;
        }
    }
}

async fn forge(redis: &Redis, to: NodeId, batch: &[u8]) {
    let _ = redis.publish(channel(to).as_bytes(), batch).await;
}

#[tokio::test]
async fn whoever_can_publish_in_redis_delivers_nothing() {
    let server = Server::start();
    let redis = redis(&plain(server.port));
    let (asker, _) = start(ASKER, &plain(server.port));
    let (owner, inbox) = start(OWNER, &plain(server.port));
    well(&asker).await;
    well(&owner).await;
    let (_subscriber, mut heard) = eavesdrop(&redis, OWNER).await;
    let (_other, mut answers) = eavesdrop(&redis, ASKER).await;
    works(&asker).await;
    let order = next_from(ASKER, &mut heard).await;
    let answer = next_from(OWNER, &mut answers).await;
    // What is said can be read by nobody.
    assert!(!order.windows(5).any(|bytes| bytes == b"order"));
    assert!(!answer.windows(4).any(|bytes| bytes == b"done"));
    let before = owner.counts();
    // Of it, again and to others; each byte altered, each cut; nothing at all, and far too much.
    let mut forged = Vec::new();
    for place in 0..order.len() {
        let mut altered = order.clone();
        altered[place] ^= 1;
        forged.extend([altered, order[..place].to_vec()]);
    }
    forged.extend([[&order[..], b"x"].concat(), vec![0; 2 << 20]]);
    // One under the name of another node, and one in the name of this one.
    for name in [NodeId([3; 6]), OWNER] {
        forged.push([&order[..1], &name.0, &order[7..]].concat());
    }
    // An answer is none to who gave it.
    forged.push(answer.clone());
    for payload in &forged {
        forge(&redis, OWNER, payload).await;
    }
    for _ in 0..5 {
        forge(&redis, OWNER, &order).await;
    }
    eventually("all came", Duration::from_secs(10), || {
        let counts = owner.counts();
        counts.repeated - before.repeated == 5
            && counts.forged - before.forged == forged.len() as u64
    })
    .await;
    assert_eq!(inbox.heard(), 1);
    works(&asker).await;
    // What was an order to one node is none to another, nor an answer; and none answers again.
    let before = asker.counts();
    forge(&redis, ASKER, &order).await;
    forge(&redis, ASKER, &answer).await;
    eventually("they came", Duration::from_secs(5), || {
        let counts = asker.counts();
        (counts.forged, counts.repeated) == (before.forged + 1, before.repeated + 1)
    })
    .await;
}

#[tokio::test]
async fn what_was_written_for_a_node_before_it_started_anew_is_forged_or_repeated() {
    let server = Server::start();
    let redis = redis(&plain(server.port));
    let (owner, inbox) = start(OWNER, &plain(server.port));
    well(&owner).await;
    let (_subscriber, mut heard) = eavesdrop(&redis, OWNER).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        // Another bus of the same node writes under another key: no two of them seal alike.
        let (asker, _) = start(ASKER, &plain(server.port));
        well(&asker).await;
        works(&asker).await;
        orders.push(next_from(ASKER, &mut heard).await);
        asker.stop().await;
    }
    let sessions: HashSet<&[u8]> = orders.iter().map(|order| &order[7..23]).collect();
    assert_eq!(sessions.len(), 3);
    let before = owner.counts();
    for order in &orders {
        forge(&redis, OWNER, order).await;
        // Of one session under the head of another.
        forge(&redis, OWNER, &[&orders[0][..31], &order[31..]].concat()).await;
    }
    eventually("all came", Duration::from_secs(5), || {
        let counts = owner.counts();
        (
            counts.repeated - before.repeated,
            counts.forged - before.forged,
        ) == (4, 2)
    })
    .await;
    assert_eq!(inbox.heard(), 3);
}

#[tokio::test]
async fn a_repeated_probe_does_not_make_a_deaf_node_well() {
    let server = Server::start();
    let redis = redis(&plain(server.port));
    let (owner, _) = start(OWNER, &plain(server.port));
    well(&owner).await;
    let (_subscriber, mut heard) = eavesdrop(&redis, OWNER).await;
    let payload = heard.recv().await.expect("it goes on hearing");
    let repeated = owner.counts().repeated;
    forge(&redis, OWNER, &payload).await;
    eventually("it is refused", Duration::from_secs(5), || {
        owner.counts().repeated == repeated + 1
    })
    .await;
}

#[tokio::test]
async fn what_waits_goes_together() {
    let mut server = Server::start();
    let (asker, _) = start(ASKER, &plain(server.port));
    let (owner, inbox) = start(OWNER, &plain(server.port));
    well(&asker).await;
    well(&owner).await;
    works(&asker).await;
    let published = |server: &mut Server| {
        let stats: String = server.command(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_publish:"));
        let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
        calls
            .and_then(|calls| calls.parse::<u64>().ok())
            .expect("it was published")
    };
    let before = published(&mut server);
    let asking: Vec<_> = (0..500).map(|_| ask(&asker)).collect();
    for answer in futures_util::future::join_all(asking).await {
        assert_eq!(answer.as_deref(), Ok(&b"done"[..]));
    }
    assert_eq!(inbox.heard(), 501);
    // Orders and answers, and some probes.
    let calls = published(&mut server) - before;
    assert!(calls < 100, "{calls}");
}

#[tokio::test]
async fn an_order_that_could_not_be_sent_is_told_to_have_reached_nobody() {
    let mut server = Server::start();
    let (asker, _) = start(ASKER, &plain(server.port));
    well(&asker).await;
    server.kill();
    let ask = |limit| {
        let asker = Arc::clone(&asker);
        tokio::spawn(async move {
            let order = Bytes::from_static(b"order");
            asker
                .request(&OWNER, order, Duration::from_millis(limit))
                .await
        })
    };
    // Redis may have passed the first one on, for all that is known; the second one waits behind it.
    let first = ask(1500);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = ask(300).await.expect("it ends");
    assert!(
        matches!(second, Err(BusError::Unreachable(_))),
        "{second:?}"
    );
    let first = first.await.expect("it ends");
    assert_eq!(first, Err(BusError::Unanswered));
}

#[tokio::test]
async fn no_task_outlives_a_stop() {
    let server = Server::start();
    let redis = redis(&plain(server.port));
    // Opens the connection for commands, which is not the bus's own.
    redis.publish(b"wg:none", b"").await.expect("publishes");
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let bus = RedisBus::start(redis.clone(), settings(OWNER), Arc::new(Counter::default()));
    well(&bus).await;
    bus.stop().await;
    eventually("they end", Duration::from_secs(5), || {
        tasks.num_alive_tasks() == before
    })
    .await;
    let heard = redis.publish(channel(OWNER).as_bytes(), b"x").await;
    assert_eq!(heard, Ok(0));
}
