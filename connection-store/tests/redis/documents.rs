//! The documents on real servers: the contract on every topology, and what comes of servers that lose or refuse.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connection_store::contract::documents;
use connection_store::{
    Change, Committed, DocumentError, DocumentStore, Documents, RedisDocuments, StoreError,
    Versioned,
};

use crate::contract::RIGHTS;
use crate::server::{Cluster, Server, Trio, until};

fn documents_on(url: &str) -> RedisDocuments {
    let url = url.parse().expect("the test's URL is one");
    RedisDocuments::connect(url, Duration::from_secs(10)).expect("the test's files are there")
}

fn plain(server: &Server) -> RedisDocuments {
    documents_on(&format!("redis://127.0.0.1:{}", server.port))
}

fn put(key: &str, text: &str) -> Change {
    (key.to_owned(), Some(text.into()))
}

/// All that there is, as soon as there is an answer.
async fn all_of(store: &RedisDocuments) -> Documents {
    let began = Instant::now();
    loop {
        match store.changes_after(0).await {
            Ok(documents) => return documents,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn the_contract_holds(url: &str) {
    let (one, other) = (documents_on(url), documents_on(url));
    assert_eq!(all_of(&one).await, Documents::default());
    documents::all(&one, &other).await;
}

/// Nothing staged is left, and nothing else expires.
#[track_caller]
fn assert_all_is_kept(server: &Server) {
    let left: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(left.len(), 4, "{left:?}");
    for key in left {
        let life: i64 = server.command(&["TTL", &key]);
        assert_eq!(life, -1, "{key} is kept for ever");
    }
}

#[tokio::test]
async fn a_single_redis_keeps_the_contract_of_documents() {
    let server = Server::start();
    the_contract_holds(&format!("redis://127.0.0.1:{}", server.port)).await;
    assert_all_is_kept(&server);
}

#[tokio::test]
async fn a_user_with_no_more_rights_than_needed_keeps_the_contract_of_documents() {
    let server = Server::start();
    let rule: Vec<_> = ["ACL", "SETUSER", "gate", "on", ">hunter2"]
        .into_iter()
        .chain(RIGHTS.split_whitespace())
        .collect();
    let () = server.command(&rule);
    the_contract_holds(&format!("redis://gate:hunter2@127.0.0.1:{}", server.port)).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_documents() {
    let cluster = Cluster::start();
    the_contract_holds(&cluster.url()).await;
    let (one, other) = (documents_on(&cluster.url()), documents_on(&cluster.url()));
    let empty = async || {
        for server in &cluster.servers {
            let () = server.command(&["FLUSHALL"]);
        }
    };
    empty().await;
    documents::lost(&one, &other, empty).await;
}

#[tokio::test]
async fn a_master_named_by_sentinels_keeps_the_contract_of_documents() {
    let trio = Trio::start();
    the_contract_holds(&trio.url()).await;
}

#[tokio::test]
async fn an_emptied_redis_has_the_highest_copy_again() {
    let server = Server::start();
    let (one, other) = (plain(&server), plain(&server));
    let empty = async || {
        let () = server.command(&["FLUSHALL"]);
    };
    documents::lost(&one, &other, empty).await;
}

#[tokio::test]
async fn a_restarted_redis_has_the_copy_again() {
    let mut server = Server::start();
    let store = plain(&server);
    let copy = documents::fill(&store, 4).await;
    server.restart();
    assert_eq!(all_of(&store).await, Documents::default());
    documents::is_restored(&store, &copy).await;
    assert_all_is_kept(&server);
}

#[tokio::test]
async fn a_replica_that_missed_the_last_commits_has_the_copy_again() {
    let mut trio = Trio::start();
    let store = documents_on(&trio.url());
    let early = documents::fill(&store, 3).await;
    until("the replica has it", Duration::from_secs(10), || {
        let revision: Option<String> = trio.replica.command(&["GET", "wg:{control}:revision"]);
        revision.as_deref() == Some("3")
    });
    // The replica hears nothing any more, but counts as reachable.
    let rules = ["ACL", "SETUSER", "default", "-psync", "-sync", "-replconf"];
    let () = trio.master.command(&rules);
    let _: u64 = trio.master.command(&["CLIENT", "KILL", "TYPE", "REPLICA"]);
    let copy = documents::fill(&store, 3).await;
    trio.master.kill();
    let began = Instant::now();
    while trio.replica.info("role") != "master" {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(all_of(&store).await, early);
    documents::is_restored(&store, &copy).await;
}

#[tokio::test]
async fn that_nothing_changed_costs_one_command() {
    let server = Server::start();
    let store = plain(&server);
    documents::fill(&store, 3).await;
    store.changes_after(3).await.expect("reads");
    let () = server.command(&["CONFIG", "RESETSTAT"]);
    for _ in 0..100 {
        assert_eq!(store.changes_after(3).await.expect("reads").revision, 3);
    }
    let stats: String = server.command(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(name));
        line.map(|line| line.contains("calls=100,"))
    };
    assert_eq!(calls("cmdstat_evalsha:"), Some(true), "{stats}");
    assert_eq!(calls("cmdstat_get:"), Some(true), "{stats}");
    let others = ["zrangebyscore", "hget", "zcard"];
    for other in others {
        assert_eq!(calls(&format!("cmdstat_{other}:")), None, "{stats}");
    }
}

#[tokio::test]
async fn a_state_that_is_read_in_pieces_while_it_changes_is_one() {
    let server = Server::start();
    let (writer, reader) = (plain(&server), plain(&server));
    let text = |n: usize| format!("{n} {}", "x".repeat(400_000));
    let keys: Vec<_> = (0..12).map(|n| format!("k{n}")).collect();
    let write = async {
        for n in 0..15 {
            // All are of the same commit, or of two that follow each other.
            let half = if n % 2 == 0 { &keys[..] } else { &keys[6..] };
            let changes: Vec<_> = half.iter().map(|key| put(key, &text(n))).collect();
            let done = writer.commit(n as u64, &changes).await;
            assert_eq!(done, Ok(Committed::At(n as u64 + 1)));
        }
    };
    let read = async {
        let mut seen = 0;
        while seen < 15 {
            let documents = reader.changes_after(0).await.expect("reads");
            seen = documents.revision;
            for one in &documents.changed {
                let number: u64 = one.key[1..].parse().expect("a number");
                let last = seen - 1;
                let n = if number >= 6 { last } else { last - last % 2 };
                assert_eq!(one.revision, n + 1, "{} at {seen}", one.key);
                let begins = format!("{n} ");
                assert!(
                    one.text
                        .as_ref()
                        .is_some_and(|text| text.starts_with(&begins))
                );
            }
            assert_eq!(documents.changed.len(), if seen == 0 { 0 } else { 12 });
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_state_that_is_read_in_pieces_while_another_is_restored_is_one() {
    let server = Server::start();
    let (writer, reader) = (plain(&server), plain(&server));
    // They differ in all texts, and only a last key tells, which one of them does not have.
    let copy = |name: &str, last: u64| {
        let entry = |revision| Versioned {
            key: format!("k{revision}"),
            revision,
            text: Some(format!("{name} {}", "x".repeat(400_000)).into()),
        };
        Documents {
            revision: last,
            changed: (1..=10)
                .chain((last > 10).then_some(last))
                .map(entry)
                .collect(),
        }
    };
    let (one, other) = (copy("one", 10), copy("other", 20));
    let done = Cell::new(false);
    let write = async {
        for _ in 0..12 {
            let () = server.command(&["FLUSHALL"]);
            for copy in [&one, &other] {
                assert_eq!(writer.restore(copy).await, Ok(true));
            }
        }
        done.set(true);
    };
    let read = async {
        let mut seen = [0; 3];
        while !done.get() {
            let found = match reader.changes_after(0).await {
                Err(DocumentError::Store(StoreError::Unavailable(_))) => continue,
                found => found.expect("reads"),
            };
            let which = [&Documents::default(), &one, &other];
            let which = which.iter().position(|state| **state == found);
            seen[which.unwrap_or_else(|| panic!("a mixture at {}", found.revision))] += 1;
        }
        assert!(seen.iter().sum::<u32>() > 3, "{seen:?}");
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_refusal_leaves_everything_as_it_was() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let store = plain(&server);
    let before = documents::fill(&store, 3).await;
    let large: Arc<str> = "x".repeat(3 << 20).into();
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for changes in [
        vec![put("a", "x")],
        vec![("a".to_owned(), Some(large.clone()))],
    ] {
        let refused = store.commit(3, &changes).await;
        assert!(
            matches!(refused, Err(DocumentError::Store(StoreError::Refused(_)))),
            "{refused:?}"
        );
    }
    let mut copy = before.clone();
    copy.revision = 9;
    copy.changed[0].revision = 9;
    let refused = store.restore(&copy).await;
    assert!(
        matches!(refused, Err(DocumentError::Store(StoreError::Refused(_)))),
        "{refused:?}"
    );
    let () = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(all_of(&store).await, before);
    let done = store.commit(3, &[put("a", "x")]).await;
    assert_eq!(done, Ok(Committed::At(4)));
}

#[tokio::test]
async fn what_none_of_us_wrote_is_corrupt_and_a_copy_mends_it() {
    let server = Server::start();
    let store = plain(&server);
    let copy = documents::fill(&store, 3).await;
    let damage: [&[&str]; 8] = [
        &["SET", "wg:{control}:revision", "many"],
        &["SET", "wg:{control}:revision", "-3"],
        &["SET", "wg:{control}:revision", "9"],
        &["DEL", "wg:{control}:docs"],
        &["DEL", "wg:{control}:at"],
        &["SET", "wg:{control}:docs", "x"],
        &["SET", "wg:{control}:at", "x"],
        &["ZADD", "wg:{control}:at", "2.5", "api/0"],
    ];
    for words in damage {
        let _: redis::Value = server.command(words);
        let read = store.changes_after(0).await;
        let corrupt =
            |error: &DocumentError| matches!(error, DocumentError::Store(StoreError::Corrupt(_)));
        assert!(read.as_ref().is_err_and(corrupt), "{words:?}: {read:?}");
        // What is not all there is not built upon.
        if words[1] == "wg:{control}:docs" {
            let done = store.commit(3, &[put("a", "x")]).await;
            assert!(done.as_ref().is_err_and(corrupt), "{words:?}: {done:?}");
        }
        let _: u64 = server.command(&["DEL", "wg:{control}:revision"]);
        let read = store.changes_after(3).await;
        assert_eq!(read, Ok(Documents::default()), "{words:?}");
        documents::is_restored(&store, &copy).await;
    }
}

#[tokio::test]
async fn a_commit_that_is_sent_twice_is_made_once() {
    let server = Server::start();
    let store = plain(&server);
    documents::fill(&store, 2).await;
    // As the client of a cluster does after a connection broke.
    let script = include_str!("../../src/redis/commit.lua");
    let keys = ["revision", "docs", "at", "era", "staged:t", "staged:t:at"];
    let keys = keys.map(|name| format!("wg:{{control}}:{name}"));
    let mut words = vec!["EVAL", script, "6"];
    words.extend(keys.iter().map(String::as_str));
    let commit = |who: &'static str| {
        let more = ["2", "3", who, "0", "0", "a", "text", "x"];
        server.command::<String>(&[&words[..], &more].concat())
    };
    assert_eq!(
        ["t", "t", "u", "t"].map(commit),
        ["done", "done", "behind", "done"]
    );
    assert_eq!(all_of(&store).await.revision, 3);
}
