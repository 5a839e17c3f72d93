//! What every [`DocumentStore`] must do.

mod copies;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

pub use copies::{fill, is_restored, lost};

use crate::{
    Change, Committed, DocumentError, DocumentStore, Documents, HIGHEST_REVISION, LARGEST_COMMIT,
    LONGEST_KEY, LONGEST_TEXT, MOST_CHANGES, Unfit, Versioned,
};

const MIB: usize = 1024 * 1024;

/// Runs everything on an empty store; `one` and `other` lead to the same documents.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    an_empty_store_has_nothing_at_revision_0(one).await;
    a_commit_is_seen_by_all(one, other).await;
    a_commit_that_expects_another_revision_changes_nothing(one, other).await;
    a_deleted_key_is_told_of_for_ever(one, other).await;
    any_text_and_key_comes_back_as_it_was(one, other).await;
    what_is_unfit_is_refused_and_changes_nothing(one).await;
    of_several_writers_nobody_loses_an_update(one, other).await;
    readers_see_whole_commits(one, other).await;
    large_texts_fit(one, other).await;
    many_keys_fit(one, other).await;
    copies::a_copy_takes_the_place_of_everything_lower(one, other).await;
    copies::a_copy_that_is_not_higher_changes_nothing(one, other).await;
    copies::a_copy_that_makes_no_sense_is_refused(one).await;
}

fn put(key: &str, text: &str) -> Change {
    (key.to_owned(), Some(text.into()))
}

fn delete(key: &str) -> Change {
    (key.to_owned(), None)
}

async fn all_of(store: &dyn DocumentStore) -> Documents {
    store.changes_after(0).await.expect("reads")
}

async fn revision(store: &dyn DocumentStore) -> u64 {
    let documents = store.changes_after(HIGHEST_REVISION).await.expect("reads");
    assert_eq!(documents.changed, []);
    documents.revision
}

async fn changed(store: &dyn DocumentStore, after: u64) -> Vec<(u64, Change)> {
    let documents = store.changes_after(after).await.expect("reads");
    let pair = |one: Versioned| (one.revision, (one.key, one.text));
    documents.changed.into_iter().map(pair).collect()
}

/// Commits onto whatever is there.
async fn commit(store: &dyn DocumentStore, changes: &[Change]) -> u64 {
    let expected = revision(store).await;
    let done = store.commit(expected, changes).await;
    assert_eq!(done, Ok(Committed::At(expected + 1)));
    expected + 1
}

async fn an_empty_store_has_nothing_at_revision_0(store: &dyn DocumentStore) {
    for after in [0, 1, HIGHEST_REVISION, u64::MAX] {
        assert_eq!(store.changes_after(after).await, Ok(Documents::default()));
    }
    let restored = store.restore(&Documents::default()).await;
    assert_eq!(restored, Ok(false));
}

async fn a_commit_is_seen_by_all(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    let first = [put("b", "1"), put("a", ""), delete("never")];
    assert_eq!(one.commit(0, &first).await, Ok(Committed::At(1)));
    let found = [(1, put("a", "")), (1, put("b", "1")), (1, delete("never"))];
    assert_eq!(changed(other, 0).await, found, "in the order of keys");
    let second = other.commit(1, &[put("a", "2")]).await;
    assert_eq!(second, Ok(Committed::At(2)));
    assert_eq!(changed(one, 1).await, [(2, put("a", "2"))]);
    let found = [(1, put("b", "1")), (1, delete("never")), (2, put("a", "2"))];
    assert_eq!(changed(one, 0).await, found, "in the order of revisions");
    for after in [2, 3, u64::MAX] {
        let nothing = Documents {
            revision: 2,
            changed: Vec::new(),
        };
        assert_eq!(one.changes_after(after).await, Ok(nothing));
    }
}

