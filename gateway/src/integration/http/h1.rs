//! One HTTP/1.1 connection, written and read by whoever calls: no task of its own stands between a call and its socket.
//!
//! That is worth a third of a routed message: a driver's task is woken twice for each call, and its fields are parsed into
//! maps that nobody reads. Requests are written from, and responses read into, one buffer of the thread.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::outgoing::Outgoing;
use super::response::{Bounds, Flaw, ResponseReader};
use super::{Attempt, BackendResponse, Origin};

/// Bytes read at once.
const READ_BYTES: usize = 32 << 10;
/// Written at first, at most: one TLS record. Where that fails the backend has not read a byte of the request, since of a
/// record cut short nothing can be read.
const FIRST_WRITE_BYTES: usize = 16 << 10;

/// What an HTTP/1.1 connection runs over.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// An open connection. Dropping it closes the socket, whatever is under way on it.
pub(super) struct Http1Connection {
    transport: Box<dyn Transport>,
}

impl fmt::Debug for Http1Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1Connection").finish_non_exhaustive()
    }
}

impl Http1Connection {
    /// A fresh connection. Nothing is written yet.
    pub(super) fn new(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
        }
    }

    /// Sends a request and reads its answer; and whether the connection may serve again.
    pub(super) async fn exchange(
        &mut self,
        origin: &Origin,
        request: &Outgoing,
        bounds: Bounds,
    ) -> Result<(BackendResponse, bool), Attempt> {
        let mut reader = ResponseReader::new(bounds, request.is_head());
        let mut unsent = Unsent::Nothing;
        poll_fn(|cx| self.poll_exchange(cx, origin, request, &mut unsent, &mut reader)).await?;
        let (response, keep_alive) = reader.finish();
        // An answer may come before the request's end was even sent; the next one must not be taken for the rest of it.
        Ok((
            response,
            keep_alive && matches!(unsent, Unsent::Rest { left: 0, .. }),
        ))
    }

    /// Writes and reads as far as it goes: a backend that answers before it has read everything must not wait for us,
    /// nor we for it.
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        origin: &Origin,
        request: &Outgoing,
        unsent: &mut Unsent,
        reader: &mut ResponseReader,
    ) -> Poll<Result<(), Attempt>> {
        let transport = Pin::new(&mut *self.transport);
        unsent.poll_write(cx, transport, origin, request)?;
        if matches!(unsent, Unsent::Nothing) {
            return Poll::Pending;
        }
        self.poll_answer(cx, reader)
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut ResponseReader,
    ) -> Poll<Result<(), Attempt>> {
        thread_local! {
            static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
        }
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                let mut piece = ReadBuf::new(buffer);
                match Pin::new(&mut *self.transport).poll_read(cx, &mut piece) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) if is_end(&error) => {
                        return Poll::Ready(Err(Attempt::Failed(Flaw::Incomplete.to_string())));
                    }
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(Attempt::Failed(error.kind().to_string())));
                    }
                    Poll::Ready(Ok(())) => {}
                }
                let piece = piece.filled();
                let whole = if piece.is_empty() {
                    reader.end().map(|()| true)
                } else {
                    reader.feed(piece)
                };
                match whole {
                    Ok(true) => return Poll::Ready(Ok(())),
                    Ok(false) => {}
                    Err(Flaw::BodyTooLarge) => return Poll::Ready(Err(Attempt::TooLarge)),
                    Err(flaw) => return Poll::Ready(Err(Attempt::Failed(flaw.to_string()))),
                }
            }
        })
    }

    /// Whether the connection waits for a request: open, and silent since its last answer, as far as the runtime has heard.
    pub(super) fn is_ready(&mut self) -> bool {
        let mut byte = [0];
        let mut piece = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let reading = Pin::new(&mut *self.transport).poll_read(&mut cx, &mut piece);
        reading.is_pending()
    }

    /// Whether the backend has closed it, asked of the system: the runtime may not have heard yet. It costs a system call.
    pub(super) fn has_ended(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(self.transport.socket()).peek(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// What of a request has not gone yet.
enum Unsent {
    /// All of it; nothing has reached the backend.
    Nothing,
    /// `head` from its first byte that did not go, then the body's last bytes; `left` of both together.
    Rest { head: Vec<u8>, left: usize },
    /// The backend takes no more of it; it may have answered all the same.
    Broken,
}

impl Unsent {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut transport: Pin<&mut dyn Transport>,
        origin: &Origin,
        request: &Outgoing,
    ) -> Result<(), Attempt> {
        if matches!(self, Self::Nothing) {
            self.begin(cx, transport.as_mut(), origin, request)?;
        }
        loop {
            let Self::Rest { head, left } = self else {
                return Ok(());
            };
            if *left == 0 {
                // TLS may hold what was written.
                if let Poll::Ready(Err(_)) = transport.as_mut().poll_flush(cx) {
                    *self = Self::Broken;
                }
                return Ok(());
            }
            let body = request.body();
            let next = match left.checked_sub(body.len()) {
                Some(of_head) if of_head > 0 => &head[head.len() - of_head..],
                _ => &body[body.len() - *left..],
            };
            match transport.as_mut().poll_write(cx, next) {
                Poll::Ready(Ok(n)) if n > 0 => *left -= n,
                Poll::Ready(_) => *self = Self::Broken,
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Writes the head, with a small body, out of a buffer of the thread; nearly always all of it goes at once.
    fn begin(
        &mut self,
        cx: &mut Context<'_>,
        transport: Pin<&mut dyn Transport>,
        origin: &Origin,
        request: &Outgoing,
    ) -> Result<(), Attempt> {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            request.write_http1_head(origin, buffer);
            let head_length = buffer.len();
            let body = request.body();
            if head_length + body.len() <= FIRST_WRITE_BYTES {
                buffer.extend_from_slice(body);
            }
            let first = &buffer[..buffer.len().min(FIRST_WRITE_BYTES)];
            let n = match transport.poll_write(cx, first) {
                Poll::Ready(Ok(n)) if n > 0 => n,
                Poll::Ready(Ok(_)) => {
                    return Err(Attempt::NotSent {
                        reason: io::ErrorKind::WriteZero.to_string(),
                        refused: false,
                    });
                }
                Poll::Ready(Err(error)) => {
                    return Err(Attempt::NotSent {
                        reason: error.kind().to_string(),
                        refused: false,
                    });
                }
                Poll::Pending => return Ok(()),
            };
            *self = Self::Rest {
                head: buffer[n.min(head_length)..head_length].to_vec(),
                left: head_length + body.len() - n,
            };
            Ok(())
        })
    }
}

/// A reset says no more than an end: the answer is not whole.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    )
}
