//! How a connection ends: the socket goes, then the backend is told until it has heard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::session::CloseCause;

use super::WebSocketDoor;
use crate::env;
use crate::node::{End, Guard, LiveConnection, Wire};

/// How long a peer may take to end its side after ours.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may take to accept a last response.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Ends a connection whose socket is done with: from here on its `$disconnect` is owed, and is told in time.
pub(super) async fn end(
    door: &Arc<WebSocketDoor>,
    live: Arc<LiveConnection>,
    cause: CloseCause,
    mut guard: Guard,
) {
    guard.end();
    door.observe.metrics.closed(&cause);
    tracing::debug!(connection = %live.connection.id, code = cause.code(), cause = cause.name(), "closed");
    let (connection, slot) = (Arc::clone(&live.connection), Arc::clone(&live.stage));
    // The descriptor goes as soon as the peer has had its time to read; the backend may be long in hearing of it.
    drop(live);
    let end = End {
        connection,
        cause,
        ended_at: env::wall(),
        guard,
    };
    door.owe(&slot, end).await;
}

/// Writes a last response and ends the connection in a way that lets the peer read it.
pub async fn send_last(socket: &Wire, mut bytes: Bytes) {
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
pub(super) async fn linger(socket: &Wire) {
    let drain = async {
        socket.end().await;
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
