//! TLS for one trial: a certificate of its own, and clients that trust it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::LoadError;

/// Name of the certificate's file.
pub(super) const CERT: &str = "cert.pem";
/// Name of its key's file.
pub(super) const KEY: &str = "key.pem";

/// Writes a certificate for 127.0.0.1 and its key (ECDSA, P-256) into `folder`; gives what clients need.
pub(super) fn issue(folder: &Path) -> Result<Arc<ClientConfig>, LoadError> {
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])
        .map_err(|error| LoadError::Trial(format!("no certificate: {error}")))?;
    for (name, text) in [
        (CERT, pem("CERTIFICATE", issued.cert.der())),
        (KEY, pem("PRIVATE KEY", &issued.signing_key.serialize_der())),
    ] {
        fs::write(folder.join(name), text)
            .map_err(LoadError::system("cannot write a certificate"))?;
    }
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).map_err(unusable)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each connection is a client of its own: a whole handshake.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// For a server of our own: what `issue` wrote into `folder`.
pub(crate) fn server(folder: &Path) -> Result<Arc<ServerConfig>, LoadError> {
    let read = |error| LoadError::Trial(format!("cannot read a certificate: {error}"));
    let cert = CertificateDer::from_pem_file(folder.join(CERT)).map_err(read)?;
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).map_err(read)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .map_err(unusable)?;
    Ok(Arc::new(config))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over"
)]
fn unusable(error: rustls::Error) -> LoadError {
    LoadError::Trial(format!("TLS: {error}"))
}
