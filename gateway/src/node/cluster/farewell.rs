//! The orderly end of a node: what it could not tell is left to the others, and nothing acts in its name afterwards.

use connection_store::{Burial, Owed, StoreError};
use gateway_core::session::CloseCause;

use super::Cluster;
use crate::node::Node;

/// Ends moved to the outbox at once.
const BATCH: usize = 500;

/// Leaves the other nodes. `untold` are ends with their causes that no backend took; what else is registered ends with this
/// process. Returns how many ends were left to others.
pub async fn leave(node: &Node, cluster: &Cluster, untold: &[Owed]) -> Result<usize, StoreError> {
    if node.registry.differs() {
        // What the store holds and is over would be told as lost by whoever buries the rest.
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
    let cause = CloseCause::Shutdown;
    let mut left = untold.len();
    loop {
        match cluster
            .store
            .bury(&me, (cause.code(), cause.reason()), BATCH)
            .await?
        {
            Burial::More(count) => left += count,
            Burial::Done(count) => return Ok(left + count),
            // Another node saw the fence first and does the rest.
            Burial::Taken => return Ok(left),
        }
    }
}
