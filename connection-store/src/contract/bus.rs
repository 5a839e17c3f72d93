//! What every [`NodeBus`] must do. Runs in real time: there are sockets in it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::NodeId;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::{BusError, ClusterKey, Inbox, NodeBus, StoreClock};

/// Makes nodes that are connected by the road under test.
#[async_trait]
pub trait Road: Send + Sync {
    /// Starts a node that hears orders and can send them, and makes it known to the others.
    async fn start(&self, node: Start) -> Arc<dyn NodeBus>;

    /// Ends a node as if its process had died; those who wait for its answers are not told.
    async fn kill(&self, node: NodeId);

    /// The largest order that it carries, in bytes; at least 1 MiB.
    fn largest(&self) -> usize;
}

/// A node to be started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Which.
    pub id: NodeId,
    /// Its secret.
    pub key: ClusterKey,
    /// Its idea of the store's time.
    pub clock: Arc<StoreClock>,
    /// Acts on what it hears.
    pub inbox: Arc<dyn Inbox>,
}

const LIMIT: Duration = Duration::from_secs(3);
/// What may pass beyond a time limit, and how long a busy machine may take over it.
const GRACE: Duration = Duration::from_millis(250 + 400);

const ASKER: NodeId = NodeId([1; 6]);
const OWNER: NodeId = NodeId([2; 6]);
const STRANGER: NodeId = NodeId([3; 6]);
const NOBODY: NodeId = NodeId([9; 6]);

/// Runs everything.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all(road: &dyn Road) {
    let owner = Arc::new(Recorder::default());
    let bus = road.start(node(ASKER, Arc::new(Recorder::default()))).await;
    road.start(node(OWNER, owner.clone())).await;
    eventually_reaches(&*bus).await;
    owner.take();

    an_order_is_acted_upon_once_and_answered(&*bus, &owner).await;
    silence_is_told_in_time(&*bus, &owner).await;
    a_node_that_nobody_knows_is_not_reached(&*bus).await;
    sequential_orders_keep_their_order(&*bus, &owner).await;
    a_thousand_at_once_are_each_answered(&bus, &owner).await;
    a_large_order_arrives_whole_and_a_larger_one_is_refused(road, &*bus, &owner).await;
    an_order_that_is_given_up_disturbs_no_other(&*bus, &owner).await;
    late_orders_are_dropped(road, &*bus).await;
    who_does_not_know_the_secret_is_not_heard(road, &owner).await;
    a_node_that_dies_leaves_its_orders_unknown_and_may_come_back(road, &bus).await;
}

/// Remembers what it heard and answers the same with an exclamation mark; nothing to `silence`.
#[derive(Debug, Default)]
struct Recorder {
    heard: Mutex<VecDeque<(NodeId, Bytes)>>,
    came: Notify,
}

impl Recorder {
    fn take(&self) -> Vec<(NodeId, Bytes)> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.drain(..).collect()
    }
}

impl Inbox for Recorder {
    fn receive(&self, from: NodeId, order: Bytes) -> Option<Bytes> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_back((from, order.clone()));
        self.came.notify_one();
        if order == "silence" {
            return None;
        }
        // Of a large one only the end, so that the answer is none.
        let tail = order.len().saturating_sub(1000);
        let mut answer = order[tail..].to_vec();
        answer.push(b'!');
        Some(answer.into())
    }
}

/// For further tests of a road: counts what it hears, and answers `done`; nothing to `silence`.
#[derive(Debug, Default)]
pub struct Counter(AtomicUsize);

