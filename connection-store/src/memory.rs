//! The registry of one node: what it knows ends with the process, and so do its connections.

use async_trait::async_trait;
use dashmap::DashMap;
use gateway_core::id::{ConnectionId, EventId, NodeId};

use crate::{
    ConnectionRecord, ConnectionStore, Fate, Filter, Lease, Listing, Owed, Page, Registration,
    StoreError,
};

/// Records in memory, shared by the threads of one process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: DashMap<ConnectionId, ConnectionRecord>,
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

    /// The store and the node are one process: a node that asks is alive, and any other is a life that ended with
    /// its memory.
    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError> {
        let known = self.records.iter().any(|entry| entry.node == *node);
        Ok(if known { Fate::Live } else { Fate::Unknown })
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
    async fn memory_keeps_the_contract() {
        crate::contract::all(&MemoryStore::default()).await;
    }
}
