//! One connection to Redis that is kept open: answers within a time limit or says why not, and mends itself.
//!
//! A call that finds no connection has one opened, and waits for it no longer than its own limit; one task opens it, whoever
//! asks meanwhile. After a failure calls fail at once until a short pause is over, so nothing queues while Redis is away,
//! and every call after the pause has it tried again, for ever. A connection on which a call had no answer in time, and
//! nobody else either, is given up: it may be half-open, or lead to a master that is no more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::dial::{Dialer, Heard, Subscriber, Wire};
use super::endpoint::{InvalidRedisUrl, RedisUrl, Topology};
use super::script::{Script, Step};
use crate::StoreError;

/// So many commands may be under way; more wait their turn, within their limit.
const MOST_UNDER_WAY: usize = 512;
/// How long nothing is tried after a failure, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A connection younger than this is not given up for a reason that a new one would meet, too.
const FRESH: Duration = Duration::from_secs(1);

/// A connection to Redis; clones share it. Made without one: it is opened by the first call.
///
/// It lives on the runtime of the call that opened it. If that one ends, the next call opens another.
#[derive(Debug, Clone)]
pub struct Redis(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    limit: Duration,
    born: Instant,
    state: Mutex<State>,
    /// Told whenever an attempt to connect has ended.
    attempts: watch::Sender<u64>,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    dialing: bool,
    failures: u32,
    /// Nothing is tried before; and why the last attempt failed.
    rest: Option<(Instant, StoreError)>,
}

struct Link {
    wire: Wire,
    since: Instant,
    /// The connection has ended.
    lost: Arc<AtomicBool>,
    /// When something was last answered, in microseconds since the client was made.
    heard: AtomicU64,
}

impl Redis {
    /// Reads what the URL names (files for TLS) but connects nowhere. `limit` is how long a call may take.
    pub fn new(url: RedisUrl, limit: Duration) -> Result<Self, InvalidRedisUrl> {
        Ok(Self(Arc::new(Inner {
            dialer: Dialer::new(url, limit)?,
            limit,
            born: Instant::now(),
            state: Mutex::default(),
            attempts: watch::Sender::new(0),
            room: Semaphore::new(MOST_UNDER_WAY),
        })))
    }

    /// How the servers belong together.
    pub fn topology(&self) -> Topology {
        self.0.dialer.url().topology()
    }

    /// How long a call may take.
    pub fn limit(&self) -> Duration {
        self.0.limit
    }

    /// By when a call that begins now has ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.0.limit
    }

    /// Sends one command. Of [`StoreError::Unavailable`] it is not known whether Redis acted.
    pub async fn call(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.call_by(command, self.deadline()).await
    }

    pub(super) async fn call_by(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, StoreError> {
        self.0.call(command, deadline).await.map_err(Failed::told)
    }

    /// Publishes on a channel, a sharded one on a cluster, and says to how many connections the server passed it on.
    ///
    /// 0 means that nobody hears, but on [`Topology::Standalone`] only; more proves nothing: a connection may be half-open.
    pub async fn publish(&self, channel: &[u8], payload: &[u8]) -> Result<u64, StoreError> {
        let name = match self.topology() {
            Topology::Cluster => "SPUBLISH",
            _ => "PUBLISH",
        };
        // At once as large as it becomes: growing costs more than all the rest of it.
        let size = name.len() + channel.len() + payload.len();
        let mut command = Cmd::with_capacity(3, size);
        command.arg(name).arg(channel).arg(payload);
        read(self.call(&command).await?)
    }

    /// Opens a connection of its own for pub/sub. `hear` is called by its task and must not block.
    ///
    /// After [`Heard::Lost`] it is over (but on [`Topology::Cluster`], where it mends itself): drop it and open another,
    /// which finds the master anew. The promise is no better than that of TCP: a half-open connection says nothing at all.
    pub async fn subscriber(
        &self,
        hear: impl Fn(Heard) + Send + Sync + 'static,
    ) -> Result<Subscriber, StoreError> {
        let opened = timeout(self.0.limit * 6, self.0.dialer.subscriber(hear)).await;
        match opened {
            Ok(opened) => opened.map_err(|error| explain(&error)),
            Err(_) => Err(late(self.0.limit * 6)),
        }
    }

    /// Takes one step, by a deadline. Redis forgets scripts when it is restarted or fails over; then the text is sent.
    pub(super) async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        step: &Step,
        deadline: Instant,
    ) -> Result<T, StoreError> {
        let answer = match self.0.call(&script.by_digest(step), deadline).await {
            Err(Failed::Unseen) => self.0.call(&script.by_text(step), deadline).await,
            answer => answer,
        };
        self.read(answer.map_err(Failed::told)?)
    }

    /// Reads the answer to one of our own questions. One of another shape belongs to another question, maybe, and so may
    /// all that follow: the connection is given up.
    pub(super) fn read<T: redis::FromRedisValue>(&self, answer: Value) -> Result<T, StoreError> {
        read(answer).inspect_err(|_| self.0.lock().link = None)
    }
}

