//! Several real processes on one store and one backend: what is promised of them while they come, die, stall and leave.

mod clock;
mod crowd;
mod death;
mod drain;
mod generator;
mod ledger;
mod load;
mod partition;
mod pause;
mod push;
mod random;
mod redis;
mod rolling;
mod size;
mod tls;
mod world;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use harness::{
    Backend, Client, Closed, GatewayCommand, Handshake, HttpAnswer, Nodes, Opened, Redis, Request,
    within,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::app::{App, BINARY};
use ledger::{Allowed, Event, Ledger};
use size::patience;

/// Handshakes under way at once.
const AT_ONCE: usize = 32;
/// Longer than any test.
const FOREVER: Duration = Duration::from_mins(10);
/// Until nothing is owed any more.
const SETTLED: Duration = Duration::from_secs(15);
/// Names a handshake for the backend, which alone knows its connection's id.
const NAME: &str = "x-client";

/// The nodes, their backend, and what everybody saw.
pub(super) struct Cluster {
    pub(super) nodes: Nodes,
    pub(super) backend: Backend,
    pub(super) ledger: Ledger,
}

impl Cluster {
    /// So many nodes with that lease.
    pub(super) async fn start(count: usize, lease: &str) -> Self {
        let server = format!("server: {{ cluster: {{ lease: {lease} }} }}");
        Self::with(count, &server, "").await
    }

    /// With top-level sections and members of the API.
    pub(super) async fn with(count: usize, top: &str, api: &str) -> Self {
        let backend = App::backend().await;
        let command = GatewayCommand::new(BINARY, &App::yaml(&backend, top, api));
        let nodes = Nodes::start(command, &Redis::database().await, count).await;
        Self {
            nodes,
            backend,
            ledger: Ledger::default(),
        }
    }

    /// An open socket of a node, and its connection id. Nobody writes down what becomes of it.
    pub(super) async fn connect(&self, node: usize) -> (Client, String) {
        let name = format!("client-{}", unique());
        let client = self.handshake(node, &name).open().await;
        let id = self.ids().remove(&name).expect("it asked");
        (client, id)
    }

    /// So many clients of a node, which read and write down what they read.
    pub(super) async fn crowd(&self, node: usize, count: usize) -> Vec<Member> {
        let opening = (0..count).map(|_| self.enter(node));
        let opened = stream::iter(opening).buffered(AT_ONCE).collect().await;
        self.members(opened)
    }

