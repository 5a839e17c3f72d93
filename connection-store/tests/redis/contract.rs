//! Every behaviour of the contracts, on every topology and way to log in.

use connection_store::contract::{outbox, registry};

use crate::server::{Cluster, Server, Trio};
use crate::store;

async fn both_contracts_hold(url: &str) {
    let (one, other) = (store(url), store(url));
    registry::all(&one, &other).await;
    outbox::all(&one).await;
    assert_eq!((one.poisoned(), other.poisoned()), (0, 0));
}

#[tokio::test]
async fn a_single_redis_keeps_the_contracts() {
    let server = Server::start();
    both_contracts_hold(&format!("redis://127.0.0.1:{}", server.port)).await;
}
#[tokio::test]
async fn a_cluster_of_three_masters_keeps_the_contracts() {
    let cluster = Cluster::start();
    both_contracts_hold(&cluster.url()).await;
}

#[tokio::test]
async fn a_master_named_by_sentinels_keeps_the_contracts() {
    let trio = Trio::start();
    both_contracts_hold(&trio.url()).await;
}
