//! Another server becomes master, or one of several is away: calls find the way without help.

use std::thread;
use std::time::{Duration, Instant};

use connection_store::{ConnectionStore, Registration, StoreError};
use gateway_core::id::NodeId;

use crate::server::{Cluster, Trio};
use crate::{LIMIT, SLACK, info, record, recover, renew, store};

#[tokio::test]
async fn the_replica_that_the_sentinels_choose_is_found() {
    let mut trio = Trio::start();
    let store = store(&trio.url());
    renew(&store).await.expect("renews");
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
        trio.master.info("role") == "slave"
    });
    renew(&store).await.expect("renews on the new master");
    let back = store.renew(&info(crate::NODE)).await.expect("renews");
    assert_eq!(back.registered, 1);
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
    let store = store(&cluster.url());
    assert_eq!(renewing(&store).await, nodes().len());
    cluster.servers[1].kill();
    assert!(renewing(&store).await < nodes().len());
    cluster.servers[1].restart();
    all_renew(&store, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_cluster_whose_masters_all_were_away_works_again() {
    let mut cluster = Cluster::start();
    let store = store(&cluster.url());
    assert_eq!(renewing(&store).await, nodes().len());
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
    let store = store(&cluster.url());
    assert_eq!(renewing(&store).await, nodes().len());
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
