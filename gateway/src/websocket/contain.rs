//! Keeps a panic, which is always a defect of ours, to the one connection in which it happened.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use gateway_core::id::ConnectionId;

use super::WebSocketDoor;

/// A panic was contained; it has been logged and counted.
#[derive(Debug)]
pub(super) struct Panicked;

impl WebSocketDoor {
    /// Runs a piece of a connection's work; a panic ends that piece alone.
    pub(super) async fn contain<T>(
        &self,
        connection: &ConnectionId,
        work: impl Future<Output = T>,
    ) -> Result<T, Panicked> {
        // What a panic may leave half done is either dropped with its connection, or stands behind a lock whose
        // holder leaves it whole at every step (`Outlet`, `Sessions`, `Owed`).
        AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
            self.observe.metrics.panicked();
            // What the panic said may quote a message, so it is left to the standard hook, which wrote it to stderr.
            tracing::error!(%connection, "a panic in the work of a connection: please report this defect of the gateway");
            Panicked
        })
    }
}
