//! The store on real Redis servers: the contracts on every topology, and what happens when Redis is in trouble.

mod contract;
mod server;

use std::time::Duration;

use connection_store::contract::{LEASE, SETTLED};
use connection_store::{RedisSettings, RedisStore};

/// A store with the contract's times.
fn store(url: &str) -> RedisStore {
    let settings = RedisSettings {
        lease: LEASE,
        settled_after: SETTLED,
        timeout: Duration::from_millis(500),
    };
    let url = url.parse().expect("the test's URL is one");
    RedisStore::connect(url, settings).expect("the test's files are there")
}
