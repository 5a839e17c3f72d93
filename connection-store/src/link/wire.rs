//! The two halves of a connection after its opening: batches that come, batches that go.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::auth::Seal;
use crate::frame::{
    BATCH, Frames, HEAD, Kind, LARGE, LENGTH, batch_length, largest_batch, length, put_head,
};
use crate::seal::TAG;

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
        let (length, sealed) = self.received[..whole].split_at_mut(LENGTH);
        if !self.seal.open(length, sealed) {
            return Err(broken("a batch was altered, or is none of this connection"));
        }
        if whole < LARGE {
            self.spent = whole;
            return Ok(Some(Frames::of_small(&self.received[LENGTH..whole - TAG])));
        }
        let frames = self.received.split_to(whole).freeze();
        Ok(Some(Frames::of_large(frames.slice(LENGTH..whole - TAG))))
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
    written: usize,
    flushed: bool,
}

impl Outgoing {
    pub(super) fn new(seal: Seal) -> Self {
        Self {
            seal,
            buffer: Vec::new(),
            open: None,
            written: 0,
            flushed: true,
        }
    }

    /// Whether so much waits that nothing should be added.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= BATCH
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Adds a probe or an echo.
    pub(super) fn put_sign(&mut self, kind: Kind) {
        self.put(kind, 0, &[], &[]);
    }

    /// Adds an answer.
    pub(super) fn put_answer(&mut self, ticket: u64, body: &[u8]) {
        self.put(Kind::Answer, ticket, &[], body);
    }

    /// Adds an order.
    pub(super) fn put_order(&mut self, ticket: u64, deadline: u64, body: &[u8]) {
        if body.len() >= LARGE {
            // It travels in a batch of its own: whoever receives it keeps no other bytes alive with it.
            self.close();
        }
        self.put(Kind::Order, ticket, &deadline.to_be_bytes(), body);
        if body.len() >= LARGE {
            self.close();
        }
    }

    fn put(&mut self, kind: Kind, ticket: u64, before: &[u8], body: &[u8]) {
        let begun = *self.open.get_or_insert(self.buffer.len());
        if begun == self.buffer.len() {
            self.buffer.extend_from_slice(&[0; LENGTH]);
        }
        self.buffer.reserve(HEAD + before.len() + body.len() + TAG);
        put_head(&mut self.buffer, kind, ticket, before.len() + body.len());
        self.buffer.extend_from_slice(before);
        self.buffer.extend_from_slice(body);
        if self.buffer.len() - begun >= BATCH {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(begun) = self.open.take() else {
            return;
        };
        let (before, frames) = self.buffer[begun..].split_at_mut(LENGTH);
        before.copy_from_slice(&length(frames.len()));
        let tag = self.seal.close(before, frames);
        self.buffer.extend_from_slice(&tag);
    }

    /// Writes everything. Only once it is ready did all bytes go: of a batch that went in part the other side believes nothing.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        self.close();
        while self.written < self.buffer.len() {
            self.flushed = false;
            let rest = &self.buffer[self.written..];
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.written = 0;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BATCH);
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
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