impl Subscriber {
    /// Hears a channel from now on; a sharded one on a cluster. Ends within the connection's time limit.
    pub async fn hear(&mut self, channel: &[u8]) -> Result<(), StoreError> {
        self.subscribe(channel)
            .await
            .map_err(|error| explain(&error))
    }
}

enum Failed {
    /// Redis has not seen the script.
    Unseen,
    Told(StoreError),
}

impl Failed {
    fn told(self) -> StoreError {
        match self {
            Self::Unseen => StoreError::Refused("NOSCRIPT to a script's text".to_owned()),
            Self::Told(error) => error,
        }
    }
}

fn late(limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer within {limit:?}"))
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn call(self: &Arc<Self>, command: &Cmd, deadline: Instant) -> Result<Value, Failed> {
        let waited = timeout_at(deadline, self.link()).await;
        let link = match waited {
            Ok(link) => link.map_err(Failed::Told)?,
            Err(_) => return Err(Failed::Told(late(self.limit))),
        };
        let asked = self.micros();
        let answered = timeout_at(deadline, async {
            // Never closed, so this is only a turn to wait for.
            let _turn = self.room.acquire().await;
            link.wire.clone().send(command).await
        });
        let answered = match answered.await {
            Ok(Err(error)) if error.is_timeout() => Err(late(self.limit)),
            Ok(answered) => Ok(answered),
            Err(_) => Err(late(self.limit)),
        };
        match answered {
            Err(late) => {
                self.unanswered(&link, asked);
                Err(Failed::Told(late))
            }
            Ok(Ok(value)) => {
                link.heard.store(self.micros(), Ordering::Relaxed);
                Ok(value)
            }
            Ok(Err(error)) => Err(self.failed(&link, &error)),
        }
    }

    fn unanswered(self: &Arc<Self>, link: &Arc<Link>, asked: u64) {
        let silent = link.heard.load(Ordering::Relaxed) < asked;
        match &link.wire {
            Wire::One(_) if silent => self.give_up(link),
            // One of its masters may hang while others answer.
            Wire::Cluster(_) if link.since.elapsed() > FRESH => self.replace(link),
            _ => {}
        }
    }

    fn failed(self: &Arc<Self>, link: &Arc<Link>, error: &RedisError) -> Failed {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => return Failed::Unseen,
            // The address may lead to a new master by now.
            ErrorKind::Server(ServerErrorKind::ReadOnly) | ErrorKind::ClusterConnectionNotFound
                if link.since.elapsed() > FRESH =>
            {
                self.replace(link);
            }
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => {
                match &link.wire {
                    Wire::One(_) => self.give_up(link),
                    Wire::Cluster(_) if link.since.elapsed() > FRESH => self.replace(link),
                    Wire::Cluster(_) => {}
                }
            }
            _ => link.heard.store(self.micros(), Ordering::Relaxed),
        }
        Failed::Told(explain(error))
    }

    fn give_up(&self, link: &Arc<Link>) {
        let mut state = self.lock();
        if (state.link.as_ref()).is_some_and(|current| Arc::ptr_eq(current, link)) {
            state.link = None;
        }
    }

    /// Opens another connection, and uses this one until it is there.
    fn replace(self: &Arc<Self>, link: &Arc<Link>) {
        let mut state = self.lock();
        let current = (state.link.as_ref()).is_some_and(|current| Arc::ptr_eq(current, link));
        let resting = (state.rest.as_ref()).is_some_and(|(until, _)| Instant::now() < *until);
        if current && !resting && !state.dialing {
            self.dial(&mut state);
        }
    }

    async fn link(self: &Arc<Self>) -> Result<Arc<Link>, StoreError> {
        let mut attempts = None;
        loop {
            {
                let mut state = self.lock();
                state.link = (state.link.take()).filter(|link| !link.lost.load(Ordering::Acquire));
                if let Some(link) = &state.link {
                    return Ok(link.clone());
                }
                // Before the attempt begins, so that its end is not missed.
                attempts.get_or_insert_with(|| self.attempts.subscribe());
                if let Some((until, why)) = &state.rest
                    && Instant::now() < *until
                {
                    return Err(why.clone());
                }
                if !state.dialing {
                    self.dial(&mut state);
                }
            }
            if let Some(attempts) = &mut attempts {
                // Cannot fail: the sender is ours.
                let _ = attempts.changed().await;
            }
        }
    }

    /// In a task, because an attempt may take longer than any caller waits: it is bounded, and the only one.
    fn dial(self: &Arc<Self>, state: &mut State) {
        state.dialing = true;
        let attempt = Attempt {
            inner: self.clone(),
            outcome: Err(StoreError::Unavailable(
                "the runtime that was connecting ended".to_owned(),
            )),
        };
        tokio::spawn(attempt.run());
    }
}

