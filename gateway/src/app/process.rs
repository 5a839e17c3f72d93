//! The life of the process: start in order, serve, reload, drain, stop.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use gateway_core::control::Account;
use gateway_core::id::NodeId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::banner::{Banner, announce};
use super::control;
use super::deploy::{Addresses, compile_all};
use super::deployer::Deployer;
use super::functions::{self, Functions};
use super::membership::Membership;
use super::reload::{Reloader, SIGNAL};
use super::sources::{Read, Sources};
use super::workers::{self, Listeners, Shared};
use crate::config::{Config, ConfigErrors, Store, Watcher};
use crate::env;
use crate::integration::http::TlsRoots;
use crate::lambda_api;
use crate::listen::{self, Budget, Handshakes, Port, TlsOffer};
use crate::node::{self, Node, Owed, Registry, Report, Stages};
use crate::observe::{AccessLog, Observe};
use crate::websocket::OutboxTerms;

/// Exit code of a configuration that cannot be served (`EX_USAGE`).
pub const EXIT_CONFIG: u8 = 64;
/// Exit code where the system does not give what is needed (`EX_UNAVAILABLE`).
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Exit code of a start that a signal ended.
const EXIT_INTERRUPTED: u8 = 130;
/// Exit code of a drain that left something undone.
const EXIT_UNFINISHED: u8 = 1;

/// Descriptors kept for backends, files and the management listener: a tenth, within these bounds.
const RESERVED_DESCRIPTORS: (usize, usize) = (112, 2048);

/// Serves until a signal ends it. Everything is checked before a port is bound.
pub fn run(read: Read, sources: Sources) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return unavailable(&format!("the runtime cannot start: {error}")),
    };
    runtime.block_on(async {
        match Process::start(read, sources).await {
            Ok(process) => process.serve().await,
            Err(code) => code,
        }
    })
}

fn unavailable(why: &str) -> ExitCode {
    eprintln!("wiregate: {why}");
    ExitCode::from(EXIT_UNAVAILABLE)
}

