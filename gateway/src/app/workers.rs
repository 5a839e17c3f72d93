//! The worker threads: each has a runtime of its own, its share of both ports and its own backend connections, so
//! that a connection, its messages and the calls they make stay on one core.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use gateway_core::auth::sigv4::Credentials;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;

use super::membership::LinkDoor;
use crate::callback::CallbackDoor;
use crate::config::{Config, Credential};
use crate::control::Control;
use crate::integration::http::{HttpClient, HttpClientConfig, TlsRoots};
use crate::integration::lambda::{LambdaEndpoint, PathName};
use crate::integration::{FunctionPlace, Integrations, LambdaEndpoints};
use crate::lambda_api::LambdaApi;
use crate::listen::{Budget, Handshakes, ManagementListener, PublicListener, TlsOffer};
use crate::management::{self, Access, Health};
use crate::node::{Drain, Node, Owed, Stages};
use crate::observe::Observe;
use crate::pipeline::{Owner, Pipeline};
use crate::websocket::{OutboxTerms, Proxies, WebSocketDoor};

/// What all workers share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) node: Arc<Node>,
    pub(super) stages: Arc<Stages>,
    pub(super) control: Arc<Control>,
    pub(super) lambda_api: Arc<LambdaApi>,
    pub(super) observe: Arc<Observe>,
    pub(super) drain: Arc<Drain>,
    pub(super) owed: Arc<Owed>,
    pub(super) closing: Arc<Drain>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) public_budget: Budget,
    pub(super) management_budget: Budget,
    /// Unused connections to backends that each worker may keep.
    pub(super) idle_backends: usize,
    pub(super) roots: Arc<TlsRoots>,
    pub(super) tls: Arc<TlsOffer>,
    pub(super) lambda: LambdaEndpoints,
    pub(super) credentials: Arc<[Credentials]>,
    pub(super) public: SocketAddr,
    pub(super) management: SocketAddr,
    pub(super) outbox: OutboxTerms,
    /// Where other nodes come in.
    pub(super) link: Option<LinkDoor>,
}

/// One worker's share of each port.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) public: TcpListener,
    pub(super) management: TcpListener,
    pub(super) nodes: Option<TcpListener>,
}

/// Starts one worker. It runs until `stop` changes.
pub(super) fn spawn(
    shared: Shared,
    number: usize,
    listeners: Listeners,
    stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            runtime.block_on(async move {
                if let Err(error) = work(shared, number, listeners, stop).await {
                    tracing::error!("a worker cannot listen: {error}");
                }
            });
        })
}

