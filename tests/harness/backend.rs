//! A scriptable HTTP backend that writes down every request.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::{PATIENCE, within};

/// One request as the backend saw it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place in the ledger, from 0.
    pub number: usize,
    /// HTTP verb.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// Headers by lower-case name, repeated ones too.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
    /// When its body was complete.
    pub at: Instant,
}

impl Recorded {
    /// The first header of that name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// `x-wiregate-{name}`; the empty string where it is absent.
    pub fn wiregate(&self, name: &str) -> &str {
        self.header(&format!("x-wiregate-{name}"))
            .unwrap_or_default()
    }

    /// `x-wiregate-disconnect-reason` without its percent encoding.
    pub fn disconnect_reason(&self) -> String {
        let mut bytes = Vec::new();
        let mut rest = self.wiregate("disconnect-reason").as_bytes();
        while let [first, tail @ ..] = rest {
            let code = tail
                .get(..2)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match code {
                Some(byte) if *first == b'%' => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                _ => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of the connection it is about.
    pub fn connection_id(&self) -> String {
        self.wiregate("connection-id").to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// What a handler answers.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Answer {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    /// No answer: the connection breaks off.
    pub fn hang_up() -> Self {
        Self::status(0)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A door that handlers wait at until a test opens it; it stays open.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A shut gate.
    pub fn shut() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn wait(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

type Handling = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Handler = Arc<dyn Fn(Recorded) -> Handling + Send + Sync>;

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    handlers: Mutex<HashMap<String, Handler>>,
    otherwise: Mutex<Option<Handler>>,
    /// While it is broken: connections and requests that came and were broken off.
    broken: watch::Sender<bool>,
    attempts: AtomicUsize,
}

impl Shared {
    /// Whether to break off; counts it.
    fn breaks_off(&self) -> bool {
        let broken = *self.broken.borrow();
        if broken {
            self.attempts.fetch_add(1, Ordering::SeqCst);
        }
        broken
    }
}

#[derive(Default)]
struct Ledger {
    requests: Vec<Recorded>,
    taken: HashSet<usize>,
}

/// A backend on a free port. Paths without a handler answer 200 and nothing.
pub struct Backend {
    shared: Arc<Shared>,
    address: SocketAddr,
    http2: bool,
    reserved: Option<Socket>,
    serving: Option<JoinHandle<()>>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Backend({})", self.address)
    }
}

impl Backend {
    /// A backend that answers.
    #[expect(
        clippy::unused_async,
        reason = "it must be called inside a runtime, and so it says"
    )]
    pub async fn start() -> Self {
        let mut backend = Self::down();
        backend.up();
        backend
    }

    /// A backend that answers HTTP/2 with prior knowledge, and nothing else.
    #[expect(
        clippy::unused_async,
        reason = "it must be called inside a runtime, and so it says"
    )]
    pub async fn http2() -> Self {
        let mut backend = Self::down();
        backend.http2 = true;
        backend.up();
        backend
    }

    /// A backend whose port is taken but refuses connections until [`Backend::up`].
    pub fn down() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("reuse of the port");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("a free port");
        let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
        Self {
            shared: Arc::default(),
            address: address.expect("an IPv4 address"),
            http2: false,
            reserved: Some(socket),
            serving: None,
        }
    }

    /// Begins to accept connections; must be called inside a runtime.
    pub fn up(&mut self) {
        let Some(socket) = self.reserved.take() else {
            return;
        };
        socket.listen(1024).expect("a listening socket");
        socket.set_nonblocking(true).expect("a non-blocking socket");
        let listener = TcpListener::from_std(socket.into()).expect("a listener of the runtime");
        self.serving = Some(tokio::spawn(serve(
            listener,
            self.http2,
            self.shared.clone(),
        )));
    }

    /// From now on every connection is broken off, and none of its requests is written down.
    pub fn break_down(&self) {
        self.shared.broken.send_replace(true);
    }

    /// From now on it answers again.
    pub fn recover(&self) {
        self.shared.broken.send_replace(false);
    }

