//! What Wiregate's nodes share: the registry of connections, what dead nodes left undone, the way between nodes, documents.
//!
//! Four ports say what every backend promises: [`ConnectionStore`], [`Outbox`], [`NodeBus`], [`DocumentStore`]. `contract`
//! holds the tests that each of them must pass. The only crate that knows Redis.

mod bus;
mod clock;
mod documents;
mod frame;
mod key;
mod link;
mod memory;
mod outbox;
mod record;
mod redis;
mod roads;
mod seal;
mod store;
mod tasks;

pub use self::redis::{
    Heard, InvalidRedisUrl, Redis, RedisBus, RedisBusCounts, RedisBusSettings, RedisDocuments,
    RedisSettings, RedisStore, RedisUrl, Subscriber, Topology,
};
pub use bus::{BusError, Inbox, NodeBus};
pub use clock::StoreClock;
pub use documents::{
    Change, Committed, DiskDocuments, DiskError, DocumentError, DocumentStore, Documents,
    HIGHEST_REVISION, LARGEST_COMMIT, LONGEST_KEY, LONGEST_TEXT, LocalDocuments, MOST_CHANGES,
    MemoryDocuments, Unfit, Versioned, Warning,
};
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
