//! The port of the way between nodes.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::NodeId;
use thiserror::Error;

/// Why an order has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BusError {
    /// It never left, or reached nobody: the other node did not act, and will not.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came in time: whether the other node acted is not known.
    #[error("the node did not answer in time")]
    Unanswered,
    /// Too much is under way to this node already. It did not act.
    #[error("too much is under way to the node")]
    Busy,
    /// The order is larger than this road carries. It did not act.
    #[error("an order of {0} bytes is too large")]
    TooLarge(usize),
}

/// Carries orders to other nodes and brings their answers back.
///
/// Both are bytes here; what they mean is for the caller. Each order is acted upon at most once. Orders that one caller sends
/// to one node, each after the answer to the one before, are acted upon in their order. Only nodes that know the cluster's secret
/// can send an order or an answer that is believed.
#[async_trait]
pub trait NodeBus: std::fmt::Debug + Send + Sync + 'static {
    /// Sends an order and waits for its answer. The other node drops what reaches it after `limit`, by the clock that
    /// all nodes share, so that nothing happens once the caller has been told that it is unknown. Ends at `limit`
    /// and a quarter of a second at the latest.
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError>;

    /// What is wrong with hearing orders on this road; `None` while all is well. End to end: it has lately heard itself, or others.
    fn deaf(&self) -> Option<String>;
}

/// Who acts on orders that arrive.
pub trait Inbox: std::fmt::Debug + Send + Sync + 'static {
    /// Acts on an order from another node, and says what to answer; `None` leaves it unanswered. Must not block.
    fn receive(&self, from: NodeId, order: Bytes) -> Option<Bytes>;
}
