//! The road through Redis, for nodes that cannot reach each other: pub/sub, sharded on a cluster.
//!
//! Each node hears three channels: `wg:{n}:cmd` for orders, `wg:{n}:inbox` for answers, `wg:{n}:probe` for itself. Nothing is stored, so
//! an order that nobody hears is lost, not late; and what PUBLISH counts proves nothing, so only an answer counts.

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
use super::envelope::{Admission, Correlation, Envelope, Kind, LONGEST, Seal, Taken};
use super::keys;
use super::waiting::Waiting;
use crate::key::ClusterKey;
use crate::tasks::Tasks;
use crate::{BusError, Inbox, NodeBus, StoreClock, StoreError};

/// So many answers may wait to be sent; more are dropped, and their callers told that it is unknown.
const MOST_ANSWERS: usize = 4096;
/// After Redis did not answer, before it is tried again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// So many answers are sent at once.
const ANSWERS_AT_ONCE: usize = 128;

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
    /// Orders that came again.
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
    clock: Arc<StoreClock>,
    max_order: usize,
    random: fn() -> [u8; 32],
    seal: Seal,
    inbox: Arc<dyn Inbox>,
    ear: Ear,
    waiting: Waiting,
    taken: Mutex<Taken>,
    /// What was last said to itself.
    probe: Mutex<Correlation>,
    answers: mpsc::Sender<Sealed>,
    forged: AtomicU64,
    repeated: AtomicU64,
    late: AtomicU64,
    dropped: AtomicU64,
}

/// An answer that waits to be sent.
struct Sealed {
    to: NodeId,
    deadline: u64,
    payload: Vec<u8>,
}

impl RedisBus {
    /// Subscribes, on this runtime, as soon as Redis is there.
    pub fn start(redis: Redis, settings: RedisBusSettings, inbox: Arc<dyn Inbox>) -> Self {
        let (answers, to_send) = mpsc::channel(MOST_ANSWERS);
        let RedisBusSettings {
            node,
            key,
            clock,
            max_order,
            random,
        } = settings;
        let shared = Arc::new(Shared {
            redis: redis.clone(),
            node,
            clock,
            max_order,
            random,
            seal: Seal::new(&key),
            inbox,
            ear: Ear::new(),
            waiting: Waiting::default(),
            taken: Mutex::default(),
            probe: Mutex::default(),
            answers,
            forged: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            late: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let tasks = Tasks::new();
        let channels = [keys::orders(node), keys::inbox(node), keys::probe(node)];
        tasks.spawn(keep(redis, channels, Arc::clone(&shared)));
        tasks.spawn(send_answers(Arc::clone(&shared), to_send));
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
        let correlation = shared.correlation();
        let (answer, _asked) = shared.waiting.ask(correlation, *to, order.len())?;
        let envelope = Envelope {
            kind: Kind::Order,
            from: shared.node,
            correlation,
            deadline: shared.clock.now() + limit.as_millis() as u64,
            body: order,
        };
        let (channel, payload) = (keys::orders(*to), shared.seal.close(*to, &envelope));
        let exchange = async {
            let published = async {
                shared.publish_order(&channel, &payload).await?;
                // From here on only the answer counts.
                std::future::pending::<Result<Bytes, BusError>>().await
            };
            tokio::select! {
                biased;
                answer = answer => answer.map_err(|_| BusError::Unanswered),
                failed = published => failed,
            }
        };
        match timeout_at(expires, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(BusError::Unanswered),
        }
    }

    fn deaf(&self) -> Option<String> {
        self.shared.ear.deaf()
    }
}

impl Shared {
    fn correlation(&self) -> Correlation {
        let mut correlation = [0; 16];
        correlation.copy_from_slice(&(self.random)()[..16]);
        correlation
    }

    /// Publishes an order until Redis says that it did. Where Redis did not answer it may have passed the order on, or not; it is
    /// the same order when it comes again, and taken once. Fails only where it surely reached nobody.
    async fn publish_order(&self, channel: &str, payload: &[u8]) -> Result<(), BusError> {
        let mut pause = FIRST_PAUSE;
        let mut sure = true;
        loop {
            match self.redis.publish(channel.as_bytes(), payload).await {
                // A replica or another master may know of subscribers that this server does not.
                Ok(0) if sure && self.redis.topology() == Topology::Standalone => {
                    let why = "it hears nothing in Redis".to_owned();
                    return Err(BusError::Unreachable(why));
                }
                Err(StoreError::Refused(why)) if sure => {
                    return Err(BusError::Unreachable(format!("Redis refuses: {why}")));
                }
                Ok(_) | Err(StoreError::Refused(_)) => return Ok(()),
                Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => sure = false,
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Publishes an answer until Redis says that it did, or nobody waits for it any more.
    async fn publish_answer(&self, answer: Sealed) {
        let mut pause = FIRST_PAUSE;
        let channel = keys::inbox(answer.to);
        while self.clock.now() <= answer.deadline {
            match self
                .redis
                .publish(channel.as_bytes(), &answer.payload)
                .await
            {
                Ok(_) => return,
                Err(StoreError::Refused(_)) => break,
                Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => {}
            }
            sleep(pause).await;
            pause *= 2;
        }
        // Whoever asked is told that it is unknown.
        count(&self.dropped);
    }

    fn act(&self, order: Envelope) {
        let admission = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.admit(&order, self.clock.now())
        };
        match admission {
            Admission::Yes => {}
            Admission::Late => return count(&self.late),
            Admission::Again => return count(&self.repeated),
            Admission::Full => return count(&self.dropped),
        }
        let Some(body) = self.inbox.receive(order.from, order.body) else {
            return;
        };
        if body.len() > self.max_order {
            return count(&self.dropped);
        }
        let answer = Envelope {
            kind: Kind::Answer,
            from: self.node,
            correlation: order.correlation,
            deadline: order.deadline,
            body,
        };
        let answer = Sealed {
            to: order.from,
            deadline: order.deadline,
            payload: self.seal.close(order.from, &answer),
        };
        if self.answers.try_send(answer).is_err() {
            count(&self.dropped);
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

    fn hear(self: &Arc<Self>, channel: &[u8], payload: Vec<u8>) {
        let Some(envelope) = self.seal.open(self.node, payload) else {
            return count(&self.forged);
        };
        let fits = match envelope.kind {
            Kind::Order => channel == keys::orders(self.node).as_bytes(),
            Kind::Answer => channel == keys::inbox(self.node).as_bytes(),
            Kind::Probe => {
                let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
                envelope.from == self.node && *probe == envelope.correlation
            }
        };
        if !fits {
            return count(&self.forged);
        }
        self.ear.heard();
        match envelope.kind {
            Kind::Order => self.act(envelope),
            Kind::Answer => self.waiting.answer(envelope),
            Kind::Probe => {}
        }
    }

    fn probe(&self) -> (String, Vec<u8>) {
        let correlation = self.correlation();
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = correlation;
        let probe = Envelope {
            kind: Kind::Probe,
            from: self.node,
            correlation,
            deadline: 0,
            body: Bytes::new(),
        };
        (keys::probe(self.node), self.seal.close(self.node, &probe))
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

/// Sends answers, many at once.
async fn send_answers(shared: Arc<Shared>, mut answers: mpsc::Receiver<Sealed>) {
    let mut sending = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = sending.next() => {}
            answer = answers.recv(), if sending.len() < ANSWERS_AT_ONCE => {
                let Some(answer) = answer else {
                    return;
                };
                sending.push(shared.publish_answer(answer));
            }
        }
    }
}
