//! Wiregate: sockets, clients, clocks and listeners around `gateway-core`'s decisions.
pub mod cli;
pub mod config;
