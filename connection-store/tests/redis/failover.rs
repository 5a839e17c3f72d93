//! Another server becomes master, or one of several is away, or another node must go on: calls find the way without help.

use std::thread;
use std::time::{Duration, Instant};

use connection_store::{Burial, ConnectionStore, Fencing, Registration, StoreError};
use gateway_core::id::NodeId;

use crate::peer::answering;
use crate::server::{Cluster, Server, Trio, free_port};
use crate::{LIMIT, SLACK, info, quick, record, recover, renew, store};

#[tokio::test]
async fn the_replica_that_the_sentinels_choose_is_found() {
    let mut trio = Trio::start();
    let store = quick(&trio.url());
    recover(&store, Duration::from_secs(10)).await;
    trio.master.kill();
    renew(&store).await.expect_err("the master is dead");
    recover(&store, Duration::from_secs(20)).await;
    let one = record(crate::NODE, 1);
    assert_eq!(
        store.register(std::slice::from_ref(&one)).await,
        Ok(Registration::Done)
    );
    assert_eq!(trio.replica.info("role"), "master");
    // The old one comes back, thinks it is master, and is made a replica.
    trio.master.restart();
    crate::server::until("it is a replica", Duration::from_secs(30), || {
        // Whoever makes it one ends the connections of all others.
        trio.master.try_info("role").as_deref() == Some("slave")
    });
    renew(&store).await.expect("renews on the new master");
    let back = store.renew(&info(crate::NODE)).await.expect("renews");
    assert_eq!(back.registered, 1);
}

#[tokio::test]
async fn a_replica_that_a_sentinel_still_takes_for_the_master_is_not_written_to() {
    let replica = Server::start();
    let nobody = free_port().to_string();
    let () = replica.command(&["REPLICAOF", "127.0.0.1", &nobody]);
    let port = replica.port.to_string();
    let answer = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len());
    let sentinel = answering(answer.into_bytes().leak());
    let store = quick(&format!("redis+sentinel://127.0.0.1:{sentinel}/mymaster"));
    match renew(&store).await {
        Err(StoreError::Unavailable(why)) => assert!(why.contains("not (yet)"), "{why}"),
        other => panic!("{other:?}"),
    }
    let () = replica.command(&["REPLICAOF", "NO", "ONE"]);
    recover(&store, Duration::from_secs(2)).await;
}

/// A node for each of the three ranges of slots, whichever it is.
fn nodes() -> Vec<NodeId> {
    (0..24).map(|n| NodeId([n; 6])).collect()
}

/// How many of many nodes can renew, each within its limit.
async fn renewing(store: &connection_store::RedisStore) -> usize {
    let mut done = 0;
    for node in nodes() {
        let began = Instant::now();
        match store.renew(&info(node)).await {
            Ok(_) => done += 1,
            Err(StoreError::Unavailable(_) | StoreError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(
            began.elapsed() < LIMIT + SLACK,
            "took {:?}",
            began.elapsed()
        );
    }
    done
}

async fn all_renew(store: &connection_store::RedisStore, limit: Duration) {
    let began = Instant::now();
    while renewing(store).await < nodes().len() {
        assert!(began.elapsed() < limit, "not all renew within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_cluster_that_lost_a_master_works_again_when_it_is_back() {
    let mut cluster = Cluster::start();
    let store = quick(&cluster.url());
    all_renew(&store, Duration::from_secs(20)).await;
    cluster.servers[1].kill();
    assert!(renewing(&store).await < nodes().len());
    cluster.servers[1].restart();
    all_renew(&store, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_cluster_whose_masters_all_were_away_works_again() {
    let mut cluster = Cluster::start();
    let store = quick(&cluster.url());
    all_renew(&store, Duration::from_secs(20)).await;
    for server in &mut cluster.servers {
        server.kill();
    }
    assert_eq!(renewing(&store).await, 0);
    for server in &mut cluster.servers {
        server.restart();
    }
    all_renew(&store, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_cluster_with_a_sleeping_master_works_again_when_it_wakes() {
    let cluster = Cluster::start();
    let store = quick(&cluster.url());
    all_renew(&store, Duration::from_secs(20)).await;
    let cluster = thread::spawn(move || {
        let () = cluster.servers[2].command(&["DEBUG", "SLEEP", "1.5"]);
        cluster
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    renewing(&store).await;
    let cluster = cluster.join().expect("it sleeps");
    all_renew(&store, Duration::from_secs(5)).await;
    drop(cluster);
}

#[tokio::test]
async fn another_may_not_bury_until_the_right_of_the_first_lapsed() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let (one, other, node) = (store(&url), store(&url), NodeId([9; 6]));
    let records: Vec<_> = (0..4).map(|n| record(node, n)).collect();
    one.register(&records).await.expect("registers");
    assert_eq!(one.fence(&node).await, Ok(Fencing::Fenced));
    let end = (1006, "gone");
    assert_eq!(one.bury(&node, end, 1).await, Ok(Burial::More(1)));
    assert_eq!(other.bury(&node, end, 1).await, Ok(Burial::Taken));
    assert_eq!(one.bury(&node, end, 1).await, Ok(Burial::More(1)));
    tokio::time::sleep(connection_store::contract::LEASE + Duration::from_millis(100)).await;
    assert_eq!(other.bury(&node, end, 9).await, Ok(Burial::Done(2)));
}
