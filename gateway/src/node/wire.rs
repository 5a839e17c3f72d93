//! One client's socket, plain or TLS, behind the few calls that the rest of the house makes of a socket.
//!
//! Both kinds look alike from outside: bytes that are read and written here are what the client means, never records.
//! A plain one is nothing but its `TcpStream`: it costs one branch and no memory.
#![allow(
    clippy::match_wildcard_for_single_variants,
    reason = "the simulation has a third kind of socket"
)]

use std::future::poll_fn;
use std::io::{self, Read};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "simulation")]
use super::simulated::Simulated;
use super::tls::Secured;

/// A client's socket.
#[derive(Debug)]
pub enum Wire {
    /// What is written goes out as it stands.
    Plain(TcpStream),
    /// What is written goes out in TLS records. Boxed, so that a plain one does not pay for it.
    Tls(Box<Secured>),
    /// A socket of the simulation.
    #[cfg(feature = "simulation")]
    Simulated(Simulated),
}

impl Wire {
    /// The server's side of TLS on an accepted socket, from which `received` was read already: the start of the
    /// client's hello. The handshake goes on as the wire is read; nothing can be written before its end.
    pub fn secured(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        received: Vec<u8>,
    ) -> io::Result<Self> {
        Ok(Self::Tls(Box::new(Secured::new(socket, config, received)?)))
    }

    /// True where the client speaks TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Ready where [`try_read`](Self::try_read) is worth a try. On TLS it also sends what the protocol itself has to say.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(tls) => tls.poll_read_ready(cx),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => socket.poll_read_ready(cx),
        }
    }

    /// Ready where the socket takes bytes.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_write_ready(cx),
            Self::Tls(tls) => tls.socket().poll_write_ready(cx),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Waits until [`try_read`](Self::try_read) is worth a try. One task reads at a time.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_read_ready(cx)).await
    }

    /// Waits until the socket takes bytes. One task waits at a time.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_ready(cx)).await
    }

    /// Reads what is there: 0 at the end, `WouldBlock` where nothing is.
    ///
    /// The end is the end, whether or not TLS said goodbye: a WebSocket that ended without its close frame is lost
    /// either way, and whoever needs a whole body knows its length.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => read_plain(socket, into),
            Self::Tls(tls) => tls.try_read(into),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => socket.try_read(into),
        }
    }

    /// Writes some of `bytes`. On TLS as much as one record holds may wait here afterwards, until the next call or
    /// [`end`](Self::end).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => socket.try_write(bytes),
        }
    }

    /// Writes a frame as far as the socket takes it; what is not taken stays in `frame`, which must be the next one
    /// that is given here. On TLS the bytes of a record leave `frame` when all of it is taken, so that nothing that
    /// waits is out of the queue's sight.
    pub(super) fn write(&self, frame: &mut Bytes) -> io::Result<()> {
        match self {
            Self::Plain(socket) => {
                while !frame.is_empty() {
                    let written = socket.try_write(frame)?;
                    frame.advance(written);
                }
                Ok(())
            }
            Self::Tls(tls) => tls.write(frame),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => {
                while !frame.is_empty() {
                    let written = socket.try_write(frame)?;
                    frame.advance(written);
                }
                Ok(())
            }
        }
    }

    /// True where the socket took bytes since this was last asked, although no frame may have become shorter.
    pub(super) fn moved(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.moved(),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => false,
        }
    }

    /// Ends our side: what waits here goes out, TLS says goodbye, the socket is half-closed. Bound it with a time.
    pub async fn end(&self) {
        if let Self::Tls(tls) = self {
            let _ = poll_fn(|cx| tls.poll_goodbye(cx)).await;
        }
        self.half_close();
    }

    fn half_close(&self) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => return socket.half_close(),
        };
        let _ = socket2::SockRef::from(socket).shutdown(Shutdown::Write);
    }
}

/// A read that leaves room has emptied the socket. The runtime is told so at once: else it learns it by another read,
/// one for each message.
fn read_plain(socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    let room = into.len();
    let mut got = 0;
    let read = socket.try_io(Interest::READABLE, || {
        got = (&*socket2::SockRef::from(socket)).read(into)?;
        if 0 < got && got < room {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(got)
    });
    if got > 0 { Ok(got) } else { read }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = match self.get_mut() {
            Self::Plain(socket) => return Pin::new(socket).poll_read(cx, buf),
            wire => wire,
        };
        loop {
            ready!(wire.poll_read_ready(cx))?;
            match wire.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = match self.get_mut() {
            Self::Plain(socket) => return Pin::new(socket).poll_write(cx, bytes),
            wire => wire,
        };
        loop {
            match wire.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(wire.poll_write_ready(cx))?;
                }
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => tls.poll_flush(cx),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => {
                ready!(tls.poll_goodbye(cx))?;
                Poll::Ready(socket2::SockRef::from(tls.socket()).shutdown(Shutdown::Write))
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => {
                socket.half_close();
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bytes),
            wire => {
                let first = bytes.iter().find(|part| !part.is_empty());
                Pin::new(wire).poll_write(cx, first.map_or(&[], |part| part))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

#[cfg(all(test, not(feature = "simulation")))]
mod tests {
    use super::*;

    #[test]
    fn a_plain_wire_is_as_small_as_its_socket() {
        assert_eq!(size_of::<Wire>(), size_of::<TcpStream>());
    }
}
