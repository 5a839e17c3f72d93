//! TLS: whom the client trusts, and which HTTP the two sides agree on.

use hyper::server::conn::{http1, http2 as server_http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::http2::echo;
use super::*;

const AUTHORITY: &[u8] = include_bytes!("../../testdata/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../testdata/server.pem");
const KEY: &[u8] = include_bytes!("../../testdata/server.key");

/// A TLS backend that is `localhost` and 127.0.0.1, and speaks these protocols.
fn start(protocols: &[&str]) -> Stub {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Stub::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(peer.stream).await else {
                return;
            };
            let requests = peer.requests;
            let service = service_fn(move |request| {
                requests.fetch_add(1, Ordering::SeqCst);
                echo(request, Arc::default())
            });
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let server = server_http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            } else {
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        }
    })
}

fn trusting() -> HttpClient {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(AUTHORITY).unwrap())
        .unwrap();
    let config = HttpClientConfig {
        tls_roots: Arc::new(TlsRoots::of(roots)),
        ..HttpClientConfig::default()
    };
    HttpClient::new(&config)
}

fn over(version: BackendVersion, stub: &Stub) -> BackendRequest {
    let uri = format!("https://localhost:{}/", stub.address.port());
    BackendRequest {
        version,
        ..post(&uri, "hello")
    }
}

async fn check(protocols: &[&str], version: BackendVersion, expected: &str) {
    let stub = start(protocols);
    let client = trusting();
    for _ in 0..3 {
        let response = client.send(over(version, &stub)).await.unwrap();
        assert_eq!(response.body, "hello");
        assert_eq!(
            response.headers.text("x-version"),
            Some(expected),
            "{protocols:?} {version:?}"
        );
    }
    assert_eq!(
        (stub.accepts(), stub.requests()),
        (1, 3),
        "{protocols:?} {version:?}"
    );
}

#[tokio::test]
async fn both_sides_agree_on_the_best_http_that_they_share() {
    check(&["h2", "http/1.1"], BackendVersion::Auto, "HTTP/2.0").await;
    check(&["http/1.1"], BackendVersion::Auto, "HTTP/1.1").await;
    check(&[], BackendVersion::Auto, "HTTP/1.1").await;
    check(&["h2", "http/1.1"], BackendVersion::Http1, "HTTP/1.1").await;
    check(&["h2", "http/1.1"], BackendVersion::Http2, "HTTP/2.0").await;
}

#[tokio::test]
async fn http2_is_not_taken_for_granted() {
    for protocols in [&["http/1.1"][..], &[]] {
        let stub = start(protocols);
        let error = trusting()
            .send(over(BackendVersion::Http2, &stub))
            .await
            .unwrap_err();
        assert!(matches!(error, BackendError::Tls { .. }), "{error}");
        assert_eq!((stub.requests(), error.may_have_been_sent()), (0, false));
    }
}

#[tokio::test]
async fn calls_at_once_end_up_on_one_http2_connection() {
    let stub = start(&["h2"]);
    let client = Arc::new(trusting());
    for _ in 0..2 {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (client, request) = (Arc::clone(&client), over(BackendVersion::Auto, &stub));
                tokio::spawn(async move { client.send(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().body, "hello");
        }
    }
    let before = stub.accepts();
    client
        .send(over(BackendVersion::Auto, &stub))
        .await
        .unwrap();
    assert_eq!((stub.accepts(), stub.requests()), (before, 41));
    assert!(before <= 20, "{before} connections");
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let stub = start(&["http/1.1"]);
    let roots = TlsRoots::of(RootCertStore::empty());
    let config = HttpClientConfig {
        tls_roots: Arc::new(roots),
        ..HttpClientConfig::default()
    };
    let error = HttpClient::new(&config)
        .send(over(BackendVersion::Auto, &stub))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Tls { .. }), "{error}");
    assert_eq!((stub.requests(), error.may_have_been_sent()), (0, false));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let stub = start(&["http/1.1"]);
    let port = stub.address.port();
    let client = trusting();
    assert!(
        client
            .send(get(&format!("https://127.0.0.1:{port}/")))
            .await
            .is_ok()
    );
    // Another name of the same address.
    let error = client
        .send(get(&format!("https://2130706433:{port}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_backend_without_tls_is_a_failed_handshake() {
    let stub = Stub::start(|mut peer| async move {
        peer.say("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.linger().await;
    });
    let error = trusting()
        .send(over(BackendVersion::Auto, &stub))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_costs_the_connect_timeout() {
    let stub = Stub::start(Peer::linger);
    let config = HttpClientConfig {
        connect_timeout: Duration::from_millis(200),
        ..HttpClientConfig::default()
    };
    let begin = Instant::now();
    let error = HttpClient::new(&config)
        .send(over(BackendVersion::Auto, &stub))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::Connect { .. } | BackendError::Tls { .. }
        ),
        "{error}"
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
}
