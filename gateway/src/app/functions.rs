//! The functions that run here: the host with what the settings and the templates say of it, what `wiregate dev` adds to each
//! function, and what of it a reload changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use gateway_core::resource::Function;
use tokio::sync::Mutex;

use super::sources::{Read, Sources};
use crate::config::{Config, Credential};
use crate::dev::env_files::EnvFile;
use crate::dev::laptop::{Laptop, Whereabouts};
use crate::dev::printer::Printer;
use crate::dev::watch::CodeWatcher;
use crate::functions::{FunctionHost, HostSettings};
use crate::node::Stages;
use crate::observe::Observe;

/// The functions of this process; cheap to share.
#[derive(Debug, Clone)]
pub(super) struct Functions {
    /// Runs them.
    pub(super) host: Arc<FunctionHost>,
    /// Where it is `wiregate dev`.
    pub(super) laptop: Option<OnLaptop>,
}

/// What `wiregate dev` adds.
#[derive(Debug, Clone)]
pub(super) struct OnLaptop {
    laptop: Arc<Laptop>,
    pub(super) printer: Printer,
    /// Keys whose signatures are known beside those of the settings.
    pub(super) credentials: Vec<Credential>,
    whereabouts: Whereabouts,
    /// Functions are dressed one change after the other, so that the last one counts.
    turn: Arc<Mutex<()>>,
}

impl OnLaptop {
    fn new(laptop: Arc<Laptop>, printer: Printer, read: &Read) -> Self {
        Self {
            credentials: laptop.credentials(&read.loaded.config, &read.env_files),
            laptop,
            printer,
            whereabouts: Whereabouts::default(),
            turn: Arc::default(),
        }
    }

    /// How people trust the certificate, and what runs.
    pub(super) fn banner(&self, config: &Config, wss: Option<&str>) -> Vec<String> {
        let functions = config.lambda.local.values();
        let named = functions.map(|it| format!("{} ({})", it.name, it.runtime.identifier()));
        let named: Vec<String> = named.collect();
        let mut lines = Vec::new();
        if !named.is_empty() {
            lines.push(format!("  functions: {}", named.join(", ")));
        }
        lines.extend(self.laptop.trust_lines(config, wss));
        lines
    }
}

impl Functions {
    /// A host without a function.
    pub(super) fn start(
        config: &Config,
        observe: &Observe,
        laptop: Option<OnLaptop>,
    ) -> std::io::Result<Self> {
        let defaults = HostSettings::default();
        let max_workers = match config.lambda.max_workers {
            0 => defaults.max_workers,
            count => count as usize,
        };
        let host = FunctionHost::start(HostSettings {
            region: config.server.region.clone(),
            account_id: config.server.account_id.clone(),
            max_workers,
            idle_timeout: config.lambda.idle_timeout,
            metrics: observe.metrics.functions.clone(),
            ..defaults
        })?;
        if let Some(laptop) = &laptop {
            tokio::spawn(laptop.printer.clone().follow(Arc::clone(&host)));
        }
        Ok(Self { host, laptop })
    }

    /// Gives the host the functions that the files name. What they need may have to be installed first.
    pub(super) async fn put_all(&mut self, read: &Read, stages: &Stages) {
        if let Some(laptop) = &mut self.laptop {
            laptop.whereabouts = whereabouts(stages);
        }
        let local = &read.loaded.config.lambda.local;
        self.put(local.values().cloned().collect(), read).await;
    }

