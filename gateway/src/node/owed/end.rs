//! An end that is owed, and what another node must know to tell it.

use std::sync::Arc;

use connection_store::ConnectionRecord;
use gateway_core::call::Connection;
use gateway_core::session::CloseCause;

use crate::node::Guard;

/// An end of which a backend has not heard. 64 bytes, and the connection's facts behind the `Arc`: with a usual
/// `User-Agent`, and the store's entry for it, about 500.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub connection: Arc<Connection>,
    /// Why.
    pub cause: CloseCause,
    /// When, in milliseconds of the epoch.
    pub ended_at: u64,
    /// Dropped once it need not be told any more.
    pub guard: Guard,
}

impl End {
    /// What another node must know to tell it.
    pub fn owed(&self) -> connection_store::Owed {
        self.facts().owed()
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            connection: Arc::clone(&self.connection),
            cause: self.cause.clone(),
            ended_at: self.ended_at,
        }
    }
}

/// What is known of an end while it is being told.
#[derive(Debug)]
pub(super) struct Facts {
    connection: Arc<Connection>,
    cause: CloseCause,
    ended_at: u64,
}

impl Facts {
    pub(super) fn owed(&self) -> connection_store::Owed {
        connection_store::Owed {
            record: ConnectionRecord {
                connection: Arc::clone(&self.connection),
            },
            code: self.cause.code(),
            reason: self.cause.reason().to_owned(),
            ended_at: self.ended_at,
        }
    }
}
