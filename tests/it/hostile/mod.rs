//! Attacks and ill luck, each bounded in time and size: what must hold is said by the tests' names.

mod backend;
mod bombs;
mod exhaustion;
mod flood;
mod frames;
mod handshake;
mod injection;
mod reader;
mod ssrf;
mod vanish;

const MIB: u64 = 1024 * 1024;
