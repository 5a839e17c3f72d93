//! Opens connections: resolve, check the addresses, connect to just these, then TLS and the choice of HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::h1::Http1Connection;
use super::h2::Http2Settings;
use super::resolve::Resolver;
use super::tls::{Offer, TlsRoots, handshake};
use super::{BackendError, BackendVersion, HttpClientConfig, Link, Origin, Scheme, broken, error};

/// A silent peer is asked after this time whether it is still there, ...
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
/// ... and then at this interval.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// How soon a call looks again for a descriptor.
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Connector {
    timeout: Duration,
    resolver: Resolver,
    tls_roots: Arc<TlsRoots>,
    http2: Http2Settings,
}

impl Connector {
    pub(super) fn new(config: &HttpClientConfig) -> Self {
        Self {
            timeout: config.connect_timeout,
            resolver: Resolver::new(config.allow_link_local),
            tls_roots: Arc::clone(&config.tls_roots),
            http2: Http2Settings::new(config),
        }
    }

    /// A new connection on which nothing has been asked yet.
    pub(super) async fn open(
        &self,
        origin: &Origin,
        version: BackendVersion,
    ) -> Result<Link, BackendError> {
        let limit = Instant::now() + self.timeout;
        let Ok(result) = timeout_at(limit, self.try_open(origin, version, limit)).await else {
            let reason = format!("not ready within {:?}", self.timeout);
            return Err(BackendError::Connect {
                origin: origin.clone(),
                reason,
            });
        };
        result
    }

    async fn try_open(
        &self,
        origin: &Origin,
        version: BackendVersion,
        limit: Instant,
    ) -> Result<Link, BackendError> {
        let addresses = self.resolver.resolve(origin).await?;
        let stream = connect(origin, &addresses, limit).await?;
        if origin.scheme() == Scheme::Http {
            return match version {
                BackendVersion::Http2 => self.start_http2(origin, stream).await,
                BackendVersion::Auto | BackendVersion::Http1 => {
                    Ok(Link::Http1(Http1Connection::new(stream)))
                }
            };
        }
        let offer = match version {
            BackendVersion::Auto => Offer::Both,
            BackendVersion::Http1 => Offer::Http1,
            BackendVersion::Http2 => Offer::Http2,
        };
        let (stream, http2) = handshake(&self.tls_roots, origin, offer, stream).await?;
        if http2 {
            self.start_http2(origin, stream).await
        } else {
            Ok(Link::Http1(Http1Connection::new(stream)))
        }
    }

    async fn start_http2<S>(&self, origin: &Origin, stream: S) -> Result<Link, BackendError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let started = self.http2.start(stream).await;
        started
            .map(|connection| Link::Http2(Arc::new(connection)))
            .map_err(|error| broken(origin, error::explain(&error), false))
    }
}

/// The first address that accepts. Each gets an even share of the time left, so that a dead one cannot use it all up.
async fn connect(
    origin: &Origin,
    addresses: &[SocketAddr],
    limit: Instant,
) -> Result<TcpStream, BackendError> {
    let mut reason = "the name has no address".to_owned();
    for (tried, address) in addresses.iter().enumerate() {
        let left = limit.saturating_duration_since(Instant::now());
        let waiting = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / waiting, dial(*address)).await {
            Ok(Ok(stream)) => {
                tune(&stream);
                return Ok(stream);
            }
            Ok(Err(error)) => reason = format!("{address}: {error}"),
            Err(_) => reason = format!("{address}: no answer"),
        }
    }
    Err(BackendError::Connect {
        origin: origin.clone(),
        reason,
    })
}

/// Waits where no descriptor is left: those that the listeners spare for backends come free as other calls end, and a
/// burst of handshakes may need more of them at once.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                tokio::time::sleep(DESCRIPTOR_PAUSE).await;
            }
            result => return result,
        }
    }
}

/// No delay for small requests; dead peers are noticed. Neither is worth failing a call for.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}
