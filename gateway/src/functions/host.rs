//! The host of functions: a thread of its own, whose children the workers are, and the way to it from all others.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_core::function::{FunctionError, Undone};
use gateway_core::lambda_api::LATEST;
use gateway_core::lambda_arn::LambdaTarget;
use gateway_core::resource::Function;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::call::{Call, Invocation, InvokeError, Invoked, Turn};
use super::events::FunctionEvent;
use super::pool::{Crew, Message};
use super::tools::{Toolbox, Tools};
use crate::env;
use crate::observe::FunctionMetrics;

/// Events that a slow watcher may be behind.
const EVENTS: usize = 4096;

/// What all functions of a host have in common.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// `AWS_REGION`, and the region of ARNs.
    pub region: String,
    /// The account of ARNs.
    pub account_id: String,
    /// Workers of a function that says nothing of it.
    pub max_workers: usize,
    /// How long a worker may be without a call.
    pub idle_timeout: Duration,
    /// How long a worker may take to load (Lambda: 10 s).
    pub init_timeout: Duration,
    /// Variables of every worker; a function's own stand above them.
    pub environment: BTreeMap<String, String>,
    /// The programs that run functions.
    pub tools: Tools,
    /// Where it is counted.
    pub metrics: FunctionMetrics,
}

impl Default for HostSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            max_workers: 2 * cores,
            idle_timeout: Duration::from_mins(5),
            init_timeout: Duration::from_secs(10),
            environment: BTreeMap::new(),
            tools: Tools::default(),
            metrics: FunctionMetrics::default(),
        }
    }
}

/// What the tasks of a host share.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) settings: HostSettings,
    pub(super) tools: Toolbox,
    pub(super) metrics: FunctionMetrics,
    /// Becomes true when all is to end.
    pub(super) stopping: watch::Sender<bool>,
    events: broadcast::Sender<FunctionEvent>,
}

impl Host {
    /// Tells whoever watches; if nobody does, the event is not even made.
    pub(super) fn tell(&self, event: impl FnOnce() -> FunctionEvent) {
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(event());
        }
    }

    pub(super) fn tell_init_failed(&self, function: &str, error: &FunctionError) {
        self.metrics.init_failed(function);
        let error_type = error.error_type.as_str();
        let message = error.message().unwrap_or_default();
        tracing::warn!(target: "function", function, error_type, "it does not load: {message}");
        self.tell(|| FunctionEvent::InitFailed {
            function: function.to_owned(),
            error_type: error.error_type.clone(),
            message,
        });
    }
}

/// Runs functions, each in processes of its own.
#[derive(Debug)]
pub struct FunctionHost {
    host: Arc<Host>,
    /// By name, and by version.
    functions: RwLock<HashMap<String, BTreeMap<String, Entry>>>,
    runtime: tokio::runtime::Handle,
    /// Every task of a function holds a copy of it until its workers are gone.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    ending: Mutex<Option<Ending>>,
}

