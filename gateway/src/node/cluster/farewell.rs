//! The orderly end of a node: what it could not tell is left to the others, and nothing acts in its name afterwards.

use connection_store::{Owed, StoreError};
use gateway_core::session::CloseCause;

use super::{BATCH, Cluster};
use crate::node::Node;

/// Leaves the other nodes. `untold` are ends with their causes that no backend took; what else is registered ends with this
/// process. Returns how many ends were left to others.
pub async fn leave(node: &Node, cluster: &Cluster, untold: &[Owed]) -> Result<usize, StoreError> {
    // What it says of others from here on could not be asked for any more.
    node.may_act_until(0);
    if node.registry.differs() {
        // What the store does not know is lost with this process.
        node.registry.reconcile(node.id()).await?;
    }
    for batch in untold.chunks(BATCH) {
        cluster.outbox.put(batch).await?;
    }
    for owed in untold {
        node.registry.unregister(&owed.record.connection.id).await;
    }
    let me = node.id();
    // From here on pushes to what was here are answered 410, by every node.
    cluster.store.retire(&me).await?;
    // What the store holds and is over is nobody's end: it was not told of it, or a registration that was not answered in time
    // came in late. From now on none does.
    node.registry.reconcile(me).await?;
    let moved = cluster.bury(&me, &CloseCause::Shutdown).await?;
    Ok(untold.len() + moved)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use connection_store::{
        BusError, ConnectionRecord, ConnectionStore, MemoryStore, NodeBus, NodeInfo, Outbox,
        StoreClock,
    };
    use gateway_core::call::Connection;
    use gateway_core::id::{ConnectionId, NodeId};

    use super::*;
    use crate::node::{Registry, Roads};

    const ME: NodeId = NodeId([7; 6]);

    /// Roads on which nobody answers.
    #[derive(Debug)]
    pub(in crate::node::cluster) struct Silence;

    #[async_trait]
    impl NodeBus for Silence {
        async fn request(&self, _: &NodeId, _: Bytes, _: Duration) -> Result<Bytes, BusError> {
            Err(BusError::Unanswered)
        }

        fn deaf(&self) -> Option<String> {
            None
        }
    }

    impl Roads for Silence {
        fn meet(&self, _: &[NodeInfo]) {}

        fn heard(&self, _: &NodeId) -> Option<Duration> {
            None
        }

        fn rename(&self, _: NodeId) {}
    }

    fn record(n: u8) -> ConnectionRecord {
        ConnectionRecord {
            connection: Arc::new(Connection {
                id: ConnectionId::new(ME, [n; 16]),
                api_id: "chat".into(),
                stage: "dev".into(),
                connected_at: 0,
                source_ip: [127, 0, 0, 1].into(),
                user_agent: None,
                domain_name: "localhost".into(),
                authorizer: None,
            }),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_ends_that_are_owed_are_left_to_the_others() {
        let second = Duration::from_secs(1);
        let store = Arc::new(MemoryStore::new(second * 10, second * 15, 0));
        let shared = || Arc::clone(&store) as Arc<dyn ConnectionStore>;
        let outbox = Arc::clone(&store) as Arc<dyn Outbox>;
        let clock = Arc::new(StoreClock::new(|| 0, 0));
        let cluster = Cluster::new(shared(), outbox, Arc::new(Silence), clock);
        let node = Node::new(ME, Registry::shared(shared(), false), Some(cluster));
        for n in [1, 2] {
            node.registry.register(record(n)).await.unwrap();
        }
        // Registered while the store was away, and not known to it yet.
        node.registry.store_is(false);
        node.registry.register(record(3)).await.unwrap();
        node.registry.store_is(true);
        // Refused long ago, by a registration that the store did not answer in time and carried out all the same.
        store.register(&[record(4)]).await.unwrap();
        let untold = Owed {
            record: record(1),
            code: 1005,
            reason: "Client-side close frame status not set".to_owned(),
            ended_at: 0,
        };
        let cluster = node.cluster.as_ref().unwrap();
        assert_eq!(leave(&node, cluster, &[untold]).await, Ok(3));
        let claimed = store.claim(10, second).await.unwrap();
        let mut ends: Vec<_> = (claimed.iter())
            .map(|claimed| (claimed.owed.record.clone(), claimed.owed.code))
            .collect();
        ends.sort_by_key(|(record, _)| record.connection.id);
        assert_eq!(
            ends,
            [(record(1), 1005), (record(2), 1001), (record(3), 1001)]
        );
    }
}
