//! What this node knows of the store's documents, and its copy of them on disk.

use std::collections::BTreeMap;

use connection_store::{Change, DiskDocuments, Documents, Versioned};
use gateway_core::control::Account;

/// Every key with its last change, as far as this node has heard.
#[derive(Debug, Default)]
pub(super) struct Held {
    revision: u64,
    known: BTreeMap<String, Versioned>,
    copy: Option<DiskDocuments>,
}

impl Held {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything, deletions too.
    pub(super) fn documents(&self) -> Documents {
        let mut changed: Vec<Versioned> = self.known.values().cloned().collect();
        changed.sort_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
        Documents {
            revision: self.revision,
            changed,
        }
    }

    /// The account that the documents describe.
    pub(super) fn account(&self) -> Account {
        let mut account = Account::default();
        for one in self.known.values() {
            if let Err(why) = account.take_stored(&one.key, one.text.as_deref()) {
                tracing::error!(
                    "what is kept under {} is none of ours and is passed over: {why}",
                    one.key
                );
            }
        }
        account
    }

    pub(super) fn take(&mut self, news: Documents) {
        self.revision = news.revision;
        self.known
            .extend(news.changed.into_iter().map(|one| (one.key.clone(), one)));
    }

    /// From here on this node's disk has a copy.
    pub(super) fn keep_on(&mut self, disk: DiskDocuments) {
        self.copy = Some(disk);
    }

    /// What others committed.
    pub(super) async fn adopt(&mut self, news: Documents) {
        self.copy(&news).await;
        self.take(news);
    }

    /// What this node committed.
    pub(super) async fn committed(&mut self, revision: u64, changes: Vec<Change>) {
        let changed = changes.into_iter().map(|(key, text)| Versioned {
            key,
            revision,
            text,
        });
        let mut news = Documents {
            revision,
            changed: changed.collect(),
        };
        news.changed.sort_by(|a, b| a.key.cmp(&b.key));
        self.adopt(news).await;
    }

    /// Whether these changes are what the keys hold now.
    pub(super) fn holds(&self, changes: &[Change]) -> bool {
        changes
            .iter()
            .all(|(key, text)| self.known.get(key).is_some_and(|one| one.text == *text))
    }

    /// A disk that fails costs the copy of this node; the store has it, and the operator is told.
    async fn copy(&mut self, news: &Documents) {
        let Some(mut disk) = self.copy.take() else {
            return;
        };
        let news = news.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = disk.append(&news);
            (disk, written)
        });
        match written.await {
            Ok((disk, written)) => {
                if let Err(error) = written {
                    tracing::error!(
                        "this node's copy of what configures the APIs is not up to date: {error}"
                    );
                }
                self.copy = Some(disk);
            }
            Err(error) => {
                tracing::error!("this node's copy of what configures the APIs is lost: {error}");
            }
        }
    }
}