/// Its end is told in any case, also where its runtime is dropped.
struct Attempt {
    inner: Arc<Inner>,
    outcome: Result<Link, StoreError>,
}

impl Attempt {
    async fn run(mut self) {
        let lost = Arc::new(AtomicBool::new(false));
        // To a sentinel, to the master, and its role; to some nodes of a cluster, and to those that they name.
        let most = self.inner.limit * 6;
        let opened = timeout(most, self.inner.dialer.open(lost.clone())).await;
        self.outcome = match opened {
            Ok(Ok(wire)) => Ok(Link {
                wire,
                since: Instant::now(),
                lost,
                heard: AtomicU64::new(0),
            }),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(late(most)),
        };
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let none = StoreError::Unavailable(String::new());
        let mut state = self.inner.lock();
        state.dialing = false;
        match std::mem::replace(&mut self.outcome, Err(none)) {
            Ok(link) => {
                state.link = Some(Arc::new(link));
                state.failures = 0;
                state.rest = None;
            }
            Err(why) => {
                // One that was to be replaced led nowhere, either.
                state.link = None;
                let pause = PAUSES.0 * 2_u32.saturating_pow(state.failures.min(10));
                state.failures = state.failures.saturating_add(1);
                state.rest = Some((Instant::now() + pause.min(PAUSES.1), why));
            }
        }
        drop(state);
        self.inner.attempts.send_modify(|attempts| *attempts += 1);
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// What an error of the crate means to us. A reply that is an error is a refusal: Redis did not act.
fn explain(error: &RedisError) -> StoreError {
    let text = line(error);
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension
            // A key of ours that holds another type; before Redis 7 in the text of another error.
            if text.contains("WRONGTYPE") =>
        {
            StoreError::Corrupt(text)
        }
        ErrorKind::Server(ServerErrorKind::Moved) => StoreError::Refused(format!(
            "{text} (a cluster's URL begins with redis+cluster://)"
        )),
        ErrorKind::Server(_)
        | ErrorKind::Extension
        | ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported => StoreError::Refused(text),
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}

/// The crate says some errors in several lines; ours are part of a sentence.
fn line(error: &impl ToString) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    lines.join("; ")
}

/// Reads an answer; one of another shape is [`StoreError::Corrupt`].
pub(super) fn read<T: redis::FromRedisValue>(value: Value) -> Result<T, StoreError> {
    redis::from_redis_value(value).map_err(|error| StoreError::Corrupt(line(&error)))
}
