//! The port of the registry: who is connected where, and which nodes are alive.

use async_trait::async_trait;
use gateway_core::id::{ConnectionId, NodeId};
use thiserror::Error;

use crate::{ConnectionRecord, NodeEntry, NodeInfo};

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is there.
    Done,
    /// This node was declared dead: close everything, start as a new incarnation.
    Fenced,
}

/// What a node's lease is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Held all along.
    Held,
    /// It had lapsed, or the store lost its data: register everything again.
    Lapsed,
    /// This node was declared dead and must never act again.
    Fenced,
}

/// What a renewal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// What the lease is worth.
    pub lease: Lease,
    /// The store's clock, in milliseconds of the epoch.
    pub time: u64,
    /// How many connections the store knows of this node.
    pub registered: u64,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It holds its lease.
    Live,
    /// It was declared dead, or left in good order, and never acts again.
    Fenced,
    /// Nobody has heard of it for longer than any mark of it would last, and the store has not lost its data since:
    /// no node with this name can be alive unless it is cut off from the store.
    Absent,
    /// Neither is known. A missing key proves nothing.
    Unknown,
}

/// What came of declaring a node dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// From now on it can never act again.
    Fenced,
    /// It holds its lease after all.
    Alive,
}

/// How far a burial has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burial {
    /// So many ends were written to the outbox; there are more.
    More(usize),
    /// These were the last, and the node is forgotten but for its fence.
    Done(usize),
    /// Another node is at it.
    Taken,
}

/// Which connections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this API's.
    pub api_id: Option<String>,
    /// Only this stage's.
    pub stage: Option<String>,
    /// Only this node's.
    pub node: Option<NodeId>,
}

impl Filter {
    /// Whether a record is wanted.
    pub fn admits(&self, record: &ConnectionRecord) -> bool {
        let connection = &record.connection;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.api_id, &connection.api_id)
            && is(&self.stage, &connection.stage)
            && self.node.is_none_or(|node| node == record.node())
    }
}

/// Where a listing begins and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only ids after this one.
    pub after: Option<ConnectionId>,
    /// At most so many.
    pub limit: usize,
}

/// One page of connections, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The records.
    pub records: Vec<ConnectionRecord>,
    /// Where the next page begins; `None` at the end. A page may be short, even empty, and yet not the last: a store
    /// does not read without bound for a filter that few pass.
    pub next: Option<ConnectionId>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It could not be reached, or did not answer in time: whether it acted is not known.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It answered, and refused: out of memory, no permission, read-only. It did not act.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// It answered something that makes no sense.
    #[error("the store holds something it should not: {0}")]
    Corrupt(String),
}

/// The registry of connections and nodes.
///
/// Every call ends within the store's time limit. An error other than [`StoreError::Refused`] leaves open whether the call
/// took effect; all of them may be repeated.
#[async_trait]
pub trait ConnectionStore: std::fmt::Debug + Send + Sync + 'static {
    /// Before `$connect` runs. All records are of one node. Registering the same again changes nothing. Where the answer is
    /// [`Registration::Fenced`] nothing was written; of more than 1,000 records those before the fence may have been, and are
    /// buried with the rest.
    async fn register(&self, records: &[ConnectionRecord]) -> Result<Registration, StoreError>;

    /// After `$disconnect` was delivered, or `$connect` refused. All ids are of one node; unknown ones are no error.
    async fn unregister(&self, ids: &[ConnectionId]) -> Result<(), StoreError>;

    /// Keeps a node's lease alive, and makes it known with the first call.
    async fn renew(&self, node: &NodeInfo) -> Result<Renewal, StoreError>;

    /// The orderly end of a node that has nothing registered any more: from now on its fate is [`Fate::Fenced`]. What is
    /// registered nevertheless stays, and the node among [`nodes`](Self::nodes), until somebody buries it.
    async fn retire(&self, node: &NodeId) -> Result<(), StoreError>;

    /// What is known of a node. Only [`Fate::Fenced`] and [`Fate::Absent`] permit a 410 for its connections.
    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError>;

    /// All nodes that are not buried, in the order of their ids.
    async fn nodes(&self) -> Result<Vec<NodeEntry>, StoreError>;

    /// Declares a node dead, if its lease has lapsed. Atomic with [`renew`](Self::renew) and [`register`](Self::register): of
    /// these nothing succeeds afterwards.
    async fn fence(&self, node: &NodeId) -> Result<Fencing, StoreError>;

    /// Moves ends of a fenced node's connections to the outbox, `limit` at most, each with `code` and `reason`. To be called
    /// until it says [`Burial::Done`]; for a node that is not fenced it is [`StoreError::Refused`]. One caller at a time does the work, the others read [`Burial::Taken`]. A crash in
    /// between leaves an end in both places, never in none.
    async fn bury(
        &self,
        node: &NodeId,
        end: (u16, &str),
        limit: usize,
    ) -> Result<Burial, StoreError>;

    /// Who is connected. Pages do not overlap; who comes or goes meanwhile may be missed or seen.
    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError>;
}
