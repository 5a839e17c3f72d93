//! Starts what the specification needs, on free ports, and stops it by pid.
//!
//! In reading order: [`Gateway`] is the binary under test, [`Nodes`] are several of them; [`Backend`], [`Lambda`] and [`RawBackend`] are what it
//! calls; [`Client`], [`RawSocket`] and [`Request`] are who calls it; [`Table`] and [`eventually`] are how a test
//! says what must hold. Everything listens on loopback, on a port that the system chose; what must not happen in the
//! machine's own network happens in a [`Namespace`]. What is measured waits for a [`Calm`] turn. [`ledger`] holds what everybody
//! wrote down against what was promised.

mod answer;
mod backend;
mod calm;
mod chaos;
mod client;
mod gateway;
mod lambda;
pub mod ledger;
mod netns;
mod nodes;
mod raw;
mod redis;
mod request;
mod sigv4;
mod tls;
mod wait;

pub use answer::{HttpAnswer, read_answer};
pub use backend::{Answer, Backend, Gate, Recorded};
pub use calm::{Calm, allow_open_files, percentile};
pub use chaos::{Chaos, Weather};
pub use client::{Client, Closed, Handshake, Opened};
pub use gateway::{Exit, Gateway, GatewayCommand, check};
pub use lambda::{Invocation, Lambda, LambdaAnswer};
pub use netns::Namespace;
pub use nodes::Nodes;
pub use raw::{Frame, RawBackend, RawSocket, frame};
pub use redis::Redis;
pub use request::Request;
pub use sigv4::{Credentials, Signer};
pub use tls::{Authority, Issued, SecureStream, secure};
pub use wait::{PATIENCE, Table, eventually, within};
