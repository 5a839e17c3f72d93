//! Front door of those who configure: AWS's `apigatewayv2` API, and the documents that it changes.
//!
//! What is asked is decided by [`gateway_core::control`] on a copy of the account. The change is stored first, then served,
//! then answered: nobody is told of what a crash could take back.

mod held;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use connection_store::{
    Change, Committed, DiskDocuments, DocumentError, DocumentStore, StoreError,
};
use gateway_core::address::names_connections;
use gateway_core::context::iso_time;
use gateway_core::control::{Account, Answer, Context, ControlError, Request, answer};
use gateway_core::resource::ProtocolType;
use http::{HeaderName, HeaderValue, Response};
use tokio::sync::{Mutex, Semaphore};

use self::held::Held;
use crate::env;
use crate::respond;

/// How often the store is asked for what other nodes changed.
const LOOK: Duration = Duration::from_millis(400);
/// How long one change may meet changes of others before it is given up. Not a count: while another node is told a lot, that one
/// is always a step ahead, and few clients come again by themselves.
const PATIENCE_MILLIS: u64 = 10_000;

/// Changes that may wait for each other; who comes then is told to come again.
const MOST_WAITING: usize = 256;

/// Everything at once, as it is stored: what `wiregate export` reads.
pub const ACCOUNT: &str = "/wiregate/account";

/// Whether a path is the control plane's. A stage may be called `v2`, and its connections are reached below that name.
pub fn is_control(path: &str) -> bool {
    (path.starts_with("/v2/") && !names_connections(path)) || path == ACCOUNT
}

/// Serves an account: compiles its stages and swaps them in.
pub type Deploy = Box<dyn Fn(&Account) + Send + Sync>;
/// The `apiEndpoint` of an API.
pub type Endpoint = Box<dyn Fn(&str, ProtocolType) -> String + Send + Sync>;

/// What every answer needs to know of this gateway.
pub struct Settings {
    /// Region of ARNs.
    pub region: String,
    /// Account of ARNs, twelve digits.
    pub account_id: String,
    /// Where clients find an API.
    pub endpoint: Endpoint,
    /// Brings an account into force.
    pub deploy: Deploy,
}

/// A request, with its whole body.
#[derive(Debug, Clone)]
pub struct ControlRequest {
    /// The method.
    pub method: String,
    /// The path before anybody decoded it.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// The body.
    pub body: Bytes,
}

/// The control plane of this node.
pub struct Control {
    settings: Settings,
    store: Arc<dyn DocumentStore>,
    /// What is served now; reading takes no lock.
    account: ArcSwap<Account>,
    /// What the store and this node's disk hold. Whoever changes anything has it.
    held: Mutex<Held>,
    /// Changes that may wait at once.
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// Why a change was not made.
enum Refused {
    Rule(ControlError),
    Store(DocumentError),
    Busy,
    Crowded,
}

impl Control {
    /// Takes over what the store holds, and serves it. `copy` is this node's own copy on disk, where the store is elsewhere;
    /// what it holds is published where the store knows less.
    pub async fn open(
        settings: Settings,
        store: Arc<dyn DocumentStore>,
        copy: Option<(DiskDocuments, connection_store::Documents)>,
    ) -> Result<Self, DocumentError> {
        let control = Self {
            settings,
            store,
            account: ArcSwap::default(),
            held: Mutex::new(Held::default()),
            places: Arc::new(Semaphore::new(MOST_WAITING)),
        };
        {
            let mut held = control.held.lock().await;
            if let Some((disk, documents)) = copy {
                held.take(documents);
                held.keep_on(disk);
            }
            control.catch_up(&mut held).await?;
            control.serve(held.account());
        }
        Ok(control)
    }

    /// What is served now.
    pub fn account(&self) -> Arc<Account> {
        self.account.load_full()
    }

    /// Lays what files declare beside what the control plane created, in place of what they declared before.
    pub async fn declare(&self, files: &Account) {
        let held = self.held.lock().await;
        // From what is kept: a name that a file took, and gives back, is the control plane's again.
        let mut account = held.account();
        account.place(files);
        self.serve(account);
    }

    /// Answers one request of `apigatewayv2`.
    ///
    /// A change that has begun is finished, also where nobody waits for its answer any more: half of it would be stored and not
    /// served.
    pub async fn answer(self: &Arc<Self>, request: ControlRequest) -> Response<Bytes> {
        if request.path == ACCOUNT {
            return match (
                request.method.as_str(),
                serde_json::to_value(&*self.account()),
            ) {
                ("GET", Ok(account)) => response(200, Some(&account), None),
                ("GET", Err(error)) => {
                    refusal(500, "InternalServerErrorException", &error.to_string())
                }
                _ => refusal(405, "BadRequestException", "This path knows GET only"),
            };
        }
        let answered = if request.method == "GET" {
            self.run(&mut (*self.account()).clone(), &request)
                .map_err(Refused::Rule)
        } else if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let this = Arc::clone(self);
            let change = env::spawn(async move {
                let changed = this.change(request).await;
                drop(place);
                changed
            });
            change.await.unwrap_or_else(|error| {
                let why = StoreError::Unavailable(format!("the change ended: {error}"));
                Err(Refused::Store(why.into()))
            })
        } else {
            Err(Refused::Crowded)
        };
        match answered {
            Ok(answer) => response(answer.status, answer.body.as_ref(), None),
            Err(Refused::Rule(error)) => refusal(error.status(), error.shape(), &error.to_string()),
            Err(Refused::Busy) => {
                let message = "Unable to complete operation due to concurrent modification. Please try again later.";
                refusal(409, "ConflictException", message)
            }
            Err(Refused::Crowded) => {
                let message = "Too many changes wait to be made; try again later.";
                refusal(429, "TooManyRequestsException", message)
            }
            // Asking again would not help.
            Err(Refused::Store(DocumentError::Unfit(unfit))) => {
                let message = format!(
                    "The change is too large to be kept: {unfit}; delete deployments that no stage points at"
                );
                refusal(400, "BadRequestException", &message)
            }
            Err(Refused::Store(error)) => {
                tracing::error!("a change of the control plane was not made: {error}");
                let message = format!("The change was not made: {error}");
                refusal(503, "ServiceUnavailableException", &message)
            }
        }
    }

