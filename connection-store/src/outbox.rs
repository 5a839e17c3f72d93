//! The port of the outbox: ends of connections that the node which held them can no longer report.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::ConnectionId;

use crate::{ConnectionRecord, StoreError};

/// A `$disconnect` that somebody must deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose end it reports.
    pub record: ConnectionRecord,
    /// `disconnectStatusCode`.
    pub code: u16,
    /// `disconnectReason`.
    pub reason: String,
    /// When the connection ended, or was found to have ended, in milliseconds of the epoch.
    pub ended_at: u64,
}

/// A `$disconnect` that this caller may deliver now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// What.
    pub owed: Owed,
    /// How often it was claimed before.
    pub attempts: u32,
    /// Milliseconds since it came into the outbox.
    pub age: u64,
}

/// A `$disconnect` that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What.
    pub owed: Owed,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong the last time.
    pub why: String,
    /// When it was given up, in milliseconds of the epoch.
    pub given_up_at: u64,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Ends in the outbox, claimed ones included.
    pub waiting: u64,
    /// Milliseconds since the oldest of them came in; 0 where none waits.
    pub oldest: u64,
    /// Dead letters.
    pub dead: u64,
}

/// So many dead letters are kept.
pub const MOST_DEAD: usize = 100_000;

/// Ends that wait until some node has delivered them, one entry for a connection.
#[async_trait]
pub trait Outbox: std::fmt::Debug + Send + Sync + 'static {
    /// Puts ends in. One that waits already stays as it is.
    async fn put(&self, owed: &[Owed]) -> Result<(), StoreError>;

    /// Ends whose time has come, `limit` at most, each for one caller until it is settled, postponed or given up, or until
    /// `hold` is over: then the next caller may have it.
    async fn claim(&self, limit: usize, hold: Duration) -> Result<Vec<Claimed>, StoreError>;

    /// It was delivered. An unknown id is no error.
    async fn settle(&self, id: &ConnectionId) -> Result<(), StoreError>;

    /// It could not be delivered; nobody gets it before `pause` is over. One that was settled meanwhile stays settled.
    async fn postpone(&self, id: &ConnectionId, pause: Duration) -> Result<(), StoreError>;

    /// It becomes a dead letter.
    async fn give_up(&self, id: &ConnectionId, why: &str) -> Result<(), StoreError>;

    /// How much waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Dead letters, those given up first coming first, without the first `skip`, `limit` at most. Of more than
    /// [`MOST_DEAD`] the oldest are forgotten.
    async fn dead(&self, skip: usize, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Puts a dead letter back into the outbox, as if it were new; false where there is none of this id.
    async fn replay(&self, id: &ConnectionId) -> Result<bool, StoreError>;
}
