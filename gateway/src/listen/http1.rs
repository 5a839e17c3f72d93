//! HTTP/1.1 with hyper, with the deadlines that a bare server would not keep.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::failure::Failure;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::env;
use crate::node::Drain;
use crate::websocket::head::{MAX_HEAD_BYTES, MAX_HEADERS};

/// How long a kept connection may be silent between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The largest body that is read at all; what is over its API's limit but below this gets a proper 413.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Serves a connection until it ends, is silent for too long, or the node drains.
///
/// hyper's own header timeout does not cover a connection on which no first byte comes, so silence is watched here.
pub(super) async fn serve<Io, F, Answer>(io: Io, answer: F, first: Duration, drain: &Arc<Drain>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Answer,
    Answer: Future<Output = Response<Full<Bytes>>>,
{
    let busy = AtomicUsize::new(0);
    let requests = AtomicUsize::new(0);
    let quiet_since = AtomicU64::new(env::now());
    let service = service_fn(|request| {
        busy.fetch_add(1, Ordering::Relaxed);
        requests.fetch_add(1, Ordering::Relaxed);
        let answer = answer(request);
        let (busy, quiet_since) = (&busy, &quiet_since);
        async move {
            let response = answer.await;
            busy.fetch_sub(1, Ordering::Relaxed);
            quiet_since.store(env::now(), Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    let silence = async {
        loop {
            let allowed = if requests.load(Ordering::Relaxed) == 0 {
                first
            } else {
                KEEP_ALIVE
            };
            let allowed = u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX);
            let until = quiet_since.load(Ordering::Relaxed).saturating_add(allowed);
            if busy.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(first).await;
            } else if env::now() >= until {
                return;
            } else {
                tokio::time::sleep_until(env::instant_at(until)).await;
            }
        }
    };
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::debug!("an HTTP connection ended: {error}");
            }
            return;
        }
        () = silence => return,
        () = drain.started() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
}

/// The whole body, within a size and a time.
pub(super) async fn read_body(body: Incoming, limit: Duration) -> Result<Bytes, Failure> {
    let collected = tokio::time::timeout(limit, Limited::new(body, MAX_BODY).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Failure::PayloadTooLarge(MAX_BODY as u64))
        }
        Ok(Err(_)) => Err(Failure::BadRequest("The request body could not be read")),
        Err(_) => Err(Failure::RequestTimeout),
    }
}
