//! Values in Redis that none of us wrote: passed over and counted, never believed, and no panic.

use std::time::Duration;

use connection_store::{
    Burial, ConnectionStore, Filter, MOST_DEAD, Outbox, Owed, Page, StoreError,
};
use gateway_core::id::NodeId;

use crate::server::Server;
use crate::{info, record, store};

#[tokio::test]
async fn poisoned_connections_are_passed_over_and_do_not_stop_a_burial() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let node = NodeId([0x11; 6]);
    let one = record(node, 1);
    store.renew(&info(node)).await.expect("renews");
    store
        .register(std::slice::from_ref(&one))
        .await
        .expect("registers");
    let key = "wg:{111111111111}:conns";
    for member in ["", "short", "0123456789abcdef", "0123456789abcdeg{\"a\":1}"] {
        let _: u64 = server.command(&["ZADD", key, "0", member]);
    }
    let _: u64 = server.command(&["ZADD", "wg:{cluster}:nodes", "5", "no node", "0", "{}"]);
    let page = Page {
        after: None,
        limit: 10,
    };
    let listing = store.list(&Filter::default(), page).await.expect("lists");
    assert_eq!((listing.records, listing.next), (vec![one], None));
    assert_eq!(store.poisoned(), 2 + 4);
    let () = server.command(&["SET", "wg:{111111111111}:lease", "no lease"]);
    let nodes = store.nodes().await.expect("lists");
    assert_eq!((nodes.len(), &nodes[0].info), (1, &None));
    let _: u64 = server.command(&["DEL", "wg:{111111111111}:lease"]);
    store.fence(&node).await.expect("fences");
    let buried = store.bury(&node, (1006, "gone"), 100).await;
    assert_eq!(buried, Ok(Burial::Done(1)));
    assert_eq!(store.backlog().await.expect("tells").waiting, 1);
    let exists: u64 = server.command(&["EXISTS", key]);
    assert_eq!(exists, 0);
}

#[tokio::test]
async fn poisoned_ends_are_passed_over() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let owed = Owed {
        record: record(NodeId([1; 6]), 1),
        code: 1006,
        reason: "gone".to_owned(),
        ended_at: 1,
    };
    store.put(std::slice::from_ref(&owed)).await.expect("puts");
    let id = "AQABq83v_zAxMjM0NTY3ODlhYmNkZWY=";
    for (id, item) in [(id, "{"), ("nobody", "{}")] {
        let _: u64 = server.command(&["HSET", "wg:{outbox}:item", id, item]);
        let _: u64 = server.command(&["ZADD", "wg:{outbox}:due", "0", id]);
        let _: u64 = server.command(&["HSET", "wg:{outbox}:dead", id, item]);
        let _: u64 = server.command(&["ZADD", "wg:{outbox}:graves", "0", id]);
    }
    // Due, but nothing is owed: forgotten.
    let _: u64 = server.command(&["ZADD", "wg:{outbox}:due", "0", "stray"]);
    let claimed = store
        .claim(10, Duration::from_secs(9))
        .await
        .expect("claims");
    assert_eq!((claimed.len(), &claimed[0].owed), (1, &owed));
    assert_eq!(store.poisoned(), 2);
    let due: u64 = server.command(&["ZCARD", "wg:{outbox}:due"]);
    assert_eq!(
        due, 3,
        "the stray is forgotten, what cannot be read is kept"
    );
    assert_eq!(store.dead(0, 10).await, Ok(Vec::new()));
    assert_eq!(store.poisoned(), 4);
    let replayed = store.replay(&id.parse().expect("it is an id")).await;
    assert!(
        matches!(replayed, Err(StoreError::Corrupt(_))),
        "{replayed:?}"
    );
}

#[tokio::test]
async fn an_end_that_was_settled_leaves_nothing_behind() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let owed = Owed {
        record: record(NodeId([1; 6]), 1),
        code: 1006,
        reason: "gone".to_owned(),
        ended_at: 1,
    };
    let id = owed.record.connection.id;
    store.put(&[owed]).await.expect("puts");
    let hold = Duration::from_secs(9);
    assert_eq!(store.claim(1, hold).await.expect("claims").len(), 1);
    store.settle(&id).await.expect("settles");
    store.postpone(&id, hold).await.expect("postpones");
    let left: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(left, [""; 0]);
}

#[tokio::test]
async fn of_too_many_dead_letters_the_oldest_are_forgotten() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let fill = "for i = 1, tonumber(ARGV[1]) do \
        redis.call('ZADD', KEYS[1], i, 'old' .. i) redis.call('HSET', KEYS[2], 'old' .. i, '') end return 1";
    let keys = ["wg:{outbox}:graves", "wg:{outbox}:dead"];
    let full = (MOST_DEAD + 5).to_string();
    let _: u64 = server.command(&["EVAL", fill, "2", keys[0], keys[1], &full]);
    let owed = Owed {
        record: record(NodeId([1; 6]), 1),
        code: 1006,
        reason: "gone".to_owned(),
        ended_at: 1,
    };
    store.put(std::slice::from_ref(&owed)).await.expect("puts");
    store
        .give_up(&owed.record.connection.id, "no")
        .await
        .expect("gives up");
    assert_eq!(store.backlog().await.expect("tells").dead, MOST_DEAD as u64);
    let letters: u64 = server.command(&["HLEN", keys[1]]);
    assert_eq!(letters, MOST_DEAD as u64);
    let last = store.dead(MOST_DEAD - 1, 1).await.expect("lists");
    assert_eq!(last[0].owed, owed);
    let oldest: Vec<String> = server.command(&["ZRANGE", keys[0], "0", "0"]);
    assert_eq!(oldest, ["old7"]);
}
