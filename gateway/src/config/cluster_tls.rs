//! Reads `server.cluster.tls`: what nodes show each other, and by whom it must be issued. What could only fail once two nodes meet is
//! looked for here: a certificate that the authority did not issue, or not for both ends of a connection, or for another name.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};

use super::reader::Cursor;
use super::tls::{self, Identity};
use crate::env;

/// TLS between nodes, on which each of the two shows a certificate.
#[derive(Debug, Clone)]
pub struct ClusterTls {
    /// What this node shows, at either end of a connection.
    pub identity: Identity,
    /// Who issued those of the nodes.
    pub authorities: Arc<RootCertStore>,
    /// The files that all of it was read from.
    pub files: Vec<PathBuf>,
    issuers: Vec<CertificateDer<'static>>,
}

impl PartialEq for ClusterTls {
    fn eq(&self, other: &Self) -> bool {
        (&self.identity, &self.issuers, &self.files)
            == (&other.identity, &other.issuers, &other.files)
    }
}

/// The section; `None` where a mistake was reported. `reached` is the host at which the other nodes reach this one.
pub(super) fn read(cursor: &Cursor<'_>, reached: Option<&str>) -> Option<ClusterTls> {
    let mut fields = cursor.fields()?;
    let (cert_at, key_at) = (fields.required("cert"), fields.required("key"));
    let ca_at = fields.required("ca");
    fields.finish();
    let mut files = Vec::new();
    let identity = tls::identity(cert_at.as_ref(), key_at.as_ref(), &mut files);
    let issuers = ca_at
        .as_ref()
        .and_then(|at| tls::certificates(at, &mut files));
    let (cert_at, ca_at) = (cert_at?, ca_at?);
    let issuers = issuers?;
    let mut authorities = RootCertStore::empty();
    for issuer in &issuers {
        if let Err(error) = authorities.add(issuer.clone()) {
            ca_at.mistake(format!(
                "a certificate in it cannot be an authority's: {error}"
            ));
            return None;
        }
    }
    let tls = ClusterTls {
        identity: identity?,
        authorities: Arc::new(authorities),
        files,
        issuers,
    };
    tls.check(&cert_at, reached)?;
    Some(tls)
}

impl ClusterTls {
    /// What the other nodes will check.
    fn check(&self, cert_at: &Cursor<'_>, reached: Option<&str>) -> Option<()> {
        let (own, chain) = self.identity.chain().split_first()?;
        let Ok(parsed) = ParsedCertificate::try_from(own) else {
            cert_at.mistake("the certificate cannot be read");
            return None;
        };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(env::wall()));
        let provider = ring::default_provider();
        let as_server = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.authorities,
            chain,
            now,
            provider.signature_verification_algorithms.all,
        );
        acceptable(cert_at, as_server, "listens to")?;
        let as_client = match clients_of(&self.authorities, Arc::new(provider)) {
            Ok(verifier) => verifier.verify_client_cert(own, chain, now).map(drop),
            Err(error) => Err(error),
        };
        acceptable(cert_at, as_client, "connects to")?;
        let Some(host) = reached else {
            return Some(());
        };
        let names =
            ServerName::try_from(host).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok());
        if !names {
            cert_at.report(
                format!("the certificate is not for {host}, where the other nodes reach this one"),
                || Some("they check it against server.cluster.advertise, or else the address of server.nodeListen".to_owned()),
            );
            return None;
        }
        Some(())
    }
}

/// Takes whoever shows a certificate that one of these issued.
pub fn clients_of(
    authorities: &Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

fn acceptable(cert_at: &Cursor<'_>, verified: Result<(), Error>, does: &str) -> Option<()> {
    use CertificateError as Wrong;
    let Err(error) = verified else {
        return Some(());
    };
    match error {
        // It may have been right when it was written, and a reload must not fail by time alone.
        Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            cert_at.warn("the certificate has expired: the other nodes will refuse this one");
            return Some(());
        }
        Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => {
            cert_at.warn("the certificate is not valid yet: the other nodes will refuse this one");
            return Some(());
        }
        Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => cert_at.report(
            "the certificate was not issued by an authority in ca",
            || Some("one that is in between belongs behind the certificate in cert".to_owned()),
        ),
        Error::InvalidCertificate(Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. }) => {
            cert_at.report(
                format!("the certificate is not for a node that {does} others"),
                || {
                    Some(
                        "where it names its purposes, it needs serverAuth and clientAuth"
                            .to_owned(),
                    )
                },
            );
        }
        error => cert_at.mistake(format!(
            "the other nodes would refuse the certificate: {error}"
        )),
    }
    None
}
