//! A call on its way from whoever invokes to a worker, and back.

use bytes::Bytes;
use gateway_core::function::{FunctionError, Undone};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a function is invoked with.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The event, JSON.
    pub event: Bytes,
    /// `Root=…;Parent=…;Sampled=…`.
    pub trace_id: Option<String>,
    /// `clientContext`, JSON.
    pub client_context: Option<String>,
    /// How long the caller waits; waiting for a worker counts. A call that began goes on without its caller, until the
    /// function's own `Timeout`.
    pub deadline: Instant,
}

/// A call that reached the function, or its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// What the function knows the call by.
    pub request_id: String,
    /// `$LATEST`, or a number.
    pub executed_version: String,
    /// The last 4 KB of the call's log.
    pub log_tail: Bytes,
    /// What the function returned, or why there is nothing.
    pub outcome: Result<Bytes, FunctionError>,
}

/// Why a call did not reach a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// No function of that name and qualifier runs here.
    #[error("no function of that name runs here")]
    NotFound,
    /// The caller's deadline passed, before a worker was free or before the function answered.
    #[error("the function did not answer in time")]
    TimedOut,
    /// Too many calls wait for this function.
    #[error("too many calls wait for the function; raise its maxWorkers")]
    Busy,
    /// The caller changed its mind before the call began.
    #[error("the call was withheld")]
    Withheld,
    /// The host is at its end, or the function was removed while the call waited.
    #[error("the function is being stopped")]
    Stopped,
}

/// A call that waits for a worker.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request_id: String,
    pub(super) arn: String,
    pub(super) trace_id: Option<String>,
    pub(super) client_context: Option<String>,
    /// Told once there is a worker, or that there will be none.
    pub(super) turn: oneshot::Sender<Result<Turn, Undone>>,
}

/// A worker waits for this call: its caller decides now whether it shall be made.
#[derive(Debug)]
pub(super) struct Turn {
    /// Takes the event. Dropped, the worker goes to the next call.
    pub(super) go: oneshot::Sender<Bytes>,
    pub(super) outcome: oneshot::Receiver<Invoked>,
}
