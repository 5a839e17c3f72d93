//! Redis answers, and refuses: a typed error at once, no loop, and recovery without help.

use std::time::Duration;

use connection_store::{ConnectionStore, Outbox, Registration, StoreError};

use crate::contract::RIGHTS;
use crate::peer::answering;
use crate::server::{Cluster, Server, free_port};
use crate::{NODE, assert_refused, quick, record, recover, renew, store};

fn plain(server: &Server) -> connection_store::RedisStore {
    store(&format!("redis://127.0.0.1:{}", server.port))
}

#[tokio::test]
async fn without_memory_it_refuses_to_write_and_lets_go() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let store = plain(&server);
    let one = record(NODE, 1);
    store
        .register(std::slice::from_ref(&one))
        .await
        .expect("registers");
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_refused(&renew(&store).await, "OOM");
    assert_refused(&store.register(&[record(NODE, 2)]).await, "OOM");
    assert_eq!(
        store.unregister(&[one.connection.id]).await,
        Ok(()),
        "that frees memory"
    );
    let () = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.register(&[one]).await, Ok(Registration::Done));
}

#[tokio::test]
async fn without_permission_it_refuses() {
    let server = Server::start();
    let rule = |more: &[&str]| {
        let words = ["ACL", "SETUSER", "gate", "on", ">hunter2"];
        let () = server.command(&[&words, more].concat());
    };
    rule(&RIGHTS.split_whitespace().collect::<Vec<_>>());
    let store = store(&format!("redis://gate:hunter2@127.0.0.1:{}", server.port));
    renew(&store).await.expect("renews");
    rule(&["-zadd"]);
    // Redis: "The user executing the script can't run this command or subcommand"; Valkey: "User gate has no permissions to run".
    assert_refused(&renew(&store).await, "RUN TH");
    rule(&["-evalsha", "-eval"]);
    assert_refused(&renew(&store).await, "NOPERM");
    rule(&["+evalsha", "+eval", "+zadd", "resetkeys", "~other:*"]);
    assert_refused(&renew(&store).await, "NOPERM");
    rule(&["resetkeys", "~wg:*"]);
    renew(&store).await.expect("renews");
    // The password is changed, and then changed back.
    rule(&["<hunter2", ">other"]);
    let _: u64 = server.command(&["CLIENT", "KILL", "USER", "gate"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_refused(&renew(&store).await, "WRONGPASS");
    rule(&[]);
    recover(&store, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn as_a_replica_it_refuses() {
    let server = Server::start();
    let store = plain(&server);
    renew(&store).await.expect("renews");
    let nobody = free_port().to_string();
    let () = server.command(&["REPLICAOF", "127.0.0.1", &nobody]);
    for _ in 0..20 {
        assert_refused(&renew(&store).await, "READONLY");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let connections: u64 = server
        .info("total_connections_received")
        .parse()
        .expect("a count");
    assert!(
        connections < 40,
        "it is dialled in a loop: {connections} connections"
    );
    let () = server.command(&["REPLICAOF", "NO", "ONE"]);
    recover(&store, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let server = Server::start();
    let store = plain(&server);
    for _ in 0..3 {
        renew(&store).await.expect("renews");
        store
            .claim(1, Duration::from_secs(1))
            .await
            .expect("claims");
        let () = server.command(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn while_it_loads_it_refuses() {
    let port = answering(b"-LOADING Redis is loading the dataset in memory\r\n");
    assert_refused(
        &renew(&store(&format!("redis://127.0.0.1:{port}"))).await,
        "LOADING",
    );
}

#[tokio::test]
async fn one_server_of_a_cluster_refuses_what_is_elsewhere_and_says_how_to_mend_it() {
    let cluster = Cluster::start();
    for server in &cluster.servers {
        let answer = renew(&plain(server)).await;
        assert_refused(&answer, "MOVED");
        assert_refused(&answer, "REDIS+CLUSTER://");
    }
}

#[tokio::test]
async fn what_is_no_redis_is_an_error() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\xff",
        b"$-7\r\n",
        b"*1000000000\r\n",
    ] {
        let store = quick(&format!("redis://127.0.0.1:{}", answering(answer)));
        for _ in 0..3 {
            renew(&store).await.expect_err("that is no Redis");
        }
    }
}

#[tokio::test]
async fn keys_of_another_type_are_corrupt() {
    let server = Server::start();
    let store = plain(&server);
    let () = server.command(&["SET", "wg:{cluster}:nodes", "x"]);
    let answers = [renew(&store).await, store.nodes().await.map(drop)];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_check_names_what_to_mend() {
    let server = Server::start();
    let store = plain(&server);
    assert_eq!(store.redis().check().await, Ok(Vec::new()));
    let () = server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let found = store.redis().check().await.expect("checks");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("set maxmemory-policy noeviction."),
        "{found:?}"
    );
    let cluster = Cluster::start();
    let store = crate::store(&cluster.url());
    assert_eq!(store.redis().check().await, Ok(Vec::new()));
    let () = cluster.servers[1].command(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert_eq!(store.redis().check().await.expect("checks").len(), 1);
}
