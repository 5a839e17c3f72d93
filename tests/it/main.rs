//! The specification: one test binary, a file for each promise. Each test starts the real binary on free ports
//! and speaks to it over sockets; its name is a sentence that a user would say.
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, and says where"
)]

mod app;

mod addressing;
mod browser;
mod callback;
mod close;
mod config;
mod connect;
mod events;
mod hostile;
mod lambda;
mod lifecycle;
mod limits;
mod management;
mod mapping;
mod order;
mod reply;
mod route;
mod sdk;
mod sigv4;
