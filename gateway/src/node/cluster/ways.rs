//! The roads to the other nodes, as one: the direct link, and the one through the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use connection_store::{BusError, LinkBus, NodeBus, NodeInfo, Roads as Chosen};
use gateway_core::id::NodeId;

use super::Roads;

type Make = dyn Fn(NodeId) -> Arc<dyn NodeBus> + Send + Sync;

/// Both roads, and how the second one is laid anew for another incarnation.
pub struct Ways {
    link: Arc<LinkBus>,
    chosen: ArcSwap<Chosen>,
    through_store: Box<Make>,
}

impl Ways {
    /// With nothing known of other nodes yet. `through_store` lays the road that needs no address, for the incarnation that it
    /// is given; it is called on the runtime of [`Life`](super::Life).
    pub fn new(
        me: NodeId,
        link: Arc<LinkBus>,
        through_store: impl Fn(NodeId) -> Arc<dyn NodeBus> + Send + Sync + 'static,
    ) -> Self {
        let chosen = Chosen::new(Some(Arc::clone(&link)), through_store(me));
        Self {
            link,
            chosen: ArcSwap::from_pointee(chosen),
            through_store: Box::new(through_store),
        }
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").finish_non_exhaustive()
    }
}

#[async_trait]
impl NodeBus for Ways {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        let chosen = self.chosen.load_full();
        chosen.request(to, order, limit).await
    }

    fn deaf(&self) -> Option<String> {
        self.chosen.load().deaf()
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
        // The old road ends with the last order that is on it.
        let anew = Chosen::new(Some(Arc::clone(&self.link)), (self.through_store)(me));
        self.chosen.store(Arc::new(anew));
    }
}
