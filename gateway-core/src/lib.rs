//! What the AWS WebSocket API model says must happen, as values and functions.
//!
//! No clock, no randomness, no sockets: time, keys and chance are arguments. In reading order:

pub mod address;
pub mod auth;
pub mod call;
pub mod context;
pub mod control;
pub mod event;
pub mod expression;
pub mod failure;
pub mod function;
pub mod header_lines;
pub mod id;
pub mod jsonpath;
pub mod lambda_api;
pub mod lambda_arn;
pub mod limit;
pub mod live;
pub mod mapping;
pub mod resource;
pub mod session;
pub mod tenure;
