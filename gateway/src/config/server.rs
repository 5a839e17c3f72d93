//! Reads the section `server`.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use connection_store::RedisUrl;

use super::net::IpNet;
use super::reader::{Cursor, Fields};
use super::settings::{AccessLog, Log, LogFormat, OnStoreDown, Server, Store};
use super::yaml::Tree;
use super::{cluster, domains, scalar, secrets, tls};

/// Stage names by API, for the settings that name them.
pub(super) type Stages = HashMap<String, HashSet<String>>;

/// The section; `None` where a mistake was reported.
pub(super) fn read(cursor: &Cursor<'_>, apis: &Stages) -> Option<Server> {
    let mut fields = cursor.fields()?;
    let server = read_fields(&mut fields, apis);
    fields.finish();
    server
}

fn read_fields(fields: &mut Fields<'_>, apis: &Stages) -> Option<Server> {
    let listen = fields.take("listen");
    let management = fields.take("managementListen");
    let node = fields.take("nodeListen");
    let store_at = fields.take("store");
    let management_url_at = fields.take("managementUrl");
    let public_host_at = fields.take("publicHost");
    let credentials_at = fields.take("credentials");
    let tokens_at = fields.take("tokens");

    let listen_address = listen.as_ref().and_then(address);
    let management_address = management.as_ref().and_then(address);
    let node_address = node.as_ref().and_then(address);
    let store = store_at.as_ref().and_then(store);
    let management_url = management_url_at.as_ref().and_then(base_url);
    let public_host = public_host_at.as_ref().and_then(authority);
    let credentials = credentials_at.as_ref().map(secrets::credentials);
    let tokens = tokens_at.as_ref().map(secrets::tokens);

    check_distinct(&[
        (&listen, listen_address),
        (&management, management_address),
        (&node, node_address),
    ]);
    let unguarded = is_empty(credentials_at.as_ref()) && is_empty(tokens_at.as_ref());
    if let (Some(cursor), Some(address)) = (&management, management_address) {
        check_management(cursor, address, unguarded);
    }
    if public_host_at.is_none() {
        warn_if_nameless(
            listen.as_ref().zip(listen_address),
            "the public listener is bound to every address, so requestContext.domainName cannot name one that \
             handlers reach; set server.publicHost",
        );
    }
    if management_url_at.is_none() {
        warn_if_nameless(
            management.as_ref().zip(management_address),
            "the management listener is bound to every address, so x-wiregate-callback-url cannot name one that \
             backends reach; set server.managementUrl",
        );
    }
    let cluster_at = fields.take("cluster");
    let cluster = cluster_at
        .as_ref()
        .and_then(|at| cluster::read(at, node_address));
    match (&store, &store_at) {
        (Some(Store::Memory), _) => {
            if let Some(cursor) = &node {
                cursor.mistake(
                    "nodeListen is of use only with a Redis store; set server.store or leave it out",
                );
            }
        }
        (Some(Store::Redis(_)), Some(at)) => {
            if let Some(cluster) = &cluster {
                check_cluster(at, cluster, node.as_ref().zip(node_address));
            }
        }
        _ => {}
    }

    let base_domain = fields.read("baseDomain", host_name);
    let hostnames = fields.read("hostnames", |list| Some(each(list, host_name)));
    let domains = fields.read("domains", |list| Some(domains::read(list, apis)));
    let default_api = fields.read("defaultApi", |cursor| default_api(cursor, apis));
    let region = fields.read("region", Cursor::string);
    let account_id = fields.read("accountId", |cursor| {
        cursor.parse("an account number of twelve digits", scalar::account_id)
    });
    let tls_at = fields.take("tls");
    let tls = tls_at.as_ref().map(tls::read);
    let trusted_proxies = fields.read("trustedProxies", |list| Some(each(list, network)));
    let on_store_down = fields.read("onStoreDown", |cursor| {
        cursor.one_of(&[
            ("accept", OnStoreDown::Accept),
            ("refuse", OnStoreDown::Refuse),
        ])
    });
    let data_dir = fields.read("dataDir", Cursor::file_path);
    let drain_timeout = fields.read("drainTimeout", Cursor::duration);
    let handshake_timeout = fields.read("handshakeTimeout", Cursor::positive_duration);
    let max_handshakes = fields.read("maxHandshakes", |cursor| cursor.count(1));
    let per_address = fields.read("maxHandshakesPerAddress", |cursor| cursor.count(1));
    let max_connections = fields.read("maxConnections", |cursor| cursor.count(0));
    let max_owed = fields.read("maxOwedDisconnects", |cursor| cursor.count(1));
    let workers = fields.read("workers", |cursor| cursor.count_up_to(0, 1024));
    let watch = fields.read("watch", Cursor::boolean);
    let link_local = fields.read("allowLinkLocalBackends", Cursor::boolean);
    let log = fields.read("log", log);

    Some(Server {
        listen: listen_address?,
        management_listen: management_address?,
        node_listen: node_address,
        public_host,
        base_domain: base_domain?,
        hostnames: hostnames?,
        management_url,
        domains: domains?,
        default_api,
        region: region?,
        account_id: account_id?,
        tls: tls.map_or(Some(None), |read| read.map(Some))?,
        credentials: credentials?,
        tokens: tokens?,
        trusted_proxies: trusted_proxies?,
        store: store?,
        on_store_down: on_store_down?,
        cluster: cluster?,
        data_dir,
        drain_timeout: drain_timeout?,
        handshake_timeout: handshake_timeout?,
        max_handshakes: max_handshakes?,
        max_handshakes_per_address: per_address?,
        max_connections: max_connections?,
        max_owed_disconnects: max_owed?,
        workers: workers?,
        watch: watch?,
        allow_link_local_backends: link_local?,
        log: log?,
    })
}