async fn a_commit_that_expects_another_revision_changes_nothing(
    one: &dyn DocumentStore,
    other: &dyn DocumentStore,
) {
    let before = all_of(one).await;
    let now = before.revision;
    for expected in [0, now - 1, now + 1, HIGHEST_REVISION - 1] {
        let changes = [put("a", "no"), delete("b"), put("new", "no")];
        let done = other.commit(expected, &changes).await;
        assert_eq!(done, Ok(Committed::Behind), "{expected}");
    }
    assert_eq!(all_of(one).await, before);
}

async fn a_deleted_key_is_told_of_for_ever(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    let began = commit(one, &[put("gone", "x"), put("back", "x")]).await;
    commit(one, &[delete("gone"), delete("back")]).await;
    commit(one, &[put("back", "y")]).await;
    let found = [(began + 1, delete("gone")), (began + 2, put("back", "y"))];
    assert_eq!(changed(other, began).await, found);
    assert_eq!(changed(other, began - 1).await, found);
}

async fn any_text_and_key_comes_back_as_it_was(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    let longest = "é".repeat(LONGEST_KEY / 2);
    let odd = [
        "api/schön",
        "domain/\u{1F980}.例え",
        "\0",
        "a\r\nb\",\"sum\":\"0123456789abcdef\"}\n",
        " ",
        "*",
        "[1]",
        "\u{2028}\u{feff}\\",
        "=",
        "-",
        "0",
        &longest,
    ];
    let mut changes: Vec<_> = odd.iter().map(|odd| put(odd, odd)).collect();
    changes.sort();
    let at = commit(one, &changes).await;
    let expected: Vec<_> = changes.into_iter().map(|change| (at, change)).collect();
    assert_eq!(changed(other, at - 1).await, expected);
    let deleted: Vec<_> = odd.iter().map(|odd| delete(odd)).collect();
    let at = commit(other, &deleted).await;
    let left = changed(one, at - 2).await;
    assert_eq!(left.len(), odd.len());
    assert!(left.iter().all(|(_, (_, text))| text.is_none()), "{left:?}");
}

async fn what_is_unfit_is_refused_and_changes_nothing(store: &dyn DocumentStore) {
    let before = all_of(store).await;
    let long = "k".repeat(LONGEST_KEY + 1);
    let large: Arc<str> = "x".repeat(LONGEST_TEXT + 1).into();
    let most: Arc<str> = "x".repeat(LONGEST_TEXT).into();
    let rest = LARGEST_COMMIT / LONGEST_TEXT;
    let many = (0..=MOST_CHANGES).map(|n| delete(&n.to_string())).collect();
    let much = (0..rest).map(|n| (n.to_string(), Some(most.clone())));
    let cases: [(Vec<Change>, Unfit); 7] = [
        (vec![], Unfit::Nothing),
        (vec![put("a", "x"), put("", "x")], Unfit::Key(0)),
        (vec![delete(&long)], Unfit::Key(LONGEST_KEY + 1)),
        (
            vec![put("a", "x"), ("b".to_owned(), Some(large))],
            Unfit::Text {
                key: "b".to_owned(),
                bytes: LONGEST_TEXT + 1,
            },
        ),
        (
            vec![put("a", "x"), put("b", "x"), delete("a")],
            Unfit::Twice("a".to_owned()),
        ),
        (many, Unfit::TooMany(MOST_CHANGES + 1)),
        (much.collect(), Unfit::TooLarge(LARGEST_COMMIT + rest)),
    ];
    for (changes, unfit) in cases {
        let done = store.commit(before.revision, &changes).await;
        assert_eq!(done, Err(DocumentError::Unfit(unfit)));
    }
    let last = store.commit(HIGHEST_REVISION, &[put("a", "x")]).await;
    let unfit = Unfit::Revision(HIGHEST_REVISION + 1);
    assert_eq!(last, Err(DocumentError::Unfit(unfit)));
    assert_eq!(all_of(store).await, before);
}

