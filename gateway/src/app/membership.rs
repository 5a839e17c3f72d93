//! Joins the other nodes: the store that all share, the roads between them, this node's lease.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use connection_store::{
    ClusterKey, ConnectionStore, LinkBus, LinkSettings, LinkTls, NodeInfo, Outbox, RedisBus,
    RedisBusSettings, RedisSettings, RedisStore, RedisUrl, StoreClock, StoreError,
};
use gateway_core::id::NodeId;
use gateway_core::resource::Api;
use gateway_core::tenure::Terms;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use crate::config::{ClusterTls, OnStoreDown, Secret, Server, clients_of};
use crate::env;
use crate::node::{Cluster, Life, Node, NodeInbox, Registry, Ways};
use crate::observe::Observe;

/// How long a starting node waits for its store.
const PATIENCE: Duration = Duration::from_secs(10);
/// What goes with a message from node to node.
const ORDER_OVERHEAD: usize = 64 * 1024;
/// The largest message between nodes where an API sets no limit.
const UNLIMITED: usize = 64 * 1024 * 1024;
/// How long a call to the store may take.
const CALL: Duration = Duration::from_millis(500);

/// A node that has joined the others.
pub(super) struct Membership {
    pub(super) node: Arc<Node>,
    pub(super) life: Life,
    pub(super) link: LinkDoor,
}

/// Where other nodes come in.
#[derive(Debug, Clone)]
pub(super) struct LinkDoor {
    link: Arc<LinkBus>,
    inbox: Arc<NodeInbox>,
}

impl LinkDoor {
    /// Serves other nodes on this thread.
    pub(super) fn serve(&self, listener: TcpListener) -> io::Result<()> {
        self.link.serve_std(listener, Arc::clone(&self.inbox) as _)
    }

    /// From now on connections between this node and others are opened so.
    pub(super) fn offer(&self, tls: Option<&ClusterTls>) -> Result<(), rustls::Error> {
        self.link.set_tls(tls.map(link_tls).transpose()?);
        Ok(())
    }
}

impl Membership {
    /// Takes a first lease. `bound` is where other nodes are listened to. A sentence for the operator where that fails.
    pub(super) async fn join(
        url: &RedisUrl,
        server: &Server,
        apis: &[Api],
        bound: Option<SocketAddr>,
        observe: &Arc<Observe>,
    ) -> Result<Self, String> {
        let settings = &server.cluster;
        let secret = settings.secret.as_ref().map(Secret::expose);
        let key = ClusterKey::new(secret.unwrap_or_default())
            .map_err(|error| format!("server.cluster.secret cannot be used: {error}"))?;
        let lease = settings.lease;
        let terms = Terms {
            lease: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            linked: bound.is_some(),
            on_isolation: settings.on_isolation,
        };
        let store = RedisStore::connect(
            url.clone(),
            RedisSettings {
                lease,
                settled_after: lease * 3 / 2,
                timeout: CALL,
            },
        );
        let store = store.map_err(|error| format!("server.store cannot be used: {error}"))?;
        let store = Arc::new(store);
        let id = NodeId(env::random());
        let clock = Arc::new(StoreClock::new(env::uptime, env::wall()));
        let inbox = Arc::new(NodeInbox::default());
        let max_order = largest_message(apis) + ORDER_OVERHEAD;
        let tls = settings.tls.as_ref().map(link_tls).transpose();
        let tls = tls.map_err(|error| format!("server.cluster.tls cannot be used: {error}"))?;
        let link = LinkSettings {
            max_order,
            tls,
            ..LinkSettings::new(id, key.clone(), Arc::clone(&clock), env::random)
        };
        let link = Arc::new(LinkBus::new(link));
        let ways = {
            let (redis, clock) = (store.redis().clone(), Arc::clone(&clock));
            let inbox = Arc::clone(&inbox);
            Ways::new(id, Arc::clone(&link), move |node| {
                let settings = RedisBusSettings {
                    node,
                    key: key.clone(),
                    clock: Arc::clone(&clock),
                    max_order,
                    random: env::random,
                };
                Arc::new(RedisBus::start(
                    redis.clone(),
                    settings,
                    Arc::clone(&inbox) as _,
                ))
            })
        };
        let cluster = Cluster::new(
            Arc::clone(&store) as Arc<dyn ConnectionStore>,
            Arc::clone(&store) as Arc<dyn Outbox>,
            Arc::new(ways),
            clock,
        );
        let refuse = server.on_store_down == OnStoreDown::Refuse;
        let registry = Registry::shared(Arc::clone(&store) as Arc<dyn ConnectionStore>, refuse);
        let node = Arc::new(Node::new(id, registry, Some(cluster)));
        inbox.open(&node);
        let info = NodeInfo {
            id,
            hostname: hostname(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link: bound.map(|bound| settings.advertise.clone().unwrap_or(bound.to_string())),
            started_at: env::wall(),
        };
        let life = begin(&node, observe, info, terms).await?;
        match store.redis().check().await {
            Ok(found) => found
                .iter()
                .for_each(|found| tracing::warn!("the store: {found}")),
            Err(error) => tracing::debug!("the store cannot be looked at: {error}"),
        }
        let link = LinkDoor { link, inbox };
        Ok(Self { node, life, link })
    }
}

/// TLS 1.3 in both directions, each end with this node's certificate and with one demanded of the other. The provider is named, not
/// taken from the process, as on the public port.
fn link_tls(tls: &ClusterTls) -> Result<LinkTls, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let clients = clients_of(&tls.authorities, Arc::clone(&provider))?;
    let own = Arc::new(SingleCertAndKey::from(tls.identity.certified()));
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::clone(&own) as _);
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(&tls.authorities))
        .with_client_cert_resolver(own);
    // Connections stay for long, and a session from before would get past a certificate that is demanded since.
    server.send_tls13_tickets = 0;
    client.resumption = Resumption::disabled();
    Ok(LinkTls {
        server: Arc::new(server),
        client: Arc::new(client),
    })
}

/// The largest message that any API takes, or what is unlimited.
fn largest_message(apis: &[Api]) -> usize {
    let limits = apis.iter().map(|api| api.limits.max_message_bytes);
    let bytes = limits.map(|limit| limit.map_or(UNLIMITED, |bytes| bytes as usize));
    // A reload may raise the figures; those of the presets fit in any case.
    bytes.max().unwrap_or(0).max(1024 * 1024)
}

/// The first lease; a store that starts at the same time as its nodes is waited for.
async fn begin(
    node: &Arc<Node>,
    observe: &Arc<Observe>,
    info: NodeInfo,
    terms: Terms,
) -> Result<Life, String> {
    let given_up = tokio::time::Instant::now() + PATIENCE;
    let mut said = false;
    loop {
        let begun = Life::begin(Arc::clone(node), Arc::clone(observe), info.clone(), terms);
        let error = match begun.await {
            Ok(life) => return Ok(life),
            Err(error) => error,
        };
        let hopeless = matches!(error, StoreError::Refused(_));
        if hopeless || tokio::time::Instant::now() >= given_up {
            return Err(format!(
                "the store of server.store cannot be used: {error}; is it running, and are address, user and password right?"
            ));
        }
        if !std::mem::replace(&mut said, true) {
            tracing::warn!("waiting for the store: {error}");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
