//! How long an HTTP connection may be silent, and how long it may take over a request's head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::env;

/// How long a kept connection may be silent between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// No head is under way.
const NONE: u64 = u64::MAX;

/// What one connection is doing, seen from its socket and its requests.
#[derive(Debug)]
pub(super) struct Pulse {
    /// For a whole head, from its first byte; for the first one, from the beginning.
    head: Duration,
    busy: AtomicUsize,
    /// The last time at which a request was answered.
    quiet_since: AtomicU64,
    /// When the first byte of the head came that is not whole yet.
    head_since: AtomicU64,
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Pulse>);

impl Pulse {
    pub(super) fn new(head: Duration) -> Self {
        let now = env::now();
        Self {
            head,
            busy: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(now),
            head_since: AtomicU64::new(now),
        }
    }

    /// A head is whole: its request counts until the returned value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NONE, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Bytes came. While a request is answered they belong to its body, or to a head whose time begins with its next
    /// byte.
    fn beat(&self) {
        if self.busy.load(Ordering::Relaxed) == 0 {
            let _ = self.head_since.compare_exchange(
                NONE,
                env::now(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// When the connection has to be given up; `None` while a request is answered.
    fn deadline(&self) -> Option<u64> {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let (since, allowed) = match self.head_since.load(Ordering::Relaxed) {
            NONE => (self.quiet_since.load(Ordering::Relaxed), KEEP_ALIVE),
            since => (since, self.head),
        };
        let allowed = u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX);
        Some(since.saturating_add(allowed))
    }

    /// Ends when the connection has been silent for too long, or dawdles over a head.
    pub(super) async fn stops(&self) {
        loop {
            let now = env::now();
            let deadline = self.deadline();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            // A head may begin meanwhile; looking once within its time is often enough to end on its deadline.
            let look = env::instant_at(deadline.unwrap_or(NONE));
            tokio::select! {
                () = tokio::time::sleep_until(look) => {}
                () = tokio::time::sleep(self.head) => {}
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.quiet_since.store(env::now(), Ordering::Relaxed);
    }
}

/// A socket that tells the pulse when bytes come.
#[derive(Debug)]
pub(super) struct Watched<Io> {
    io: Io,
    pulse: Arc<Pulse>,
}

impl<Io> Watched<Io> {
    pub(super) fn new(io: Io, pulse: Arc<Pulse>) -> Self {
        Self { io, pulse }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.beat();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(2);

    /// Milliseconds until the connection is given up.
    async fn stopped_after(pulse: &Pulse) -> u128 {
        let begun = tokio::time::Instant::now();
        pulse.stops().await;
        begun.elapsed().as_millis()
    }

    #[track_caller]
    fn about(millis: u128, expected: u128) {
        assert!(
            (expected..expected + 50).contains(&millis),
            "{millis} ms, not {expected}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_its_time_and_silence_after_an_answer_has_more() {
        let pulse = Arc::new(Pulse::new(HEAD));
        about(stopped_after(&pulse).await, 2_000);
        drop(pulse.begin());
        about(stopped_after(&pulse).await, 75_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_has_its_time_from_its_first_byte_however_often_bytes_come() {
        let pulse = Arc::new(Pulse::new(HEAD));
        drop(pulse.begin());
        let dripping = Arc::clone(&pulse);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(31)).await;
            loop {
                dripping.beat();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        about(stopped_after(&pulse).await, 33_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_be_answered_for_as_long_as_it_takes() {
        let pulse = Arc::new(Pulse::new(HEAD));
        let busy = pulse.begin();
        // Its body.
        pulse.beat();
        let answering = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_mins(5)).await;
            drop(busy);
        });
        about(stopped_after(&pulse).await, 375_000);
        answering.await.unwrap();
    }
}
