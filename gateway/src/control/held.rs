//! What this node knows of the store's documents, and its copy of them on disk.

use std::collections::BTreeMap;

use connection_store::{Change, DiskDocuments, DocumentError, Documents, Versioned};
use gateway_core::control::Account;

/// Every key with its last change, as far as this node has heard.
#[derive(Debug, Default)]
pub(super) struct Held {
    era: String,
    revision: u64,
    known: BTreeMap<String, Versioned>,
    copy: Option<DiskDocuments>,
}

impl Held {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The past that the revision counts, as the store named it.
    pub(super) fn era(&self) -> &str {
        &self.era
    }

    /// What the store holds with what only this node knows: of each key the later change, in doubt the store's. `None` where
    /// the store knows all. What is added counts as changed anew, so that every reader takes it.
    pub(super) fn beside(&self, all: &Documents) -> Option<Documents> {
        let theirs: BTreeMap<&str, &Versioned> = all
            .changed
            .iter()
            .map(|one| (one.key.as_str(), one))
            .collect();
        let revision = all.revision.max(self.revision) + 1;
        let ours = self.known.values().filter(|one| {
            theirs
                .get(one.key.as_str())
                .is_none_or(|their| their.revision < one.revision && their.text != one.text)
        });
        let ours: Vec<Versioned> = ours
            .map(|one| Versioned {
                revision,
                ..one.clone()
            })
            .collect();
        if ours.is_empty() {
            return None;
        }
        let mut merged: BTreeMap<String, Versioned> = all
            .changed
            .iter()
            .map(|one| (one.key.clone(), one.clone()))
            .collect();
        merged.extend(ours.into_iter().map(|one| (one.key.clone(), one)));
        let mut changed: Vec<Versioned> = merged.into_values().collect();
        changed.sort_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
        Some(Documents { revision, changed })
    }

    /// Takes the place of everything that was known.
    pub(super) async fn begin(&mut self, all: Documents, era: String) {
        self.era = era;
        self.known.clear();
        self.take(all.clone());
        self.write(move |disk| disk.replace(&all)).await;
    }

    /// The account that the documents describe.
    pub(super) fn account(&self) -> Account {
        let mut account = Account::default();
        lay_over(&mut account, self.known.values());
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

    async fn copy(&mut self, news: &Documents) {
        let news = news.clone();
        self.write(move |disk| disk.append(&news)).await;
    }

    /// A disk that fails costs the copy of this node; the store has it, and the operator is told.
    async fn write(
        &mut self,
        write: impl FnOnce(&mut DiskDocuments) -> Result<(), DocumentError> + Send + 'static,
    ) {
        let Some(mut disk) = self.copy.take() else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || {
            let written = write(&mut disk);
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

/// Takes what is stored into an account.
pub(super) fn lay_over<'v>(account: &mut Account, stored: impl IntoIterator<Item = &'v Versioned>) {
    for one in stored {
        if let Err(why) = account.take_stored(&one.key, one.text.as_deref()) {
            tracing::error!(
                "what is kept under {} is none of ours and is passed over: {why}",
                one.key
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(entries: &[(&str, u64, Option<&str>)]) -> Documents {
        let mut changed: Vec<Versioned> = entries
            .iter()
            .map(|(key, revision, text)| Versioned {
                key: (*key).to_owned(),
                revision: *revision,
                text: text.map(Into::into),
            })
            .collect();
        changed.sort_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
        let revision = changed.last().map_or(0, |last| last.revision);
        Documents { revision, changed }
    }

    #[track_caller]
    fn check(
        ours: &[(&str, u64, Option<&str>)],
        theirs: &[(&str, u64, Option<&str>)],
        expected: Option<&[(&str, u64, Option<&str>)]>,
    ) {
        let mut held = Held::default();
        held.take(documents(ours));
        assert_eq!(held.beside(&documents(theirs)), expected.map(documents));
    }

    #[test]
    fn of_each_key_the_later_change_stays_whoever_knows_it() {
        let a = ("a", 5, Some("x"));
        check(&[], &[], None);
        check(&[], &[a], None);
        check(&[a], &[a], None);
        // The store was emptied, and told something new before this node looked.
        check(&[a], &[], Some(&[("a", 6, Some("x"))]));
        check(
            &[a],
            &[("b", 1, Some("new"))],
            Some(&[("a", 6, Some("x")), ("b", 1, Some("new"))]),
        );
        // It fell back, and went on.
        check(
            &[a, ("b", 6, Some("y"))],
            &[a, ("b", 2, Some("old")), ("c", 6, Some("z"))],
            Some(&[a, ("c", 6, Some("z")), ("b", 7, Some("y"))]),
        );
        // In doubt the store's, and deletions are changes as others.
        check(&[a], &[("a", 5, Some("other"))], None);
        check(&[a], &[("a", 8, None)], None);
        check(&[("a", 9, None)], &[a], Some(&[("a", 10, None)]));
    }
}
