//! The one place that writes down what happened: metrics and the access log.

mod access;
mod cluster;
mod functions;
mod metrics;
mod refusals;

use std::fmt;
use std::time::Duration;

use gateway_core::call::Call;
use gateway_core::failure::Failure;
use gateway_core::live::{LiveBackend, LiveStage};

pub use access::AccessLog;
pub use cluster::{ClusterMetrics, Handover};
pub use functions::{FunctionMetrics, FunctionOutcome};
pub use metrics::{Metrics, Push, RouteMeter, StageMeters};
use refusals::Refusals;
pub use refusals::Refused;

/// One call that is over.
#[derive(Debug)]
pub struct Record<'a> {
    /// Where.
    pub stage: &'a LiveStage,
    /// What.
    pub call: &'a Call<'a>,
    /// The route's meters.
    pub meter: &'a RouteMeter,
    /// What was called, or would have been.
    pub backend: Option<&'a LiveBackend>,
    /// How long the backend took; `None` where none was called.
    pub latency: Option<Duration>,
    /// The status that the caller saw, or would have seen.
    pub status: u16,
    /// Why it was refused.
    pub failure: Option<&'a Failure>,
    /// It failed and will be tried again; whoever tries says in the log how that goes.
    pub retried: bool,
}

impl Record<'_> {
    /// `principalId`, where an authorizer let the client in.
    fn principal(&self) -> Option<&str> {
        let authorizer = self.call.connection.authorizer.as_deref()?;
        Some(&authorizer.principal_id)
    }
}

/// Is told of each call, in place of the access log.
pub struct Teller(Box<dyn Fn(&Record<'_>) + Send + Sync>);

impl Teller {
    /// Called on the threads that serve: it must not wait.
    pub fn new(tell: impl Fn(&Record<'_>) + Send + Sync + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

/// Metrics and logs.
#[derive(Debug)]
pub struct Observe {
    /// Everything that `/metrics` shows.
    pub metrics: Metrics,
    access: AccessLog,
    refusals: Refusals,
    teller: Option<Teller>,
}

impl Observe {
    /// Counters at zero.
    pub fn new(access: AccessLog) -> Self {
        Self {
            metrics: Metrics::new(),
            access,
            refusals: Refusals::new(),
            teller: None,
        }
    }

    /// Counters at zero, and somebody who is told of each call in place of the access log.
    pub fn telling(access: AccessLog, teller: Teller) -> Self {
        Self {
            teller: Some(teller),
            ..Self::new(access)
        }
    }

    /// Writes a finished call down. Every call comes by here, refused ones too.
    pub fn record(&self, record: &Record<'_>) {
        self.metrics.record(record);
        match &self.teller {
            Some(Teller(tell)) => tell(record),
            None => self.access.write(record),
        }
    }

    /// Writes a handshake down that was refused before it became a call. `places` is where the client could go
    /// instead, asked for only where a line is written.
    pub fn refuse_handshake(&self, refused: &Refused<'_>, places: impl FnOnce() -> Vec<String>) {
        self.metrics.refused_handshake(refused.failure);
        if self.access != AccessLog::Off {
            self.refusals.write(refused, places);
        }
    }
}
