//! Front door of those who bring and call functions: a part of AWS's Lambda API, for SDKs and the `aws` command.
//!
//! What a request means is decided by [`gateway_core::lambda_api`] on a copy of the catalog. A change is on disk before it is answered;
//! then the function host runs what the catalog holds. Functions are this node's own: other nodes that share its Redis do not see them.

mod archive;
mod invoke;
mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use gateway_core::lambda_api::{
    self, Answer, Catalog, Code, Context, Entry, LATEST, LambdaApiError, Version,
};
use gateway_core::resource::{Function, Runtime};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use serde_json::{Map, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::archive::ArchiveError;
use self::shelf::Shelf;
use crate::env;
use crate::functions::FunctionHost;
use crate::respond;

/// Where all of its paths begin.
const PREFIX: &str = "/2015-03-31/functions";
/// "The request must be smaller than 70167211 bytes": an archive of 50 MB in base64, with the rest of `CreateFunction`.
pub const MOST_REQUEST: usize = 70_167_211;
/// Uploads at once: each is in memory, and again in base64.
const MOST_UPLOADS: usize = 4;

/// Whether a request brings an archive.
pub fn is_upload(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    match *method {
        Method::POST => path == PREFIX,
        Method::PUT => path.ends_with("/code"),
        _ => false,
    }
}

/// Whether a path is the Lambda API's.
pub fn is_lambda_api(path: &str) -> bool {
    path.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A request, with its whole body.
#[derive(Debug, Clone)]
pub struct LambdaRequest {
    /// The method.
    pub method: String,
    /// The path before anybody decoded it.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What ARNs name.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region.
    pub region: String,
    /// The account, twelve digits.
    pub account_id: String,
}

/// The Lambda API of this node.
#[derive(Debug)]
pub struct LambdaApi {
    settings: Settings,
    host: Arc<FunctionHost>,
    shelf: Shelf,
    /// What is in force; reading takes no lock.
    catalog: ArcSwap<Catalog>,
    /// Whoever changes anything has it.
    changing: Mutex<()>,
    uploads: Semaphore,
    events: invoke::Events,
}

impl LambdaApi {
    /// Takes over what was created before, and has it run. Without a data directory everything is forgotten at the end. What files
    /// declare runs already.
    pub fn open<'f>(
        settings: Settings,
        host: Arc<FunctionHost>,
        data_dir: Option<&Path>,
        declared: impl IntoIterator<Item = &'f Function>,
    ) -> io::Result<Self> {
        let (shelf, mut catalog) = Shelf::open(data_dir)?;
        let api = Self {
            settings,
            host,
            shelf,
            catalog: ArcSwap::default(),
            changing: Mutex::default(),
            uploads: Semaphore::new(MOST_UPLOADS),
            events: invoke::Events::default(),
        };
        catalog.declare(api.entries_of(declared));
        api.bring_into_force(catalog);
        Ok(api)
    }

    /// Shows what files declare, which runs by itself, in place of what they declared before.
    pub fn declare<'f>(&self, functions: impl IntoIterator<Item = &'f Function>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut catalog = (**self.catalog.load()).clone();
        catalog.declare(self.entries_of(functions));
        self.bring_into_force(catalog);
    }

    /// A place among the uploads at once; `None` at the end of the process.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.acquire().await.ok()
    }

    /// Answers one request.
    pub async fn answer(self: &Arc<Self>, request: LambdaRequest) -> Response<Bytes> {
        let asked = lambda_api::Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
        };
        if let Some(target) = lambda_api::invocation(&asked) {
            let invoked = match target {
                Ok(target) => self.invoke(&target, &request).await,
                Err(error) => Err(error),
            };
            return invoked.unwrap_or_else(|error| refusal(&error));
        }
        let answered = if request.method == "GET" {
            let mut catalog = (**self.catalog.load()).clone();
            self.decide(&mut catalog, &request, None)
        } else {
            let this = Arc::clone(self);
            // Unpacking takes a while, and what has begun is finished though nobody waits any more.
            let changed = tokio::task::spawn_blocking(move || this.change(&request)).await;
            changed.unwrap_or_else(|error| {
                Err(LambdaApiError::Service(format!(
                    "the change ended: {error}"
                )))
            })
        };
        match answered {
            Ok(answer) => response(
                answer.status,
                answer
                    .body
                    .map_or_else(Bytes::new, |body| body.to_string().into()),
            ),
            Err(error) => refusal(&error),
        }
    }

    fn change(&self, request: &LambdaRequest) -> Result<Answer, LambdaApiError> {
        let asked = lambda_api::Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
        };
        let archive = lambda_api::upload(&asked)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.catalog.load_full();
        let mut catalog = (*before).clone();
        // Decided first: what is refused leaves nothing behind.
        let answer = self.decide(
            &mut catalog,
            request,
            archive.as_deref().map(Shelf::code_of),
        )?;
        if catalog != *before {
            if let Some(bytes) = archive {
                self.shelf.put(&bytes).map_err(|error| match error {
                    ArchiveError::Io(_) => failed(&error),
                    error => LambdaApiError::InvalidParameter(error.to_string()),
                })?;
            }
            self.shelf.save(&catalog).map_err(|error| failed(&error))?;
            self.bring_into_force(catalog);
        }
        Ok(answer)
    }

    fn decide(
        &self,
        catalog: &mut Catalog,
        request: &LambdaRequest,
        code: Option<Code>,
    ) -> Result<Answer, LambdaApiError> {
        let asked = lambda_api::Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
        };
        let mut context = Context {
            now: env::wall(),
            region: &self.settings.region,
            account_id: &self.settings.account_id,
            architecture: architecture(),
            code,
            new_id: &mut new_id,
        };
        lambda_api::answer(catalog, &asked, &mut context)
    }

    /// Has the host run what was created, and no more what is gone.
    fn bring_into_force(&self, catalog: Catalog) {
        let before = self.functions(&self.catalog.load());
        let after = self.functions(&catalog);
        // Those first that gain a name: one that moves is never nowhere.
        let gains = |key: &(String, String), function: &Function| {
            let had = before.get(key).map(|one| &one.aliases);
            let new = |alias: &String| had.is_none_or(|had| !had.contains(alias));
            function.aliases.iter().any(new)
        };
        let changed = after
            .iter()
            .filter(|(key, function)| before.get(key) != Some(function));
        let (first, then): (Vec<_>, Vec<_>) =
            changed.partition(|(key, function)| gains(key, function));
        for (_, function) in first.into_iter().chain(then) {
            self.host.put(function.clone());
        }
        for ((name, version), _) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            // A file that took the name runs its own function under it.
            if version != LATEST || !catalog.is_declared(name) {
                self.host.remove_version(name, version);
            }
        }
        self.catalog.store(Arc::new(catalog));
    }

    /// Every version of what was created, as the host runs it.
    fn functions(&self, catalog: &Catalog) -> BTreeMap<(String, String), Function> {
        let mut functions = BTreeMap::new();
        for (name, entry) in catalog.created() {
            let numbered = entry
                .versions
                .iter()
                .map(|(number, version)| (number.to_string(), version));
            for (number, version) in numbered.chain([(LATEST.to_owned(), &entry.latest)]) {
                if let Some(function) = self.function(name, &number, version, entry) {
                    functions.insert((name.to_owned(), number), function);
                }
            }
        }
        functions
    }

    fn function(
        &self,
        name: &str,
        number: &str,
        version: &Version,
        entry: &Entry,
    ) -> Option<Function> {
        let aliases = entry
            .aliases
            .iter()
            .filter(|(_, alias)| alias.version == number);
        Some(Function {
            name: name.to_owned(),
            version: number.to_owned(),
            // It was checked when it was created.
            runtime: Runtime::parse(&version.runtime)?,
            handler: version.handler.clone(),
            code: self.shelf.folder(&version.code).ok()?,
            timeout: Duration::from_secs(version.timeout.into()),
            memory_mib: version.memory_size,
            environment: version.environment.clone(),
            max_workers: None,
            aliases: aliases.map(|(name, _)| name.clone()).collect(),
        })
    }

    fn entries_of<'f>(
        &self,
        functions: impl IntoIterator<Item = &'f Function>,
    ) -> BTreeMap<String, Entry> {
        let entry = |function: &Function| (function.name.clone(), self.entry_of(function));
        functions.into_iter().map(entry).collect()
    }

    /// How a function of a file is shown.
    fn entry_of(&self, function: &Function) -> Entry {
        let mut entry = Entry::new(Version {
            runtime: function.runtime.identifier().to_owned(),
            handler: function.handler.clone(),
            role: format!("arn:aws:iam::{}:role/wiregate", self.settings.account_id),
            description: String::new(),
            timeout: u32::try_from(function.timeout.as_secs()).unwrap_or(u32::MAX),
            memory_size: function.memory_mib,
            environment: function.environment.clone(),
            told: Map::new(),
            code: Code {
                sha256: String::new(),
                size: 0,
            },
            last_modified: env::wall(),
            revision_id: new_id(),
        });
        for alias in &function.aliases {
            entry.aliases.insert(
                alias.clone(),
                lambda_api::Alias {
                    version: LATEST.to_owned(),
                    description: String::new(),
                    revision_id: new_id(),
                },
            );
        }
        entry
    }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}

fn new_id() -> String {
    uuid::Builder::from_random_bytes(env::random())
        .into_uuid()
        .to_string()
}

fn failed(error: &dyn std::error::Error) -> LambdaApiError {
    tracing::error!("a function was not stored: {error}");
    LambdaApiError::Service(format!("The function was not stored: {error}"))
}

fn refusal(error: &LambdaApiError) -> Response<Bytes> {
    let fault = if error.status() < 500 {
        "User"
    } else {
        "Service"
    };
    let message = error.to_string();
    // Shapes differ in the case of this member; clients read the one that theirs has.
    let body = json!({"Type": fault, "message": message, "Message": message});
    let mut response = response(error.status(), body.to_string().into());
    let name = HeaderName::from_static("x-amzn-errortype");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(error.shape()));
    response
}

fn response(status: u16, body: Bytes) -> Response<Bytes> {
    let mut response = respond::response(status, body);
    respond::identify(&mut response);
    response
}
