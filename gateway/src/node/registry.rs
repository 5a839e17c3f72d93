//! Who is registered as connected to this node: kept here, and in the store that all nodes share.
//!
//! What stands here is the truth. The store is told when a connection comes and when it is over, twice in its life; where
//! it could not be told, or has lost its data, it is brought back to what stands here by [`Registry::reconcile`].

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use connection_store::{
    ConnectionRecord, ConnectionStore, Filter, Listing, Page, Registration, StoreError,
};
use dashmap::DashMap;
use gateway_core::id::{ConnectionId, IdHasher, NodeId};
use thiserror::Error;

/// Records that the store is told or asked about at once.
const BATCH: usize = 512;

/// The connections of this node that are not over, or of whose end a backend has yet to hear.
#[derive(Debug, Default)]
pub struct Registry {
    own: DashMap<ConnectionId, Own, BuildHasherDefault<IdHasher>>,
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Own {
    record: ConnectionRecord,
    /// The store has it.
    confirmed: bool,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn ConnectionStore>,
    /// Who comes while the store is away is refused.
    refuse: bool,
    /// The store answered when it was last asked.
    up: AtomicBool,
    /// The store may not say what stands here.
    differs: AtomicBool,
}

/// Why a connection was not registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotRegistered {
    /// The store is away, and `server.onStoreDown` is `refuse`.
    #[error("the store is away and server.onStoreDown is refuse: {0}")]
    Refused(StoreError),
    /// This node was declared dead.
    #[error("this node was declared dead")]
    Fenced,
}

/// What a reconciliation had to mend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repair {
    /// Connections that the store did not know.
    pub added: usize,
    /// Those that it knew and that are over.
    pub removed: usize,
}

impl Registry {
    /// Of a node that is one of several.
    pub fn shared(store: Arc<dyn ConnectionStore>, refuse: bool) -> Self {
        Self {
            own: DashMap::default(),
            shared: Some(Shared {
                store,
                refuse,
                up: AtomicBool::new(true),
                differs: AtomicBool::new(false),
            }),
        }
    }

    /// Before `$connect` runs.
    pub async fn register(&self, record: ConnectionRecord) -> Result<(), NotRegistered> {
        let id = record.connection.id;
        let own = Own {
            record: record.clone(),
            confirmed: false,
        };
        self.own.insert(id, own);
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let registered = if shared.up.load(Ordering::Acquire) {
            shared.store.register(std::slice::from_ref(&record)).await
        } else {
            Err(StoreError::Unavailable(
                "it did not answer of late".to_owned(),
            ))
        };
        match registered {
            // Taken out while the store was asked: the node was declared dead, and this end is being told already.
            Ok(Registration::Done) if !self.confirm(&id) => Err(NotRegistered::Fenced),
            Ok(Registration::Done) => Ok(()),
            Ok(Registration::Fenced) => {
                self.own.remove(&id);
                Err(NotRegistered::Fenced)
            }
            Err(error) => {
                // It may have been written all the same.
                shared.differs.store(true, Ordering::Release);
                if shared.refuse {
                    self.own.remove(&id);
                    return Err(NotRegistered::Refused(error));
                }
                if !self.own.contains_key(&id) {
                    return Err(NotRegistered::Fenced);
                }
                Ok(())
            }
        }
    }

    /// After `$disconnect` was delivered or handed over, or `$connect` refused.
    pub async fn unregister(&self, id: &ConnectionId) {
        if self.own.remove(id).is_none() {
            return;
        }
        let Some(shared) = &self.shared else {
            return;
        };
        let done = shared.up.load(Ordering::Acquire)
            && shared
                .store
                .unregister(std::slice::from_ref(id))
                .await
                .is_ok();
        if !done {
            shared.differs.store(true, Ordering::Release);
        }
    }

    /// How many stand here.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// True where none does.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Whether the store answers. While it does not, it is not asked about single connections.
    pub fn store_is(&self, up: bool) {
        if let Some(shared) = &self.shared {
            shared.up.store(up, Ordering::Release);
        }
    }

    /// Whether something was not told to the store.
    pub fn differs(&self) -> bool {
        let differs = |shared: &Shared| shared.differs.load(Ordering::Acquire);
        self.shared.as_ref().is_some_and(differs)
    }

