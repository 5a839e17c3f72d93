//! Redis, or Valkey, behind the ports: the registry, the outbox and the documents that several nodes share.
//!
//! `endpoint` reads the URL, `dial` opens connections to what it names, `client` keeps one open and answers within a time limit,
//! `keys` lists every key, each `.lua` file is one atomic step on keys of one slot, `pack` is the form of what is stored. `bus` is the road
//! between nodes that cannot reach each other, `lane` what one of them has to say to another, `ear` its subscription, `envelope` the form of what travels on it.

mod bus;
mod check;
mod client;
mod dial;
mod documents;
mod ear;
mod endpoint;
mod envelope;
mod keys;
mod lane;
mod listing;
mod outbox;
mod pack;
mod script;
mod store;
mod waiting;

pub use bus::{RedisBus, RedisBusCounts, RedisBusSettings};
pub use client::Redis;
pub use dial::{Heard, Subscriber};
pub use documents::RedisDocuments;
pub use endpoint::{InvalidRedisUrl, RedisUrl, Topology};
pub use store::{RedisSettings, RedisStore};
