//! TLS on the public port: what new connections are offered, swapped without touching those that are open.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;

use crate::config::{Identity, Tls};

/// First byte of a TLS record that carries a handshake (RFC 8446 §5.1), and of no HTTP request.
pub(super) const HANDSHAKE: u8 = 0x16;
/// The record that refuses a hello where there is no TLS: a fatal alert, handshake_failure (RFC 8446 §6.2). Clients
/// understand it before any keys are agreed upon.
pub(super) const REFUSAL: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

/// What the port offers now; nothing where TLS is not set up.
#[derive(Debug, Default)]
pub struct TlsOffer(ArcSwapOption<Offer>);

/// One certificate and how it is used.
pub(super) struct Offer {
    pub(super) config: Arc<ServerConfig>,
    /// Clients without TLS are refused.
    pub(super) required: bool,
}

impl TlsOffer {
    /// New connections get this from now on.
    pub fn set(&self, tls: Option<&Tls>) {
        self.0.store(tls.map(|tls| {
            Arc::new(Offer {
                config: server_config(&tls.identity),
                required: tls.required,
            })
        }));
    }

    pub(super) fn load(&self) -> Option<Arc<Offer>> {
        self.0.load_full()
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1 only: a WebSocket cannot begin in HTTP/2 here, and a browser that is offered both takes
/// that. The provider is named, not taken from the process, as for backends.
fn server_config(identity: &Identity) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are remembered by the clients themselves, sealed with keys that live in memory for hours: a fleet that
    // comes back after a restart elsewhere costs no table here. One ticket is enough for a client with one socket.
    match ring::Ticketer::new() {
        Ok(ticketer) => config.ticketer = ticketer,
        Err(error) => tracing::warn!("TLS sessions cannot be resumed: {error}"),
    }
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

impl fmt::Debug for Offer {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
