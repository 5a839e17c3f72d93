//! The specification: one test binary, a file for each promise. Each test starts the real binary on free ports
//! and speaks to it over sockets; its name is a sentence that a user would say.
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, and says where"
)]
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    clippy::type_complexity,
    clippy::large_futures,
    reason = "configurations are put together from texts and tables from tuples, so that a row stays a line"
)]

mod app;

mod addressing;
mod authorizer;
mod browser;
mod callback;
mod certificate;
mod close;
mod cluster;
mod config;
mod connect;
mod control;
mod dev;
mod events;
mod example;
mod functions;
mod handshake;
mod hostile;
mod inspect;
mod lambda;
mod lambda_api;
mod lifecycle;
mod limits;
mod load;
mod management;
mod mapping;
mod metrics;
mod order;
mod owed;
mod push;
mod refusals;
mod reload;
mod reply;
mod route;
mod sdk;
mod sigv4;
mod template;
mod tls;