/// Reads every item of a list.
pub(super) fn each<'a, T>(list: &Cursor<'a>, read: impl Fn(&Cursor<'a>) -> Option<T>) -> Vec<T> {
    list.items().iter().filter_map(read).collect()
}

fn address(cursor: &Cursor<'_>) -> Option<SocketAddr> {
    cursor.parse(
        "an IP address and port such as 127.0.0.1:8080",
        scalar::address,
    )
}

fn authority(cursor: &Cursor<'_>) -> Option<String> {
    cursor.parse(
        "a host name such as ws.example.com or localhost:8080",
        scalar::authority,
    )
}

pub(super) fn host_name(cursor: &Cursor<'_>) -> Option<String> {
    cursor.parse("a host name such as ws.example.com", scalar::host_name)
}

fn network(cursor: &Cursor<'_>) -> Option<IpNet> {
    cursor.parse("an address or a network such as 10.0.0.0/8", IpNet::parse)
}

fn base_url(cursor: &Cursor<'_>) -> Option<String> {
    let url = cursor.parse("a URL such as https://manage.example.com", scalar::http_url)?;
    if url.contains(['?', '#', '@']) {
        cursor.mistake("this URL cannot have a query, a fragment or a user name");
        return None;
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn default_api(cursor: &Cursor<'_>, apis: &Stages) -> Option<String> {
    let api = cursor.string()?;
    cursor.refers("API", &api, apis).then_some(api)
}

fn store(cursor: &Cursor<'_>) -> Option<Store> {
    let text = cursor.text()?;
    if text == "memory" {
        return Some(Store::Memory);
    }
    if !is_redis_url(text) {
        cursor.expected(
            "memory, or a URL that begins with redis://, rediss://, redis+sentinel:// or redis+cluster://",
            None,
        );
        return None;
    }
    match text.parse::<RedisUrl>() {
        Ok(url) => Some(Store::Redis(Box::new(url))),
        Err(error) => {
            cursor.mistake(error.to_string());
            None
        }
    }
}

fn is_redis_url(text: &str) -> bool {
    let schemes = ["redis", "rediss", "redis+sentinel", "redis+cluster"];
    text.split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty())
}

fn log(cursor: &Cursor<'_>) -> Option<Log> {
    let mut fields = cursor.fields()?;
    let level = fields.read("level", |cursor| {
        cursor.one_of(&[
            ("error", tracing::Level::ERROR),
            ("warn", tracing::Level::WARN),
            ("info", tracing::Level::INFO),
            ("debug", tracing::Level::DEBUG),
            ("trace", tracing::Level::TRACE),
        ])
    });
    let format = fields.read("format", |cursor| {
        cursor.one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    let access = fields.read("access", |cursor| {
        cursor.one_of(&[
            ("errors", AccessLog::Errors),
            ("all", AccessLog::All),
            ("off", AccessLog::Off),
        ])
    });
    fields.finish();
    Some(Log {
        level: level?,
        format: format?,
        access: access?,
    })
}

type Listener<'c, 'a> = (&'c Option<Cursor<'a>>, Option<SocketAddr>);

/// No two listeners may claim one port: the second bind would fail, or worse, share it.
fn check_distinct(listeners: &[Listener<'_, '_>]) {
    let mut seen: Vec<(&Cursor<'_>, SocketAddr)> = Vec::new();
    for (cursor, address) in listeners {
        let (Some(cursor), Some(address)) = (cursor, address) else {
            continue;
        };
        if let Some((other, taken)) = seen.iter().find(|(_, other)| collide(*other, *address)) {
            // Of the two, the one that was written is to blame, not a default.
            let (at, named) = if cursor.node.origin < other.node.origin {
                (*other, format!("{} has {address}", cursor.path))
            } else {
                (cursor, format!("{} has {taken}", other.path))
            };
            at.mistake(format!("two listeners cannot share a port: {named}"));
        }
        seen.push((cursor, *address));
    }
}

/// Whether nothing was written; a list whose items are wrong is not empty.
fn is_empty(list: Option<&Cursor<'_>>) -> bool {
    list.is_some_and(|list| matches!(&list.node.tree, Tree::List(items) if items.is_empty()))
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let wide = |address: SocketAddr| address.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || wide(a) || wide(b))
}

/// What nodes that share a store cannot do without.
fn check_cluster(
    store: &Cursor<'_>,
    cluster: &cluster::Cluster,
    node: Option<(&Cursor<'_>, SocketAddr)>,
) {
    if cluster.secret.is_none() {
        store.mistake(
            "nodes that share a store must know a secret by which they believe each other; set server.cluster.secret \
             (WIREGATE_CLUSTER_SECRET) to the same 32 characters or more on each, as `openssl rand -hex 32` makes them",
        );
    }
    match node {
        Some((node, address)) if address.ip().is_unspecified() && cluster.advertise.is_none() => {
            node.mistake(
                "the other nodes cannot reach this one at an address that means every address; set \
                 server.cluster.advertise to the host and port at which they do",
            );
        }
        None if cluster.advertise.is_some() => {
            store.mistake(
                "cluster.advertise says where nodeListen is reached; set server.nodeListen, too",
            );
        }
        _ => {}
    }
}

fn check_management(cursor: &Cursor<'_>, address: SocketAddr, unguarded: bool) {
    if !address.ip().to_canonical().is_loopback() && unguarded {
        cursor.mistake(format!(
            "the management listener at {address} can be reached from other machines and needs credentials; set \
             server.credentials or server.tokens, or bind it to 127.0.0.1"
        ));
    }
}

/// `0.0.0.0` is where a listener listens, but no place to send anybody.
fn warn_if_nameless(listener: Option<(&Cursor<'_>, SocketAddr)>, message: &str) {
    if let Some((cursor, address)) = listener
        && address.ip().is_unspecified()
    {
        cursor.warn(message);
    }
}

/// Reports the second of two equal names.
pub(super) fn is_first(seen: &mut HashSet<String>, cursor: &Cursor<'_>, name: &str) -> bool {
    let first = seen.insert(name.to_owned());
    if !first {
        cursor.mistake(format!(
            "{} stands here twice",
            super::diagnostic::quoted(name)
        ));
    }
    first
}