    /// Connections and requests that it has broken off so far.
    pub fn broken_off(&self) -> usize {
        self.shared.attempts.load(Ordering::SeqCst)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address{path}`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on `path` is answered by `handler`.
    pub fn on(&self, path: &str, handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        lock(&self.shared.handlers).insert(path.to_owned(), at_once(handler));
    }

    /// From now on paths without a handler are answered by this one.
    pub fn otherwise(&self, handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *lock(&self.shared.otherwise) = Some(at_once(handler));
    }

    /// From now on `path` is answered by `handler`, which may take its time.
    pub fn on_async<F>(&self, path: &str, handler: impl Fn(Recorded) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        lock(&self.shared.handlers).insert(path.to_owned(), handler);
    }

    /// From now on `path` waits at the gate and then answers 200 with its own request body.
    pub fn hold(&self, path: &str, gate: &Gate) {
        let gate = gate.clone();
        self.on_async(path, move |request| {
            let gate = gate.clone();
            async move {
                gate.wait().await;
                Answer::ok(request.body)
            }
        });
    }

    /// All requests to `path` so far.
    pub fn requests(&self, path: &str) -> Vec<Recorded> {
        let ledger = lock(&self.shared.ledger);
        let wanted = ledger.requests.iter().filter(|seen| seen.path == path);
        wanted.cloned().collect()
    }

    /// Shows each request to `path` so far, in their order: for more of them than are worth a copy. `look` must not ask this
    /// backend for anything.
    pub fn each(&self, path: &str, look: impl FnMut(&Recorded)) {
        let ledger = lock(&self.shared.ledger);
        let wanted = ledger.requests.iter().filter(|seen| seen.path == path);
        wanted.for_each(look);
    }

    /// Forgets every request so far.
    pub fn forget(&self) {
        *lock(&self.shared.ledger) = Ledger::default();
    }

    /// Every request so far.
    pub fn everything(&self) -> Vec<Recorded> {
        lock(&self.shared.ledger).requests.clone()
    }

    /// The first request to `path` that no earlier call of `next` returned; waits for it.
    pub async fn next(&self, path: &str) -> Recorded {
        self.next_within(PATIENCE, path).await
    }

    /// As [`Backend::next`], with a limit of the caller's.
    pub async fn next_within(&self, limit: Duration, path: &str) -> Recorded {
        let what = format!("a request to {path}");
        within(limit, &what, async || self.take(path)).await
    }

    /// The same without waiting.
    pub(crate) fn take(&self, path: &str) -> Option<Recorded> {
        let mut ledger = lock(&self.shared.ledger);
        let Ledger { requests, taken } = &mut *ledger;
        let found = requests
            .iter()
            .find(|seen| seen.path == path && !taken.contains(&seen.number))?;
        taken.insert(found.number);
        Some(found.clone())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Accepts until it is aborted; its connections end with it, since the set owns them.
async fn serve(listener: TcpListener, http2: bool, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        if shared.breaks_off() {
            continue;
        }
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| handle(request, shared.clone()));
            let io = TokioIo::new(stream);
            if http2 {
                let _ = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await;
            } else {
                let _ = http1::Builder::new().serve_connection(io, service).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn handle(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<hyper::Response<Full<Bytes>>> {
    if shared.breaks_off() {
        return Err(io::Error::other("the backend is down"));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(hyper::Response::new(Full::default()));
    };
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let recorded = {
        let mut ledger = lock(&shared.ledger);
        let recorded = Recorded {
            number: ledger.requests.len(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: body.to_bytes(),
            at: Instant::now(),
        };
        ledger.requests.push(recorded.clone());
        recorded
    };
    let handler = lock(&shared.handlers).get(&recorded.path).cloned();
    let handler = handler.or_else(|| lock(&shared.otherwise).clone());
    let answer = match handler {
        Some(handler) => handler(recorded).await,
        None => Answer::status(200),
    };
    if answer.status == 0 {
        return Err(io::Error::other("the handler hangs up"));
    }
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response
        .body(Full::new(answer.body))
        .expect("handlers give legal headers"))
}

fn at_once(handler: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Handler {
    Arc::new(move |request| {
        let answer = handler(&request);
        Box::pin(async move { answer })
    })
}

/// A panicking handler must not hide the ledger from the test that reads it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
