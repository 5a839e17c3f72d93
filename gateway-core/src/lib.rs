//! What the AWS WebSocket API model says must happen, as values and functions.
//!
//! No clock, no randomness, no sockets: time, keys and chance are arguments. In reading order:

pub mod id;
pub mod resource;