    /// What the store was told may be lost.
    pub fn doubt(&self) {
        if let Some(shared) = &self.shared {
            shared.differs.store(true, Ordering::Release);
        }
    }

    /// Makes the store say of `node` what stands here. What changes meanwhile is right, too, at the end.
    pub async fn reconcile(&self, node: NodeId) -> Result<Repair, StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(Repair::default());
        };
        // First: whatever is missed from now on sets it again.
        shared.differs.store(false, Ordering::Release);
        let repaired = self.repair(&*shared.store, node).await;
        if repaired.is_err() {
            shared.differs.store(true, Ordering::Release);
        }
        repaired
    }

    async fn repair(
        &self,
        store: &dyn ConnectionStore,
        node: NodeId,
    ) -> Result<Repair, StoreError> {
        let mut repair = Repair::default();
        let there = self.remove_strangers(store, node, &mut repair).await?;
        // A connection stands here before the store is told, and its end is told after it is gone from here: what
        // was found there and is missing here is over, what is here and was not found may have been on its way.
        let missing: Vec<ConnectionRecord> = self
            .own
            .iter()
            .filter(|entry| entry.record.node() == node && !there.contains(entry.key()))
            .map(|entry| entry.record.clone())
            .collect();
        for batch in missing.chunks(BATCH) {
            if store.register(batch).await? == Registration::Fenced {
                // The next renewal says so, too, and acts upon it.
                return Ok(repair);
            }
            repair.added += batch.len();
            let ids = batch.iter().map(|record| record.connection.id);
            let (here, over): (Vec<_>, Vec<_>) = ids.partition(|id| self.own.contains_key(id));
            for id in &here {
                self.confirm(id);
            }
            if !over.is_empty() {
                store.unregister(&over).await?;
            }
        }
        Ok(repair)
    }

    /// Removes from the store what is over, and returns what is there.
    async fn remove_strangers(
        &self,
        store: &dyn ConnectionStore,
        node: NodeId,
        repair: &mut Repair,
    ) -> Result<HashSet<ConnectionId>, StoreError> {
        let filter = Filter {
            node: Some(node),
            ..Filter::default()
        };
        let (mut there, mut after) = (HashSet::new(), None);
        loop {
            let page = Page {
                after,
                limit: BATCH,
            };
            let listing = store.list(&filter, page).await?;
            let mut over = Vec::new();
            for record in &listing.records {
                let id = record.connection.id;
                if self.confirm(&id) {
                    there.insert(id);
                } else {
                    over.push(id);
                }
            }
            if !over.is_empty() {
                store.unregister(&over).await?;
                repair.removed += over.len();
            }
            after = listing.next;
            if after.is_none() {
                return Ok(there);
            }
        }
    }

    /// The store has it; false where it does not stand here.
    fn confirm(&self, id: &ConnectionId) -> bool {
        let own = self.own.get_mut(id);
        own.map(|mut own| own.confirmed = true).is_some()
    }

    /// Forgets all connections of an incarnation that was declared dead, and returns those of which the store, and
    /// therefore whoever buried it, never knew.
    pub fn void(&self, node: NodeId) -> Vec<ConnectionRecord> {
        let mut unknown = Vec::new();
        self.own.retain(|id, own| {
            let other = id.node() != node;
            if !other && !own.confirmed {
                unknown.push(own.record.clone());
            }
            other
        });
        unknown
    }

    /// Who is connected: here, where this node is alone, else anywhere.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        if let Some(shared) = &self.shared {
            return shared.store.list(filter, page).await;
        }
        let mut records: Vec<ConnectionRecord> = self
            .own
            .iter()
            .filter(|entry| page.after.is_none_or(|after| *entry.key() > after))
            .filter(|entry| filter.admits(&entry.record))
            .map(|entry| entry.record.clone())
            .collect();
        records.sort_unstable_by_key(|record| record.connection.id);
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next = records.last().filter(|_| more);
        let next = next.map(|record| record.connection.id);
        Ok(Listing { records, next })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use connection_store::{MemoryStore, NodeInfo};
    use gateway_core::call::Connection;

    use super::*;

    const NODE: NodeId = NodeId([7; 6]);

    fn record(n: u8) -> ConnectionRecord {
        ConnectionRecord {
            connection: Arc::new(Connection {
                id: ConnectionId::new(NODE, [n; 16]),
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

    fn store() -> Arc<MemoryStore> {
        let second = Duration::from_secs(1);
        Arc::new(MemoryStore::new(second * 10, second * 15, 0))
    }

    async fn listed(store: &dyn ConnectionStore) -> Vec<u8> {
        let page = Page {
            after: None,
            limit: 10_000,
        };
        let listing = store.list(&Filter::default(), page).await.unwrap();
        let last = |record: &ConnectionRecord| record.connection.id.encode()[30];
        listing.records.iter().map(last).collect()
    }

    #[tokio::test]
    async fn the_store_is_brought_back_to_what_stands_here() {
        let store = store();
        let registry = Registry::shared(Arc::clone(&store) as Arc<dyn ConnectionStore>, false);
        registry.register(record(1)).await.unwrap();
        assert!(!registry.differs());
        // Away: one comes, one goes.
        registry.store_is(false);
        registry.register(record(2)).await.unwrap();
        registry.unregister(&record(1).connection.id).await;
        assert!(registry.differs());
        registry.store_is(true);
        let repair = registry.reconcile(NODE).await.unwrap();
        let (added, removed) = (1, 1);
        assert_eq!(repair, Repair { added, removed });
        assert_eq!(listed(&*store).await.len(), 1);
        assert!(!registry.differs());
        // Everything lost.
        store.flush();
        let repair = registry.reconcile(NODE).await.unwrap();
        assert_eq!((repair.added, repair.removed), (1, 0));
        assert_eq!(registry.reconcile(NODE).await.unwrap(), Repair::default());
    }

    #[tokio::test]
    async fn a_thousand_are_registered_again_in_batches() {
        let store = store();
        let registry = Registry::shared(Arc::clone(&store) as Arc<dyn ConnectionStore>, false);
        for n in 0..1_300_u16 {
            let mut one = Connection::clone(&record(0).connection);
            let mut random = [0; 16];
            random[..2].copy_from_slice(&n.to_be_bytes());
            one.id = ConnectionId::new(NODE, random);
            let connection = Arc::new(one);
            registry
                .register(ConnectionRecord { connection })
                .await
                .unwrap();
        }
        store.flush();
        assert_eq!(registry.reconcile(NODE).await.unwrap().added, 1_300);
        assert_eq!(listed(&*store).await.len(), 1_300);
    }

    #[tokio::test]
    async fn who_comes_while_the_store_is_away_may_be_refused() {
        let registry = Registry::shared(store(), true);
        registry.store_is(false);
        let refused = registry.register(record(1)).await;
        assert!(matches!(refused, Err(NotRegistered::Refused(_))));
        assert!(registry.is_empty());
    }

    #[tokio::test]
    async fn a_dead_node_registers_nobody_and_knows_whom_its_grave_digger_missed() {
        let store = store();
        let registry = Registry::shared(Arc::clone(&store) as Arc<dyn ConnectionStore>, false);
        let info = NodeInfo {
            id: NODE,
            hostname: String::new(),
            version: String::new(),
            link: None,
            started_at: 0,
        };
        store.renew(&info).await.unwrap();
        registry.register(record(1)).await.unwrap();
        registry.store_is(false);
        registry.register(record(2)).await.unwrap();
        registry.store_is(true);
        store.retire(&NODE).await.unwrap();
        let refused = registry.register(record(3)).await;
        assert_eq!(refused, Err(NotRegistered::Fenced));
        assert_eq!(registry.void(NODE), [record(2)]);
        assert!(registry.is_empty());
    }

    #[tokio::test]
    async fn alone_the_registry_lists_its_own() {
        let registry = Registry::default();
        for n in [3, 1, 2] {
            registry.register(record(n)).await.unwrap();
        }
        let page = Page {
            after: Some(record(1).connection.id),
            limit: 1,
        };
        let listing = registry.list(&Filter::default(), page).await.unwrap();
        assert_eq!(listing.records, [record(2)]);
        assert_eq!(listing.next, Some(record(2).connection.id));
        registry.unregister(&record(2).connection.id).await;
        assert_eq!(registry.len(), 2);
    }
}
