//! What is put under load: Wiregate, the minimal programs that show where the limit of this machine is, and the peers.
//!
//! A further subject (another gateway, a proxy) is one more name in `Subject`, one arm in `start`, and a file that builds its
//! command and tells its endpoints; scenarios and reports know subjects only through `Running`.

mod allocator;
mod function;
mod limit;
mod nginx;
mod peer;
mod pushpin;
mod server;
mod serverless;
pub(crate) mod tls;
mod wiregate;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use rustls::ClientConfig;

use crate::backend::Backend;
use crate::client::letter::Manner;
use crate::error::LoadError;
use allocator::Allocator;
pub(crate) use function::{Handler, HttpHandlers, MANY, ONE, Runtime, cold};
pub(crate) use server::Process;
use server::Server;
use wiregate::{Road, Variant};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The gateway itself, with a thread for each core that it may use.
    Wiregate,
    /// The gateway with one thread.
    OneWorker,
    /// The gateway with two threads.
    TwoWorkers,
    /// The gateway with clients that speak TLS.
    WiregateTls,
    /// The gateway with a backend that it speaks HTTP/2 with, by prior knowledge.
    WiregateHttp2,
    /// Two nodes with a link: clients are on one, pushes are posted to the other. Their Redis counts, too.
    WiregateLink,
    /// The same without a link: orders go through Redis.
    WiregateRedis,
    /// The gateway with mimalloc in place of the C library's allocator.
    WiregateMimalloc,
    /// The gateway with jemalloc in its place.
    WiregateJemalloc,
    /// The minimal program for the scenario.
    Limit,
    /// The same with clients that speak TLS.
    LimitTls,
    /// Pushpin: WebSocket over HTTP, and its port for publishing.
    Pushpin,
    /// serverless-offline with functions in its own process.
    ServerlessOffline,
    /// nginx as a plain WebSocket proxy, without any HTTP behind it.
    Nginx,
    /// The gateway that runs a handler as a Lambda function.
    Function,
    /// The gateway in front of the same handler as a plain HTTP server.
    FunctionHttp,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wiregate => "wiregate",
            Self::OneWorker => "one-worker",
            Self::TwoWorkers => "two-workers",
            Self::WiregateTls => "wiregate-tls",
            Self::WiregateHttp2 => "wiregate-http2",
            Self::WiregateLink => "wiregate-link",
            Self::WiregateRedis => "wiregate-redis",
            Self::WiregateMimalloc => "wiregate-mimalloc",
            Self::WiregateJemalloc => "wiregate-jemalloc",
            Self::Limit => "limit",
            Self::LimitTls => "limit-tls",
            Self::Pushpin => "pushpin",
            Self::ServerlessOffline => "serverless-offline",
            Self::Nginx => "nginx",
            Self::Function => "function",
            Self::FunctionHttp => "function-http",
        })
    }
}

impl Subject {
    /// All that `loadtest peers` takes, in the order of the table.
    pub(crate) const PEERS: [Self; 5] = [
        Self::Wiregate,
        Self::Limit,
        Self::Pushpin,
        Self::ServerlessOffline,
        Self::Nginx,
    ];

    /// The two ways to call a handler.
    pub(crate) const HANDLERS: [Self; 2] = [Self::Function, Self::FunctionHttp];

    /// True for Wiregate, however it is run.
    pub(crate) fn is_wiregate(self) -> bool {
        self.variant().is_some()
    }

    /// The same with clients that speak TLS, where there is that.
    pub(crate) fn over_tls(self) -> Option<Self> {
        match self {
            Self::Wiregate => Some(Self::WiregateTls),
            Self::Limit => Some(Self::LimitTls),
            _ => None,
        }
    }

    /// How Wiregate is run; `None` for what is not Wiregate.
    fn variant(self) -> Option<Variant> {
        let plain = Variant::default();
        Some(match self {
            Self::Wiregate => plain,
            Self::OneWorker => Variant {
                workers: 1,
                ..plain
            },
            Self::TwoWorkers => Variant {
                workers: 2,
                ..plain
            },
            Self::WiregateTls => Variant { tls: true, ..plain },
            Self::WiregateHttp2 => Variant {
                http2: true,
                ..plain
            },
            Self::WiregateLink => Variant {
                road: Some(Road::Link),
                ..plain
            },
            Self::WiregateRedis => Variant {
                road: Some(Road::Redis),
                ..plain
            },
            Self::WiregateMimalloc => Variant {
                allocator: Some(Allocator::Mimalloc),
                ..plain
            },
            Self::WiregateJemalloc => Variant {
                allocator: Some(Allocator::Jemalloc),
                ..plain
            },
            _ => return None,
        })
    }
}

