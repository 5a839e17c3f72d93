//! The outbound HTTP client: one request to a backend, one answer, within a deadline.
//!
//! A worker thread owns one [`HttpClient`]; its connections are driven by that thread's runtime and stay on it, so the locks
//! inside are uncontended. HTTP/1.1 connections are pooled for each origin, last in first out; HTTP/2 shares one connection
//! an origin. Redirects are answers, bodies are never decompressed, and everything that a backend can make grow is bounded.
//!
//! A request is repeated only if it is certain that nothing of it reached the backend, and then once.

mod body;
mod connect;
mod error;
mod h1;
mod h2;
mod headers;
mod origin;
mod pool;
mod resolve;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

pub use error::{BackendError, Fault};
pub use origin::{Origin, Scheme};
pub use tls::TlsRoots;

use connect::Connector;
use h1::Http1Connection;
use h2::{Http2Connection, Http2Connections};
use headers::Outgoing;
use pool::IdlePool;

/// The limits of an [`HttpClient`].
#[derive(Clone, Debug)]
pub struct HttpClientConfig {
    /// How long name lookup, TCP and TLS may take together, in so far as the request's deadline allows.
    pub connect_timeout: Duration,
    /// How many unused HTTP/1.1 connections are kept for one origin; 0 keeps none.
    pub max_idle_per_origin: usize,
    /// How many unused HTTP/1.1 connections are kept in all.
    pub max_idle: usize,
    /// How long an unused HTTP/1.1 connection is kept. Shorter than the backend's own limit, or requests are lost in the
    /// instant in which both sides act; a `Keep-Alive: timeout=` in an answer shortens it further.
    pub idle_timeout: Duration,
    /// The largest number of headers in a response.
    pub max_response_headers: usize,
    /// The largest size of a response's status line and headers, in bytes; at least 8 KiB.
    pub max_response_header_bytes: usize,
    /// Whether a backend may live at a link-local address, where clouds serve their instances' credentials.
    pub allow_link_local: bool,
    /// The authorities that an `https` backend's certificate must come from; shared by all threads.
    pub tls_roots: Arc<TlsRoots>,
}

impl Default for HttpClientConfig {
    /// 5 s to connect; 64 unused connections an origin, 256 in all, for 4 s (Node.js, Apache and uvicorn close after 5 s);
    /// 100 headers in a response, 64 KiB of them; no link-local addresses; the system's authorities.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            max_idle_per_origin: 64,
            max_idle: 256,
            idle_timeout: Duration::from_secs(4),
            max_response_headers: 100,
            max_response_header_bytes: 64 << 10,
            allow_link_local: false,
            tls_roots: Arc::new(TlsRoots::system()),
        }
    }
}

/// Which HTTP a request travels by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendVersion {
    /// HTTP/1.1 on `http`; on `https` what the backend chooses of both.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: with prior knowledge on `http`, by ALPN on `https`.
    Http2,
}

/// One request, final: nothing in it is interpreted here but the headers of HTTP's own framing, which are dropped and set anew.
#[derive(Debug)]
pub struct BackendRequest {
    /// The method; not `CONNECT`.
    pub method: Method,
    /// The absolute URI, `http` or `https`, without credentials.
    pub uri: Uri,
    /// The headers. `Host` is set from the URI if it is missing.
    pub headers: HeaderMap,
    /// The body, sent with a `Content-Length`.
    pub body: Bytes,
    /// Which HTTP to speak.
    pub version: BackendVersion,
    /// The largest response body that is of use, in bytes; a larger one is a failed call, found before it fills memory.
    pub max_response_bytes: usize,
    /// When the call ends, whatever it is doing.
    pub deadline: Instant,
}

/// What the backend answered, whole.
#[derive(Debug)]
pub struct BackendResponse {
    /// The final status; 1xx answers are skipped.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body as it came: any bytes, still compressed if the backend compressed it.
    pub body: Bytes,
}

/// The backend connections of one worker thread.
#[derive(Debug)]
pub struct HttpClient {
    connector: Connector,
    idle: IdlePool,
    shared: Http2Connections,
}

impl HttpClient {
    /// A client without connections. It opens them on the runtime that `send` is called on.
    pub fn new(config: &HttpClientConfig) -> Self {
        Self {
            connector: Connector::new(config),
            idle: IdlePool::new(
                config.max_idle_per_origin,
                config.max_idle,
                config.idle_timeout,
            ),
            shared: Http2Connections::default(),
        }
    }

    /// Sends the request and reads the whole answer, or fails at the deadline at the latest.
    ///
    /// Dropping the future gives the call up: its HTTP/1.1 connection is closed, its HTTP/2 stream reset.
    pub async fn send(&self, request: BackendRequest) -> Result<BackendResponse, BackendError> {
        let origin = Origin::of(&request.uri)?;
        let (version, deadline) = (request.version, request.deadline);
        let limit = request.max_response_bytes;
        let outgoing = Outgoing::new(&origin, request)?;
        let progress = Progress::default();
        // `timeout_at` polls once even when the time is over; a call that is already late must not reach the backend.
        if Instant::now() < deadline {
            let exchange = self.exchange(&origin, version, limit, outgoing, &progress);
            if let Ok(result) = timeout_at(deadline, exchange).await {
                return result;
            }
        }
        Err(BackendError::Timeout {
            origin,
            may_have_been_sent: progress.sent(),
        })
    }

