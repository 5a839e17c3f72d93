//! The subscription of a bus: kept open, and believed to work only while it hears something.
//!
//! A half-open connection says nothing, and PUBLISH goes on counting it as a subscriber. So the node publishes to itself, on
//! the way that orders take, whenever it heard nothing for a while; where it does not hear that, the connection is replaced.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::client::Redis;
use super::dial::{Heard, Subscriber};
use super::endpoint::Topology;
use crate::StoreError;

/// After such a silence the node speaks to itself; after two such without an echo the connection is replaced.
const SILENCE: Duration = Duration::from_secs(1);
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What the subscription and its owner tell each other.
#[derive(Debug)]
pub(super) struct Ear {
    born: Instant,
    /// When something was last heard that only a node with the secret can have said; microseconds after `born`.
    heard: AtomicU64,
    deaf: AtomicBool,
    why: Mutex<String>,
    /// Which connection is the current one; what an earlier one still has to say is not about it.
    current: AtomicU64,
    /// The current connection is lost.
    lost: Notify,
    /// How often a connection was opened.
    opened: AtomicU64,
}

/// What hears and speaks for an [`Ear`].
pub(super) trait Head: Send + Sync + 'static {
    fn ear(&self) -> &Ear;
    /// Takes what came on the channel. Must not block.
    fn hear(self: &Arc<Self>, payload: Vec<u8>);
    /// What to say to oneself: channel and payload.
    fn probe(&self) -> (&str, Vec<u8>);
}

impl Ear {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            heard: AtomicU64::new(0),
            deaf: AtomicBool::new(true),
            why: Mutex::new("it has not yet subscribed in Redis".to_owned()),
            current: AtomicU64::new(0),
            lost: Notify::new(),
            opened: AtomicU64::new(0),
        }
    }

    /// Something was heard that none but a node of this cluster can have said.
    pub(super) fn heard(&self) {
        let since = self.born.elapsed().as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.heard.store(since, Ordering::Relaxed);
        self.deaf.store(false, Ordering::Relaxed);
    }

    /// What is wrong; `None` while all is well.
    pub(super) fn deaf(&self) -> Option<String> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner);
        self.deaf.load(Ordering::Relaxed).then(|| why().clone())
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn close(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.deaf.store(true, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let heard = Duration::from_micros(self.heard.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(heard)
    }
}

/// Keeps a subscription for ever.
pub(super) async fn keep(redis: Redis, channel: String, head: Arc<impl Head>) {
    let mut pause = PAUSES.0;
    loop {
        match open(&redis, &channel, &head).await {
            Ok(subscriber) => {
                let began = Instant::now();
                head.ear().opened.fetch_add(1, Ordering::Relaxed);
                let why = attend(&redis, &*head).await;
                drop(subscriber);
                head.ear().close(why);
                if began.elapsed() > 3 * SILENCE {
                    pause = PAUSES.0;
                }
            }
            Err(error) => head.ear().close(format!("it cannot subscribe: {error}")),
        }
        sleep(pause).await;
        pause = (2 * pause).min(PAUSES.1);
    }
}

async fn open(
    redis: &Redis,
    channel: &str,
    head: &Arc<impl Head>,
) -> Result<Subscriber, StoreError> {
    let mends_itself = redis.topology() == Topology::Cluster;
    let hearing = Arc::downgrade(head);
    let current = head.ear().current.fetch_add(1, Ordering::Relaxed) + 1;
    let _forgotten = timeout(Duration::ZERO, head.ear().lost.notified()).await;
    let hear = move |heard| {
        let Some(head) = hearing.upgrade() else {
            return;
        };
        match heard {
            Heard::Message { payload, .. } => head.hear(payload),
            Heard::Lost => {
                let ear = head.ear();
                if !mends_itself && ear.current.load(Ordering::Relaxed) == current {
                    ear.lost.notify_one();
                }
            }
        }
    };
    let mut subscriber = redis.subscriber(hear).await?;
    subscriber.hear(channel.as_bytes()).await?;
    Ok(subscriber)
}

/// Returns once the connection is lost, or silent though it was spoken to.
async fn attend(redis: &Redis, head: &impl Head) -> String {
    let ear = head.ear();
    let mut unheard = 0;
    // At once, so that a new connection soon proves itself.
    let mut wait = Duration::ZERO;
    loop {
        if timeout(wait, ear.lost.notified()).await.is_ok() {
            return "its subscription was cut off".to_owned();
        }
        let silence = ear.silence();
        if wait > Duration::ZERO && silence < SILENCE {
            unheard = 0;
            wait = SILENCE.saturating_sub(silence);
            continue;
        }
        if unheard == 2 {
            return "it does not hear what it says to itself".to_owned();
        }
        unheard += 1;
        let asked = Instant::now();
        let (channel, payload) = head.probe();
        // Redis being away is no reason for another wait than its silence would be.
        let _told = redis.publish(channel.as_bytes(), &payload).await;
        wait = SILENCE.saturating_sub(asked.elapsed());
    }
}
