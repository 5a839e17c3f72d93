//! The access log: one line a call. By default only refusals and errors are written.

use super::Record;

/// Which calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// None.
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
        let failed = record.failure.is_some() || record.status >= 400;
        let wanted = match self {
            Self::Off => false,
            Self::Errors => failed,
            Self::All => true,
        };
        if !wanted {
            return;
        }
        let call = record.call;
        tracing::info!(
            target: "access",
            api = &*record.stage.api_id,
            stage = &*record.stage.stage_name,
            route = call.route_key,
            event = call.event.event_type(),
            connection = %call.connection.id,
            request = %call.request_id,
            source_ip = %call.connection.source_ip,
            status = record.status,
            integration_ms = record.latency.map(|latency| latency.as_millis() as u64),
            error = record.failure.map(gateway_core::failure::Failure::response_type),
        );
    }
}
