//! The registry on Redis.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{ConnectionId, NodeId};
use redis::Value;
use tokio::time::Instant;

use super::client::Redis;
use super::endpoint::{InvalidRedisUrl, RedisUrl, Topology};
use super::script::{Script, Step, scripts};
use super::{keys, pack};
use crate::{
    Burial, ConnectionRecord, ConnectionStore, Fate, Fencing, Filter, Lease, Listing, NodeEntry,
    NodeInfo, Outbox, Owed, Page, Registration, Renewal, StoreError,
};

scripts! {
    REGISTER = "register.lua",
    UNREGISTER = "unregister.lua",
    RENEW = "renew.lua",
    MEET = "meet.lua",
    RETIRE = "retire.lua",
    FENCE = "fence.lua",
    FATE = "fate.lua",
    KNOWN = "known.lua",
    WHOLE_FATE = "fate.lua" then "known.lua",
    EXHUME = "exhume.lua",
    BURY = "bury.lua",
}

/// So many records or ids go in one step: longer ones would keep Redis from others.
pub(super) const MOST_IN_A_STEP: usize = 1_000;

/// The time between two log lines about poison.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What a store on Redis can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisSettings {
    /// How long a lease lasts after its renewal; and the right to bury.
    pub lease: Duration,
    /// A node that nobody knows is [`Fate::Absent`] once the data are so old.
    pub settled_after: Duration,
    /// How long a call may take, connecting included.
    pub timeout: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            settled_after: Duration::from_secs(15),
            timeout: Duration::from_millis(500),
        }
    }
}

/// The registry and the outbox on Redis.
#[derive(Debug)]
pub struct RedisStore {
    pub(super) redis: Redis,
    lease: Duration,
    settled_after: Duration,
    /// Says which store has the right to bury.
    name: [u8; 16],
    poisoned: AtomicU64,
    /// When the log last heard of poison.
    said: Mutex<Option<Instant>>,
}

impl RedisStore {
    /// Connects with the first call, so it can be made while Redis is away.
    pub fn connect(url: RedisUrl, settings: RedisSettings) -> Result<Self, InvalidRedisUrl> {
        Ok(Self::on(Redis::new(url, settings.timeout)?, settings))
    }

    /// On a connection that others share; its limit stands over that of the settings.
    pub fn on(redis: Redis, settings: RedisSettings) -> Self {
        let mut name = [0; 16];
        getrandom::fill(&mut name).expect("the operating system has randomness");
        Self {
            redis,
            lease: settings.lease,
            settled_after: settings.settled_after,
            name,
            poisoned: AtomicU64::new(0),
            said: Mutex::default(),
        }
    }

    /// The connection, for others to share.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// How often something was passed over that none of us wrote.
    pub fn poisoned(&self) -> u64 {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// The log hears of it from time to time: what is poisoned is met again with every renewal.
    pub(super) fn pass_over(&self, poison: &pack::Poison, key: &str) {
        let times = self.poisoned.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| now - said >= SAY_AGAIN) {
            *said = Some(now);
            tracing::error!(key, times, "passed over in Redis: {poison}");
        }
    }

    pub(super) async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        step: Step,
        deadline: Instant,
    ) -> Result<T, StoreError> {
        self.redis.run(script, &step, deadline).await
    }

    async fn forget(&self, node: NodeId, deadline: Instant) -> Result<(), StoreError> {
        let mut command = redis::cmd("ZREM");
        command.arg(keys::NODES).arg(node.to_string());
        self.redis.call_by(&command, deadline).await.map(drop)
    }
}

