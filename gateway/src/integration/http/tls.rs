//! TLS towards backends: whom to trust, and which HTTP to offer.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{BackendError, Origin};

/// The certificate authorities that backends' certificates are checked against. Shared by all threads, loaded at first use.
#[derive(Debug)]
pub struct TlsRoots {
    given: Option<Arc<RootCertStore>>,
    /// One configuration for each [`Offer`], or why there is none. They keep TLS sessions for resumption.
    ready: OnceCell<Result<[Arc<ClientConfig>; 3], Arc<str>>>,
}

impl TlsRoots {
    /// The authorities of the operating system; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    pub fn system() -> Self {
        Self {
            given: None,
            ready: OnceCell::new(),
        }
    }

    /// Just these authorities.
    pub fn of(roots: RootCertStore) -> Self {
        Self {
            given: Some(Arc::new(roots)),
            ready: OnceCell::new(),
        }
    }

    async fn config(&self, offer: Offer) -> Result<Arc<ClientConfig>, Arc<str>> {
        let ready = self.ready.get_or_init(|| async {
            let roots = match &self.given {
                Some(roots) => Arc::clone(roots),
                // Reading and parsing some hundred certificates takes milliseconds: not on the thread of the sockets.
                None => match tokio::task::spawn_blocking(load_system).await {
                    Ok(roots) => roots?,
                    Err(_) => return Err("the trusted authorities could not be loaded".into()),
                },
            };
            Ok([
                build(&roots, Offer::Both)?,
                build(&roots, Offer::Http1)?,
                build(&roots, Offer::Http2)?,
            ])
        });
        ready
            .await
            .as_ref()
            .map(|configs| Arc::clone(&configs[offer as usize]))
            .map_err(Arc::clone)
    }
}

/// Which HTTP the ALPN extension offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Both,
    Http1,
    Http2,
}

impl Offer {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Both => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

fn load_system() -> Result<Arc<RootCertStore>, Arc<str>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found
            .errors
            .first()
            .map_or_else(|| "none are installed".to_owned(), ToString::to_string);
        return Err(format!(
            "no trusted authorities: {why}; install ca-certificates or set SSL_CERT_FILE"
        )
        .into());
    }
    Ok(Arc::new(roots))
}

/// The provider is named, not taken from the process: another crate's default must not decide how backends are reached.
fn build(roots: &Arc<RootCertStore>, offer: Offer) -> Result<Arc<ClientConfig>, Arc<str>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Arc::from(error.to_string()))?;
    let mut config = builder
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    config.alpn_protocols = offer.protocols();
    Ok(Arc::new(config))
}

/// The handshake, with the host's name checked; and whether the backend chose HTTP/2.
pub(super) async fn handshake(
    roots: &TlsRoots,
    origin: &Origin,
    offer: Offer,
    stream: TcpStream,
) -> Result<(TlsStream<TcpStream>, bool), BackendError> {
    let failed = |reason: String| BackendError::Tls {
        origin: origin.clone(),
        reason,
    };
    let config = roots
        .config(offer)
        .await
        .map_err(|reason| failed(reason.as_ref().to_owned()))?;
    let name = ServerName::try_from(origin.host().to_owned())
        .map_err(|_| failed("the host is no name that a certificate can hold".to_owned()))?;
    let connected: io::Result<_> = TlsConnector::from(config).connect(name, stream).await;
    let stream = connected.map_err(|error| failed(error.to_string()))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if offer == Offer::Http2 && !http2 {
        return Err(failed("the backend does not offer HTTP/2".to_owned()));
    }
    Ok((stream, http2))
}