    /// A client of a node, and its name.
    pub(super) async fn enter(&self, node: usize) -> (Client, String) {
        loop {
            let name = format!("client-{}", unique());
            let handshake = self.handshake(node, &name);
            match handshake.send().await {
                Opened::Open(client) => return (*client, name),
                // On a busy machine a node may not hear in time that it may act. Whoever is turned away comes again.
                Opened::Refused(answer) => assert_eq!(answer.status, 503),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Such clients, which from now on read and write down what they read.
    pub(super) fn members(&self, opened: Vec<(Client, String)>) -> Vec<Member> {
        let mut ids = self.ids();
        let member = |(client, name): (Client, String)| {
            Member::new(client, ids.remove(&name).expect("it asked"), &self.ledger)
        };
        opened.into_iter().map(member).collect()
    }

    /// A handshake that says its client's name to the backend.
    pub(super) fn handshake(&self, node: usize, name: &str) -> Handshake {
        self.nodes[node].handshake("/dev").header(NAME, name)
    }

    /// Connection ids by the names of their clients, as `$connect` told the backend.
    pub(super) fn ids(&self) -> HashMap<String, String> {
        let mut ids = HashMap::new();
        self.backend.each("/connect", |request| {
            if let Some(name) = request.header(NAME) {
                ids.insert(name.to_owned(), request.connection_id());
            }
        });
        ids
    }

    /// Posts `text` by way of a node, and writes down the answer.
    pub(super) async fn push(&self, via: usize, id: &str, text: &str) -> u16 {
        self.ledger.write(id, Event::Posted(text.to_owned()));
        let status = self
            .post(via, id, text)
            .await
            .map_or(0, |answer| answer.status);
        self.ledger
            .write(id, Event::Answered(text.to_owned(), status));
        status
    }

    /// The answer to a push, if that node is there to answer.
    pub(super) async fn post(&self, via: usize, id: &str, text: &str) -> Option<HttpAnswer> {
        self.nodes[via].push_request(id, text).try_send().await
    }

    /// The sum of a metric over these nodes.
    pub(super) async fn metric(&self, nodes: &[usize], name: &str) -> f64 {
        let mut sum = 0.0;
        for node in nodes {
            sum += self.nodes[*node].metric(name).await.unwrap_or_default();
        }
        sum
    }

    /// The end of a drill in which nothing excuses anything.
    #[track_caller]
    pub(super) fn holds(&self) {
        self.ledger.holds(&self.backend, &Allowed::default());
    }

    /// Whose end the backend has been told of.
    pub(super) fn told(&self) -> BTreeSet<String> {
        let mut told = BTreeSet::new();
        self.backend.each("/disconnect", |end| {
            told.insert(end.connection_id());
        });
        told
    }
}

/// Does what it was told while it reads.
enum Order {
    Send(String),
    Close(u16, String),
}

/// A client with a task of its own that reads everything and writes it into the ledger.
pub(super) struct Member {
    pub(super) id: String,
    orders: mpsc::UnboundedSender<Order>,
    reading: JoinHandle<Closed>,
    ledger: Ledger,
}

impl Member {
    fn new(client: Client, id: String, ledger: &Ledger) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        ledger.write(&id, Event::Opened);
        let reading = tokio::spawn(read(client, id.clone(), taken, ledger.clone()));
        Self {
            id,
            orders,
            reading,
            ledger: ledger.clone(),
        }
    }

    /// Sends a message that the backend gets at `/sendmessage`.
    pub(super) fn say(&self, text: &str) {
        let message = json!({"action": "sendmessage", "text": text}).to_string();
        let _ = self.orders.send(Order::Send(message));
    }

    /// Begins the close handshake.
    pub(super) fn close(&self, code: u16, reason: &str) {
        let _ = self.orders.send(Order::Close(code, reason.to_owned()));
    }

    /// True where it has read the end of its socket.
    pub(super) fn is_over(&self) -> bool {
        self.reading.is_finished()
    }

    /// Waits for the end of the socket.
    pub(super) async fn over(mut self) -> Closed {
        let over = tokio::time::timeout(patience(SETTLED), &mut self.reading).await;
        over.expect("the end of the socket").unwrap()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.reading.abort();
        self.ledger.write(&self.id, Event::Dropped);
    }
}

async fn read(
    mut client: Client,
    id: String,
    mut orders: mpsc::UnboundedReceiver<Order>,
    ledger: Ledger,
) -> Closed {
    loop {
        let message = tokio::select! {
            message = client.next_within(FOREVER) => message,
            Some(order) = orders.recv() => {
                match order {
                    Order::Send(text) => {
                        ledger.write(&id, Event::Sent(text.clone()));
                        client.try_send(Message::text(text)).await;
                    }
                    Order::Close(code, reason) => {
                        ledger.write(&id, Event::Leaving);
                        client.close(Some((code, &reason))).await;
                    }
                }
                continue;
            }
        };
        match Closed::of(message) {
            Ok(closed) => {
                ledger.write(&id, Event::Closed(closed.clone()));
                // Reading on sends the answer to the close frame.
                while client.next_within(FOREVER).await.is_some() {}
                return closed;
            }
            Err(message) => ledger.write(&id, Event::Read(message.to_string())),
        }
    }
}

/// The ids of a crowd.
pub(super) fn ids(members: &[Member]) -> BTreeSet<String> {
    members.iter().map(|member| member.id.clone()).collect()
}

/// A number that no other client of this process has.
fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The backend has been told of each of these.
pub(super) async fn all_are_told(cluster: &Cluster, expected: &BTreeSet<String>) {
    within(patience(SETTLED), "all ends are told", async || {
        cluster.told().is_superset(expected).then_some(())
    })
    .await;
}

/// Nobody is left but these nodes, nothing waits in the outbox, and nothing is owed.
pub(super) async fn settled(cluster: &Cluster, nodes: &[usize]) {
    let ask = cluster.nodes[nodes[0]].management();
    within(patience(SETTLED), "the lost nodes are buried", async || {
        let list = Request::get(ask, "/wiregate/nodes").send().await.json();
        let named = list["items"].as_array().map(Vec::len);
        (named == Some(nodes.len())).then_some(())
    })
    .await;
    // The metric is as old as the last renewal.
    tokio::time::sleep(Duration::from_secs(1)).await;
    within(patience(SETTLED), "nothing is owed", async || {
        let mut owed = cluster.metric(nodes, "wiregate_outbox_waiting").await;
        owed += cluster.metric(nodes, "wiregate_disconnects_owed").await;
        (owed < 0.5).then_some(())
    })
    .await;
}

/// Numbers that a seed repeats.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// Of this run: those of `DRILL_SEED` where that is set. Says which.
    pub(super) fn of_run() -> Self {
        let seed = std::env::var("DRILL_SEED").map_or_else(
            |_| u64::from(std::process::id()),
            |seed| seed.parse().expect("DRILL_SEED is a number"),
        );
        println!("DRILL_SEED={seed}");
        Self(seed)
    }

    pub(super) fn below(&mut self, most: u64) -> u64 {
        // Knuth's MMIX generator; its upper bits are the good ones.
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}