struct Process {
    shared: Shared,
    reloader: Reloader,
    threads: Vec<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    signals: Signals,
    /// Keeps this node's place among the others.
    life: Option<JoinHandle<()>>,
    /// Runs functions; stopped when nothing calls them any more.
    functions: Functions,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Process {
    async fn start(read: Read, sources: Sources) -> Result<Self, ExitCode> {
        let loaded = &read.loaded;
        let signals = (|| {
            Ok::<_, std::io::Error>(Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            })
        })();
        let mut signals =
            signals.map_err(|error| unavailable(&format!("signals cannot be caught: {error}")))?;
        let config = &loaded.config;
        let server = &config.server;
        // Compiled once before any port is bound: a mistake must not cost a running gateway its port.
        let planned = Addresses {
            public: server.listen,
            management: server.management_listen,
        };
        let mut lambda = workers::lambda_endpoints(config).map_err(|why| {
            eprintln!("wiregate: {why}");
            ExitCode::from(EXIT_CONFIG)
        })?;
        compile_all(loaded, &Account::default(), planned).map_err(|mistakes| {
            eprintln!("{}", ConfigErrors::from(mistakes));
            ExitCode::from(EXIT_CONFIG)
        })?;

        let count = worker_count(config);
        let bind = |name: &str, address| {
            listen::bind(address, count).map_err(|error| {
                unavailable(&format!(
                    "cannot listen on {address} ({name}): {error}; is it in use by another process?"
                ))
            })
        };
        let public = bind("server.listen", server.listen)?;
        let management = bind("server.managementListen", server.management_listen)?;
        let addresses = Addresses {
            public: public.address,
            management: management.address,
        };
        let (nodes, node_listeners) = match server.node_listen {
            Some(address) => {
                let port = bind("server.nodeListen", address)?;
                (Some(port.address), port.listeners)
            }
            None => (None, Vec::new()),
        };
        let stages = Arc::new(Stages::default());
        let access = match server.log.access {
            crate::config::AccessLog::Off => AccessLog::Off,
            crate::config::AccessLog::Errors => AccessLog::Errors,
            crate::config::AccessLog::All => AccessLog::All,
        };
        let (places, reserved) = places();
        let laptop = functions::laptop(&sources, &read).map_err(|why| unavailable(&why))?;
        let observe = Arc::new(match &laptop {
            Some(laptop) => Observe::telling(access, laptop.printer.teller()),
            None => Observe::new(access),
        });
        let mut warnings = read.warnings();
        let started = Deployer::start(
            addresses,
            Arc::clone(&stages),
            Arc::clone(&observe),
            loaded.clone(),
        );
        let (deployer, more) = started.map_err(|mistakes| {
            eprintln!("{mistakes}");
            ExitCode::from(EXIT_CONFIG)
        })?;
        warnings.extend(more);
        let deployer = Arc::new(deployer);
        let tls = Arc::new(TlsOffer::default());
        tls.set(server.tls.as_ref());
        let membership = match &server.store {
            Store::Memory => None,
            Store::Redis(url) => {
                let joining = Membership::join(url, server, &config.apis, nodes, &observe);
                Some(joining.await.map_err(|why| unavailable(&why))?)
            }
        };
        let opened = control::open(&read, &deployer, addresses.public);
        let control = opened.await.map_err(|why| unavailable(&why))?;
        let node = match &membership {
            Some(membership) => Arc::clone(&membership.node),
            None => Arc::new(Node::new(NodeId(env::random()), Registry::default(), None)),
        };
        let functions = Functions::start(config, &observe, laptop);
        let mut functions = functions
            .map_err(|error| unavailable(&format!("the function host cannot start: {error}")))?;
        lambda.host = Some(Arc::clone(&functions.host));
        read.write_inline_code().map_err(|why| unavailable(&why))?;
        // Packages may have to be installed, which nobody must wait for who has changed their mind.
        tokio::select! {
            () = functions.put_all(&read, &stages) => {}
            _ = signals.terminate.recv() => return Err(ExitCode::from(EXIT_INTERRUPTED)),
            _ = signals.interrupt.recv() => return Err(ExitCode::from(EXIT_INTERRUPTED)),
        }
        let lambda_api = lambda_api::LambdaApi::open(
            lambda_api::Settings {
                region: server.region.clone(),
                account_id: server.account_id.clone(),
            },
            Arc::clone(&functions.host),
            server.data_dir.as_deref(),
            config.lambda.local.values(),
        );
        let lambda_api = Arc::new(lambda_api.map_err(|error| {
            unavailable(&format!(
                "functions of the Lambda API cannot be kept: {error}"
            ))
        })?);
        let shared = Shared {
            config: Arc::new(loaded.config.clone()),
            node,
            outbox: OutboxTerms {
                rate: server.cluster.outbox_rate,
                max_age: server.cluster.outbox_max_age,
            },
            link: membership
                .as_ref()
                .map(|membership| membership.link.clone()),
            stages,
            control: Arc::clone(&control),
            lambda_api: Arc::clone(&lambda_api),
            observe,
            drain: Arc::default(),
            owed: Arc::new(Owed::new(server.max_owed_disconnects as usize)),
            closing: Arc::default(),
            handshakes: Handshakes::new(
                server.max_handshakes as usize,
                server.max_handshakes_per_address,
            ),
            public_budget: Budget::new(places),
            management_budget: Budget::new(reserved / 2),
            idle_backends: reserved / 2 / worker_count(&loaded.config),
            roots: Arc::new(TlsRoots::system()),
            tls: Arc::clone(&tls),
            lambda,
            credentials: server
                .credentials
                .iter()
                .chain(functions.laptop.iter().flat_map(|on| &on.credentials))
                .map(workers::credentials)
                .collect(),
            public: addresses.public,
            management: addresses.management,
        };
        let (stop, stopped) = watch::channel(false);
        let threads = spawn_all(&shared, public, management, node_listeners, &stopped)
            .map_err(|error| unavailable(&format!("a worker thread cannot start: {error}")))?;
        let banner = Banner {
            nodes,
            warnings: &warnings,
            templates: &read.templates,
            places,
            laptop: functions.laptop.as_ref(),
        };
        announce(&shared, &banner);
        if membership.is_some() {
            // Other nodes change APIs too. It ends with the runtime.
            tokio::spawn(Arc::clone(&control).follow());
        }
        let reloader = Reloader {
            sources,
            deployer,
            control,
            lambda_api,
            tls,
            link: shared.link.clone(),
            functions: functions.clone(),
            read,
        };
        Ok(Self {
            shared,
            reloader,
            threads,
            stop,
            signals,
            life: membership.map(|membership| tokio::spawn(membership.life.run())),
            functions,
        })
    }

