//! What is put under load: Wiregate, and the minimal programs that show where the limit of this machine is.
//!
//! A further subject (another gateway, a proxy) is one more name in `Subject`, one arm in `start`, and a file that builds its
//! command and tells its endpoints; scenarios and reports know subjects only through `Running`.

mod limit;
mod server;
mod wiregate;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::error::LoadError;
use server::Server;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The gateway itself.
    Wiregate,
    /// The minimal program for the scenario.
    Limit,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wiregate => "wiregate",
            Self::Limit => "limit",
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
    /// Where routes lead.
    pub(crate) backend: SocketAddr,
}

/// How subjects are started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The gateway's binary.
    pub(crate) wiregate: PathBuf,
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
    server: Server,
}

impl Subject {
    /// Starts it and waits until it answers.
    pub(crate) fn start(self, launch: &Launch, need: &Need) -> Result<Running, LoadError> {
        let server = match self {
            Self::Wiregate => wiregate::start(launch, need)?,
            Self::Limit => limit::start(launch, need)?,
        };
        Ok(Running {
            public: server.public,
            path: "/dev".into(),
            management: server.management,
            server,
        })
    }
}

impl Running {
    /// The path at which a push to the connection `id` is posted; `=` is encoded, as the AWS SDKs do.
    pub(crate) fn push_path(&self, id: &str) -> String {
        format!("{}/@connections/{}", self.path, id.replace('=', "%3D"))
    }

    /// The subject's processes, all that descend from it included.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, LoadError> {
        self.server.pids()
    }

    /// The end of what the subject has written to its log, for a failure's report.
    pub(crate) fn last_words(&self) -> String {
        self.server.last_words()
    }
}
