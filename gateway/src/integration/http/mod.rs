//! The outbound HTTP client: one request to a backend, one answer, within a deadline.
//!
//! A worker thread owns one [`HttpClient`]; its connections are driven by that thread's runtime and stay on it, so the locks
//! inside are uncontended. HTTP/1.1 is ours: connections are pooled for each origin, last in first out, and a call reads and
//! writes its own. HTTP/2 is hyper's and shares one connection an origin. Redirects are answers, bodies are never decompressed, and everything that a backend can make grow is bounded.
//!
//! A request is repeated only if it is certain that nothing of it reached the backend, and then once.

mod body;
mod connect;
mod error;
mod h1;
mod h2;
mod origin;
mod outgoing;
mod pool;
mod resolve;
mod response;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::header_lines::HeaderLines;
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::time::{Instant, timeout_at};

pub use error::{BackendError, Fault};
pub use origin::{Origin, Scheme};
pub use tls::TlsRoots;

use connect::Connector;
use h1::Http1Connection;
use h2::{Http2Connection, Http2Connections};
use outgoing::Outgoing;
use pool::IdlePool;
use response::Bounds;

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
    /// The largest number of headers in a response, at most 256.
    pub max_response_headers: usize,
    /// The largest size of a response's status line and headers, in bytes.
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

/// One request, final: nothing in it is interpreted here.
#[derive(Debug)]
pub struct BackendRequest {
    /// The method; not `CONNECT`.
    pub method: Method,
    /// The absolute URI, `http` or `https`, without credentials.
    pub uri: Uri,
    /// The `Host`, where it is not that of the URI.
    pub host: Option<HeaderValue>,
    /// The headers but those of the connection, which are set here.
    pub headers: HeaderLines,
    /// The body, sent with a `Content-Length`.
    pub body: Bytes,
    /// Which HTTP to speak.
    pub version: BackendVersion,
    /// The largest response body that is of use, in bytes; a larger one is a failed call, found before it fills memory.
    pub max_response_bytes: usize,
    /// When the call ends, whatever it is doing.
    pub deadline: Instant,
}

/// Says whether a request may still be sent.
pub type MayGo<'a> = &'a (dyn Fn() -> bool + Sync);

/// What the backend answered, whole.
#[derive(Debug)]
pub struct BackendResponse {
    /// The final status; 1xx answers are skipped.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderLines,
    /// The body as it came: any bytes, still compressed if the backend compressed it.
    pub body: Bytes,
}

/// The backend connections of one worker thread.
#[derive(Debug)]
pub struct HttpClient {
    connector: Connector,
    idle: IdlePool,
    shared: Http2Connections,
    max_headers: usize,
    max_head_bytes: usize,
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
            max_headers: config.max_response_headers,
            max_head_bytes: config.max_response_header_bytes,
        }
    }

    /// Sends the request and reads the whole answer, or fails at the deadline at the latest.
    ///
    /// Dropping the future gives the call up: its HTTP/1.1 connection is closed, its HTTP/2 stream reset.
    pub async fn send(&self, request: BackendRequest) -> Result<BackendResponse, BackendError> {
        self.send_while(request, &|| true).await
    }

    /// The same, where it may no longer be right to send once there is a connection, which can take long: `may_go` is asked
    /// right before the first byte is written.
    pub async fn send_while(
        &self,
        request: BackendRequest,
        may_go: MayGo<'_>,
    ) -> Result<BackendResponse, BackendError> {
        let origin = Origin::of(&request.uri)?;
        let (version, deadline) = (request.version, request.deadline);
        let bounds = Bounds {
            headers: self.max_headers,
            head_bytes: self.max_head_bytes,
            body_bytes: request.max_response_bytes,
        };
        let outgoing = Outgoing::new(request)?;
        let progress = Progress::default();
        // `timeout_at` polls once even when the time is over; a call that is already late must not reach the backend.
        if Instant::now() < deadline {
            let exchange = self.exchange(&origin, version, bounds, &outgoing, &progress, may_go);
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
        bounds: Bounds,
        outgoing: &Outgoing,
        progress: &Progress,
        may_go: MayGo<'_>,
    ) -> Result<BackendResponse, BackendError> {
        let (mut link, reused) = self.link(origin, version, true).await?;
        let mut repeated = false;
        loop {
            if !may_go() {
                return Err(BackendError::Withheld);
            }
            progress.set(true);
            let attempt = match link {
                Link::Http1(mut connection) => {
                    match connection.exchange(origin, outgoing, bounds).await {
                        Ok((response, keep_alive)) => {
                            if keep_alive {
                                self.idle.put(origin, connection, &response.headers);
                            }
                            return Ok(response);
                        }
                        Err(attempt) => attempt,
                    }
                }
                Link::Http2(connection) => {
                    // Boxed, for the common HTTP/1.1 call must not carry the room.
                    let exchange = Box::pin(connection.exchange(outgoing, bounds.body_bytes)).await;
                    if let Err(Attempt::NotSent { refused: false, .. }) = &exchange {
                        self.shared.forget(origin, &connection);
                    }
                    match exchange {
                        Ok(response) => return Ok(response),
                        Err(attempt) => attempt,
                    }
                }
            };
            let (reason, refused) = match attempt {
                Attempt::NotSent { reason, refused } => (reason, refused),
                Attempt::Failed(reason) => return Err(broken(origin, reason, true)),
                Attempt::TooLarge => {
                    return Err(BackendError::TooLarge {
                        origin: origin.clone(),
                        limit: bounds.body_bytes,
                    });
                }
            };
            progress.set(false);
            // A new connection that closes at once would close again; a refused stream is an invitation to come back.
            if repeated || !(reused || refused) {
                return Err(broken(origin, reason, false));
            }
            repeated = true;
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
    /// Nothing of it was written, or the backend says that it has done nothing with it.
    NotSent {
        reason: String,
        /// Whether it was the backend that said so; the connection is good then.
        refused: bool,
    },
    /// The backend may have acted on it.
    Failed(String),
    /// The answer's body is beyond its limit.
    TooLarge,
}

fn broken(origin: &Origin, reason: String, may_have_been_sent: bool) -> BackendError {
    BackendError::Broken {
        origin: origin.clone(),
        reason,
        may_have_been_sent,
    }
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
