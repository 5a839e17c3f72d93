//! What the log hears of the ends that are owed.

use gateway_core::failure::Failure;

use crate::node::StageSlot;

/// A line for the log, written once no lock is held.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Nobody is told, but for one probe at a time.
    Failing { owed: usize, millis: u64 },
    /// That is over.
    Recovered { owed: usize, millis: u64 },
    /// One end is refused again and again.
    Refused { owed: usize, times: u8 },
    /// More than may wait.
    GivenUp { count: usize },
}

impl Note {
    pub(super) fn say(&self, slot: &StageSlot, failure: Option<&Failure>) {
        let deployed = slot.load();
        let (api, stage) = (&*deployed.live.api_id, &*deployed.live.stage_name);
        let route = deployed.live.disconnect_route();
        let integration = route.and_then(|route| route.integration.as_ref());
        let integration = integration.map(|integration| &*integration.integration_id);
        match self {
            Self::Failing { owed, millis } => tracing::warn!(
                api,
                stage,
                integration,
                owed,
                failing_for_s = millis / 1000,
                reason = failure.map(tracing::field::display),
                "the backend does not take $disconnects; they are kept and told once it is back"
            ),
            Self::Recovered { owed, millis } => tracing::info!(
                api,
                stage,
                integration,
                owed,
                failed_for_s = millis / 1000,
                "the backend takes $disconnects again"
            ),
            Self::Refused { owed, times } => tracing::warn!(
                api,
                stage,
                integration,
                owed,
                times,
                reason = failure.map(tracing::field::display),
                "the backend refuses some $disconnects again and again; each is repeated by itself, others do not wait for it"
            ),
            Self::GivenUp { count } => tracing::error!(
                count,
                "$disconnects were given up, since more than server.maxOwedDisconnects wait for backends that fail or lag: \
                 those that waited longest; what these connections left behind must be cleared by other means"
            ),
        }
    }
}