    async fn exchange(
        &self,
        origin: &Origin,
        version: BackendVersion,
        limit: usize,
        mut outgoing: Outgoing,
        progress: &Progress,
    ) -> Result<BackendResponse, BackendError> {
        let (mut link, reused) = self.link(origin, version, true).await?;
        let mut repeated = false;
        loop {
            progress.set(true);
            let attempt = match &mut link {
                Link::Http1(connection) => connection.send(outgoing).await,
                // Boxed, for the common HTTP/1.1 call must not carry the room.
                Link::Http2(connection) => Box::pin(connection.send(outgoing)).await,
            };
            let (request, error, refused) = match attempt {
                Ok(response) => return self.finish(origin, limit, link, response).await,
                Err(Attempt::Failed(error)) => return Err(error::broken(origin, &error, true)),
                Err(Attempt::NotSent {
                    request,
                    error,
                    refused,
                }) => (request, error, refused),
            };
            progress.set(false);
            if let (Link::Http2(connection), false) = (&link, refused) {
                self.shared.forget(origin, connection);
            }
            // A new connection that closes at once would close again; a refused stream is an invitation to come back.
            if repeated || !(reused || refused) {
                return Err(error::broken(origin, &error, false));
            }
            repeated = true;
            outgoing = *request;
            link = self.link(origin, version, false).await?.0;
        }
    }

    /// A connection to the origin, and whether it has served before: a pooled or shared one if `reuse` allows, else a new one.
    ///
    /// Opening one is boxed: its state with TLS is many times that of a call, and every call would carry it.
    async fn link(
        &self,
        origin: &Origin,
        version: BackendVersion,
        reuse: bool,
    ) -> Result<(Link, bool), BackendError> {
        match self.ready_link(origin, version, reuse) {
            Some(link) => Ok((link, true)),
            None => Box::pin(self.new_link(origin, version)).await,
        }
    }

    fn ready_link(&self, origin: &Origin, version: BackendVersion, reuse: bool) -> Option<Link> {
        if (version == BackendVersion::Http2 || is_negotiable(origin, version))
            && let Some(connection) = self.shared.current(origin)
        {
            return Some(Link::Http2(connection));
        }
        if version == BackendVersion::Http2 || !reuse {
            return None;
        }
        self.idle.take(origin).map(Link::Http1)
    }

    async fn new_link(
        &self,
        origin: &Origin,
        version: BackendVersion,
    ) -> Result<(Link, bool), BackendError> {
        let expected = is_negotiable(origin, version) && self.shared.expects(origin);
        if version == BackendVersion::Http2 || expected {
            return self.link_shared(origin, version).await;
        }
        let link = self.open(origin, version).await?;
        Ok((self.share(origin, link), false))
    }

    /// Where HTTP/2 is expected one caller connects and the others wait for its connection, instead of each opening their own.
    async fn link_shared(
        &self,
        origin: &Origin,
        version: BackendVersion,
    ) -> Result<(Link, bool), BackendError> {
        let gate = self.shared.gate(origin);
        let _turn = gate.lock().await;
        if let Some(connection) = self.shared.current(origin) {
            return Ok((Link::Http2(connection), true));
        }
        let link = self.open(origin, version).await?;
        Ok((self.share(origin, link), false))
    }

    async fn open(&self, origin: &Origin, version: BackendVersion) -> Result<Link, BackendError> {
        self.connector.open(origin, version).await
    }

    fn share(&self, origin: &Origin, link: Link) -> Link {
        match link {
            Link::Http1(connection) => {
                self.shared.unexpect(origin);
                Link::Http1(connection)
            }
            Link::Http2(connection) => Link::Http2(self.shared.offer(origin, connection)),
        }
    }

    async fn finish(
        &self,
        origin: &Origin,
        limit: usize,
        link: Link,
        response: http::Response<Incoming>,
    ) -> Result<BackendResponse, BackendError> {
        let (head, body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let reason = "it answered 101 Switching Protocols, which nobody asked for".to_owned();
            return Err(BackendError::Broken {
                origin: origin.clone(),
                reason,
                may_have_been_sent: true,
            });
        }
        let body = body::collect(origin, body, limit).await?;
        if let Link::Http1(connection) = link {
            self.idle.put(origin, connection, &head.headers);
        }
        Ok(BackendResponse {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// Where ALPN decides between the versions.
fn is_negotiable(origin: &Origin, version: BackendVersion) -> bool {
    origin.scheme() == Scheme::Https && version == BackendVersion::Auto
}

/// A connection that takes a request.
enum Link {
    Http1(Http1Connection),
    Http2(Arc<Http2Connection>),
}

/// Why an attempt brought no response.
enum Attempt {
    /// Nothing of it was written, or the backend says that it has done nothing with it: here it is again.
    NotSent {
        request: Box<Outgoing>,
        error: hyper::Error,
        /// Whether it was the backend that said so; the connection is good then.
        refused: bool,
    },
    /// The backend may have acted on it.
    Failed(hyper::Error),
}

/// Whether the request has been handed to a connection; read when the deadline strikes.
#[derive(Default)]
struct Progress(AtomicBool);

impl Progress {
    fn set(&self, sent: bool) {
        self.0.store(sent, Ordering::Relaxed);
    }

    fn sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
