//! Acts on what other nodes ask.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use connection_store::Inbox;
use gateway_core::id::NodeId;

use super::wire::{self, Answer, Request};
use crate::node::Node;

/// The door of other nodes. It is made before its node, since the node's roads lead to it.
#[derive(Debug, Default)]
pub struct NodeInbox(OnceLock<Weak<Node>>);

impl NodeInbox {
    /// From now on orders are for this node.
    pub fn open(&self, node: &Arc<Node>) {
        let _ = self.0.set(Arc::downgrade(node));
    }
}

impl Inbox for NodeInbox {
    fn receive(&self, from: NodeId, order: Bytes) -> Option<Bytes> {
        let node = self.0.get()?.upgrade()?;
        let answer = match wire::read_request(order) {
            Ok(Request::Order { id, reach, order }) => {
                Answer::Done(node.deliver(&id, reach.as_ref(), &order))
            }
            Ok(Request::Probe { about }) => {
                let cluster = node.cluster.as_ref()?;
                // Who asks about itself wants to know whether it may act. Two that slept must not wake each other, and one that
                // was buried while it slept may not reach the store that knows better.
                let goes_on = cluster.vouches_for(from);
                if about.is_none() && !(node.is_acting() && goes_on) {
                    return None;
                }
                Answer::Heard(about.and_then(|about| cluster.roads.heard(&about)))
            }
            Err(error) => {
                tracing::warn!(%from, "{error}");
                return None;
            }
        };
        Some(wire::answer(&answer))
    }
}
