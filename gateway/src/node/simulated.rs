//! A client's socket in the simulation: two short buffers, as a kernel has them, carried to and from a stream by tasks that
//! go on while the process is stopped.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// What a kernel would take, in each direction.
const BUFFER: usize = 16 * 1024;

/// One simulated socket.
#[derive(Debug)]
pub struct Simulated(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Buffers>,
    /// There is something to carry, or room for it.
    moved: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Buffers {
    received: Vec<u8>,
    /// The peer ended its side, or the connection failed.
    ended: Option<io::ErrorKind>,
    over: bool,
    reader: Option<Waker>,
    sending: Vec<u8>,
    half_closed: bool,
    failed: bool,
    writer: Option<Waker>,
    dropped: bool,
}

impl Simulated {
    /// A socket that `read` and `write` connect to its peer.
    pub fn new(
        read: impl AsyncRead + Unpin + Send + 'static,
        write: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        tokio::spawn(receive(Arc::clone(&shared), read));
        tokio::spawn(send(Arc::clone(&shared), write));
        Self(shared)
    }

    pub(super) fn poll_read_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.0.lock();
        if !buffers.received.is_empty() || buffers.over {
            return Poll::Ready(Ok(()));
        }
        buffers.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffers = self.0.lock();
        if buffers.received.is_empty() {
            return match (buffers.over, buffers.ended) {
                (false, _) => Err(io::ErrorKind::WouldBlock.into()),
                (true, None) => Ok(0),
                (true, Some(kind)) => Err(kind.into()),
            };
        }
        let n = into.len().min(buffers.received.len());
        into[..n].copy_from_slice(&buffers.received[..n]);
        buffers.received.drain(..n);
        drop(buffers);
        self.0.drained.notify_one();
        Ok(n)
    }

    pub(super) fn poll_write_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.0.lock();
        if buffers.sending.len() < BUFFER || buffers.failed || buffers.half_closed {
            return Poll::Ready(Ok(()));
        }
        buffers.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffers = self.0.lock();
        if buffers.failed || buffers.half_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = bytes.len().min(BUFFER - buffers.sending.len());
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffers.sending.extend_from_slice(&bytes[..n]);
        drop(buffers);
        self.0.moved.notify_one();
        Ok(n)
    }

    pub(super) fn half_close(&self) {
        self.0.lock().half_closed = true;
        self.0.moved.notify_one();
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let mut buffers = self.0.lock();
        buffers.half_closed = true;
        buffers.dropped = true;
        drop(buffers);
        self.0.moved.notify_one();
        self.0.drained.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(shared: Arc<Shared>, mut read: impl AsyncRead + Unpin) {
    let mut part = vec![0; 4096];
    loop {
        let drained = shared.drained.notified();
        let (full, dropped) = {
            let buffers = shared.lock();
            (buffers.received.len() >= BUFFER, buffers.dropped)
        };
        if dropped {
            return;
        }
        if full {
            drained.await;
            continue;
        }
        let got = tokio::select! {
            biased;
            got = read.read(&mut part) => got,
            () = drained => continue,
        };
        let mut buffers = shared.lock();
        match got {
            Ok(0) => buffers.over = true,
            Ok(n) => buffers.received.extend_from_slice(&part[..n]),
            Err(error) => {
                buffers.over = true;
                buffers.ended = Some(error.kind());
                buffers.failed = true;
            }
        }
        let over = buffers.over;
        let waiting = [buffers.reader.take(), buffers.writer.take()];
        drop(buffers);
        waiting.into_iter().flatten().for_each(Waker::wake);
        if over {
            return shared.moved.notify_one();
        }
    }
}

async fn send(shared: Arc<Shared>, mut write: impl AsyncWrite + Unpin) {
    loop {
        let moved = shared.moved.notified();
        let (part, closed, failed) = {
            let mut buffers = shared.lock();
            let part = std::mem::take(&mut buffers.sending);
            (part, buffers.half_closed, buffers.failed)
        };
        if failed {
            return;
        }
        if part.is_empty() {
            if closed {
                let _ = write.shutdown().await;
                return;
            }
            moved.await;
            continue;
        }
        let written = write.write_all(&part).await;
        let mut buffers = shared.lock();
        buffers.failed |= written.is_err();
        let writer = buffers.writer.take();
        drop(buffers);
        writer.into_iter().for_each(Waker::wake);
    }
}
