//! How an open socket ends: what is queued goes out, the close frame last, and every received message is finished.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use gateway_core::session::CloseCause;

use super::{Socket, codec_limits};
use crate::codec;
use crate::env;
use crate::websocket::close;

/// How long the peer may take to answer our close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// How often a connection that ends looks whether its node may act again.
const SUSPENDED: Duration = Duration::from_millis(200);
/// How long a slow client may take to read what was queued for it before its close.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);

impl Socket<'_> {
    /// Ends what was served: out of the table, the client's close, every received message to its end.
    pub(super) async fn conclude(&mut self, cause: &CloseCause) {
        let (door, live) = (self.door, self.live);
        // From here on a push is answered 410.
        door.node.sessions.remove(&live.connection.id);
        let orderly = async {
            self.end(cause).await;
            self.settle().await;
        };
        tokio::select! {
            biased;
            ended = door.contain(&live.connection.id, orderly) => {
                if ended.is_err() {
                    live.outlet.finish();
                }
            }
            // A drain that runs out of time leaves the socket and what still answers, so that the backend is told.
            () = door.drain.hurry() => {
                live.outlet.finish();
            }
        }
    }

    /// Sends what is queued and the close frame, then waits for the peer's end, within bounds.
    async fn end(&mut self, cause: &CloseCause) {
        let outlet = &self.live.outlet;
        outlet.close(cause.clone());
        if !matches!(
            cause,
            CloseCause::Lost | CloseCause::NoPong | CloseCause::Stalled
        ) {
            self.flush().await;
            if !matches!(cause, CloseCause::Client { .. }) {
                let _ = tokio::time::timeout(CLOSE_WAIT, self.await_close()).await;
            }
        }
        let unsent = outlet.finish();
        if unsent > 0 {
            tracing::info!(connection = %self.live.connection.id, unsent, "frames were never read by the client");
        }
        if !matches!(cause, CloseCause::Lost | CloseCause::NoPong) {
            // Beside the rest: a peer that does not end its side must not delay the news of its end.
            let live = Arc::clone(self.live);
            env::spawn(async move { close::linger(live.outlet.socket()).await });
        }
    }

    /// Writes the queue for as long as the client takes some of it, within bounds: a trickle must not hold the end up.
    async fn flush(&self) {
        let _ = tokio::time::timeout(FLUSH_LIMIT, self.flush_while_taken()).await;
    }

    async fn flush_while_taken(&self) {
        let outlet = &self.live.outlet;
        let limit = self.deployed.live.limits.write_timeout;
        let mut left = outlet.queued();
        while left > 0 {
            let attempt = tokio::time::timeout(limit, poll_fn(|cx| outlet.poll_flush(cx))).await;
            let now_left = outlet.queued();
            match attempt {
                Ok(_) => return,
                Err(_) if now_left == left => return,
                Err(_) => left = now_left,
            }
        }
    }

    /// Reads on until the peer's close frame or its end; messages that still come are not ours to route.
    async fn await_close(&mut self) {
        let socket = self.live.outlet.socket();
        let limits = codec_limits(&self.deployed.live.limits);
        // A close frame may have been read long ago, behind more messages than there was room for.
        let mut scratch = std::mem::take(&mut self.backlog);
        let mut n = scratch.len();
        loop {
            let mut used = 0;
            loop {
                match self.decoder.decode(&mut scratch[used..n], &limits) {
                    Err(_) | Ok((_, Some(codec::Event::Close { .. }))) => return,
                    Ok((_, None)) => break,
                    Ok((more, Some(_))) => used += more,
                }
            }
            scratch.resize(4096, 0);
            if socket.readable().await.is_err() {
                return;
            }
            n = match socket.try_read(&mut scratch) {
                Ok(0) => return,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return,
            };
        }
    }

    /// Lets every message that was received reach the backend before `$disconnect` does; where this node was declared
    /// dead, that was told already.
    async fn settle(&mut self) {
        let was = self.live.connection.id.node();
        loop {
            let settled = poll_fn(|cx| {
                self.live.outlet.register(cx);
                if self.door.node.id() != was {
                    return Poll::Ready(());
                }
                self.start_messages();
                if self.is_settled() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            // Out of the table, it is not woken when a node that might not act may again.
            if tokio::time::timeout(SUSPENDED, settled).await.is_ok() {
                return;
            }
        }
    }
}
