//! One HTTP/1.1 connection: a sender here, its driver on the thread's runtime.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::headers::Outgoing;
use super::{Attempt, HttpClientConfig};

/// The header count that hyper parses on the stack; another one costs an allocation for each response.
const HEADERS_ON_STACK: usize = 100;
/// The smallest read buffer that hyper accepts, in bytes.
const MIN_BUFFER: usize = 8 << 10;

/// How HTTP/1.1 connections are opened.
#[derive(Clone, Debug)]
pub(super) struct Http1Settings(http1::Builder);

impl Http1Settings {
    pub(super) fn new(config: &HttpClientConfig) -> Self {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(config.max_response_header_bytes.max(MIN_BUFFER));
        if config.max_response_headers != HEADERS_ON_STACK {
            builder.max_headers(config.max_response_headers);
        }
        Self(builder)
    }

    /// Starts HTTP/1.1 on a fresh stream. Nothing is written yet.
    pub(super) async fn start<S>(&self, stream: S) -> Result<Http1Connection, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = self.0.handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // A failure also reaches whoever waits for a response; without one, an idle connection closed, which is no news.
            let _ = driver.await;
        });
        Ok(Http1Connection {
            sender,
            driver: driver.abort_handle(),
        })
    }
}

/// An open connection. Dropping it closes the socket, whatever is under way on it.
#[derive(Debug)]
pub(super) struct Http1Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Http1Connection {
    pub(super) async fn send(&mut self, outgoing: Outgoing) -> Result<Response<Incoming>, Attempt> {
        let (request, reshape) = outgoing.into_http1();
        let mut failure = match self.sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        // hyper hands the request back only if its driver never took it up.
        match failure.take_message() {
            Some(request) => {
                let request = Box::new(reshape.undo(request));
                Err(Attempt::NotSent {
                    request,
                    error: failure.into_error(),
                    refused: false,
                })
            }
            None => Err(Attempt::Failed(failure.into_error())),
        }
    }

    /// Whether the last exchange is over on both sides and the connection waits for the next.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Http1Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
