//! HTTP/2: one connection an origin, shared by all calls to it and replaced once it closes.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::header_lines::HeaderLines;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::outgoing::Outgoing;
use super::{Attempt, BackendResponse, HttpClientConfig, Origin, body, error};

/// How much of one response may be under way unread, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
/// How much of all responses on one connection may be under way unread, in bytes.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// A connection with calls on it that brings nothing for this long is asked whether it lives, ...
const PING_AFTER: Duration = Duration::from_secs(10);
/// ... and given up if it does not say so within this time.
const PONG_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection without calls is kept. Longer than in HTTP/1.1: closing is announced (GOAWAY), so nothing is lost.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How often unused connections are looked for.
const REAP_EVERY: Duration = Duration::from_secs(10);

/// How HTTP/2 connections are opened.
#[derive(Clone, Debug)]
pub(super) struct Http2Settings(http2::Builder<TokioExecutor>);

impl Http2Settings {
    pub(super) fn new(config: &HttpClientConfig) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(
                u32::try_from(config.max_response_header_bytes).unwrap_or(u32::MAX),
            )
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_WITHIN);
        Self(builder)
    }

    /// Sends the connection preface on a fresh stream.
    pub(super) async fn start<S>(&self, stream: S) -> Result<Http2Connection, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = self.0.handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // Each call on it hears of a failure itself.
            let _ = driver.await;
        });
        Ok(Http2Connection {
            sender,
            driver: driver.abort_handle(),
        })
    }
}

/// An open connection. It closes when the last call on it is over and the pool has let go of it.
#[derive(Debug)]
pub(super) struct Http2Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Http2Connection {
    /// Sends a request and reads its answer.
    pub(super) async fn exchange(
        &self,
        outgoing: &Outgoing,
        max_body: usize,
    ) -> Result<BackendResponse, Attempt> {
        let sent = self
            .sender
            .clone()
            .try_send_request(outgoing.to_http2())
            .await;
        let response = sent.map_err(|mut failure| {
            // hyper hands the request back only if its driver never took it up.
            let unsent = failure.take_message().is_some();
            let error = failure.into_error();
            let (reason, refused) = (error::explain(&error), !unsent && is_refused(&error));
            if unsent || refused {
                Attempt::NotSent { reason, refused }
            } else {
                Attempt::Failed(reason)
            }
        })?;
        let (head, body) = response.into_parts();
        let mut lines = Vec::new();
        for (name, value) in &head.headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        Ok(BackendResponse {
            status: head.status,
            headers: HeaderLines::received(&lines),
            body: body::collect(body, max_body).await?,
        })
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Http2Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// RFC 9113, 8.7: a stream refused with `REFUSED_STREAM` has not been processed in any way.
///
/// hyper passes the reason on only in its words; where these should change, the call fails instead of being repeated.
fn is_refused(error: &hyper::Error) -> bool {
    error.source().is_some_and(|cause| {
        cause.to_string()
            == "stream error received: refused stream before processing any application logic"
    })
}

/// The shared connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Http2Connections {
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    origins: HashMap<Origin, Slot>,
    reaping: bool,
}

#[derive(Debug)]
struct Slot {
    current: Option<Arc<Http2Connection>>,
    last_used: Instant,
    /// Whether the backend spoke HTTP/2 when it was last asked.
    expected: bool,
    /// Held while one caller connects for all.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Http2Connections {
    /// The origin's open connection.
    pub(super) fn current(&self, origin: &Origin) -> Option<Arc<Http2Connection>> {
        let mut slots = lock(&self.slots);
        let slot = slots.origins.get_mut(origin)?;
        if slot.current.as_ref()?.is_closed() {
            slot.current = None;
        }
        slot.last_used = Instant::now();
        slot.current.clone()
    }

    /// Whether a new connection will probably be HTTP/2.
    pub(super) fn expects(&self, origin: &Origin) -> bool {
        lock(&self.slots)
            .origins
            .get(origin)
            .is_some_and(|slot| slot.expected)
    }

