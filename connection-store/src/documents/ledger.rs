//! All documents and their revisions, as values: what memory and disk have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Change, Documents, Unfit, Versioned, check_commit};

/// What an entry takes beside its key and text, in bytes.
const ENTRY: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    revision: u64,
    entries: BTreeMap<String, (u64, Option<Arc<str>>)>,
}

impl Ledger {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// About how much it is, written down.
    pub(super) fn bytes(&self) -> u64 {
        let entry = |(key, (_, text)): (&String, &(u64, Option<Arc<str>>))| {
            key.len() + text.as_deref().map_or(0, str::len) + ENTRY
        };
        self.entries.iter().map(entry).sum::<usize>() as u64
    }

    pub(super) fn changes_after(&self, revision: u64) -> Documents {
        let changed = (self.entries.iter()).filter(|(_, (changed, _))| *changed > revision);
        let mut documents = Documents {
            revision: self.revision,
            changed: changed
                .map(|(key, (revision, text))| Versioned {
                    key: key.clone(),
                    revision: *revision,
                    text: text.clone(),
                })
                .collect(),
        };
        documents.sort();
        documents
    }

    /// What a commit would change; `None` where the revision is not the expected one.
    pub(super) fn plan(
        &self,
        expected: u64,
        changes: &[Change],
    ) -> Result<Option<Documents>, Unfit> {
        check_commit(expected, changes)?;
        if expected != self.revision {
            return Ok(None);
        }
        let revision = expected + 1;
        let changed = changes.iter().map(|(key, text)| Versioned {
            key: key.clone(),
            revision,
            text: text.clone(),
        });
        let mut documents = Documents {
            revision,
            changed: changed.collect(),
        };
        documents.sort();
        Ok(Some(documents))
    }

    /// Whether a copy is to take the place of this.
    pub(super) fn is_below(&self, copy: &Documents) -> Result<bool, Unfit> {
        copy.check(0)?;
        Ok(self.revision < copy.revision)
    }

    /// Takes what was checked to come after this.
    pub(super) fn take(&mut self, documents: &Documents) {
        self.revision = documents.revision;
        for one in &documents.changed {
            self.entries
                .insert(one.key.clone(), (one.revision, one.text.clone()));
        }
    }

    /// Takes the place of everything.
    pub(super) fn replace(&mut self, copy: &Documents) {
        self.entries.clear();
        self.take(copy);
    }
}
