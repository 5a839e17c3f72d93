//! How a connection ends: the socket goes, then the backend is told until it has heard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::call::{Call, Connection, Event};
use gateway_core::id::RequestId;
use gateway_core::session::CloseCause;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::WebSocketDoor;
use crate::env;
use crate::node::{Guard, LiveConnection, StageSlot};

/// First pause between two attempts; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a peer may take to end its side after ours.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may take to accept a last response.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Ends a connection whose socket is done with, in a task of its own.
pub(super) fn spawn(
    door: Arc<WebSocketDoor>,
    live: Arc<LiveConnection>,
    cause: CloseCause,
    mut guard: Guard,
    permit: OwnedSemaphorePermit,
) {
    guard.end();
    door.observe.metrics.closed(&cause);
    tracing::debug!(connection = %live.connection.id, code = cause.code(), cause = cause.name(), "closed");
    let (connection, slot) = (Arc::clone(&live.connection), Arc::clone(&live.stage));
    // The descriptor goes now; the backend may be long in hearing of it.
    drop((live, permit));
    tokio::spawn(async move {
        door.tell_backend(&connection, &slot, &cause).await;
        if let Err(error) = door.node.store.unregister(&connection.id).await {
            tracing::warn!("an ended connection stays registered: {error}");
        }
        drop(guard);
    });
}

impl WebSocketDoor {
    /// Runs `$disconnect` until the backend took it, with pauses that grow while it is down.
    async fn tell_backend(&self, connection: &Connection, slot: &StageSlot, cause: &CloseCause) {
        let time = env::wall();
        let mut pause = FIRST_PAUSE;
        loop {
            let deployed = slot.load();
            let Some(route) = deployed.live.disconnect_route() else {
                return;
            };
            let call = Call {
                connection,
                event: Event::Disconnect {
                    code: cause.code(),
                    reason: cause.reason(),
                },
                route_key: &route.route_key,
                request_id: RequestId::new(env::random()),
                time,
                trace: env::random(),
            };
            // Boxed, so that the many that may wait for a backend to come back hold no room for a call.
            match Box::pin(self.pipeline.disconnect(&deployed, route, &call)).await {
                Ok(()) => return,
                Err(failure) if !failure.is_transient() => return,
                Err(_) => {}
            }
            // Half to all of the pause, so that those who failed together do not return together.
            tokio::time::sleep(pause.mul_f64(0.5 + env::chance() / 2.0)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Writes a last response and ends the connection in a way that lets the peer read it.
pub async fn send_last(socket: &TcpStream, mut bytes: Bytes) {
    let written = async {
        while !bytes.is_empty() {
            socket.writable().await?;
            match socket.try_write(&bytes) {
                Ok(n) => drop(bytes.split_to(n)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    if let Ok(Ok(())) = tokio::time::timeout(LAST_WORD, written).await {
        linger(socket).await;
    }
}

/// Half-closes and reads until the peer ends or its time is up: closing with unread bytes would send a reset,
/// and the peer could lose what was just written.
pub(super) async fn linger(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).shutdown(std::net::Shutdown::Write);
    let drain = async {
        let mut scratch = [0; 1024];
        loop {
            if socket.readable().await.is_err() {
                return;
            }
            match socket.try_read(&mut scratch) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
