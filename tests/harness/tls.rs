//! TLS for tests: an authority that issues certificates, and sockets that trust it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{HttpAnswer, read_answer};

/// A client's encrypted connection.
pub type SecureStream = TlsStream<TcpStream>;

/// A certificate authority of one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate and its private key, in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// The private key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// An authority that nobody else knows.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "the tests' authority");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// A certificate for `localhost` and 127.0.0.1 whose common name is `name`.
    pub fn issue(&self, name: &str) -> Issued {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned()]).expect("a name for DNS");
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.subject_alt_names.push(SanType::IpAddress(loopback));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        Issued {
            cert: pem("CERTIFICATE", cert.der()),
            key: pem("PRIVATE KEY", key.serialized_der()),
        }
    }

    /// Its own certificate, for clients that take it as a file.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// What a client needs that trusts this authority.
    pub fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions that ring has")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// An encrypted connection; fails the test if there is none.
    pub async fn connect(&self, to: SocketAddr) -> SecureStream {
        let tcp = TcpStream::connect(to).await.expect("a TCP connection");
        tcp.set_nodelay(true).expect("an open socket");
        secure(&self.client(rustls::ALL_VERSIONS, &["http/1.1"]), tcp)
            .await
            .expect("a TLS connection")
    }

    /// Sends a whole HTTP/1.1 request over TLS and reads its answer.
    pub async fn request(&self, to: SocketAddr, request: &[u8]) -> HttpAnswer {
        let mut stream = self.connect(to).await;
        stream.write_all(request).await.expect("an open connection");
        let answer = read_answer(&mut stream, false).await;
        answer.expect("an answer").0
    }
}

/// The client's half of TLS on a TCP connection to localhost.
pub async fn secure(client: &TlsConnector, tcp: TcpStream) -> std::io::Result<SecureStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    client.connect(name, tcp).await
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
