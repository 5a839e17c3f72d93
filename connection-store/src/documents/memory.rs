//! Documents in memory: what Redis promises, for nodes that live in one process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::ledger::Ledger;
use super::{Change, Committed, DocumentError, DocumentStore, Documents};

/// A store that all who hold it share, and that ends with them.
#[derive(Debug, Default)]
pub struct MemoryDocuments {
    ledger: Mutex<Ledger>,
    era: AtomicU64,
}

impl MemoryDocuments {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything, as a store that is restarted without its data.
    pub fn flush(&self) {
        *self.lock() = Ledger::default();
        self.era.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets what came since a whole copy was read, as a store whose replica takes over without the last writes.
    pub fn roll_back(&self, to: &Documents) {
        self.lock().replace(to);
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DocumentStore for MemoryDocuments {
    async fn changes_after(&self, revision: u64) -> Result<Documents, DocumentError> {
        Ok(self.lock().changes_after(revision))
    }

    async fn era(&self) -> Result<String, DocumentError> {
        Ok(self.era.load(Ordering::Relaxed).to_string())
    }

    async fn commit(
        &self,
        expected_revision: u64,
        changes: &[Change],
    ) -> Result<Committed, DocumentError> {
        let mut ledger = self.lock();
        let Some(planned) = ledger.plan(expected_revision, changes)? else {
            return Ok(Committed::Behind);
        };
        ledger.take(&planned);
        Ok(Committed::At(planned.revision))
    }

    async fn restore(&self, documents: &Documents) -> Result<bool, DocumentError> {
        let mut ledger = self.lock();
        let below = ledger.is_below(documents)?;
        if below {
            ledger.replace(documents);
            self.era.fetch_add(1, Ordering::Relaxed);
        }
        Ok(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::documents;

    #[tokio::test]
    async fn memory_keeps_the_contract_of_documents() {
        let store = MemoryDocuments::new();
        documents::all(&store, &store).await;
    }

    #[tokio::test]
    async fn memory_that_lost_its_data_has_the_highest_copy_again() {
        let store = MemoryDocuments::new();
        documents::lost(&store, &store, async || store.flush()).await;
    }

    #[tokio::test]
    async fn memory_that_fell_back_has_the_highest_copy_again() {
        let store = MemoryDocuments::new();
        let early = documents::fill(&store, 3).await;
        let copy = documents::fill(&store, 4).await;
        store.roll_back(&early);
        documents::is_restored(&store, &copy).await;
    }
}
