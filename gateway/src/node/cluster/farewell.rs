//! The orderly end of a node: what it could not tell is left to the others, and nothing acts in its name afterwards.

use connection_store::{Owed, StoreError};
use gateway_core::session::CloseCause;

use super::{BATCH, Cluster};
use crate::node::Node;

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
    let moved = cluster.bury(&me, &CloseCause::Shutdown).await?;
    Ok(untold.len() + moved)
}
