//! The road through Redis, for nodes that cannot reach each other: pub/sub, sharded on a cluster.
//!
//! Each node hears one channel, `wg:{n}:bus`, for orders, answers and itself. Nothing is stored, so an order that nobody hears is
//! lost, not late; and what PUBLISH counts proves nothing, so only an answer counts. Both go in batches (`lane.rs`), since what a message
//! costs here is mostly what each PUBLISH costs, to this process, the other one and Redis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use gateway_core::id::NodeId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::Redis;
use super::ear::{Ear, Head, keep};
use super::endpoint::Topology;
use super::envelope::{LONGEST, Opened, Pen, SLACK, Sessions};
use super::keys;
use super::lane::{Batch, Lane, Message, Put};
use super::waiting::Waiting;
use crate::frame::{Frames, Kind};
use crate::key::ClusterKey;
use crate::tasks::Tasks;
use crate::{BusError, Inbox, NodeBus, StoreClock, StoreError};

/// After Redis did not answer, before it is tried again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(200));
/// So many nodes may be spoken to; idle ones are forgotten when there are so many.
const MOST_LANES: usize = 4096;

/// What a bus on Redis is made with.
#[derive(Debug, Clone)]
pub struct RedisBusSettings {
    /// Whose it is.
    pub node: NodeId,
    /// The same on all nodes.
    pub key: ClusterKey,
    /// Deadlines travel in its time.
    pub clock: Arc<StoreClock>,
    /// The largest order, and the largest answer, in bytes.
    pub max_order: usize,
    /// Bytes that nobody can foretell.
    pub random: fn() -> [u8; 32],
}

/// What a bus has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedisBusCounts {
    /// What came on our channels and was not written by a node of this cluster for this one.
    pub forged: u64,
    /// Batches of orders and answers that came again.
    pub repeated: u64,
    /// Orders that came after their deadline.
    pub late: u64,
    /// Orders that were not acted upon, and answers that were not sent, because there were too many.
    pub dropped: u64,
    /// How often a subscription was opened: once where all is well.
    pub subscribed: u64,
}

/// The road through Redis. Its tasks live on the runtime on which it was started, and end with [`stop`](Self::stop) or when it is dropped.
#[derive(Debug)]
pub struct RedisBus {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    redis: Redis,
    node: NodeId,
    key: ClusterKey,
    clock: Arc<StoreClock>,
    max_order: usize,
    random: fn() -> [u8; 32],
    inbox: Arc<dyn Inbox>,
    ear: Ear,
    waiting: Waiting,
    sessions: Mutex<Sessions>,
    lanes: Mutex<HashMap<NodeId, Arc<Lane>>>,
    /// To itself.
    own: Lane,
    /// Lanes on which something waits to be published; each stands in it once at most.
    calls: mpsc::UnboundedSender<Arc<Lane>>,
    forged: AtomicU64,
    repeated: AtomicU64,
    late: AtomicU64,
    dropped: AtomicU64,
}

