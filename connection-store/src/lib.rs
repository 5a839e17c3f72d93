//! What Wiregate's nodes share: the registry of connections, what dead nodes left undone, the way between nodes.
//!
//! Three ports say what every backend promises: [`ConnectionStore`], [`Outbox`], [`NodeBus`]. `contract` holds the tests
//! that each of them must pass. The only crate that knows Redis.

mod bus;
mod clock;
mod key;
mod link;
mod memory;
mod outbox;
mod record;
mod redis;
mod roads;
mod store;
mod tasks;

pub use self::redis::{
    Heard, InvalidRedisUrl, Redis, RedisBus, RedisBusCounts, RedisBusSettings, RedisSettings,
    RedisStore, RedisUrl, Subscriber, Topology,
};
pub use bus::{BusError, Inbox, NodeBus};
pub use clock::StoreClock;
pub use key::{ClusterKey, ShortSecret};
pub use link::{LinkBus, LinkCounts, LinkSettings, LinkTls};
pub use memory::{MemoryStore, Snapshot};
pub use outbox::{Backlog, Claimed, DeadLetter, MOST_DEAD, Outbox, Owed};
pub use record::{ConnectionRecord, NodeEntry, NodeInfo};
pub use roads::Roads;
pub use store::{
    Burial, ConnectionStore, Fate, Fencing, Filter, Lease, Listing, Page, Registration, Renewal,
    StoreError,
};

#[cfg(any(test, feature = "contract"))]
pub mod contract;
