//! Opening connections to what a URL names: the server, the master whom sentinels name, all masters of a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value,
};

use super::endpoint::{InvalidRedisUrl, Login, RedisUrl, TlsFiles, Topology};

/// What a subscriber is told, in the order of its arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody published.
    Message {
        /// Where.
        channel: Vec<u8>,
        /// What.
        payload: Vec<u8>,
    },
    /// A connection is lost. That of a cluster mends itself and subscribes again, any other is over.
    Lost,
}

/// Opens connections; knows no state but where and how.
pub(super) struct Dialer {
    url: RedisUrl,
    certificates: Option<TlsCertificates>,
    limit: Duration,
}

/// An open connection; clones share it.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Called by the connection's own task: must not block.
type Ear = Arc<dyn Fn(PushInfo) + Send + Sync>;

impl Dialer {
    /// Reads the files that the URL names. `limit` is for each answer, twice that for each connection: for each one with
    /// TLS the crate reads all authorities of the system, while others that are being opened wait.
    pub(super) fn new(url: RedisUrl, limit: Duration) -> Result<Self, InvalidRedisUrl> {
        let certificates = url.tls.as_ref().map(read_certificates).transpose()?;
        if certificates.is_some() {
            // The crate takes the process's default. An error says that there is one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let dialer = Self {
            url,
            certificates,
            limit,
        };
        dialer
            .check()
            .map_err(|error| InvalidRedisUrl(format!("the store's URL cannot be used: {error}")))?;
        Ok(dialer)
    }

    pub(super) fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// Finds mistakes in certificates and keys before anything is dialled.
    fn check(&self) -> RedisResult<()> {
        let ear: Ear = Arc::new(|_| {});
        match self.url.topology {
            Topology::Cluster => self.cluster(ear).map(drop),
            _ => (self.url.hosts.iter())
                .try_for_each(|host| self.client(host, &self.url.login, 0).map(drop)),
        }
    }

    /// Opens a connection. `lost` becomes true once a connection to a single server has ended.
    pub(super) async fn open(&self, lost: Arc<AtomicBool>) -> RedisResult<Wire> {
        // That of one node of a cluster is mended by the crate.
        let single = self.url.topology != Topology::Cluster;
        let ear: Ear = Arc::new(move |push| {
            if single && push.kind == PushKind::Disconnection {
                lost.store(true, Ordering::Release);
            }
        });
        self.open_with(ear).await
    }

    async fn open_with(&self, ear: Ear) -> RedisResult<Wire> {
        match self.url.topology {
            Topology::Standalone => {
                let client = self.client(&self.url.hosts[0], &self.url.login, self.url.database)?;
                Ok(Wire::One(self.connect(&client, Some(ear)).await?))
            }
            Topology::Sentinel => Ok(Wire::One(self.find_master(ear).await?)),
            Topology::Cluster => {
                let client = self.cluster(ear)?;
                Ok(Wire::Cluster(client.get_async_connection().await?))
            }
        }
    }

    fn redis_info(login: &Login, database: i64) -> RedisConnectionInfo {
        // RESP3, because only there a lost connection is noticed before the next command.
        let mut info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("wiregate", env!("CARGO_PKG_VERSION"))
            .set_db(database);
        if let Some(user) = &login.user {
            info = info.set_username(user);
        }
        if let Some(password) = &login.password {
            info = info.set_password(password);
        }
        info
    }

