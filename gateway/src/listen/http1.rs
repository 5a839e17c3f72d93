//! HTTP/1.1 with hyper, with the deadlines that a bare server would not keep.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::failure::Failure;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::pulse::{Pulse, Watched};
use crate::node::Drain;
use crate::websocket::head::{MAX_HEAD_BYTES, MAX_HEADERS};

/// The largest body that is read at all; what is over its API's limit but below this gets a proper 413.
pub(super) const MAX_BODY: usize = 8 * 1024 * 1024;

/// Serves a connection until it ends, is silent for too long, or the node drains. `head` is how long the first head may
/// take from now, and each later one from its first byte.
pub(super) async fn serve<Io, F, Answer>(io: Io, answer: F, head: Duration, drain: &Arc<Drain>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Answer,
    Answer: Future<Output = Response<Full<Bytes>>>,
{
    let pulse = Arc::new(Pulse::new(head));
    let service = service_fn(|request| {
        let busy = pulse.begin();
        let answer = answer(request);
        async move {
            let response = answer.await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    // As many headers as hyper takes unasked; asked for, it would not keep them on the stack.
    const { assert!(MAX_HEADERS == 100) };
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        // hyper counts from the end of the last answer to the end of the next head, one limit for silence and for
        // dawdling; the pulse tells them apart.
        .header_read_timeout(None)
        // One buffer and one write: answers are small.
        .writev(false)
        .max_buf_size(MAX_HEAD_BYTES);
    let io = Watched::new(io, Arc::clone(&pulse));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::debug!("an HTTP connection ended: {error}");
            }
            return;
        }
        () = pulse.stops() => return,
        () = drain.started() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
}

/// The whole body, within a size and a time.
pub(super) async fn read_body(body: Incoming, limit: Duration) -> Result<Bytes, Failure> {
    read_large_body(body, MAX_BODY, limit).await
}

/// The whole body, within a size of its own.
pub(super) async fn read_large_body(
    body: Incoming,
    most: usize,
    limit: Duration,
) -> Result<Bytes, Failure> {
    let collected = tokio::time::timeout(limit, Limited::new(body, most).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Failure::PayloadTooLarge(most as u64))
        }
        Ok(Err(_)) => Err(Failure::BadRequest("The request body could not be read")),
        Err(_) => Err(Failure::RequestTimeout),
    }
}