/// The minimal programs, each with nothing but the work itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Minimal {
    /// tokio-tungstenite and a pool of hyper's HTTP/1.1 connections, on one thread.
    Route,
    /// hyper, and frames written straight into the sockets.
    Push,
    /// Raw tokio: a socket is one task without a buffer.
    Idle,
}

/// What a scenario needs of its subject.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    /// The program that is the limit here.
    pub(crate) minimal: Option<Minimal>,
    /// True where the backend is asked before a connection opens.
    pub(crate) ask_at_connect: bool,
    /// True where connections are pushed to.
    pub(crate) push: bool,
    /// What routes call in place of the backend.
    pub(crate) handler: Option<Handler>,
    /// Where routes lead.
    pub(crate) backend: SocketAddr,
    /// The same backend for HTTP/2 by prior knowledge.
    pub(crate) http2_backend: SocketAddr,
}

/// How subjects are started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The gateway's binary.
    pub(crate) wiregate: PathBuf,
    /// Where `loadtest/peers/install` put the peers.
    pub(crate) tools: PathBuf,
    /// Cores for the server; none: anywhere.
    pub(crate) cores: Vec<usize>,
}

/// A subject that answers. It is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) public: SocketAddr,
    /// Path of the upgrade.
    pub(crate) path: String,
    /// Where pushes are posted.
    pub(crate) management: SocketAddr,
    /// How a push is worded.
    pub(crate) manner: Manner,
    /// Whom clients trust, where they speak TLS. Pushes are posted without it.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    http_handlers: Option<HttpHandlers>,
    server: Server,
}

impl Need {
    /// Routes that lead to `backend`, and nothing else.
    pub(crate) fn plain(backend: &Backend) -> Self {
        Self {
            minimal: None,
            ask_at_connect: false,
            push: false,
            handler: None,
            backend: backend.address,
            http2_backend: backend.http2,
        }
    }
}

impl Subject {
    /// Says what is missing, before anything starts.
    pub(crate) fn check(self, launch: &Launch) -> Result<(), LoadError> {
        if let Some(variant) = self.variant() {
            wiregate::find(launch)?;
            return variant
                .allocator
                .map_or(Ok(()), |allocator| allocator.find().map(drop));
        }
        match self {
            Self::Pushpin => pushpin::check(launch),
            Self::ServerlessOffline => serverless::check(launch),
            Self::Nginx => nginx::check(launch),
            Self::Function | Self::FunctionHttp => function::check(launch),
            _ => Ok(()),
        }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(self, launch: &Launch, need: &Need) -> Result<Running, LoadError> {
        let (path, manner) = match self {
            Self::Pushpin => (pushpin::path(need), Manner::Publish),
            Self::ServerlessOffline => ("/dev", Manner::Callback("")),
            _ => ("/dev", Manner::Callback("/dev")),
        };
        let mut http_handlers = None;
        let handler = || {
            need.handler
                .ok_or_else(|| LoadError::Usage(format!("{self} is for `function` alone")))
        };
        let (server, tls) = match (self, self.variant()) {
            (_, Some(variant)) => wiregate::start(launch, need, variant)?,
            (Self::Pushpin, _) => (pushpin::start(launch, need)?, None),
            (Self::ServerlessOffline, _) => (serverless::start(launch, path)?, None),
            (Self::Nginx, _) => (nginx::start(launch, need, path)?, None),
            (Self::Function, _) => (function::start(launch, handler()?)?, None),
            (Self::FunctionHttp, _) => {
                let (server, handlers) = function::start_http(launch, handler()?)?;
                http_handlers = Some(handlers);
                (server, None)
            }
            _ => limit::start(launch, need, self == Self::LimitTls)?,
        };
        Ok(Running {
            public: server.public,
            path: path.into(),
            management: server.management,
            manner,
            tls,
            http_handlers,
            server,
        })
    }
}

impl Running {
    /// The subject's processes, all that descend from it included.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, LoadError> {
        self.server.pids()
    }

    /// Those of them that several nodes share: their Redis.
    pub(crate) fn shared_pids(&self) -> Result<Vec<u32>, LoadError> {
        self.server.shared_pids()
    }

    /// The HTTP servers that stand in for functions.
    pub(crate) fn http_handlers(&self) -> Option<&HttpHandlers> {
        self.http_handlers.as_ref()
    }

    /// The gateway's own process, and those of what it calls: its workers with their keepers, or the HTTP server.
    pub(crate) fn gateway_and_handlers(&self) -> Result<(Vec<u32>, Vec<u32>), LoadError> {
        let mut gateway = self.server.pids()?;
        let mut handlers = gateway.split_off(1);
        if let Some(http) = &self.http_handlers {
            handlers.extend(http.pids()?);
        }
        Ok((gateway, handlers))
    }

    /// The end of what the subject has written to its log, for a failure's report.
    pub(crate) fn last_words(&self) -> String {
        self.server.last_words()
    }
}
