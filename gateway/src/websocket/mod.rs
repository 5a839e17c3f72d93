//! The front door for WebSocket clients.
pub mod codec;
