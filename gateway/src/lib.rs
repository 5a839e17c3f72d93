//! Wiregate: sockets, clients, clocks and listeners around `gateway-core`'s decisions.
//!
//! Floors, from the ground: `env`, `codec`, `config` and `observe`; then `functions`, which runs Lambda functions; then
//! the adapters `integration`, `node` and `respond`; then `pipeline`; then the front doors `websocket`, `callback`, `control` and
//! `management`; on top `listen`, `dev`, `app` and `cli`. A floor uses those below it, never above; `tests/floors.rs` keeps it so.

pub mod app;
pub mod callback;
pub mod cli;
pub mod codec;
pub mod config;
pub mod control;
pub mod dev;
pub mod env;
pub mod functions;
pub mod integration;
pub mod lambda_api;
pub mod listen;
pub mod management;
pub mod node;
pub mod observe;
pub mod pipeline;
pub mod respond;
pub mod websocket;
