//! The copy of all documents that a node keeps in its folder; where there is no Redis, the only one.
//!
//! `control.journal` has a line for each commit (`line`), and the file is kept by `journal`. A commit is acknowledged after
//! its line is on the disk (`fdatasync`), so a process that is killed, or a machine whose power fails, loses nothing acknowledged.

mod journal;
mod line;
mod local;

use std::fmt;
use std::path::{Path, PathBuf};

use super::ledger::Ledger;
use super::{Change, Committed, DiskError, DocumentError, Documents, Unfit};
use journal::Journal;
pub use local::LocalDocuments;

/// What an operator should hear of though all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The last line was not whole and was dropped: the process, or the machine, ended while it wrote it, and had not
    /// acknowledged it.
    TornLine {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// How long what was dropped is.
        bytes: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TornLine { path, line, bytes } = self;
        write!(
            f,
            "{}, line {line}: dropped {bytes} bytes of a change whose writing was cut off; it had not been acknowledged",
            path.display()
        )
    }
}

/// The documents in a folder that belongs to this process as long as this lives.
///
/// Every call but [`changes_after`](Self::changes_after) blocks until the disk has answered: in async code call it within
/// `tokio::task::spawn_blocking`. After an error nothing was changed, here and on the disk, and the next call may succeed.
#[derive(Debug)]
pub struct DiskDocuments {
    journal: Journal,
    ledger: Ledger,
}

impl DiskDocuments {
    /// Opens a folder, which is made (0700) where it is missing, and returns all that was acknowledged. A last line that is
    /// not whole is cut off, with a warning; any other that is not as it was written is [`DiskError::Corrupt`], and a folder
    /// that another process has open [`DiskError::Taken`].
    pub fn open(folder: &Path) -> Result<(Self, Documents, Option<Warning>), DiskError> {
        let (journal, ledger, warning) = Journal::open(folder)?;
        let documents = ledger.changes_after(0);
        Ok((Self { journal, ledger }, documents, warning))
    }

    /// The last change of each key that changed after a revision. Does not block.
    pub fn changes_after(&self, revision: u64) -> Documents {
        self.ledger.changes_after(revision)
    }

    /// Takes what another store answered when it was asked what changed after the revision that this one has. It may be
    /// several commits at once; they are there together or not at all. Documents without a change after that revision are
    /// [`Unfit::Nonsense`].
    pub fn append(&mut self, documents: &Documents) -> Result<(), DocumentError> {
        let after = self.ledger.revision();
        if documents.revision <= after {
            return Err(Unfit::Nonsense(format!(
                "revision {} does not come after {after}, which is here",
                documents.revision
            ))
            .into());
        }
        documents.check(after)?;
        Ok(self.write(documents)?)
    }

    /// As [`DocumentStore::commit`](crate::DocumentStore::commit).
    pub fn commit(
        &mut self,
        expected_revision: u64,
        changes: &[Change],
    ) -> Result<Committed, DocumentError> {
        let Some(planned) = self.ledger.plan(expected_revision, changes)? else {
            return Ok(Committed::Behind);
        };
        self.write(&planned)?;
        Ok(Committed::At(planned.revision))
    }

    /// As [`DocumentStore::restore`](crate::DocumentStore::restore).
    pub fn restore(&mut self, documents: &Documents) -> Result<bool, DocumentError> {
        if !self.ledger.is_below(documents)? {
            return Ok(false);
        }
        let mut copy = documents.clone();
        copy.sort();
        self.journal.rewrite(&line::pack(0, &copy))?;
        self.ledger.replace(&copy);
        Ok(true)
    }

    /// Takes a whole copy in the place of everything, whatever its revision: the store that all share has another past than
    /// this.
    pub fn replace(&mut self, documents: &Documents) -> Result<(), DocumentError> {
        documents.check(0)?;
        let mut copy = documents.clone();
        copy.sort();
        if self.ledger.changes_after(0) != copy {
            self.journal.rewrite(&line::pack(0, &copy))?;
            self.ledger.replace(&copy);
        }
        Ok(())
    }

    fn write(&mut self, documents: &Documents) -> Result<(), DiskError> {
        if !self.journal.is_sound() {
            self.rewrite()?;
        }
        let line = line::pack(self.ledger.revision(), documents);
        self.journal.append(&line)?;
        self.ledger.take(documents);
        if self.journal.is_due(|| self.ledger.bytes()) {
            // The commit is on the disk whatever becomes of this.
            if let Err(error) = self.rewrite() {
                tracing::warn!("the journal of documents grows on: {error}");
            }
        }
        Ok(())
    }

    fn rewrite(&mut self) -> Result<(), DiskError> {
        let all = self.ledger.changes_after(0);
        self.journal.rewrite(&line::pack(0, &all))
    }
}