    /// The backend has chosen HTTP/1.1.
    pub(super) fn unexpect(&self, origin: &Origin) {
        if let Some(slot) = lock(&self.slots).origins.get_mut(origin) {
            slot.expected = false;
        }
    }

    /// What to hold while connecting.
    pub(super) fn gate(&self, origin: &Origin) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.slot(&mut lock(&self.slots), origin).gate)
    }

    /// Shares a new connection; if another came first, that one is used and this one closes.
    pub(super) fn offer(
        &self,
        origin: &Origin,
        connection: Arc<Http2Connection>,
    ) -> Arc<Http2Connection> {
        let mut slots = lock(&self.slots);
        let slot = self.slot(&mut slots, origin);
        slot.expected = true;
        match &slot.current {
            Some(current) if !current.is_closed() => Arc::clone(current),
            _ => Arc::clone(slot.current.insert(connection)),
        }
    }

    /// Lets go of a connection that took no request. The calls on it go on.
    pub(super) fn forget(&self, origin: &Origin, connection: &Arc<Http2Connection>) {
        if let Some(slot) = lock(&self.slots).origins.get_mut(origin)
            && slot
                .current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            slot.current = None;
        }
    }

    fn slot<'a>(&self, slots: &'a mut Slots, origin: &Origin) -> &'a mut Slot {
        if !slots.reaping {
            slots.reaping = true;
            tokio::spawn(reap(Arc::downgrade(&self.slots)));
        }
        slots.origins.entry(origin.clone()).or_insert_with(|| Slot {
            current: None,
            last_used: Instant::now(),
            expected: false,
            gate: Arc::default(),
        })
    }
}

impl Slots {
    fn sweep(&mut self, now: Instant) {
        self.origins.retain(|_, slot| {
            let in_use = slot
                .current
                .as_ref()
                .is_some_and(|current| Arc::strong_count(current) > 1)
                || Arc::strong_count(&slot.gate) > 1;
            in_use || now.duration_since(slot.last_used) < IDLE_TIMEOUT
        });
    }
}

/// Closes what is unused. It ends when there is nothing left; the next connection starts it anew.
async fn reap(slots: Weak<Mutex<Slots>>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        let Some(slots) = slots.upgrade() else { return };
        let mut slots = lock(&slots);
        slots.sweep(Instant::now());
        if slots.origins.is_empty() {
            slots.reaping = false;
            return;
        }
    }
}

fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shared_connection_is_kept_while_it_is_used_and_for_a_while_after() {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let settings = Http2Settings::new(&HttpClientConfig::default());
        let connection = Arc::new(settings.start(ours).await.unwrap());
        let origin = Origin::of(&http::Uri::from_static("http://a.example")).unwrap();
        let shared = Http2Connections::default();
        let in_use = shared.offer(&origin, connection);

        let sweep = |after| lock(&shared.slots).sweep(Instant::now() + after);
        sweep(IDLE_TIMEOUT * 2);
        assert!(shared.current(&origin).is_some());
        drop(in_use);
        sweep(IDLE_TIMEOUT / 2);
        assert!(shared.current(&origin).is_some() && shared.expects(&origin));
        sweep(IDLE_TIMEOUT * 2);
        assert!(shared.current(&origin).is_none());
    }

    #[tokio::test]
    async fn the_first_of_two_new_connections_is_shared() {
        let settings = Http2Settings::new(&HttpClientConfig::default());
        let (one, _peer) = tokio::io::duplex(1 << 16);
        let (two, _other) = tokio::io::duplex(1 << 16);
        let origin = Origin::of(&http::Uri::from_static("http://a.example")).unwrap();
        let shared = Http2Connections::default();
        let first = shared.offer(&origin, Arc::new(settings.start(one).await.unwrap()));
        let second = shared.offer(&origin, Arc::new(settings.start(two).await.unwrap()));
        assert!(Arc::ptr_eq(&first, &second));
        shared.forget(&origin, &first);
        assert!(shared.current(&origin).is_none());
        shared.unexpect(&origin);
        assert!(!shared.expects(&origin));
    }
}