async fn work(
    shared: Shared,
    number: usize,
    listeners: Listeners,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let public = tokio::net::TcpListener::from_std(listeners.public)?;
    let management = tokio::net::TcpListener::from_std(listeners.management)?;
    if let (Some(link), Some(nodes)) = (&shared.link, listeners.nodes) {
        link.serve(nodes)?;
    }
    let server = &shared.config.server;
    let client = HttpClient::new(&HttpClientConfig {
        allow_link_local: server.allow_link_local_backends,
        // As many as calls may have been under way: whoever keeps fewer connects anew at each wave.
        max_idle_per_origin: shared.idle_backends,
        max_idle: shared.idle_backends,
        tls_roots: Arc::clone(&shared.roots),
        ..HttpClientConfig::default()
    });
    let integrations = Integrations::new(client, shared.lambda.clone());
    let websocket = Arc::new(WebSocketDoor {
        pipeline: Pipeline::new(
            integrations,
            Arc::clone(&shared.observe),
            Arc::clone(&shared.node),
            Owner {
                region: server.region.clone(),
                account_id: server.account_id.clone(),
            },
        ),
        node: Arc::clone(&shared.node),
        stages: Arc::clone(&shared.stages),
        observe: Arc::clone(&shared.observe),
        drain: Arc::clone(&shared.drain),
        owed: Arc::clone(&shared.owed),
        max_connections: (server.max_connections > 0).then_some(server.max_connections as usize),
        proxies: Proxies(server.trusted_proxies.clone()),
    });
    let callback = Arc::new(CallbackDoor {
        node: Arc::clone(&shared.node),
        stages: Arc::clone(&shared.stages),
        observe: Arc::clone(&shared.observe),
        credentials: Arc::clone(&shared.credentials),
    });
    let public_listener = Arc::new(PublicListener {
        websocket: Arc::clone(&websocket),
        callback: Arc::clone(&callback),
        address: shared.public,
        tls: Arc::clone(&shared.tls),
        handshake_timeout: server.handshake_timeout,
        handshakes: Arc::clone(&shared.handshakes),
        observe: Arc::clone(&shared.observe),
    });
    let health = Health {
        observe: Arc::clone(&shared.observe),
        drain: Arc::clone(&shared.drain),
        node: Arc::clone(&shared.node),
    };
    let management_listener = Arc::new(ManagementListener {
        callback,
        checks_signatures: !server.credentials.is_empty(),
        operators: server.credentials.iter().map(credentials).collect(),
        control: Arc::clone(&shared.control),
        lambda_api: Arc::clone(&shared.lambda_api),
        router: management::router(health),
        access: Access {
            listener: shared.management,
            tokens: server.tokens.clone(),
            own_host: server.management_url.as_deref().and_then(host_of_url),
        },
        timeout: server.handshake_timeout,
        observe: Arc::clone(&shared.observe),
        closing: Arc::clone(&shared.closing),
    });
    // One worker is enough: how fast the outbox is emptied is a rate of the node.
    if let (0, Some(cluster)) = (number, &shared.node.cluster) {
        let outbox = Arc::clone(&cluster.outbox);
        tokio::spawn(websocket.empty_outbox(outbox, shared.outbox));
    }
    tokio::spawn(public_listener.run(public, shared.public_budget.clone()));
    tokio::spawn(management_listener.run(management, shared.management_budget.clone()));
    // The runtime's tasks end with it; what must be finished was waited for before `stop` changed.
    let _ = stop.changed().await;
    Ok(())
}

fn host_of_url(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().map(str::to_owned)
}

/// The configured functions as endpoints; a sentence for each that cannot be one.
pub(super) fn lambda_endpoints(config: &Config) -> Result<LambdaEndpoints, String> {
    let endpoint = |place: &str, url: &str| {
        LambdaEndpoint::new(url)
            .map_err(|error| format!("{place}: '{url}' cannot be an endpoint: {error}"))
    };
    let mut functions = BTreeMap::new();
    for (name, function) in &config.lambda.functions {
        let place = format!("lambda.functions.{name}");
        let mut target = endpoint(&place, &function.endpoint)?;
        if let Some(path_name) = &function.path_name {
            target.path_name = PathName::Fixed(path_name.clone());
        }
        let mut headers = HeaderMap::new();
        for (header, value) in &function.headers {
            let parsed = (
                HeaderName::from_bytes(header.as_bytes()),
                HeaderValue::from_str(value.expose()),
            );
            let (Ok(header), Ok(value)) = parsed else {
                return Err(format!("{place}.headers.{header} is no HTTP header"));
            };
            headers.insert(header, value);
        }
        functions.insert(
            name.clone(),
            FunctionPlace {
                endpoint: target,
                headers,
            },
        );
    }
    let default = config
        .lambda
        .endpoint
        .as_deref()
        .map(|url| endpoint("lambda.endpoint", url))
        .transpose()?;
    let credentials = config.lambda.credentials.as_ref().map(credentials);
    Ok(LambdaEndpoints {
        functions,
        host: None,
        default,
        credentials,
        region: config.server.region.clone(),
    })
}

pub(super) fn credentials(credential: &Credential) -> Credentials {
    Credentials {
        access_key_id: credential.access_key_id.clone(),
        secret_access_key: credential.secret_access_key.clone(),
        session_token: credential.session_token.clone(),
        expires_at: credential.expires_at,
    }
}
