//! What a connection costs Redis: bytes while it lasts, commands over its life.

use connection_store::ConnectionStore;
use gateway_core::id::NodeId;

use crate::server::Server;
use crate::{record, store};

const CONNECTIONS: u32 = 10_000;

fn used(server: &Server) -> u64 {
    server.info("used_memory_dataset").parse().expect("a count")
}

#[tokio::test]
async fn a_connection_costs_less_than_a_hash_and_an_index_entry() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let node = NodeId([0x11; 6]);
    store
        .register(&[record(node, u32::MAX)])
        .await
        .expect("registers");
    let before = used(&server);
    let records: Vec<_> = (0..CONNECTIONS).map(|n| record(node, n)).collect();
    for records in records.chunks(500) {
        store.register(records).await.expect("registers");
    }
    let ours = (used(&server) - before) / u64::from(CONNECTIONS);
    let usage: u64 =
        server.command(&["MEMORY", "USAGE", "wg:{111111111111}:conns", "SAMPLES", "0"]);
    let usage = usage / u64::from(CONNECTIONS);

    let other = Server::start();
    let before = used(&other);
    let fill = "for i = 1, 10000 do local id = string.format('%032d', i) \
        redis.call('ZADD', 'wg:{n}:conns', i, id) \
        redis.call('HSET', 'wg:{n}:c:' .. id, 'api', 'chat', 'stage', 'production', 'connectedAt', '1700000000000', \
        'sourceIp', '203.0.113.7', 'userAgent', ARGV[1], 'domainName', 'gateway.example.com') \
        redis.call('PEXPIRE', 'wg:{n}:c:' .. id, 90000000) end return 1";
    let agent = records[0]
        .connection
        .user_agent
        .clone()
        .expect("it has one");
    let _: u64 = other.command(&["EVAL", fill, "0", &agent]);
    let theirs = (used(&other) - before) / u64::from(CONNECTIONS);
    println!(
        "bytes for each connection: {ours} (MEMORY USAGE {usage}); as hash and index: {theirs}"
    );
    assert!(
        ours < theirs && ours < 500,
        "{ours} bytes, as hash and index {theirs}"
    );
}

#[tokio::test]
async fn a_connection_costs_two_steps_in_its_life() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let node = NodeId([0x11; 6]);
    let first = record(node, u32::MAX);
    store
        .register(std::slice::from_ref(&first))
        .await
        .expect("registers");
    store
        .unregister(&[first.connection.id])
        .await
        .expect("unregisters");
    let () = server.command(&["CONFIG", "RESETSTAT"]);
    for n in 0..100 {
        let one = record(node, n);
        store
            .register(std::slice::from_ref(&one))
            .await
            .expect("registers");
        store
            .unregister(&[one.connection.id])
            .await
            .expect("unregisters");
    }
    let all: String = server.command(&["INFO", "commandstats"]);
    let count = |name: &str| calls(&all, name);
    println!("commands for 100 connections: {all}");
    assert_eq!(
        (count("evalsha"), count("eval")),
        (200, 0),
        "two round trips each"
    );
    let writes = ["zadd", "zremrangebylex"].map(count);
    assert_eq!(writes, [100, 100], "two writes each");
    assert!(
        server
            .info("total_writes_processed")
            .parse::<u64>()
            .unwrap_or(0)
            < 220
    );
}

/// How often a command was called since the statistics were reset.
fn calls(commandstats: &str, name: &str) -> u64 {
    let head = format!("cmdstat_{name}:calls=");
    let calls = (commandstats.lines()).find_map(|line| line.strip_prefix(&head)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a count"))
}

#[tokio::test]
async fn what_became_of_a_node_that_never_was_costs_one_step() {
    let server = Server::start();
    let store = store(&format!("redis://127.0.0.1:{}", server.port));
    let forged = |n| NodeId([n; 6]);
    store.fate(&forged(0)).await.expect("answers");
    let () = server.command(&["CONFIG", "RESETSTAT"]);
    for n in 1..=100 {
        store.fate(&forged(n)).await.expect("answers");
    }
    let all: String = server.command(&["INFO", "commandstats"]);
    assert_eq!((calls(&all, "evalsha"), calls(&all, "eval")), (100, 0));
}
