//! Buries nodes that died: from then on nothing can act in their names, and the ends of their connections are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use connection_store::{Fencing, NodeEntry, StoreError};
use futures_util::future::join_all;
use gateway_core::id::NodeId;
use gateway_core::session::CloseCause;
use gateway_core::tenure::Terms;

use super::{Cluster, Heard};
use crate::node::Node;
use crate::observe::Observe;

/// Looks for nodes whose lease lapsed and that nobody hears, and buries them.
pub(super) async fn reap(node: Arc<Node>, observe: Arc<Observe>, terms: Terms) {
    let Some(cluster) = &node.cluster else {
        return;
    };
    let Ok(nodes) = cluster.store.nodes().await else {
        return;
    };
    let me = node.id();
    for entry in nodes {
        if entry.id == me || entry.info.is_some() || entry.silent_for <= terms.lease {
            continue;
        }
        if let Err(error) = bury(cluster, &observe, me, &entry, terms).await {
            tracing::warn!(node = %entry.id, "a dead node is not buried yet: {error}");
        }
    }
}

async fn bury(
    cluster: &Cluster,
    observe: &Observe,
    me: NodeId,
    entry: &NodeEntry,
    terms: Terms,
) -> Result<(), StoreError> {
    let lost = entry.id;
    if !cluster.is_dead(&lost) {
        if terms.linked && may_be_heard(cluster, me, lost, terms).await {
            tracing::debug!(node = %lost, "a node has lost the store, but may have been heard of late");
            return Ok(());
        }
        if cluster.store.fence(&lost).await? == Fencing::Alive {
            return Ok(());
        }
        cluster.buried(lost);
        observe.metrics.cluster.buried();
        let (silent_ms, connections) = (entry.silent_for, entry.connections);
        tracing::warn!(node = %lost, silent_ms, connections, "a node died; its connections are reported as ended");
    }
    let moved = cluster.bury(&lost, &CloseCause::NodeLost).await?;
    if moved > 0 {
        tracing::info!(node = %lost, ends = moved, "the ends of its connections wait to be told");
    }
    Ok(())
}

/// Whether anybody may have heard the node within a lease: this one, the node itself when asked, or another one. A node that
/// hears from any other that it is heard goes on acting, so it must not be buried by one that merely does not reach it, nor
/// because who heard it is not there any more to say so.
async fn may_be_heard(cluster: &Cluster, me: NodeId, lost: NodeId, terms: Terms) -> bool {
    let lease = Duration::from_millis(terms.lease);
    let of_late = |heard: Option<Duration>| heard.is_some_and(|ago| ago < lease);
    if of_late(cluster.roads.heard(&lost)) {
        return true;
    }
    let limit = lease / 10;
    // Any answer will do; without a name the question would be whether this node may act.
    if cluster.probe(&lost, Some(me), limit).await.is_some() {
        return true;
    }
    let witnesses = cluster.witnesses();
    let others: BTreeSet<NodeId> = (cluster.peers().into_iter())
        .chain(witnesses.iter().copied())
        .filter(|other| *other != me && *other != lost)
        .collect();
    let questions = others.iter().map(|other| async {
        let answer = cluster.probe(other, Some(lost), limit).await;
        answer.map_or_else(|| witnesses.contains(other), |Heard(ago)| of_late(ago))
    });
    join_all(questions).await.contains(&true)
}

#[cfg(test)]
mod tests {
    use connection_store::{ConnectionStore, MemoryStore, Outbox, StoreClock};
    use gateway_core::tenure::OnIsolation;

    use super::*;
    use crate::env;
    use crate::node::cluster::farewell::tests::Silence;

    const ME: NodeId = NodeId([1; 6]);
    const LOST: NodeId = NodeId([2; 6]);
    const OTHER: NodeId = NodeId([3; 6]);

    /// Whether a node that is long silent may be heard by another one that does not answer and renewed its lease so long ago.
    async fn check(other_silent_for: u64) -> bool {
        let terms = Terms {
            lease: 1000,
            linked: true,
            on_isolation: OnIsolation::Hold,
        };
        let second = Duration::from_secs(1);
        let store = Arc::new(MemoryStore::new(second, second * 2, 0));
        let cluster = Cluster::new(
            Arc::clone(&store) as Arc<dyn ConnectionStore>,
            store as Arc<dyn Outbox>,
            Arc::new(Silence),
            Arc::new(StoreClock::new(|| 0, 0)),
        );
        cluster
            .lease
            .store(terms.lease, std::sync::atomic::Ordering::Relaxed);
        let entry = |id, silent_for| NodeEntry {
            id,
            info: None,
            silent_for,
            connections: 0,
        };
        let nodes = [entry(LOST, 5000), entry(OTHER, other_silent_for)];
        cluster.met(ME, &nodes, env::uptime());
        may_be_heard(&cluster, ME, LOST, terms).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_asked_may_have_heard_a_node_until_two_leases_are_over() {
        env::uptime();
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(check(300).await);
        assert!(check(1999).await);
        assert!(!check(2000).await);
    }
}
