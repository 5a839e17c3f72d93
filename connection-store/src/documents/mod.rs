//! The port of documents: texts under keys that all nodes see alike, with one revision over all of them.
//!
//! `ledger` is the state itself, `memory` and `disk` keep it; on Redis it is `redis/documents.rs`.

mod disk;
mod error;
mod ledger;
mod memory;

use std::sync::Arc;

use async_trait::async_trait;

pub use disk::{DiskDocuments, LocalDocuments, Warning};
pub(crate) use error::check_commit;
pub use error::{DiskError, DocumentError, Unfit};
pub use memory::MemoryDocuments;

/// The longest key, in bytes of UTF-8; the shortest has one.
pub const LONGEST_KEY: usize = 1024;
/// The longest text, in bytes of UTF-8.
pub const LONGEST_TEXT: usize = 16 * 1024 * 1024;
/// The most that one commit may carry: keys and texts, in bytes.
pub const LARGEST_COMMIT: usize = 64 * 1024 * 1024;
/// The most keys that one commit may change.
pub const MOST_CHANGES: usize = 10_000;
/// The highest revision: scripts and sorted sets of Redis count in floating point, exactly up to here.
pub const HIGHEST_REVISION: u64 = (1 << 53) - 1;

/// What becomes of a key: its new text, or `None` where it is deleted.
pub type Change = (String, Option<Arc<str>>);

/// A key as its last change left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Whose text it is.
    pub key: String,
    /// The revision of its last change.
    pub revision: u64,
    /// `None` where that deleted it; this is kept for ever, so that who was away learns of it.
    pub text: Option<Arc<str>>,
}

/// Keys that changed after some revision, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// The revision that a reader has who takes all of `changed`; 0 where nothing was ever written.
    pub revision: u64,
    /// Each key once, in the order of revisions, and of keys (by bytes) within one.
    pub changed: Vec<Versioned>,
}

/// What came of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// All changes were made, and the store has this revision.
    At(u64),
    /// None was: the store has another revision than the expected one, a higher one or, where it lost data, a lower one.
    Behind,
}

/// Texts under keys, with one revision over all.
///
/// A reader keeps the revision that it has, asks from time to time for [`changes_after`](Self::changes_after) it, and
/// compares the answer's revision with its own: the same, and nothing happened; a higher one, and it takes all that changed at
/// once, since half of it may be half of a commit; a lower one, and the store lost data, so that it publishes its copy with
/// [`restore`](Self::restore). A writer that is told [`Committed::Behind`] does what a reader does, and decides anew.
///
/// Keys are 1 to [`LONGEST_KEY`] bytes of any UTF-8, texts are 0 to [`LONGEST_TEXT`]. [`DocumentError::Unfit`] says what a call
/// asked that no store would do; nothing was written then. Of [`StoreError::Unavailable`](crate::StoreError::Unavailable) it is
/// not known whether the call took effect; after every other error it did not.
#[async_trait]
pub trait DocumentStore: std::fmt::Debug + Send + Sync + 'static {
    /// The last change of each key that changed after a revision, deletions too; after 0 that is everything. The answer is the
    /// state at one moment. Empty, with the store's revision, where that is not higher.
    async fn changes_after(&self, revision: u64) -> Result<Documents, DocumentError>;

    /// Names the past that the revisions count: another text than before means that data were lost or restored meanwhile, so that
    /// what a reader knows may never have been, or not be any more. Such a reader reads all, puts what it alone knows beside it, and
    /// publishes that. Empty in a store that nobody else can change.
    async fn era(&self) -> Result<String, DocumentError> {
        Ok(String::new())
    }

    /// Makes all of the changes or none, in one step, if the store's revision is the expected one. Afterwards it is one
    /// higher, and each changed key carries it. To delete a key that is not there is a change like others. At least one
    /// change and at most [`MOST_CHANGES`], no key twice, at most [`LARGEST_COMMIT`] in all.
    ///
    /// After [`StoreError::Unavailable`](crate::StoreError::Unavailable) the changes after the expected revision tell
    /// whether it took effect.
    async fn commit(
        &self,
        expected_revision: u64,
        changes: &[Change],
    ) -> Result<Committed, DocumentError>;

    /// Puts a whole copy (what was [`changes_after`](Self::changes_after) 0) in the place of everything, in one step, if
    /// the store's revision is lower than the copy's. Says whether it did. All nodes may try at once: the highest copy stays.
    async fn restore(&self, documents: &Documents) -> Result<bool, DocumentError>;
}

impl Documents {
    /// Whether a reader at revision `after` may take this, and so may one that begins with it where `after` is 0: the
    /// revisions are above that one and the last of them is the whole's, no key comes twice.
    pub(crate) fn check(&self, after: u64) -> Result<(), Unfit> {
        let nonsense = |why: String| Err(Unfit::Nonsense(why));
        if self.revision > HIGHEST_REVISION {
            return Err(Unfit::Revision(self.revision));
        }
        let last = (self.changed.iter().map(|one| one.revision)).max();
        if last.unwrap_or(after) != self.revision {
            return nonsense(format!(
                "revision {} has no change that made it",
                self.revision
            ));
        }
        let mut keys = std::collections::HashSet::with_capacity(self.changed.len());
        for one in &self.changed {
            let Versioned { key, revision, .. } = one;
            error::check_entry(key, one.text.as_deref())?;
            if *revision <= after {
                return nonsense(format!(
                    "{key:?} has revision {revision}, which is not after {after}"
                ));
            }
            if !keys.insert(key.as_str()) {
                return Err(Unfit::Twice(key.clone()));
            }
        }
        Ok(())
    }

    pub(crate) fn sort(&mut self) {
        self.changed
            .sort_unstable_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
    }
}
