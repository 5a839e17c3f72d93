//! The access log: one line a call, at the level of whoever must act on it.

use gateway_core::failure::{Failure, Fault};

use super::Record;

/// Which calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Only those that failed through no fault of the caller.
    Off,
    /// Those that were refused or failed.
    #[default]
    Errors,
    /// All.
    All,
}

impl AccessLog {
    /// Writes the call, if it is one to be written. Bodies, queries and headers are never part of it.
    pub fn write(self, record: &Record<'_>) {
        let fault = record.failure.map(Failure::fault);
        let wanted = match self {
            Self::Off => fault.is_some_and(|fault| fault != Fault::Caller),
            Self::Errors => fault.is_some() || record.status >= 400,
            Self::All => true,
        };
        // A backend that is down must not cost a line for each attempt.
        let wanted = wanted && (self == Self::All || !record.retried);
        if !wanted {
            return;
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    api = &*record.stage.api_id,
                    stage = &*record.stage.stage_name,
                    route = record.call.route_key,
                    event = record.call.event.event_type(),
                    connection = %record.call.connection.id,
                    request = %record.call.request_id,
                    source_ip = %record.call.connection.source_ip,
                    principal = record.principal(),
                    status = record.status,
                    integration_ms = record.latency.map(|latency| latency.as_millis() as u64),
                    error = record.failure.map(Failure::response_type),
                    reason = record.failure.map(tracing::field::display),
                )
            };
        }
        match fault {
            Some(Fault::Configuration | Fault::Gateway) => line!(error),
            Some(Fault::Backend) => line!(warn),
            Some(Fault::Caller) | None => line!(info),
        }
    }
}
