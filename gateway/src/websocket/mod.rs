//! The front door of clients: the handshake, the socket's loop, and how a connection ends.

mod close;
mod contain;
pub mod head;
mod message;
mod outbox;
mod session;
mod tell;
mod upgrade;

use std::sync::Arc;

use gateway_core::address::Directory;

use crate::node::{Drain, Node, Owed, Stages};
use crate::observe::Observe;
use crate::pipeline::Pipeline;

pub use close::send_last;
pub use outbox::OutboxTerms;
pub use upgrade::{Arrival, Proxies};

/// What the door needs; one for each worker thread, so that a connection stays on its thread.
#[derive(Debug)]
pub struct WebSocketDoor {
    /// The walk.
    pub pipeline: Pipeline,
    /// Who is here.
    pub node: Arc<Node>,
    /// What is served.
    pub stages: Arc<Stages>,
    /// What is written down.
    pub observe: Arc<Observe>,
    /// What must be finished before the process may go.
    pub drain: Arc<Drain>,
    /// Of which ends backends have yet to hear.
    pub owed: Arc<Owed>,
    /// More than so many connections are refused with 503; `None` leaves it to the descriptors.
    pub max_connections: Option<usize>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Proxies,
}

/// The `Host` of a request, as far as addresses care.
fn host_of(head: &head::Head) -> &str {
    head.header("host").unwrap_or_default()
}

/// Where the request would go.
fn resolve<'a>(
    directory: &Directory,
    head: &'a head::Head,
) -> Option<gateway_core::address::Resolved<'a>> {
    directory.resolve(host_of(head), head.path())
}
