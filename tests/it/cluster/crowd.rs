//! Clients and pushers of a drill, who write down what they see.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use harness::{Client, Closed, Request, percentile};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;

use super::ledger::{Entry, Event, Ledger, push_text};
use super::size::size;

/// Longer than any drill.
const LONG: Duration = Duration::from_mins(10);

/// One client, whose socket a task of its own reads.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    /// The node that it is connected to.
    pub(super) node: usize,
    orders: UnboundedSender<Message>,
}

impl Member {
    pub(super) fn new(mut client: Client, id: String, node: usize, seen: &Ledger) -> Self {
        let (orders, mut wanted) = unbounded_channel();
        let (seen, own) = (seen.clone(), id.clone());
        seen.write(&id, Event::Opened);
        tokio::spawn(async move {
            let closed = serve(&mut client, &own, &mut wanted, &seen).await;
            seen.write(&own, Event::Closed(closed));
        });
        Self { id, node, orders }
    }

    /// Sends a message under that action.
    pub(super) fn send(&self, action: &str, mark: &str) {
        let text = json!({"action": action, "mark": mark}).to_string();
        let _ = self.orders.send(Message::text(text));
    }

    /// Ends the connection in good order.
    pub(super) fn leave(&self) {
        let _ = self.orders.send(Message::Close(None));
    }
}

async fn serve(
    client: &mut Client,
    own: &str,
    wanted: &mut UnboundedReceiver<Message>,
    seen: &Ledger,
) -> Closed {
    let mut closed = None;
    loop {
        tokio::select! {
            message = client.next_within(LONG) => match message {
                Some(Message::Text(text)) => seen.write(own, Event::Read(text.to_string())),
                other => {
                    let over = other.is_none();
                    closed = closed.or(Closed::of(other).ok());
                    if over && let Some(closed) = closed {
                        return closed;
                    }
                }
            },
            Some(order) = wanted.recv() => {
                let text = order.is_text().then(|| order.to_string());
                if text.is_none() {
                    seen.write(own, Event::Leaving);
                }
                if client.try_send(order).await && let Some(text) = text {
                    seen.write(own, Event::Sent(text));
                }
            }
        }
    }
}

/// The node part and the random part of a connection id.
pub(super) fn parts(id: &str) -> (String, String) {
    let bytes = URL_SAFE.decode(id).expect("an id is base64url");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (hex(&bytes[1..7]), hex(&bytes[7..]))
}

/// One push and its answer; status 0 where there was none.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) at: Instant,
    /// Whether it was posted to the node that holds the connection.
    pub(super) local: bool,
    pub(super) status: u16,
    pub(super) took: Duration,
}

/// Echoes and pushes that go on and on, each connection in its turn.
pub(super) struct Traffic {
    sending: JoinHandle<()>,
    pushes: Arc<Mutex<Vec<Push>>>,
    under_way: Arc<Mutex<JoinSet<()>>>,
}

impl Traffic {
    /// To those members, by those management listeners; `seen` has the pushes, too.
    pub(super) fn start(members: Arc<Vec<Member>>, doors: Vec<SocketAddr>, seen: Ledger) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let pushes: Arc<Mutex<Vec<Push>>> = Arc::default();
        let under_way: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let (done, going) = (pushes.clone(), under_way.clone());
        let run = STARTED.fetch_add(1, Ordering::Relaxed);
        let sending = tokio::spawn(async move {
            for turn in 0.. {
                let member = &members[turn % members.len()];
                member.send("echo", &format!("echo {run}-{turn} of {}", member.id));
                // Each connection by each node in its turn.
                let door = (turn + turn / members.len()) % doors.len();
                let (to, local) = (doors[door], door == member.node);
                let (id, done, seen) = (member.id.clone(), done.clone(), seen.clone());
                let text = push_text(&format!("traffic-{run}"), turn, &id);
                lock(&going).spawn(async move {
                    let push = post(&seen, to, id, local, text).await;
                    lock(&done).push(push);
                });
                tokio::time::sleep(size().beat).await;
            }
        });
        Self {
            sending,
            pushes,
            under_way,
        }
    }

    /// Ends it, and waits for all answers.
    pub(super) async fn stop(self, seen: &Ledger) -> Report {
        self.sending.abort();
        let under_way = {
            let mut under_way = lock(&self.under_way);
            std::mem::take(&mut *under_way)
        };
        under_way.join_all().await;
        // What was answered 200 may still be on its way to the client, and echoes to theirs.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let pushes = lock(&self.pushes);
        Report {
            pushes: pushes.clone(),
            seen: seen.entries(),
        }
    }
}

/// Posts `text` to a connection by the listener `to`.
pub(super) async fn post(
    seen: &Ledger,
    to: SocketAddr,
    id: String,
    local: bool,
    text: String,
) -> Push {
    seen.write(&id, Event::Posted(text.clone()));
    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
    let at = Instant::now();
    let answer = Request::post(to, &path, &text).try_send().await;
    let status = answer.map_or(0, |answer| answer.status);
    seen.write(&id, Event::Answered(text, status));
    Push {
        at,
        local,
        status,
        took: at.elapsed(),
    }
}

/// What came of the traffic.
pub(super) struct Report {
    pub(super) pushes: Vec<Push>,
    seen: Vec<Entry>,
}

impl Report {
    /// Fails unless every push was answered with one of these, and those to the connection's own node with 200.
    #[track_caller]
    pub(super) fn pushes_are(&self, local: &[u16], remote: &[u16]) {
        let wrong = |push: &&Push| {
            let right = if push.local { local } else { remote };
            !right.contains(&push.status)
        };
        let wrong: Vec<&Push> = self.pushes.iter().filter(wrong).collect();
        assert!(self.pushes.len() > 20, "{} pushes", self.pushes.len());
        assert!(
            wrong.is_empty(),
            "{} of {} pushes, the first {:?}",
            wrong.len(),
            self.pushes.len(),
            &wrong[..wrong.len().min(5)]
        );
        let slowest = self.pushes.iter().map(|push| push.took).max();
        assert!(slowest < Some(Duration::from_secs(5)), "{slowest:?}");
    }

    /// How long each echo took; fails where one did not come.
    #[track_caller]
    fn echoes(&self) -> Vec<Duration> {
        let mut sent: HashMap<&str, Instant> = HashMap::new();
        let mut took = Vec::new();
        for entry in &self.seen {
            match &entry.event {
                Event::Sent(text) if text.contains("\"echo\"") => {
                    sent.insert(text, entry.at);
                }
                Event::Read(text) => {
                    if let Some(at) = sent.remove(&**text) {
                        took.push(entry.at - at);
                    }
                }
                _ => {}
            }
        }
        assert!(took.len() > 20, "{} echoes", took.len());
        assert!(sent.is_empty(), "never answered: {sent:?}");
        took
    }

    /// Fails unless 99 of 100 echoes came back within `bar`.
    #[track_caller]
    pub(super) fn echoes_within(&self, bar: Duration) {
        let took = percentile(&self.echoes(), 99);
        assert!(took <= bar, "99 of 100 echoes within {took:?}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ids, for comparing.
pub(super) fn ids<'a>(members: impl IntoIterator<Item = &'a Member>) -> BTreeSet<String> {
    members
        .into_iter()
        .map(|member| member.id.clone())
        .collect()
}
