//! Three nodes, the store that they share, a backend, clients and pushers, in one thread and in simulated time. A seed decides
//! what happens when; the same seed does the same again.
//!
//! The nodes run the gateway's own code from the handshake to the last `$disconnect`. Models are what surrounds it: sockets
//! (turmoil), clocks and chance (`gateway::env::simulated`), the backend, and the way to the store, which loses answers, is
//! slow, away, or loses its data.
#![cfg(feature = "run")]

mod backend;
mod client;
mod dice;
mod faults;
mod letters;
mod node;
mod pusher;
mod roads;
mod run;
mod store;
mod world;

pub use run::{Course, Outcome, run};