impl RedisBus {
    /// Subscribes, on this runtime, as soon as Redis is there.
    pub fn start(redis: Redis, settings: RedisBusSettings, inbox: Arc<dyn Inbox>) -> Self {
        let (calls, called) = mpsc::unbounded_channel();
        let RedisBusSettings {
            node,
            key,
            clock,
            max_order,
            random,
        } = settings;
        let chance = random();
        let first = chance.first_chunk().expect("32 bytes begin with 8");
        let shared = Arc::new(Shared {
            own: Lane::new(node, Pen::new(&key, node, node, random())),
            redis: redis.clone(),
            node,
            key,
            clock,
            max_order,
            random,
            inbox,
            ear: Ear::new(),
            waiting: Waiting::new(u64::from_be_bytes(*first)),
            sessions: Mutex::default(),
            lanes: Mutex::default(),
            calls,
            forged: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            late: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let tasks = Tasks::new();
        tasks.spawn(keep(redis, keys::bus(node), Arc::clone(&shared)));
        tasks.spawn(publish(Arc::clone(&shared), called));
        Self { shared, tasks }
    }

    /// What was counted.
    pub fn counts(&self) -> RedisBusCounts {
        let shared = &self.shared;
        RedisBusCounts {
            forged: shared.forged.load(Ordering::Relaxed),
            repeated: shared.repeated.load(Ordering::Relaxed),
            late: shared.late.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            subscribed: shared.ear.opened(),
        }
    }

    /// Hears nothing any more; no task of it lives afterwards.
    pub async fn stop(&self) {
        self.tasks.stop().await;
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

#[async_trait]
impl NodeBus for RedisBus {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        let shared = &self.shared;
        if order.len() > shared.max_order {
            return Err(BusError::TooLarge(order.len()));
        }
        let limit = limit.min(Duration::from_millis(LONGEST));
        let expires = Instant::now() + limit;
        let lane = shared.lane(*to).ok_or(BusError::Busy)?;
        let (answer, asked) = shared.waiting.ask(*to, order.len())?;
        let order = Message {
            kind: Kind::Order,
            ticket: asked.ticket(),
            deadline: shared.clock.now() + limit.as_millis() as u64,
            body: order,
        };
        if lane.put(order) == Put::Call && shared.calls.send(lane).is_err() {
            return Err(asked.late());
        }
        match timeout_at(expires, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(asked.late()),
        }
    }

    fn deaf(&self) -> Option<String> {
        self.shared.ear.deaf()
    }
}

impl Shared {
    /// The lane to a node; `None` where too many are busy.
    fn lane(&self, to: NodeId) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&to) {
            return Some(Arc::clone(lane));
        }
        if lanes.len() >= MOST_LANES {
            // Somebody may hold one and be about to speak.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_idle());
        }
        if lanes.len() >= MOST_LANES {
            return None;
        }
        let pen = Pen::new(&self.key, self.node, to, (self.random)());
        let lane = Arc::new(Lane::new(to, pen));
        lanes.insert(to, Arc::clone(&lane));
        Some(lane)
    }

    /// Publishes a batch until Redis says that it did, or nobody waits for any of it. Where Redis did not answer it may have passed
    /// the batch on, or not; it is the same batch when it comes again, and taken once.
    async fn publish_batch(&self, channel: &str, batch: &Batch) {
        let mut pause = PAUSES.0;
        let mut sure = true;
        while self.clock.now() <= batch.deadline {
            let published = self.redis.publish(channel.as_bytes(), &batch.payload).await;
            let why = match published {
                // A replica or another master may know of subscribers that this server does not.
                Ok(0) if sure && self.redis.topology() == Topology::Standalone => {
                    "it hears nothing in Redis".to_owned()
                }
                Ok(_) => return,
                Err(StoreError::Refused(why)) => format!("Redis refuses: {why}"),
                Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => {
                    sure = false;
                    sleep(pause).await;
                    pause = (2 * pause).min(PAUSES.1);
                    continue;
                }
            };
            if sure {
                let error = BusError::Unreachable(why);
                self.waiting.fail(&batch.orders, &error);
            }
            break;
        }
        // Whoever asked is told that it is unknown.
        self.dropped.fetch_add(batch.answers, Ordering::Relaxed);
    }

    /// Acts on what a node wrote.
    fn read(&self, from: NodeId, frames: Bytes) {
        let (mut frames, mut answers) = (Frames::of_large(frames), Vec::new());
        let mut answering = None;
        loop {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => {
                    count(&self.dropped);
                    break;
                }
            };
            match frame.kind {
                Kind::Answer => answers.push((frame.ticket, frame.body())),
                Kind::Order => {
                    let Some((deadline, body)) = frame.order() else {
                        count(&self.dropped);
                        continue;
                    };
                    if let Some(answer) = self.act(from, frame.ticket, deadline, body) {
                        self.reply(from, answer, &mut answering);
                    }
                }
                Kind::Probe | Kind::Echo => {}
            }
        }
        if !answers.is_empty() {
            self.waiting.answer(from, answers);
        }
    }

    fn act(&self, from: NodeId, ticket: u64, deadline: u64, body: Bytes) -> Option<Message> {
        let now = self.clock.now();
        // Its caller was told that nothing is known of it; or nobody may send an order so far ahead.
        if now > deadline || deadline > now + LONGEST + SLACK {
            count(&self.late);
            return None;
        }
        let body = self.inbox.receive(from, body)?;
        if body.len() > self.max_order {
            count(&self.dropped);
            return None;
        }
        Some(Message {
            kind: Kind::Answer,
            ticket,
            deadline,
            body,
        })
    }

    fn reply(&self, to: NodeId, answer: Message, answering: &mut Option<Arc<Lane>>) {
        if answering.is_none() {
            *answering = self.lane(to);
        }
        let put = answering
            .as_ref()
            .map_or(Put::Full, |lane| lane.put(answer));
        match (put, answering) {
            (Put::Call, Some(lane)) => {
                // It fails once the bus was stopped.
                let _stopped = self.calls.send(Arc::clone(lane));
            }
            (Put::Waits, _) => {}
            _ => count(&self.dropped),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Head for Shared {
    fn ear(&self) -> &Ear {
        &self.ear
    }

    fn hear(self: &Arc<Self>, payload: Vec<u8>) {
        let opened = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.open(&self.key, self.node, payload, self.clock.now())
        };
        match opened {
            Opened::Batch { from, frames } => {
                self.ear.heard();
                self.read(from, frames);
            }
            Opened::Forged => count(&self.forged),
            Opened::Again => count(&self.repeated),
            Opened::Full => count(&self.dropped),
        }
    }

    fn probe(&self) -> (&str, Vec<u8>) {
        (&self.own.channel, self.own.probe())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("node", &self.node)
            .field("ear", &self.ear)
            .finish_non_exhaustive()
    }
}

/// Publishes what waits on the lanes, until it is aborted.
async fn publish(shared: Arc<Shared>, mut called: mpsc::UnboundedReceiver<Arc<Lane>>) {
    let mut publishing = FuturesUnordered::new();
    loop {
        let lane = tokio::select! {
            Some(lane) = publishing.next() => lane,
            Some(lane) = called.recv() => lane,
            else => return,
        };
        while let Some(batch) = lane.next(&shared.waiting, shared.clock.now()) {
            let (shared, lane) = (&shared, Arc::clone(&lane));
            publishing.push(async move {
                shared.publish_batch(&lane.channel, &batch).await;
                lane.done();
                lane
            });
        }
    }
}
