//! The operator's settings once they are read: everything here has been checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use connection_store::RedisUrl;
use gateway_core::resource::{Api, Function as LocalFunction};

use super::cluster::Cluster;
use super::net::IpNet;
use super::secret::Secret;
use super::tls::Tls;

/// All of `wiregate.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Listeners, identity, store, limits of the process.
    pub server: Server,
    /// Where Lambda functions are.
    pub lambda: Lambda,
    /// The APIs, in the order in which they were written.
    pub apis: Vec<Api>,
}

/// The section `server`; `wiregate.default.yaml` says what each option means.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Public listener.
    pub listen: SocketAddr,
    /// Management listener.
    pub management_listen: SocketAddr,
    /// Listener for other nodes.
    pub node_listen: Option<SocketAddr>,
    /// Name of the public listener for those outside, perhaps with a port.
    pub public_host: Option<String>,
    /// Every API answers at `{apiId}.execute-api.{base_domain}`.
    pub base_domain: String,
    /// Further names the listeners answer to; lower case, no ports.
    pub hostnames: Vec<String>,
    /// Base of the callback URLs that backends are given; no slash at its end.
    pub management_url: Option<String>,
    /// Custom domain names.
    pub domains: Vec<Domain>,
    /// The API that `/{stage}` means on any host.
    pub default_api: Option<String>,
    /// AWS region.
    pub region: String,
    /// AWS account, twelve digits.
    pub account_id: String,
    /// Certificate of the public listener.
    pub tls: Option<Tls>,
    /// Keys whose signatures are accepted.
    pub credentials: Vec<Credential>,
    /// Bearer tokens of the management listener.
    pub tokens: Vec<Secret>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where connections are remembered.
    pub store: Store,
    /// What a `$connect` gets while the store is away.
    pub on_store_down: OnStoreDown,
    /// What several nodes agree on.
    pub cluster: Cluster,
    /// Folder for what the control plane creates.
    pub data_dir: Option<PathBuf>,
    /// Time that a shutdown waits; zero does not wait.
    pub drain_timeout: Duration,
    /// Time from accept to 101.
    pub handshake_timeout: Duration,
    /// Unfinished handshakes in all.
    pub max_handshakes: u32,
    /// Unfinished handshakes of one address.
    pub max_handshakes_per_address: u32,
    /// Connections at once; 0: by file descriptors.
    pub max_connections: u32,
    /// `$disconnect`s that may wait for their backends at once.
    pub max_owed_disconnects: u32,
    /// Serving threads; 0: one for each core.
    pub workers: u32,
    /// Whether the file is loaded again when it changes.
    pub watch: bool,
    /// Whether integrations may call link-local addresses.
    pub allow_link_local_backends: bool,
    /// What is logged.
    pub log: Log,
}

/// A custom domain name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The name; lower case, no port.
    pub domain_name: String,
    /// What its paths show.
    pub mappings: Vec<ApiMapping>,
}

/// `ApiMapping`: a path of a custom domain and the stage it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiMapping {
    /// First segment of the path; empty for the domain itself.
    pub api_mapping_key: String,
    /// Id of the API.
    pub api: String,
    /// Name of its stage.
    pub stage: String,
}

/// An access key as AWS issues them.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Secret,
    /// What accompanies each request where they are temporary.
    pub session_token: Option<Secret>,
    /// When they end, in seconds since 1970.
    pub expires_at: Option<u64>,
}

/// Where connections are remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In this process.
    Memory,
    /// In Redis at this URL.
    Redis(Box<RedisUrl>),
}

/// What a `$connect` gets while the store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStoreDown {
    /// It goes on and is registered later.
    Accept,
    /// 503.
    Refuse,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: tracing::Level,
    /// Form of a line.
    pub format: LogFormat,
    /// Which requests get a line.
    pub access: AccessLog,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which requests get a line in the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// Refusals and errors.
    Errors,
    /// Every one.
    All,
    /// None.
    Off,
}

/// The section `lambda`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lambda {
    /// Where functions are that `functions` does not list.
    pub endpoint: Option<String>,
    /// Functions that run elsewhere, by name.
    pub functions: BTreeMap<String, Function>,
    /// Functions that run here, by name.
    pub local: BTreeMap<String, LocalFunction>,
    /// Processes of a function that says nothing of it; 0: twice the cores.
    pub max_workers: u32,
    /// How long a process may be without a call.
    pub idle_timeout: Duration,
    /// Key that signs calls; `None` leaves them unsigned.
    pub credentials: Option<Credential>,
}

/// Where one function is.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// URL of its Invoke API.
    pub endpoint: String,
    /// Its name in the path there, where that is another.
    pub path_name: Option<String>,
    /// Headers added to each call.
    pub headers: BTreeMap<String, Secret>,
}