    /// Brings what changed into force; `all`: also code that may have changed in its place.
    pub(super) fn change(&self, before: &Read, now: &Read, all: bool) {
        let all = all || before.env_files != now.env_files;
        if let Some(on) = &self.laptop {
            let keys = on.laptop.credentials(&now.loaded.config, &now.env_files);
            if keys.iter().any(|key| !on.credentials.contains(key)) {
                on.printer
                    .note("signatures with the new keys of functions are known after a restart");
            }
        }
        let [before, after] = [before, now].map(|read| &read.loaded.config.lambda.local);
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.host.remove(name);
            tracing::info!("the function {name} does not run here any more");
        }
        let changed = after
            .iter()
            .filter(|(name, function)| all || before.get(*name) != Some(*function));
        let changed = changed.map(|(_, function)| function.clone()).collect();
        self.put_meanwhile(changed, now);
    }

    /// Takes up the code of folders that have changed.
    pub(super) fn take_up(&self, folders: &BTreeSet<PathBuf>, read: &Read) {
        let local = read.loaded.config.lambda.local.values();
        let changed = local.filter(|function| folders.contains(&function.code));
        self.put_meanwhile(changed.cloned().collect(), read);
    }

    /// While whatever else goes on.
    fn put_meanwhile(&self, functions: Vec<Function>, read: &Read) {
        if functions.is_empty() {
            return;
        }
        let names: Vec<&str> = functions.iter().map(|it| it.name.as_str()).collect();
        let names = names.join(", ");
        if self.laptop.is_none() {
            for function in functions {
                self.host.put(function);
            }
            tracing::info!("the next calls of {names} get their present code");
            return;
        }
        let (this, parts) = (self.clone(), Parts::of(read));
        tokio::spawn(async move {
            this.dress_and_put(functions, &parts).await;
            if let Some(laptop) = &this.laptop {
                let note = format!("the next calls of {names} get their present code");
                laptop.printer.note(note);
            }
        });
    }

    async fn put(&self, functions: Vec<Function>, read: &Read) {
        self.dress_and_put(functions, &Parts::of(read)).await;
    }

    async fn dress_and_put(&self, functions: Vec<Function>, parts: &Parts) {
        let Some(on) = &self.laptop else {
            for function in functions {
                self.host.put(function);
            }
            return;
        };
        let _turn = on.turn.lock().await;
        let note = |text: String| on.printer.note(text);
        for function in functions {
            let Parts { config, env_files } = parts;
            let dressed = on
                .laptop
                .dress(function, config, env_files, &on.whereabouts, &note);
            self.host.put(dressed.await);
        }
    }
}

/// What of the files a function's environment is made of.
struct Parts {
    config: Config,
    env_files: Vec<EnvFile>,
}

impl Parts {
    fn of(read: &Read) -> Self {
        Self {
            config: read.loaded.config.clone(),
            env_files: read.env_files.clone(),
        }
    }
}

/// Where this gateway is, as its functions are told.
fn whereabouts(stages: &Stages) -> Whereabouts {
    let served = stages.load();
    let mut deployed: Vec<_> = served.deployed().collect();
    deployed.sort_by(|a, b| a.callback_url.cmp(&b.callback_url));
    let host = &served.directory.public_host;
    let apis: BTreeMap<String, String> = deployed
        .iter()
        .map(|stage| {
            let (id, name) = (&*stage.live.api_id, &*stage.live.stage_name);
            let path = served.directory.stage_path(id, name);
            let path = path
                .strip_suffix(name)
                .unwrap_or(&path)
                .trim_end_matches('/');
            (id.to_owned(), format!("{host}{path}"))
        })
        .collect();
    Whereabouts {
        apis: apis.into_iter().collect(),
        callback_url: deployed.first().map(|stage| stage.callback_url.clone()),
    }
}

/// What `wiregate dev` adds; refused where a program is missing that functions need.
pub(super) fn laptop(sources: &Sources, read: &Read) -> Result<Option<OnLaptop>, String> {
    let Some(laptop) = &sources.dev else {
        return Ok(None);
    };
    let config = &read.loaded.config;
    let missing = laptop.missing_tools(config, &read.env_files, |name| laptop.has_program(name));
    if !missing.is_empty() {
        return Err(missing.join("\nwiregate: "));
    }
    let printer = Printer::start(laptop.options.json, laptop.no_color());
    let printer = printer.map_err(|error| format!("the printer cannot start: {error}"))?;
    Ok(Some(OnLaptop::new(Arc::clone(laptop), printer, read)))
}

pub(super) fn watch_code(folders: &BTreeSet<PathBuf>) -> Option<CodeWatcher> {
    if folders.is_empty() {
        return None;
    }
    CodeWatcher::new(folders.iter().cloned())
        .inspect_err(|error| {
            tracing::warn!("code cannot be watched, use SIGHUP after changes: {error}");
        })
        .ok()
}
