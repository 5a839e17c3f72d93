//! What the registry remembers.

use std::sync::Arc;

use gateway_core::call::Connection;
use gateway_core::id::NodeId;

/// What the registry remembers of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// The facts of its handshake. Its id names the incarnation that holds, or held, its socket.
    pub connection: Arc<Connection>,
}

impl ConnectionRecord {
    /// The incarnation that holds, or held, the socket.
    pub fn node(&self) -> NodeId {
        self.connection.id.node()
    }
}

/// What an incarnation of a node tells the others of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Which incarnation.
    pub id: NodeId,
    /// Of the machine, for people.
    pub hostname: String,
    /// Of Wiregate.
    pub version: String,
    /// Where other nodes reach it directly (`host:port`); `None` where they do not.
    pub link: Option<String>,
    /// In milliseconds of the epoch.
    pub started_at: u64,
}

/// One incarnation, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Which.
    pub id: NodeId,
    /// What it told of itself; `None` once its lease lapsed.
    pub info: Option<NodeInfo>,
    /// Milliseconds since it last renewed, by the store's clock.
    pub silent_for: u64,
    /// Connections registered for it.
    pub connections: u64,
}
