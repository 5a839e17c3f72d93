//! The folder of a node that is alone, as the port.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::DiskDocuments;
use crate::StoreError;
use crate::documents::{Change, Committed, DocumentError, DocumentStore, Documents};

/// The documents of a node that shares them with nobody. Clones share them.
#[derive(Debug, Clone)]
pub struct LocalDocuments(Arc<Mutex<DiskDocuments>>);

impl LocalDocuments {
    /// Those of a folder that is open.
    pub fn new(disk: DiskDocuments) -> Self {
        Self(Arc::new(Mutex::new(disk)))
    }

    /// Goes on also where nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut DiskDocuments) -> Result<T, DocumentError> + Send + 'static,
    ) -> Result<T, DocumentError> {
        let disk = Arc::clone(&self.0);
        // A panic leaves the journal unsound, never half written: see there.
        let ran =
            spawn_blocking(move || act(&mut disk.lock().unwrap_or_else(PoisonError::into_inner)));
        match ran.await {
            Ok(done) => done,
            Err(error) => {
                Err(StoreError::Unavailable(format!("the disk's thread ended: {error}")).into())
            }
        }
    }
}

#[async_trait]
impl DocumentStore for LocalDocuments {
    async fn changes_after(&self, revision: u64) -> Result<Documents, DocumentError> {
        self.run(move |disk| Ok(disk.changes_after(revision))).await
    }

    async fn commit(
        &self,
        expected_revision: u64,
        changes: &[Change],
    ) -> Result<Committed, DocumentError> {
        let changes = changes.to_vec();
        self.run(move |disk| disk.commit(expected_revision, &changes))
            .await
    }

    async fn restore(&self, documents: &Documents) -> Result<bool, DocumentError> {
        let documents = documents.clone();
        self.run(move |disk| disk.restore(&documents)).await
    }
}
