//! The two halves of a connection after its opening: batches that come, batches that go.

use std::future::Future;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::auth::{Seal, TAG};
use super::frame::{
    BATCH, DEADLINE, Frames, Kind, LARGE, LENGTH, batch_length, largest_batch, length, put_head,
};

/// What one read may bring. Buffers start with it and go back to it.
const READ: usize = 8 * 1024;
/// A busy connection reads more at once.
const BUSY_READ: usize = 64 * 1024;

/// What was received and not yet acted upon.
pub(super) struct Incoming {
    seal: Seal,
    largest: usize,
    received: BytesMut,
    /// Of the batch that was given out last.
    spent: usize,
}

impl Incoming {
    /// Refuses a batch with bodies of more than `most` bytes.
    pub(super) fn new(seal: Seal, most: usize) -> Self {
        Self {
            seal,
            largest: largest_batch(most),
            received: BytesMut::new(),
            spent: 0,
        }
    }

    /// Reads once: how many bytes came, 0 at the end.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        self.drop_spent();
        if self.received.capacity() - self.received.len() < READ / 2 {
            self.received.reserve(self.room());
        }
        pin!(stream.read_buf(&mut self.received)).poll(cx)
    }

    /// The next batch, once it is there whole and its code is right. Nothing of a batch is believed before, but for a length that
    /// is bounded.
    pub(super) fn next(&mut self) -> io::Result<Option<Frames<'_>>> {
        self.drop_spent();
        let whole = match batch_length(&self.received, self.largest) {
            ControlFlow::Break(length) => {
                return Err(broken(format!("a batch of {length} bytes is too large")));
            }
            ControlFlow::Continue(Some(whole)) if self.received.len() >= whole => whole,
            ControlFlow::Continue(_) => return Ok(None),
        };
        let (batch, tag) = self.received[..whole].split_at(whole - TAG);
        if !self.seal.admits(batch, tag) {
            return Err(broken("a batch was altered, or is none of this connection"));
        }
        if whole < LARGE {
            self.spent = whole;
            return Ok(Some(Frames::of_small(&self.received[LENGTH..whole - TAG])));
        }
        let whole = self.received.split_to(whole).freeze();
        Ok(Some(Frames::of_large(
            whole.slice(LENGTH..whole.len() - TAG),
        )))
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn rest(&mut self) {
        self.drop_spent();
        if self.received.is_empty() && self.received.capacity() > READ {
            self.received = BytesMut::new();
        }
    }

    fn drop_spent(&mut self) {
        self.received.advance(self.spent);
        self.spent = 0;
    }

    /// As much as the batch that has begun still needs; else as much as one read should bring.
    fn room(&self) -> usize {
        let have = self.received.len();
        let usual = if have == 0 && self.received.capacity() == 0 {
            READ
        } else {
            BUSY_READ
        };
        match batch_length(&self.received, self.largest) {
            ControlFlow::Continue(Some(whole)) => whole.saturating_sub(have).max(usual),
            _ => usual,
        }
    }
}

/// What is to be sent: sealed batches, the last one still open.
pub(super) struct Outgoing {
    seal: Seal,
    buffer: Vec<u8>,
    /// Where the open batch begins.
    open: Option<usize>,
    /// A large body, and where in the buffer it belongs. Nothing is put behind its batch.
    large: Option<(usize, Bytes)>,
    written: usize,
    flushed: bool,
}

impl Outgoing {
    pub(super) fn new(seal: Seal) -> Self {
        Self {
            seal,
            buffer: Vec::new(),
            open: None,
            large: None,
            written: 0,
            flushed: true,
        }
    }

    /// Whether so much waits that nothing should be added.
    pub(super) fn is_full(&self) -> bool {
        self.large.is_some() || self.buffer.len() >= BATCH
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Adds a probe or an echo.
    pub(super) fn put_sign(&mut self, kind: Kind) {
        self.begin();
        put_head(&mut self.buffer, kind, 0, 0);
    }

    /// Adds an answer.
    pub(super) fn put_answer(&mut self, ticket: u64, body: &[u8]) {
        self.begin();
        put_head(&mut self.buffer, Kind::Answer, ticket, body.len());
        self.buffer.extend_from_slice(body);
        self.close_if_large();
    }

    /// Adds an order. A large one is not copied.
    pub(super) fn put_order(&mut self, ticket: u64, deadline: u64, body: Bytes) {
        let large = body.len() >= LARGE;
        if large {
            // It travels in a batch of its own, so that whoever receives it may keep the buffer it came in.
            self.close();
        }
        self.begin();
        put_head(&mut self.buffer, Kind::Order, ticket, DEADLINE + body.len());
        self.buffer.extend_from_slice(&deadline.to_be_bytes());
        if large {
            self.large = Some((self.buffer.len(), body));
            self.close();
        } else {
            self.buffer.extend_from_slice(&body);
            self.close_if_large();
        }
    }

    fn begin(&mut self) {
        if self.open.is_none() {
            self.open = Some(self.buffer.len());
            self.buffer.extend_from_slice(&[0; LENGTH]);
        }
    }

    fn close_if_large(&mut self) {
        let begun = self.open.unwrap_or(self.buffer.len());
        if self.buffer.len() - begun >= BATCH {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(begun) = self.open.take() else {
            return;
        };
        let end = self.buffer.len();
        let inside = (self.large.as_ref()).filter(|(place, _)| *place > begun);
        let (split, body) = inside.map_or((end, &[][..]), |(place, body)| (*place, &body[..]));
        let frames = length(end - begun - LENGTH + body.len());
        self.buffer[begun..begun + LENGTH].copy_from_slice(&frames);
        let (before, after) = self.buffer[begun..].split_at(split - begun);
        let tag = self.seal.tag([before, body, after]);
        self.buffer.extend_from_slice(&tag);
    }

    /// Writes everything. Only once it is ready did all bytes go: of a batch that went in part the other side believes nothing.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        self.close();
        let body = self.large.as_ref().map_or(0, |(_, body)| body.len());
        while self.written < self.buffer.len() + body {
            self.flushed = false;
            let written = ready!(self.poll_some(cx, stream))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        if !self.buffer.is_empty() {
            self.clear();
        }
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_some<S: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(stream);
        let Some((split, body)) = &self.large else {
            return stream.poll_write(cx, &self.buffer[self.written..]);
        };
        let mut skip = self.written;
        let mut rest = |part: &mut &[u8]| {
            let skipped = skip.min(part.len());
            *part = &part[skipped..];
            skip -= skipped;
        };
        let mut parts = [&self.buffer[..*split], &body[..], &self.buffer[*split..]];
        parts.iter_mut().for_each(&mut rest);
        stream.poll_write_vectored(cx, &parts.map(IoSlice::new))
    }

    fn clear(&mut self) {
        self.written = 0;
        self.large = None;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BATCH);
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

pub(super) fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