async fn of_several_writers_nobody_loses_an_update(
    one: &dyn DocumentStore,
    other: &dyn DocumentStore,
) {
    const WRITERS: u64 = 6;
    const UPDATES: u64 = 15;
    let began = commit(one, &[put("counter", "0")]).await;
    let write = async |store: &dyn DocumentStore, name: u64| {
        let (mut done, mut behind) = (0, 0);
        while done < UPDATES {
            let all = all_of(store).await;
            let counter = all.changed.iter().find(|found| found.key == "counter");
            let text = counter.and_then(|found| found.text.clone());
            let count: u64 = text.expect("it is there").parse().expect("a number");
            let mark = format!("writer/{name}");
            let changes = [
                put("counter", &(count + 1).to_string()),
                put(&mark, &count.to_string()),
            ];
            match store.commit(all.revision, &changes).await.expect("commits") {
                Committed::At(revision) => {
                    assert_eq!(revision, all.revision + 1);
                    done += 1;
                }
                Committed::Behind => behind += 1,
            }
        }
        behind
    };
    let stores = [one, other];
    let writers = (0..WRITERS).map(|n| write(stores[n as usize % 2], n));
    let behind: Vec<u64> = join_all(writers).await;
    let all = all_of(one).await;
    let text = |key: &str| {
        let found = all.changed.iter().find(|found| found.key == key);
        found.and_then(|found| found.text.as_deref())
    };
    let total = (WRITERS * UPDATES).to_string();
    assert_eq!(text("counter"), Some(total.as_str()), "behind: {behind:?}");
    assert_eq!(all.revision, began + WRITERS * UPDATES);
}

async fn readers_see_whole_commits(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    const COMMITS: u64 = 20;
    let keys: Vec<_> = (0..30).map(|n| format!("whole/{n}")).collect();
    let began = revision(one).await;
    let write = async {
        for n in 0..COMMITS {
            let changes: Vec<_> = keys.iter().map(|key| put(key, &n.to_string())).collect();
            let done = one.commit(began + n, &changes).await;
            assert_eq!(done, Ok(Committed::At(began + n + 1)));
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let (mut at, mut seen) = (began, BTreeMap::new());
        while at < began + COMMITS {
            let documents = other.changes_after(at).await.expect("reads");
            assert!(documents.revision >= at, "it never falls");
            at = documents.revision;
            for one in documents.changed {
                assert!(one.revision <= at);
                seen.insert(one.key, one.text);
            }
            let mut texts: Vec<_> = seen.values().collect();
            texts.dedup();
            assert!(texts.len() <= 1, "parts of two commits: {texts:?}");
            assert!(seen.is_empty() || seen.len() == keys.len());
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::join(write, read).await;
}

async fn large_texts_fit(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    let large = |n: usize| "é\"".repeat(n).chars().chain(['!']).collect::<String>();
    let changes: Vec<_> = (0..5)
        .map(|n| put(&format!("large/{n}"), &large(MIB / 3 + n)))
        .chain([put("large/small", "x"), delete("large/none")])
        .collect();
    let at = commit(one, &changes).await;
    let mut expected: Vec<_> = changes.into_iter().map(|change| (at, change)).collect();
    expected.sort();
    assert!(changed(other, at - 1).await == expected, "not what was put");
    // In one step as well where it is large.
    let late = other.commit(at - 1, &[put("large/0", &large(MIB))]).await;
    assert_eq!(late, Ok(Committed::Behind));
    assert_eq!(revision(one).await, at);
    let gone: Vec<_> = expected.iter().map(|(_, (key, _))| delete(key)).collect();
    commit(other, &gone).await;
}

async fn many_keys_fit(one: &dyn DocumentStore, other: &dyn DocumentStore) {
    let key = |n: usize| format!("many/{n:05}");
    let changes: Vec<_> = (0..MOST_CHANGES).map(|n| put(&key(n), "{}")).collect();
    let at = commit(one, &changes).await;
    let expected: Vec<_> = changes.into_iter().map(|change| (at, change)).collect();
    assert!(changed(other, at - 1).await == expected, "not what was put");
    let gone: Vec<_> = (0..MOST_CHANGES).map(|n| delete(&key(n))).collect();
    let at = commit(other, &gone).await;
    assert_eq!(changed(one, at - 1).await.len(), MOST_CHANGES);
}
