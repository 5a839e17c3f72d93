//! What Wiregate's nodes share: the registry of connections, the way between nodes, documents.
//!
//! The ports say what every backend promises; `contract` holds the tests that each of them must pass.
//! The only crate that will know Redis.

mod memory;

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, EventId, NodeId};
use thiserror::Error;

pub use memory::MemoryStore;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

/// What the registry remembers of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// The facts of its handshake.
    pub connection: Arc<Connection>,
    /// The incarnation that holds its socket.
    pub node: NodeId,
}

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

/// What is known of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It holds its lease.
    Live,
    /// It was declared dead and never acts again.
    Fenced,
    /// Neither is known; a missing key proves nothing.
    Unknown,
}

/// A `$disconnect` that a dead node left undelivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The same for every delivery.
    pub event: EventId,
    /// Whose end it reports.
    pub record: ConnectionRecord,
}

/// Which connections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this API's.
    pub api_id: Option<String>,
    /// Only this stage's.
    pub stage: Option<String>,
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
    /// Where the next page begins; `None` at the end.
    pub next: Option<ConnectionId>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It could not be reached, or did not answer: whether it acted is not known.
    #[error("the connection store is unavailable: {0}")]
    Unavailable(String),
    /// It answered something that makes no sense.
    #[error("the connection store holds something it should not: {0}")]
    Corrupt(String),
}

/// The registry of connections.
#[async_trait]
pub trait ConnectionStore: std::fmt::Debug + Send + Sync + 'static {
    /// Before `$connect` runs. Registering the same record again changes nothing.
    async fn register(&self, record: ConnectionRecord) -> Result<Registration, StoreError>;

    /// After `$disconnect` was delivered, or `$connect` refused. An unknown id is no error.
    async fn unregister(&self, id: &ConnectionId) -> Result<(), StoreError>;

    /// Keeps a node's lease alive.
    async fn renew(&self, node: &NodeId) -> Result<Lease, StoreError>;

    /// What is known of a node. Only [`Fate::Fenced`] permits a 410 for its connections.
    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError>;

    /// `$disconnect`s owed by fenced nodes, each claimed by one caller until `settle` or a time limit.
    async fn claim_owed(&self, limit: usize) -> Result<Vec<Owed>, StoreError>;

    /// An owed `$disconnect` was delivered.
    async fn settle(&self, event: &EventId) -> Result<(), StoreError>;

    /// Who is connected. Pages do not overlap; who comes or goes meanwhile may be missed or seen.
    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError>;
}