    /// Follows what other nodes change, for ever.
    pub async fn follow(self: Arc<Self>) {
        let mut failed = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let mut held = self.held.lock().await;
            match self.catch_up(&mut held).await {
                Ok(()) => failed = false,
                Err(error) if !std::mem::replace(&mut failed, true) => {
                    tracing::warn!("changes that other nodes make to APIs are not seen: {error}");
                }
                Err(_) => {}
            }
        }
    }

    async fn change(self: &Arc<Self>, request: ControlRequest) -> Result<Answer, Refused> {
        let request = Arc::new(request);
        let mut held = self.held.lock().await;
        let end = env::now() + PATIENCE_MILLIS;
        while env::now() < end {
            let asked = Arc::clone(&request);
            let (answer, after, changes) = self.aside(move |this| this.prepare(&asked)).await??;
            if changes.is_empty() {
                return Ok(answer);
            }
            match self.store.commit(held.revision(), &changes).await {
                Ok(Committed::At(revision)) => {
                    held.committed(revision, changes).await;
                    self.aside(move |this| this.serve(after)).await?;
                    return Ok(answer);
                }
                Ok(Committed::Behind) => self.catch_up(&mut held).await.map_err(Refused::Store)?,
                Err(error) => {
                    // The answer was lost, and perhaps nothing else: what the store holds now tells.
                    if self.catch_up(&mut held).await.is_ok() && held.holds(&changes) {
                        return Ok(answer);
                    }
                    return Err(Refused::Store(error));
                }
            }
        }
        Err(Refused::Busy)
    }

    /// Does what would keep the sockets of this thread waiting on another one: a large account takes a while.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(|error| {
            let why = StoreError::Unavailable(format!("the change ended: {error}"));
            Refused::Store(why.into())
        })
    }

    /// The account as a request would have it, and what must be stored for that.
    fn prepare(&self, request: &ControlRequest) -> Result<(Answer, Account, Vec<Change>), Refused> {
        let before = self.account();
        let mut after = (*before).clone();
        let answer = self.run(&mut after, request).map_err(Refused::Rule)?;
        let changes = after.changes_since(&before).into_iter();
        let changes = changes.map(|(key, text)| (key, text.map(Into::into)));
        Ok((answer, after, changes.collect()))
    }

    fn run(&self, account: &mut Account, request: &ControlRequest) -> Result<Answer, ControlError> {
        let request = Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
        };
        let mut context = Context {
            now: now(),
            now_millis: env::wall(),
            region: &self.settings.region,
            account_id: &self.settings.account_id,
            new_id: &mut new_id,
            endpoint: &self.settings.endpoint,
        };
        answer(account, &request, &mut context)
    }

    /// Takes over what others committed. Where the store lost data, or has others than before, what this node alone knows is
    /// published again.
    async fn catch_up(&self, held: &mut Held) -> Result<(), DocumentError> {
        let era = self.store.era().await?;
        if held.era() != era {
            return self.begin_anew(held, era).await;
        }
        let news = self.store.changes_after(held.revision()).await?;
        if news.revision < held.revision() {
            return self.begin_anew(held, era).await;
        }
        if news.revision == held.revision() {
            return Ok(());
        }
        let mut account = (*self.account()).clone();
        held::lay_over(&mut account, &news.changed);
        // A name that a file uses too is the file's.
        account.place(&self.account().of_files());
        held.adopt(news).await;
        self.serve(account);
        Ok(())
    }

    /// Reads everything, since what was read before is of another past.
    async fn begin_anew(&self, held: &mut Held, era: String) -> Result<(), DocumentError> {
        let all = self.store.changes_after(0).await?;
        match held.beside(&all) {
            None => held.begin(all, era).await,
            Some(merged) => {
                if !self.store.restore(&merged).await? {
                    // Another node was faster; the next look finds out with what.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Ok(());
                }
                tracing::warn!(
                    revision = merged.revision,
                    "the store had lost what configures the APIs, or a part: published again"
                );
                let era = self.store.era().await?;
                held.begin(merged, era).await;
            }
        }
        let mut account = held.account();
        account.place(&self.account().of_files());
        self.serve(account);
        Ok(())
    }

    fn serve(&self, account: Account) {
        let account = Arc::new(account);
        self.account.store(Arc::clone(&account));
        (self.settings.deploy)(&account);
    }
}

/// The time as documents write it: whole seconds.
pub fn now() -> String {
    let time = iso_time(env::wall());
    time.split_once('.')
        .map_or(time.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn new_id(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    let random: [u8; 16] = env::random();
    random
        .iter()
        .cycle()
        .take(length)
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

fn refusal(status: u16, shape: &'static str, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "message": message });
    response(status, Some(&body), Some(shape))
}

fn response(
    status: u16,
    body: Option<&serde_json::Value>,
    shape: Option<&'static str>,
) -> Response<Bytes> {
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    let mut response = respond::response(status, body);
    if let Some(shape) = shape {
        let name = HeaderName::from_static("x-amzn-errortype");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(shape));
    }
    respond::identify(&mut response);
    response
}
