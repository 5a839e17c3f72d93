//! The store on real Redis servers: the contracts on every topology, what happens when Redis is in trouble, and what it costs.

mod bus;
mod contract;
mod documents;
mod failover;
mod figures;
mod peer;
mod poison;
mod pubsub;
mod refusals;
mod server;
mod silence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use connection_store::contract::{LEASE, SETTLED};
use connection_store::{
    ConnectionRecord, ConnectionStore, NodeInfo, RedisSettings, RedisStore, StoreError,
};
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};

const LIMIT: Duration = Duration::from_millis(500);
/// So much later than its limit may a call end where several builds share two cores.
const SLACK: Duration = Duration::from_secs(1);
const NODE: NodeId = NodeId([7; 6]);

/// A store with the contract's times, for tests that do not ask how long a call takes.
fn store(url: &str) -> RedisStore {
    within(url, Duration::from_secs(10))
}

/// A store whose calls take no longer than [`LIMIT`].
fn quick(url: &str) -> RedisStore {
    within(url, LIMIT)
}

fn within(url: &str, timeout: Duration) -> RedisStore {
    let settings = RedisSettings {
        lease: LEASE,
        settled_after: SETTLED,
        timeout,
    };
    let url = url.parse().expect("the test's URL is one");
    RedisStore::connect(url, settings).expect("the test's files are there")
}

fn info(id: NodeId) -> NodeInfo {
    NodeInfo {
        id,
        hostname: "node-1.example.com".to_owned(),
        version: "0.1.0".to_owned(),
        link: Some("10.0.0.1:8082".to_owned()),
        started_at: 1_700_000_000_000,
    }
}

/// As a browser's would be.
fn record(node: NodeId, n: u32) -> ConnectionRecord {
    let mut random = [0; 16];
    random[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    random[12..].copy_from_slice(&n.to_be_bytes());
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    ConnectionRecord {
        connection: Arc::new(Connection {
            id: ConnectionId::new(node, random),
            api_id: "chat".into(),
            stage: "production".into(),
            connected_at: 1_700_000_000_000 + u64::from(n),
            source_ip: [203, 0, 113, 7].into(),
            user_agent: Some(agent.into()),
            domain_name: "gateway.example.com".into(),
            authorizer: None,
        }),
    }
}

/// Renews, and sees that it ends in time.
async fn renew(store: &RedisStore) -> Result<(), StoreError> {
    let began = Instant::now();
    let renewed = store.renew(&info(NODE)).await;
    let took = began.elapsed();
    assert!(
        took < store.redis().limit() + SLACK,
        "took {took:?}: {renewed:?}"
    );
    renewed.map(drop)
}

/// Renews until it works again.
async fn recover(store: &RedisStore, limit: Duration) {
    let began = Instant::now();
    while let Err(error) = renew(store).await {
        assert!(began.elapsed() < limit, "not within {limit:?}: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: &Result<T, StoreError>, with: &str) {
    match answer {
        Err(StoreError::Refused(why)) if why.to_uppercase().contains(with) => {}
        other => panic!("{with} is no refusal: {other:?}"),
    }
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(
        matches!(answer, Err(StoreError::Unavailable(_))),
        "{answer:?}"
    );
}
