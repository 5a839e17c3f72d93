//! TLS on one client's socket: records in, records out, under a synchronous lock.
//!
//! It stands on rustls' unbuffered side, which owns no buffers. What is read goes through a buffer that all
//! connections of the thread share, and so does what is encrypted; a connection owns bytes only while a record is
//! half received or half sent. So an idle one costs its keys and no more.

mod records;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use self::records::Records;

/// A socket and its TLS.
pub struct Secured {
    socket: TcpStream,
    records: Mutex<Records>,
}

impl Secured {
    pub(super) fn new(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        received: Vec<u8>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket,
            records: Mutex::new(Records::new(config, received)?),
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // A panic under this lock leaves at worst a record half written; the peer ends that connection.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.lock();
        // The handshake's own words: the client waits for them, so nothing will come before they are out.
        if let Poll::Ready(Err(error)) = records.poll_flush(&self.socket, cx) {
            return Poll::Ready(Err(error));
        }
        if records.has_news() {
            return Poll::Ready(Ok(()));
        }
        drop(records);
        self.socket.poll_read_ready(cx)
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.lock().read(&self.socket, into)
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write_some(&self.socket, bytes)
    }

    pub(super) fn write(&self, frame: &mut Bytes) -> io::Result<()> {
        self.lock().write_frame(&self.socket, frame)
    }

    pub(super) fn moved(&self) -> bool {
        self.lock().moved()
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(&self.socket, cx)
    }

    /// Writes what waits and then `close_notify`, so that the peer can tell an end from an accident.
    pub(super) fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.lock();
        ready!(records.poll_flush(&self.socket, cx))?;
        records.seal_goodbye();
        records.poll_flush(&self.socket, cx)
    }
}

impl fmt::Debug for Secured {
    /// Without keys and without what the client said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