impl Counter {
    /// How many orders it heard.
    pub fn heard(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Inbox for Counter {
    fn receive(&self, _: NodeId, order: Bytes) -> Option<Bytes> {
        self.0.fetch_add(1, Ordering::Relaxed);
        (order != "silence").then(|| Bytes::from_static(b"done"))
    }
}

fn own_clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

const EPOCH: u64 = 1_700_000_000_000;

fn node(id: NodeId, inbox: Arc<dyn Inbox>) -> Start {
    Start {
        id,
        key: key("the same on all nodes of a cluster"),
        clock: Arc::new(StoreClock::new(own_clock, EPOCH + own_clock())),
        inbox,
    }
}

fn key(secret: &str) -> ClusterKey {
    ClusterKey::new(secret).expect("is long enough")
}

async fn ask(bus: &dyn NodeBus, order: &str) -> Result<Bytes, BusError> {
    bus.request(&OWNER, Bytes::copy_from_slice(order.as_bytes()), LIMIT)
        .await
}

async fn eventually_reaches(bus: &dyn NodeBus) {
    let started = Instant::now();
    while let Err(error) = ask(bus, "hello").await {
        let waited = started.elapsed();
        assert!(waited < Duration::from_secs(10), "{error} after {waited:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn an_order_is_acted_upon_once_and_answered(bus: &dyn NodeBus, owner: &Recorder) {
    assert_eq!(ask(bus, "push").await, Ok(Bytes::from_static(b"push!")));
    assert_eq!(ask(bus, "").await, Ok(Bytes::from_static(b"!")));
    let heard = [(ASKER, Bytes::from_static(b"push")), (ASKER, Bytes::new())];
    assert_eq!(owner.take(), heard);
}

async fn silence_is_told_in_time(bus: &dyn NodeBus, owner: &Recorder) {
    for limit in [50, 300] {
        let limit = Duration::from_millis(limit);
        let started = Instant::now();
        let silence = Bytes::from_static(b"silence");
        let answer = bus.request(&OWNER, silence, limit).await;
        assert_eq!(answer, Err(BusError::Unanswered));
        let took = started.elapsed();
        assert!(took >= limit && took < limit + GRACE, "{limit:?} {took:?}");
    }
    assert_eq!(owner.take().len(), 2);
}

async fn a_node_that_nobody_knows_is_not_reached(bus: &dyn NodeBus) {
    let limit = Duration::from_millis(300);
    let order = Bytes::from_static(b"x");
    let answer = bus.request(&NOBODY, order, limit).await;
    // Where the road cannot know who listens, it knows no more than that nobody answered.
    let expected = matches!(answer, Err(BusError::Unreachable(_) | BusError::Unanswered));
    assert!(expected, "{answer:?}");
}

async fn sequential_orders_keep_their_order(bus: &dyn NodeBus, owner: &Recorder) {
    let orders: Vec<String> = (0..200).map(|n| format!("order {n}")).collect();
    for order in &orders {
        ask(bus, order).await.expect("is answered");
    }
    let heard: Vec<_> = owner.take().into_iter().map(|(_, order)| order).collect();
    assert_eq!(heard, orders);
}

async fn a_thousand_at_once_are_each_answered(bus: &Arc<dyn NodeBus>, owner: &Recorder) {
    let mut asking = JoinSet::new();
    for n in 0..1000 {
        let bus = Arc::clone(bus);
        asking.spawn(async move {
            let order = format!("one of many, and this is number {n}");
            assert_eq!(ask(&*bus, &order).await, Ok(format!("{order}!").into()));
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.expect("is answered");
    }
    let mut heard = owner.take();
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 1000);
}

async fn a_large_order_arrives_whole_and_a_larger_one_is_refused(
    road: &dyn Road,
    bus: &dyn NodeBus,
    owner: &Recorder,
) {
    for size in [16 * 1024, 100_000, 1024 * 1024, road.largest()] {
        let order: Bytes = (0..size).map(|n| (n % 251) as u8).collect();
        let answer = bus.request(&OWNER, order.clone(), LIMIT).await;
        let answer = answer.expect("is answered");
        assert_eq!(answer[..1000], order[size - 1000..]);
        // Neither its bytes nor those behind it are another order's.
        assert_eq!(ask(bus, "next").await, Ok(Bytes::from_static(b"next!")));
        let heard = owner.take();
        assert!(heard[0].1 == order && heard.len() == 2, "{size}");
    }
    let size = road.largest() + 1;
    let order = Bytes::from(vec![0; size]);
    let answer = bus.request(&OWNER, order, LIMIT).await;
    assert_eq!(answer, Err(BusError::TooLarge(size)));
    assert_eq!(owner.take(), []);
}

async fn an_order_that_is_given_up_disturbs_no_other(bus: &dyn NodeBus, owner: &Recorder) {
    for n in 0..50 {
        let order = format!("given up {n}");
        tokio::select! {
            biased;
            _ = ask(bus, &order) => {}
            // Before it was sent, or after.
            () = turns(n % 4) => {}
        }
        let kept = format!("kept {n}");
        assert_eq!(ask(bus, &kept).await, Ok(format!("{kept}!").into()));
    }
    let heard = owner.take();
    let kept = heard.iter().filter(|(_, order)| order.starts_with(b"kept"));
    assert_eq!(kept.count(), 50);
}

async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

async fn late_orders_are_dropped(road: &dyn Road, bus: &dyn NodeBus) {
    const LATE: NodeId = NodeId([4; 6]);
    let late = Arc::new(Recorder::default());
    let ahead = Arc::new(StoreClock::new(own_clock, EPOCH + own_clock() + 60_000));
    let start = Start {
        clock: Arc::clone(&ahead),
        ..node(LATE, late.clone())
    };
    road.start(start).await;
    let order = || Bytes::from_static(b"late");
    let limit = Duration::from_millis(500);
    let answer = bus.request(&LATE, order(), limit).await;
    assert_eq!(answer, Err(BusError::Unanswered));
    assert_eq!(late.take(), []);
    // Once its clock is right it hears the same.
    ahead.heard(EPOCH + own_clock(), own_clock(), own_clock());
    let answer = bus.request(&LATE, order(), LIMIT).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"late!")));
    road.kill(LATE).await;
}

async fn who_does_not_know_the_secret_is_not_heard(road: &dyn Road, owner: &Recorder) {
    let hears = Arc::new(Recorder::default());
    let start = Start {
        key: key("another secret, as long as the first"),
        ..node(STRANGER, hears.clone())
    };
    let stranger = road.start(start).await;
    let limit = Duration::from_millis(500);
    for _ in 0..3 {
        let order = Bytes::from_static(b"forged");
        let answer = stranger.request(&OWNER, order, limit).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(owner.take(), []);
    road.kill(STRANGER).await;
}

async fn a_node_that_dies_leaves_its_orders_unknown_and_may_come_back(
    road: &dyn Road,
    bus: &Arc<dyn NodeBus>,
) {
    const MORTAL: NodeId = NodeId([5; 6]);
    for _ in 0..2 {
        let mortal = Arc::new(Recorder::default());
        road.start(node(MORTAL, mortal.clone())).await;
        let asking = {
            let bus = Arc::clone(bus);
            let silence = Bytes::from_static(b"silence");
            tokio::spawn(async move { bus.request(&MORTAL, silence, LIMIT).await })
        };
        let came = tokio::time::timeout(LIMIT, mortal.came.notified()).await;
        assert!(came.is_ok());
        road.kill(MORTAL).await;
        let answer = asking.await.expect("ends");
        assert_eq!(answer, Err(BusError::Unanswered));
        let started = Instant::now();
        let order = Bytes::from_static(b"x");
        let limit = Duration::from_millis(500);
        let answer = bus.request(&MORTAL, order, limit).await;
        assert!(answer.is_err(), "{answer:?}");
        assert!(started.elapsed() < limit + GRACE);
        assert_eq!(mortal.take().len(), 1);
        // Until then a road may spare itself the trouble of trying.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}
