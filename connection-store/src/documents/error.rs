//! Why documents were not written or read.

use std::collections::HashSet;
use std::path::PathBuf;

use thiserror::Error;

use super::{Change, HIGHEST_REVISION, LARGEST_COMMIT, LONGEST_KEY, LONGEST_TEXT, MOST_CHANGES};
use crate::StoreError;

/// Why a [`DocumentStore`](crate::DocumentStore) did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// What was asked is wrong, whatever the store holds. Nothing was written.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The store that several nodes share.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of this node. Nothing was written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What no store would write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// A commit without changes.
    #[error("a commit changes at least one document")]
    Nothing,
    /// Too many changes in one commit.
    #[error(
        "a commit changes at most {MOST_CHANGES} documents, not {0}: make several commits of it"
    )]
    TooMany(usize),
    /// Too many bytes in one commit.
    #[error("a commit carries at most {LARGEST_COMMIT} bytes, not {0}: make several commits of it")]
    TooLarge(usize),
    /// A key that is empty or too long; with its length.
    #[error("a document's key has 1 to {LONGEST_KEY} bytes, not {0}")]
    Key(usize),
    /// A text that is too long.
    #[error("the document {key:?} has {bytes} bytes; at most {LONGEST_TEXT} are kept")]
    Text {
        /// Whose text it is.
        key: String,
        /// How long it is.
        bytes: usize,
    },
    /// A key that comes twice.
    #[error("the document {0:?} comes twice")]
    Twice(String),
    /// A revision that cannot be counted up any more.
    #[error("revision {0} is above {HIGHEST_REVISION}")]
    Revision(u64),
    /// Documents that no store can have answered.
    #[error("these documents do not belong together: {0}")]
    Nonsense(String),
}

/// What is wrong with the folder in which a node keeps its copy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiskError {
    /// Another process has it.
    #[error(
        "{0} is in use by another process: give each its own dataDir, or end the other one first"
    )]
    Taken(PathBuf),
    /// There is no room. What was committed before is there; the next commit works once there is room.
    #[error("{path} cannot grow: {why}; make room, then try again")]
    Full {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The journal holds something that it should not, and what follows it would be lost.
    #[error(
        "{path}, line {line}: {why}. Put back a copy of the file from before, or move the file away (this node then \
         begins without documents, and has those of the other nodes again where there are any), or keep only what \
         precedes: head -n {before} {path}",
        before = line - 1
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused something else.
    #[error("{path}: {why}")]
    Failed {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// Whether a commit can be made at all.
pub(crate) fn check_commit(expected: u64, changes: &[Change]) -> Result<(), Unfit> {
    if expected >= HIGHEST_REVISION {
        return Err(Unfit::Revision(expected.saturating_add(1)));
    }
    match changes.len() {
        0 => return Err(Unfit::Nothing),
        1..=MOST_CHANGES => {}
        many => return Err(Unfit::TooMany(many)),
    }
    let (mut keys, mut bytes) = (HashSet::with_capacity(changes.len()), 0);
    for (key, text) in changes {
        check_entry(key, text.as_deref())?;
        bytes += key.len() + text.as_deref().map_or(0, str::len);
        if !keys.insert(key.as_str()) {
            return Err(Unfit::Twice(key.clone()));
        }
    }
    if bytes > LARGEST_COMMIT {
        return Err(Unfit::TooLarge(bytes));
    }
    Ok(())
}

pub(super) fn check_entry(key: &str, text: Option<&str>) -> Result<(), Unfit> {
    if !(1..=LONGEST_KEY).contains(&key.len()) {
        return Err(Unfit::Key(key.len()));
    }
    match text.map(str::len) {
        Some(bytes) if bytes > LONGEST_TEXT => Err(Unfit::Text {
            key: key.to_owned(),
            bytes,
        }),
        _ => Ok(()),
    }
}