    fn info(
        &self,
        (host, port): &(String, u16),
        login: &Login,
        database: i64,
    ) -> RedisResult<ConnectionInfo> {
        let (host, port) = (host.clone(), *port);
        let addr = if self.url.tls.is_some() {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        // Bytes that the peer does not acknowledge end a connection long before Linux would end it by itself.
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(self.limit * 4);
        let info = addr.into_connection_info()?;
        Ok(info
            .set_tcp_settings(tcp)
            .set_redis_settings(Self::redis_info(login, database)))
    }

    fn client(&self, host: &(String, u16), login: &Login, database: i64) -> RedisResult<Client> {
        let info = self.info(host, login, database)?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    fn cluster(&self, ear: Ear) -> RedisResult<ClusterClient> {
        let login = &self.url.login;
        let nodes: Vec<_> = (self.url.hosts.iter())
            .map(|host| self.info(host, login, 0))
            .collect::<Result<_, _>>()?;
        let tcp = nodes[0].tcp_settings().clone();
        // The crate's own waits (1.28 s at least) are longer than our whole limit.
        let mut builder = ClusterClient::builder(nodes)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(self.limit * 2)
            .response_timeout(self.limit)
            .retries(4)
            .min_retry_wait(10)
            .max_retry_wait(100)
            .tcp_settings(tcp)
            .push_sender(move |push: PushInfo| {
                ear(push);
                Ok::<_, redis::aio::SendError>(())
            });
        if let Some(certificates) = &self.certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        builder.build()
    }

    async fn connect(
        &self,
        client: &Client,
        ear: Option<Ear>,
    ) -> RedisResult<MultiplexedConnection> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limit * 2))
            .set_response_timeout(Some(self.limit));
        if let Some(ear) = ear {
            config = config.set_push_sender(move |push: PushInfo| {
                ear(push);
                Ok::<_, redis::aio::SendError>(())
            });
        }
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Asks all sentinels at once, and takes the first master that is one by its own word: right after a failover some of
    /// them still name the old one.
    async fn find_master(&self, ear: Ear) -> RedisResult<MultiplexedConnection> {
        let mut answers: FuturesUnordered<_> = (self.url.hosts.iter())
            .map(|sentinel| self.master_by(sentinel, ear.clone()))
            .collect();
        let mut error = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(connection) => return Ok(connection),
                Err(why) => error = Some(why),
            }
        }
        Err(error.unwrap_or_else(|| (redis::ErrorKind::EmptySentinelList, "no sentinel").into()))
    }

    async fn master_by(
        &self,
        sentinel: &(String, u16),
        ear: Ear,
    ) -> RedisResult<MultiplexedConnection> {
        let client = self.client(sentinel, &self.url.sentinel_login, 0)?;
        let mut sentinel = self.connect(&client, None).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.url.master);
        let address: Option<(String, u16)> = ask.query_async(&mut sentinel).await?;
        let Some(address) = address else {
            let what = "the sentinels know no master of this name";
            let name = self.url.master.clone();
            return Err((redis::ErrorKind::MasterNameNotFoundBySentinel, what, name).into());
        };
        let client = self.client(&address, &self.url.login, self.url.database)?;
        let mut master = self.connect(&client, Some(ear)).await?;
        let role: RedisResult<Vec<Value>> = redis::cmd("ROLE").query_async(&mut master).await;
        match role.as_deref().map(<[Value]>::first) {
            Ok(Some(Value::BulkString(role))) if role != b"master" => {
                let what = "who was named master is not (yet) one";
                Err((redis::ErrorKind::Io, what, format!("{address:?}")).into())
            }
            // A user who may not ask is told by the first write.
            _ => Ok(master),
        }
    }

    /// A connection of its own for pub/sub.
    pub(super) async fn subscriber(
        &self,
        hear: impl Fn(Heard) + Send + Sync + 'static,
    ) -> RedisResult<Subscriber> {
        let ear: Ear = Arc::new(move |push| {
            if let Some(heard) = heard(push) {
                hear(heard);
            }
        });
        let wire = self.open_with(ear).await?;
        Ok(Subscriber { wire })
    }
}

fn heard(push: PushInfo) -> Option<Heard> {
    match push.kind {
        PushKind::Disconnection => Some(Heard::Lost),
        PushKind::Message | PushKind::SMessage => match <[Value; 2]>::try_from(push.data) {
            Ok([Value::BulkString(channel), Value::BulkString(payload)]) => {
                Some(Heard::Message { channel, payload })
            }
            _ => None,
        },
        _ => None,
    }
}

fn read_certificates(files: &TlsFiles) -> Result<TlsCertificates, InvalidRedisUrl> {
    let read = |path: &Option<std::path::PathBuf>| {
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|error| {
                let path = path.display();
                InvalidRedisUrl(format!("{path}, which the store's URL names: {error}"))
            })
        };
        path.as_ref().map(read).transpose()
    };
    let pair = (read(&files.certificate)?, read(&files.key)?);
    Ok(TlsCertificates {
        client_tls: match pair {
            (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig {
                client_cert,
                client_key,
            }),
            _ => None,
        },
        root_cert: read(&files.authority)?,
    })
}

impl Wire {
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// A connection that hears channels. Dropped, it is closed.
pub struct Subscriber {
    wire: Wire,
}

impl Subscriber {
    /// Hears a channel from now on; a sharded one on a cluster.
    pub(super) async fn subscribe(&mut self, channel: &[u8]) -> Result<(), RedisError> {
        match &mut self.wire {
            Wire::One(connection) => connection.subscribe(channel).await,
            Wire::Cluster(connection) => connection.ssubscribe(channel).await,
        }
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = &self.url;
        f.debug_struct("Dialer")
            .field("url", url)
            .finish_non_exhaustive()
    }
}
