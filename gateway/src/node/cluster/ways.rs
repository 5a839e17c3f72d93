//! The roads to the other nodes, as one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use connection_store::{BusError, LinkBus, NodeBus, NodeInfo};
use gateway_core::id::NodeId;

use super::Roads;

/// The direct link.
#[derive(Debug)]
pub struct Ways {
    link: Arc<LinkBus>,
}

impl Ways {
    /// With nothing known of other nodes yet.
    pub fn new(link: Arc<LinkBus>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl NodeBus for Ways {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        self.link.request(to, order, limit).await
    }

    fn deaf(&self) -> Option<String> {
        self.link.deaf()
    }
}

impl Roads for Ways {
    fn meet(&self, nodes: &[NodeInfo]) {
        let address = |info: &NodeInfo| Some((info.id, info.link.clone()?));
        self.link.set_peers(nodes.iter().filter_map(address));
    }

    fn heard(&self, node: &NodeId) -> Option<Duration> {
        self.link.heard(node)
    }

    fn rename(&self, me: NodeId) {
        self.link.rename(me);
    }
}
