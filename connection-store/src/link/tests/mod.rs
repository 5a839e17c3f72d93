//! The link against its contract, and against those who mean it ill.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::NodeId;
use tokio::net::TcpListener;

use super::*;
use crate::contract::bus::{self, Counter, Road, Start};
use bytes::Bytes;

mod certificates;
mod ill_will;
mod trouble;

const ASKER: NodeId = NodeId([1; 6]);
const OWNER: NodeId = NodeId([2; 6]);
const LIMIT: Duration = Duration::from_secs(3);

/// Links that know each other's addresses.
#[derive(Default)]
struct Links {
    tls: Option<LinkTls>,
    started: Mutex<HashMap<NodeId, (Arc<LinkBus>, String)>>,
}

#[async_trait]
impl Road for Links {
    async fn start(&self, node: Start) -> Arc<dyn NodeBus> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let link = Arc::new(LinkBus::new(LinkSettings {
            tls: self.tls.clone(),
            // Others build on this machine while the tests run.
            connect: Duration::from_secs(2),
            ..LinkSettings::new(node.id, node.key, node.clock, random)
        }));
        link.serve(listener, node.inbox);
        let mut started = self.started.lock().unwrap();
        started.insert(node.id, (Arc::clone(&link), address));
        for (one, _) in started.values() {
            let peers = started.iter().filter(|(id, _)| **id != one.shared.me());
            one.set_peers(peers.map(|(id, (_, address))| (*id, address.clone())));
        }
        link
    }

    async fn kill(&self, node: NodeId) {
        let link = self.started.lock().unwrap().remove(&node);
        link.unwrap().0.stop().await;
    }

    fn largest(&self) -> usize {
        1024 * 1024 + 64 * 1024
    }
}

fn random() -> [u8; 32] {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

fn settings(node: NodeId) -> LinkSettings {
    let clock = Arc::new(StoreClock::new(|| 0, 1_700_000_000_000));
    LinkSettings {
        connect: Duration::from_secs(2),
        ..LinkSettings::new(node, key(), clock, random)
    }
}

fn key() -> ClusterKey {
    ClusterKey::new("the same on all nodes of a cluster").unwrap()
}

/// A link that listens, where, and what it hears.
async fn owner() -> (LinkBus, String, Arc<Counter>) {
    let (listener, address) = listener().await;
    let (owner, inbox) = (LinkBus::new(settings(OWNER)), Arc::new(Counter::default()));
    owner.serve(listener, inbox.clone());
    (owner, address, inbox)
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A link that knows the owner to be at an address.
fn asker(address: &str) -> LinkBus {
    let asker = LinkBus::new(settings(ASKER));
    asker.set_peers([(OWNER, address.to_owned())]);
    asker
}

async fn ask(link: &LinkBus, order: &'static [u8]) -> Result<Bytes, BusError> {
    link.request(&OWNER, Bytes::from_static(order), LIMIT).await
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_plain_link_keeps_the_contract() {
    bus::all(&Links::default()).await;
}

#[tokio::test]
async fn the_link_over_tls_keeps_the_contract() {
    let links = Links {
        tls: Some(tls("localhost")),
        ..Links::default()
    };
    bus::all(&links).await;
}

/// Both sides show the same certificate and trust nothing else.
fn tls(name: &str) -> LinkTls {
    let issued = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = || rustls::pki_types::PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::clone(&roots),
        Arc::clone(&provider),
    );
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate.clone()], key())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key())
        .unwrap();
    LinkTls {
        server: Arc::new(server),
        client: Arc::new(client),
    }
}

#[tokio::test]
async fn a_node_that_takes_another_name_is_reached_by_it_and_no_longer_by_the_old_one() {
    let (owner, address, inbox) = owner().await;
    let asker = LinkBus::new(settings(ASKER));
    let reborn = NodeId([9; 6]);
    owner.rename(reborn);
    asker.set_peers([(OWNER, address.clone()), (reborn, address)]);
    let limit = Duration::from_secs(2);
    let order = Bytes::from_static(b"order");
    let old = asker.request(&OWNER, order.clone(), limit).await;
    assert!(matches!(old, Err(BusError::Unreachable(_))), "{old:?}");
    let new = asker.request(&reborn, order, limit).await;
    assert_eq!(new.unwrap(), "done");
    assert_eq!(inbox.heard(), 1);
}
