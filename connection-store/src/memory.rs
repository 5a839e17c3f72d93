//! The registry of one node: what it knows ends with the process, and so do its connections.

use std::hash::BuildHasherDefault;

use async_trait::async_trait;
use dashmap::DashMap;
use gateway_core::id::{ConnectionId, EventId, IdHasher, NodeId};

use crate::{
    ConnectionRecord, ConnectionStore, Fate, Filter, Lease, Listing, Owed, Page, Registration,
    StoreError,
};

/// Records in memory, shared by the threads of one process.
#[derive(Debug)]
pub struct MemoryStore {
    node: NodeId,
    records: DashMap<ConnectionId, ConnectionRecord, BuildHasherDefault<IdHasher>>,
}

impl MemoryStore {
    /// An empty registry of this one node.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            records: DashMap::default(),
        }
    }
}

#[async_trait]
impl ConnectionStore for MemoryStore {
    async fn register(&self, record: ConnectionRecord) -> Result<Registration, StoreError> {
        self.records.insert(record.connection.id, record);
        Ok(Registration::Done)
    }

    async fn unregister(&self, id: &ConnectionId) -> Result<(), StoreError> {
        self.records.remove(id);
        Ok(())
    }

    async fn renew(&self, _node: &NodeId) -> Result<Lease, StoreError> {
        Ok(Lease::Held)
    }

    /// The store and its node are one process, so any other node is an earlier life of it and never acts again.
    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError> {
        Ok(if *node == self.node {
            Fate::Live
        } else {
            Fate::Fenced
        })
    }

    async fn claim_owed(&self, _limit: usize) -> Result<Vec<Owed>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle(&self, _event: &EventId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        let wanted = |record: &ConnectionRecord| {
            let connection = &record.connection;
            page.after.is_none_or(|after| connection.id > after)
                && filter
                    .api_id
                    .as_deref()
                    .is_none_or(|api| *connection.api_id == *api)
                && filter
                    .stage
                    .as_deref()
                    .is_none_or(|stage| *connection.stage == *stage)
        };
        let mut records: Vec<ConnectionRecord> = self
            .records
            .iter()
            .filter(|entry| wanted(entry))
            .map(|entry| entry.clone())
            .collect();
        records.sort_unstable_by_key(|record| record.connection.id);
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next = records
            .last()
            .filter(|_| more)
            .map(|record| record.connection.id);
        Ok(Listing { records, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_earlier_life_of_the_process_is_certainly_over() {
        let store = MemoryStore::new(NodeId([1; 6]));
        assert_eq!(store.fate(&NodeId([1; 6])).await, Ok(Fate::Live));
        assert_eq!(store.fate(&NodeId([2; 6])).await, Ok(Fate::Fenced));
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        crate::contract::all(&MemoryStore::new(NodeId([7; 6]))).await;
    }
}