/// What decides over the life of a node is answered in words, none of which becomes another by a bit that turned.
fn no_word(answer: &str) -> StoreError {
    let answer: String = answer.chars().take(20).collect();
    StoreError::Corrupt(format!("an answer that no step gives: {answer:?}"))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

#[async_trait]
impl ConnectionStore for RedisStore {
    async fn register(&self, records: &[ConnectionRecord]) -> Result<Registration, StoreError> {
        let deadline = self.redis.deadline();
        for records in records.chunks(MOST_IN_A_STEP) {
            let node = records[0].node();
            let step = Step::on([keys::fenced(node), keys::connections(node)])
                .with_number(keys::CONNECTIONS_MILLIS)
                .with_all(records.iter().map(pack::pack_member));
            let done: String = self.run(&REGISTER, step, deadline).await?;
            match &*done {
                "done" => {}
                "fenced" => return Ok(Registration::Fenced),
                _ => return Err(no_word(&done)),
            }
        }
        Ok(Registration::Done)
    }

    async fn unregister(&self, ids: &[ConnectionId]) -> Result<(), StoreError> {
        let deadline = self.redis.deadline();
        for ids in ids.chunks(MOST_IN_A_STEP) {
            let step = Step::on([keys::connections(ids[0].node())])
                .with_all(ids.iter().map(|id| id.random().to_vec()));
            let _: Value = self.run(&UNREGISTER, step, deadline).await?;
        }
        Ok(())
    }

    async fn renew(&self, node: &NodeInfo) -> Result<Renewal, StoreError> {
        let deadline = self.redis.deadline();
        let id = node.id;
        let step = Step::on([keys::fenced(id), keys::lease(id), keys::connections(id)])
            .with_number(millis(self.lease))
            .with(pack::pack_info(node))
            .with_number(keys::CONNECTIONS_MILLIS);
        let (lease, registered, time): (String, u64, u64) =
            self.run(&RENEW, step, deadline).await?;
        let lease = match &*lease {
            "lapsed" => Lease::Lapsed,
            "held" => Lease::Held,
            "fenced" => Lease::Fenced,
            _ => return Err(no_word(&lease)),
        };
        if lease == Lease::Fenced {
            return Ok(Renewal {
                lease,
                time,
                registered,
            });
        }
        let step = Step::on([keys::NODES.to_owned(), keys::BOOT.to_owned()]).with(id.to_string());
        // Masters of a cluster have a clock each; for this key all nodes ask the same one.
        let time = self.run(&MEET, step, deadline).await?;
        Ok(Renewal {
            lease,
            time,
            registered,
        })
    }

    async fn retire(&self, node: &NodeId) -> Result<(), StoreError> {
        let deadline = self.redis.deadline();
        let keys = [
            keys::fenced(*node),
            keys::lease(*node),
            keys::connections(*node),
        ];
        let step = Step::on(keys).with_number(keys::FENCE_SECONDS);
        let left: u64 = self.run(&RETIRE, step, deadline).await?;
        if left == 0 {
            self.forget(*node, deadline).await?;
        }
        Ok(())
    }

    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError> {
        let deadline = self.redis.deadline();
        let own = [
            keys::fenced(*node),
            keys::lease(*node),
            keys::connections(*node),
        ];
        let all = [keys::NODES.to_owned(), keys::BOOT.to_owned()];
        let of = |keys: Vec<String>| Step::on(keys).with(node.to_string());
        // Anybody can make up an id: what it costs to find out is one call, but where two servers have the keys.
        let apart = self.redis.topology() == Topology::Cluster;
        let mut said: (String, i64) = if apart {
            self.run(&FATE, of(own.into()), deadline).await?
        } else {
            let keys = own.into_iter().chain(all.clone()).collect();
            self.run(&WHOLE_FATE, of(keys), deadline).await?
        };
        if apart && said.0 == "nothing" {
            said = self.run(&KNOWN, of(all.into()), deadline).await?;
        }
        let (word, age) = said;
        let settled = u64::try_from(age).is_ok_and(|age| age >= millis(self.settled_after));
        match &*word {
            "fenced" => Ok(Fate::Fenced),
            "live" => Ok(Fate::Live),
            "nobody" if settled => Ok(Fate::Absent),
            "nobody" | "known" | "unknown" => Ok(Fate::Unknown),
            _ => Err(no_word(&word)),
        }
    }

    async fn nodes(&self) -> Result<Vec<NodeEntry>, StoreError> {
        self.entries().await
    }

    async fn fence(&self, node: &NodeId) -> Result<Fencing, StoreError> {
        let step =
            Step::on([keys::fenced(*node), keys::lease(*node)]).with_number(keys::FENCE_SECONDS);
        let fenced: String = self.run(&FENCE, step, self.redis.deadline()).await?;
        match &*fenced {
            "fenced" => Ok(Fencing::Fenced),
            "alive" => Ok(Fencing::Alive),
            _ => Err(no_word(&fenced)),
        }
    }

    async fn bury(
        &self,
        node: &NodeId,
        (code, reason): (u16, &str),
        limit: usize,
    ) -> Result<Burial, StoreError> {
        let deadline = self.redis.deadline();
        let node = *node;
        let connections = keys::connections(node);
        let step = Step::on([keys::reap(node), keys::fenced(node), connections.clone()])
            .with(self.name)
            .with_number(millis(self.lease))
            .with_number(limit.clamp(1, MOST_IN_A_STEP) as u64);
        let mut found: Vec<Vec<u8>> = self.run(&EXHUME, step, deadline).await?;
        match found.first().map(Vec::as_slice) {
            Some(b"taken") => return Ok(Burial::Taken),
            Some(b"alive") => {
                let why = format!("node {node} is not fenced, so it is not buried");
                return Err(StoreError::Refused(why));
            }
            _ => {}
        }
        let now = found.get(1).and_then(|now| str::from_utf8(now).ok());
        let ended_at = (now.and_then(|now| now.parse().ok()))
            .ok_or_else(|| StoreError::Corrupt("no time with the connections".to_owned()))?;
        let members = found.split_off(2);
        let mut ends = Vec::with_capacity(members.len());
        for member in &members {
            match pack::unpack_member(node, member) {
                Ok(record) => ends.push(Owed {
                    record,
                    code,
                    reason: reason.to_owned(),
                    ended_at,
                }),
                Err(poison) => self.pass_over(&poison, &connections),
            }
        }
        // First in, then out: a crash in between leaves an end in both places.
        self.put(&ends).await?;
        let step = Step::on([keys::reap(node), connections])
            .with(self.name)
            .with_all(members);
        let left: u64 = self.run(&BURY, step, self.redis.deadline()).await?;
        if left > 0 {
            return Ok(Burial::More(ends.len()));
        }
        self.forget(node, self.redis.deadline()).await?;
        Ok(Burial::Done(ends.len()))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        self.page(filter, page).await
    }
}
