//! What becomes of documents that a store lost, and of copies that are to take their place.

use futures_util::future::join_all;

use super::{MIB, all_of, changed, commit, delete, put, revision};
use crate::{Committed, DocumentError, DocumentStore, Documents, HIGHEST_REVISION, Versioned};

/// A store that loses everything has it again from the highest copy, whoever comes first. `empty` makes it lose all.
///
/// # Panics
/// Where it breaks a promise.
pub async fn lost(one: &dyn DocumentStore, other: &dyn DocumentStore, empty: impl AsyncFn()) {
    let mut copies = Vec::new();
    for commits in [3, 4, 5] {
        copies.push(fill(one, commits).await);
    }
    let highest = copies[2].clone();
    assert_eq!(highest.revision, 12);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        empty().await;
        let nothing = one.changes_after(0).await;
        assert_eq!(nothing, Ok(Documents::default()));
        // A reader sees that the store is behind it, and so does a writer.
        let told = other.changes_after(12).await;
        assert_eq!(told, Ok(Documents::default()));
        let late = other.commit(12, &[put("late", "x")]).await;
        assert_eq!(late, Ok(Committed::Behind));
        let mut before = 0;
        for at in order {
            let restored = one.restore(&copies[at]).await;
            assert_eq!(restored, Ok(copies[at].revision > before), "{order:?}");
            before = before.max(copies[at].revision);
        }
        assert_eq!(all_of(other).await, highest);
    }
    empty().await;
    let stores = [one, other, one, other, one, other];
    let attempts = stores.iter().zip(copies.iter().cycle());
    let restored = join_all(attempts.map(|(store, copy)| store.restore(copy))).await;
    assert!(restored.iter().all(Result::is_ok), "{restored:?}");
    // Two bring the highest, and one of them is the first.
    let first = [&restored[2], &restored[5]];
    assert!(
        first.contains(&&Ok(true)) && first.contains(&&Ok(false)),
        "{restored:?}"
    );
    assert_eq!(all_of(one).await, highest);
    // And life goes on.
    let next = one.commit(12, &[put("next", "x")]).await;
    assert_eq!(next, Ok(Committed::At(13)));
    assert_eq!(changed(other, 12).await, [(13, put("next", "x"))]);
}

/// Makes so many commits, some of which delete; returns a whole copy.
///
/// # Panics
/// Where it cannot.
pub async fn fill(store: &dyn DocumentStore, commits: u64) -> Documents {
    for _ in 0..commits {
        let revision = revision(store).await;
        let mut changes = vec![
            put(&format!("api/{revision}"), "{}"),
            put("api/shared", &revision.to_string()),
        ];
        if let Some(before) = revision.checked_sub(2) {
            changes.push((format!("api/{before}"), None));
        }
        let done = store.commit(revision, &changes).await;
        assert_eq!(done, Ok(Committed::At(revision + 1)));
    }
    all_of(store).await
}

/// A store that fell back takes a higher copy.
///
/// # Panics
/// Where it does not.
pub async fn is_restored(store: &dyn DocumentStore, copy: &Documents) {
    assert!(revision(store).await < copy.revision);
    assert_eq!(store.restore(copy).await, Ok(true));
    assert_eq!(all_of(store).await, *copy);
    assert_eq!(store.restore(copy).await, Ok(false));
}

pub(super) async fn a_copy_takes_the_place_of_everything_lower(
    one: &dyn DocumentStore,
    other: &dyn DocumentStore,
) {
    commit(one, &[put("only/here", "x"), put("both", "old")]).await;
    let now = revision(one).await;
    let versioned = |key: &str, revision, text: Option<&str>| Versioned {
        key: key.to_owned(),
        revision,
        text: text.map(Into::into),
    };
    let copy = Documents {
        revision: now + 7,
        changed: vec![
            versioned("gone", 1, None),
            versioned("both", now, Some("new")),
            versioned("larger", now + 1, Some(&"x".repeat(3 * MIB))),
            versioned("last", now + 7, Some("")),
        ],
    };
    is_restored(other, &copy).await;
    assert!(all_of(one).await == copy, "not what was put");
    let last = [(now + 7, put("last", ""))];
    assert_eq!(changed(one, now + 1).await, last);
    // Nothing but tombstones is a copy, too.
    let copy = Documents {
        revision: now + 9,
        changed: vec![versioned("a", now + 8, None), versioned("b", now + 9, None)],
    };
    is_restored(one, &copy).await;
    commit(other, &[put("a", "again")]).await;
    let found = [(now + 9, delete("b")), (now + 10, put("a", "again"))];
    assert_eq!(changed(one, 0).await, found);
}

pub(super) async fn a_copy_that_is_not_higher_changes_nothing(
    one: &dyn DocumentStore,
    other: &dyn DocumentStore,
) {
    let now = all_of(one).await;
    for revision in [1, now.revision - 1, now.revision] {
        let copy = Documents {
            revision,
            changed: vec![Versioned {
                key: "low".to_owned(),
                revision,
                text: Some("x".into()),
            }],
        };
        assert_eq!(other.restore(&copy).await, Ok(false), "{revision}");
    }
    assert_eq!(all_of(one).await, now);
}

pub(super) async fn a_copy_that_makes_no_sense_is_refused(store: &dyn DocumentStore) {
    let now = all_of(store).await;
    let high = now.revision + 5;
    let entry = |key: &str, revision| Versioned {
        key: key.to_owned(),
        revision,
        text: None,
    };
    let cases = [
        (high, vec![]),
        (high, vec![entry("a", high + 1)]),
        (high, vec![entry("a", high - 1)]),
        (high, vec![entry("a", 0), entry("b", high)]),
        (high, vec![entry("a", 1), entry("a", high)]),
        (high, vec![entry("", high)]),
        (HIGHEST_REVISION + 1, vec![entry("a", HIGHEST_REVISION + 1)]),
    ];
    for (revision, changed) in cases {
        let copy = Documents { revision, changed };
        let done = store.restore(&copy).await;
        assert!(
            matches!(done, Err(DocumentError::Unfit(_))),
            "{copy:?}: {done:?}"
        );
    }
    assert_eq!(all_of(store).await, now);
}