#[derive(Debug)]
struct Ending {
    gone: mpsc::Receiver<()>,
    quit: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Entry {
    function: Arc<Function>,
    messages: mpsc::UnboundedSender<Message>,
}

impl FunctionHost {
    /// Starts the host, without a function.
    pub fn start(settings: HostSettings) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (quit, quitting) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("functions".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(quitting);
            })?;
        let (alive, gone) = mpsc::channel(1);
        let (events, _) = broadcast::channel(EVENTS);
        let host = Arc::new(Host {
            tools: Toolbox::new(settings.tools.clone())?,
            metrics: settings.metrics.clone(),
            settings,
            stopping: watch::Sender::new(false),
            events,
        });
        Ok(Arc::new(Self {
            host,
            functions: RwLock::default(),
            runtime: handle,
            alive: Mutex::new(Some(alive)),
            ending: Mutex::new(Some(Ending { gone, quit, thread })),
        }))
    }

    /// Adds a function, or takes up its code anew: calls under way end on the code that they began with, the next begin
    /// on the present one. Nothing happens once the host stops.
    pub fn put(&self, function: Function) {
        let function = Arc::new(function);
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let versions = functions.entry(function.name.clone()).or_default();
        if let Some(entry) = versions.get_mut(&function.version) {
            let renamed = same_but_for_aliases(&entry.function, &function);
            let aliases_moved = entry.function.aliases != function.aliases;
            entry.function = Arc::clone(&function);
            // Another name is no reason to load the code again.
            if renamed && aliases_moved {
                return;
            }
            if entry
                .messages
                .send(Message::Replace(Arc::clone(&function)))
                .is_ok()
            {
                return;
            }
        }
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(alive) = alive.clone() else {
            return;
        };
        let (messages, inbox) = mpsc::unbounded_channel();
        let version = function.version.clone();
        let crew = Crew::run(Arc::clone(&self.host), Arc::clone(&function), inbox);
        versions.insert(version, Entry { function, messages });
        self.runtime.spawn(async move {
            crew.await;
            drop(alive);
        });
    }

    /// Forgets a function with all its versions: calls under way end, those that wait are refused.
    pub fn remove(&self, name: &str) {
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for entry in functions.remove(name).into_iter().flatten() {
            let _ = entry.1.messages.send(Message::Remove);
        }
    }

    /// Forgets one version of a function.
    pub fn remove_version(&self, name: &str, version: &str) {
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(versions) = functions.get_mut(name) else {
            return;
        };
        if let Some(entry) = versions.remove(version) {
            let _ = entry.messages.send(Message::Remove);
        }
        if versions.is_empty() {
            functions.remove(name);
        }
    }

    /// Whether a function of this name, and with this version or alias, runs here.
    pub fn knows(&self, target: &LambdaTarget) -> bool {
        self.find(target).is_some()
    }

    /// Calls a function. May be called from any thread.
    pub async fn invoke(
        &self,
        target: &LambdaTarget,
        invocation: Invocation,
    ) -> Result<Invoked, InvokeError> {
        self.invoke_while(target, invocation, &|| true).await
    }

    /// The same, if `may_go` once a worker is free and nothing but the call itself is left to do.
    pub async fn invoke_while(
        &self,
        target: &LambdaTarget,
        invocation: Invocation,
        may_go: &(dyn Fn() -> bool + Sync),
    ) -> Result<Invoked, InvokeError> {
        let (version, messages) = self.find(target).ok_or(InvokeError::NotFound)?;
        let Invocation {
            event,
            trace_id,
            client_context,
            deadline,
        } = invocation;
        let request_id = request_id();
        let (turn, my_turn) = oneshot::channel();
        let call = Call {
            request_id: request_id.clone(),
            arn: self.arn(target),
            trace_id,
            client_context,
            turn,
        };
        let sent = messages.send(Message::Call(call, deadline));
        sent.map_err(|_| InvokeError::Stopped)?;
        let outcome = async {
            let Turn { go, outcome } = match my_turn.await {
                Ok(Ok(turn)) => turn,
                Ok(Err(Undone::Init(error))) => {
                    return Ok(Invoked {
                        request_id,
                        executed_version: version,
                        log_tail: bytes::Bytes::new(),
                        outcome: Err(error),
                    });
                }
                Ok(Err(Undone::Late)) => return Err(InvokeError::TimedOut),
                Ok(Err(Undone::Full)) => return Err(InvokeError::Busy),
                Ok(Err(Undone::Stopped)) | Err(_) => return Err(InvokeError::Stopped),
            };
            if !may_go() {
                return Err(InvokeError::Withheld);
            }
            go.send(event).map_err(|_| InvokeError::Stopped)?;
            outcome.await.map_err(|_| InvokeError::Stopped)
        };
        let ended = tokio::time::timeout_at(deadline, outcome).await;
        ended.unwrap_or(Err(InvokeError::TimedOut))
    }

    /// What happens in all functions from now on. Whoever is too slow misses some of it.
    pub fn watch(&self) -> broadcast::Receiver<FunctionEvent> {
        self.host.events.subscribe()
    }

    /// Ends every worker and waits until no process is left.
    pub async fn stop(&self) {
        // Without it `gone` can be seen, and nothing begins any more.
        self.alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let ending = self
            .ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut ending) = ending else {
            return;
        };
        // Those that were removed, and are not done yet, hear it too.
        self.host.stopping.send_replace(true);
        let _ = ending.gone.recv().await;
        let _ = ending.quit.send(());
        let _ = tokio::task::spawn_blocking(move || ending.thread.join()).await;
    }

    /// The version that a name with its qualifier means, and the way to it.
    fn find(&self, target: &LambdaTarget) -> Option<(String, mpsc::UnboundedSender<Message>)> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let versions = functions.get(&target.name)?;
        let qualifier = target.qualifier.as_deref().unwrap_or(LATEST);
        let named = |entry: &&Entry| {
            entry
                .function
                .aliases
                .iter()
                .any(|alias| alias == qualifier)
        };
        let entry = versions.get(qualifier);
        let entry = entry.or_else(|| versions.values().find(named))?;
        Some((entry.function.version.clone(), entry.messages.clone()))
    }

    fn arn(&self, target: &LambdaTarget) -> String {
        let settings = &self.host.settings;
        let mut arn = target.arn.clone().unwrap_or_else(|| {
            let region = target.region.as_deref().unwrap_or(&settings.region);
            format!(
                "arn:aws:lambda:{region}:{}:function:{}",
                settings.account_id, target.name
            )
        });
        if let Some(qualifier) = &target.qualifier {
            arn.push(':');
            arn.push_str(qualifier);
        }
        arn
    }
}

fn same_but_for_aliases(one: &Function, other: &Function) -> bool {
    let aliases = other.aliases.clone();
    *other
        == Function {
            aliases,
            ..one.clone()
        }
}

/// What a function knows a call by.
pub(super) fn request_id() -> String {
    uuid::Builder::from_random_bytes(env::random())
        .into_uuid()
        .to_string()
}