    async fn serve(mut self) -> ExitCode {
        let mut watched = self.reloader.files();
        let mut watcher = self.watch(&watched);
        let (mut code, mut code_watcher) = (BTreeSet::new(), None);
        loop {
            let folders = self.code();
            if folders != code {
                code_watcher = functions::watch_code(&folders);
                code = folders;
            }
            let code_changed = async {
                match &mut code_watcher {
                    Some(watcher) => watcher.changed().await,
                    None => std::future::pending().await,
                }
            };
            let changed = async {
                match &mut watcher {
                    Some(watcher) => watcher.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                _ = self.signals.hangup.recv() => self.reloader.reload(SIGNAL).await,
                () = changed => self.reloader.reload("a file changed").await,
                folders = code_changed => self.functions.take_up(&folders, &self.reloader.read),
            }
            let files = self.reloader.files();
            if files != watched {
                watcher = self.watch(&files);
                watched = files;
            }
        }
        self.drain().await
    }

    /// Folders with code whose changes are taken up.
    fn code(&self) -> BTreeSet<PathBuf> {
        if self.functions.laptop.is_none() || !self.shared.config.server.watch {
            return BTreeSet::new();
        }
        let local = &self.reloader.read.loaded.config.lambda.local;
        local
            .values()
            .map(|function| function.code.clone())
            .collect()
    }

    fn watch(&self, files: &[PathBuf]) -> Option<Watcher> {
        if files.is_empty() || !self.shared.config.server.watch {
            return None;
        }
        Watcher::new(files)
            .inspect_err(|error| {
                let files: Vec<_> = files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                tracing::warn!(
                    "{} cannot be watched, use SIGHUP: {error}",
                    files.join(", ")
                );
            })
            .ok()
    }

    async fn drain(mut self) -> ExitCode {
        let limit = self.shared.config.server.drain_timeout;
        tracing::info!(
            connections = self.shared.node.sessions.len(),
            ?limit,
            "draining"
        );
        let Shared { drain, node, .. } = &self.shared;
        let report = tokio::select! {
            report = drain.run(&node.sessions, limit) => report,
            _ = self.signals.terminate.recv() => return self.abandon(),
            _ = self.signals.interrupt.recv() => return self.abandon(),
        };
        let report = self.leave(report).await;
        // They took the last $disconnects.
        self.functions.host.stop().await;
        if let Some(laptop) = &self.functions.laptop {
            laptop.printer.finish();
        }
        self.shared.closing.start();
        let _ = self.stop.send(true);
        for thread in self.threads {
            // A worker that is stuck must not keep the process: its sockets are closed, its work was waited for.
            if thread.is_finished()
                || report
                    == (Report {
                        unfinished: 0,
                        undelivered: 0,
                    })
            {
                let _ = thread.join();
            }
        }
        if report.unfinished == 0 && report.undelivered == 0 {
            tracing::info!("drained");
            return ExitCode::SUCCESS;
        }
        tracing::error!(
            unfinished = report.unfinished,
            undelivered = report.undelivered,
            "the drain ran out of time: these $disconnects were not delivered; raise server.drainTimeout"
        );
        ExitCode::from(EXIT_UNFINISHED)
    }

    /// Ends this node for the others, and leaves to them what no backend took.
    async fn leave(&mut self, report: Report) -> Report {
        let node = &self.shared.node;
        let Some(cluster) = &node.cluster else {
            return report;
        };
        let untold = self.shared.owed.take_all();
        // Before that: a renewal that found the node fenced by itself would begin another life.
        if let Some(life) = self.life.take() {
            life.abort();
            let _ = life.await;
        }
        let left = node::leave(node, cluster, &untold).await;
        match left {
            Ok(left) => {
                if left > 0 {
                    tracing::info!(left, "the other nodes tell the ends that no backend took");
                }
                Report {
                    unfinished: 0,
                    undelivered: 0,
                }
            }
            Err(error) => {
                tracing::error!(
                    "the store did not hear that this node leaves: {error}; the others find out once its lease is over"
                );
                report
            }
        }
    }

    fn abandon(&self) -> ExitCode {
        tracing::error!(
            undelivered = self.shared.drain.undelivered(),
            "second signal: leaving at once"
        );
        std::process::exit(i32::from(EXIT_UNFINISHED));
    }
}

pub(super) fn worker_count(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count as usize,
    }
}

/// Places for sockets of clients, and the descriptors that are kept back.
fn places() -> (usize, usize) {
    let limit = listen::descriptor_limit();
    let (least, most) = RESERVED_DESCRIPTORS;
    let reserved = (limit / 10).clamp(least, most).min(limit / 2);
    (limit - reserved, reserved)
}

fn spawn_all(
    shared: &Shared,
    public: Port,
    management: Port,
    nodes: Vec<TcpListener>,
    stopped: &watch::Receiver<bool>,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let mut nodes = nodes.into_iter();
    let pairs = public.listeners.into_iter().zip(management.listeners);
    pairs
        .enumerate()
        .map(|(number, (public, management))| {
            let listeners = Listeners {
                public,
                management,
                nodes: nodes.next(),
            };
            workers::spawn(shared.clone(), number, listeners, stopped.clone())
        })
        .collect()
}
