//! The direct road between nodes: TCP connections that stay, on which orders and answers travel in batches.
//!
//! Each thread that asks has its own connection to each node, opened when it is first needed, so that neither an order nor
//! its answer changes threads on the asking side; the serving side acts on an order in the task that read it. What one turn of the runtime brings
//! goes in one write. `auth.rs` has the opening, `../frame.rs` the bytes, `line.rs` what waits for answers.
//!
//! Whoever stands in between, or put a false address where nodes publish theirs, can cut a connection and nothing else: both
//! sides prove that they know the cluster's secret, and every batch is enciphered and signed, with its place in the sequence, under
//! a key of this connection and direction. [`LinkTls`] adds what certificates give: who learns the secret later, or knows it and
//! has no certificate, neither reads nor joins in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::NodeId;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::key::ClusterKey;
use crate::tasks::Tasks;
use crate::{BusError, Inbox, NodeBus, StoreClock};
use line::Line;
use peer::{MOST_UNDER_WAY, Peer};
use serve::Strangers;

mod ask;
mod auth;
mod line;
mod peer;
mod serve;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

/// What a link is made with.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Whose link it is.
    pub node: NodeId,
    /// The same on all nodes.
    pub key: ClusterKey,
    /// Deadlines travel in its time.
    pub clock: Arc<StoreClock>,
    /// Where nodes speak TLS with each other, and then only so.
    pub tls: Option<LinkTls>,
    /// The largest order, and the largest answer, in bytes.
    pub max_order: usize,
    /// How long opening a connection may take, proofs included.
    pub connect: Duration,
    /// Bytes that nobody can foretell.
    pub random: fn() -> [u8; 32],
}

/// TLS between nodes, each with a certificate that the other one checks.
#[derive(Debug, Clone)]
pub struct LinkTls {
    /// Should demand a certificate of whoever connects.
    pub server: Arc<ServerConfig>,
    /// Should show one. Names are checked as they stand in the nodes' addresses.
    pub client: Arc<ClientConfig>,
}

impl LinkSettings {
    /// Without TLS, with 300 ms to connect, for orders of up to 1 MiB and 64 KiB for what goes with them.
    pub fn new(
        node: NodeId,
        key: ClusterKey,
        clock: Arc<StoreClock>,
        random: fn() -> [u8; 32],
    ) -> Self {
        Self {
            node,
            key,
            clock,
            tls: None,
            max_order: 1024 * 1024 + 64 * 1024,
            connect: Duration::from_millis(300),
            random,
        }
    }
}

/// What a link has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Connections of other nodes that are served now.
    pub served: usize,
    /// Who connected and was not let in: no secret, another node was meant, too slow, too many.
    pub refused: u64,
    /// Orders that came after their deadline and were dropped.
    pub late: u64,
    /// Connections to other nodes that could not be made, or broke.
    pub broken: u64,
}

/// The direct road. All of its tasks end with [`stop`](Self::stop), at the latest when it is dropped.
#[derive(Debug)]
pub struct LinkBus {
    shared: Arc<Shared>,
    /// Which of the process's links this is.
    number: u64,
}

/// Where a node is.
#[derive(Debug, Clone)]
struct Destination {
    node: NodeId,
    address: Arc<str>,
}

#[derive(Debug)]
struct Shared {
    /// Another incarnation after [`LinkBus::rename`].
    node: ArcSwap<NodeId>,
    key: ClusterKey,
    clock: Arc<StoreClock>,
    tls: ArcSwapOption<LinkTls>,
    max_order: usize,
    /// The largest body that is taken from others, whose settings may differ while they are being changed.
    largest: usize,
    connect: Duration,
    random: fn() -> [u8; 32],
    start: Instant,
    directory: ArcSwap<HashMap<NodeId, Arc<str>>>,
    peers: Mutex<HashMap<NodeId, Arc<Peer>>>,
    strangers: Strangers,
    served: AtomicUsize,
    /// What keeps each listener from accepting.
    troubles: Mutex<Vec<Option<String>>>,
    counts: Counts,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Counts {
    refused: AtomicU64,
    late: AtomicU64,
    broken: AtomicU64,
    /// When a refusal was last said in the log, in seconds from the start.
    said: AtomicU64,
}

/// A refusal is said so often at most, in seconds: whoever can reach the port can have one as often as it likes.
const SAID_EVERY: u64 = 10;

thread_local! {
    /// The connections that this thread has opened, by link and node.
    static LINES: RefCell<HashMap<(u64, NodeId), Arc<Line>>> = RefCell::default();
}

impl LinkBus {
    /// Opens nothing yet.
    pub fn new(settings: LinkSettings) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let LinkSettings {
            node,
            key,
            clock,
            tls,
            max_order,
            connect,
            random,
        } = settings;
        let shared = Shared {
            node: ArcSwap::from_pointee(node),
            key,
            clock,
            tls: ArcSwapOption::from_pointee(tls),
            max_order,
            largest: max_order.max(MOST_UNDER_WAY),
            connect,
            random,
            start: Instant::now(),
            directory: ArcSwap::default(),
            peers: Mutex::default(),
            strangers: Strangers::default(),
            served: AtomicUsize::new(0),
            troubles: Mutex::default(),
            counts: Counts::default(),
            tasks: Tasks::new(),
        };
        Self {
            shared: Arc::new(shared),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Serves other nodes on this thread's runtime; to be called once for each worker, with a listener of its own.
    pub fn serve(&self, listener: TcpListener, inbox: Arc<dyn Inbox>) {
        let number = {
            let mut troubles = self.shared.troubles();
            troubles.push(None);
            troubles.len() - 1
        };
        let shared = Arc::clone(&self.shared);
        self.shared
            .tasks
            .spawn(serve::accept(shared, number, listener, inbox));
    }

    /// As [`serve`](Self::serve). The listener must be non-blocking.
    pub fn serve_std(
        &self,
        listener: std::net::TcpListener,
        inbox: Arc<dyn Inbox>,
    ) -> io::Result<()> {
        self.serve(TcpListener::from_std(listener)?, inbox);
        Ok(())
    }

    /// Where the other nodes are, as the registry says: `host:port` each. A node that is not among them is never dialled,
    /// whatever an id says; connections to those that have left are closed.
    pub fn set_peers(&self, addresses: impl IntoIterator<Item = (NodeId, String)>) {
        let directory: HashMap<NodeId, Arc<str>> = addresses
            .into_iter()
            .map(|(node, address)| (node, address.into()))
            .collect();
        // A connection holds what belongs to its peer; the rest may be forgotten, but for what was heard lately.
        self.shared.peers().retain(|node, peer| {
            let lately = |silence| silence < Duration::from_mins(1);
            directory.contains_key(node)
                || Arc::strong_count(peer) > 1
                || peer.silent_for().is_some_and(lately)
        });
        self.shared.directory.store(Arc::new(directory));
    }

    /// From now on this process is another node: connections that are opened, in either direction, are of that one. Those
    /// that are there go on; what arrives on them is for the node that was, and finds it gone.
    pub fn rename(&self, node: NodeId) {
        self.shared.node.store(Arc::new(node));
    }

    /// From now on connections that are opened, in either direction, speak TLS so, or none. Those that are there go on.
    pub fn set_tls(&self, tls: Option<LinkTls>) {
        self.shared.tls.store(tls.map(Arc::new));
    }

    /// Whether this node has an address.
    pub fn knows(&self, node: &NodeId) -> bool {
        self.shared.directory.load().contains_key(node)
    }

    /// How long ago a node was last heard on any connection of this process, in either direction; `None` where it never
    /// was, or not for long.
    pub fn heard(&self, node: &NodeId) -> Option<Duration> {
        self.shared.peers().get(node)?.silent_for()
    }

    /// What was counted.
    pub fn counts(&self) -> LinkCounts {
        let counts = &self.shared.counts;
        LinkCounts {
            served: self.shared.served.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            late: counts.late.load(Ordering::Relaxed),
            broken: counts.broken.load(Ordering::Relaxed),
        }
    }

    /// Closes everything; no task of it lives afterwards. Who still waits for an answer is told what is known.
    pub async fn stop(&self) {
        self.shared.tasks.stop().await;
    }

    /// This thread's line to a node, opened where there is none.
    fn line(&self, node: NodeId) -> Result<Arc<Line>, BusError> {
        LINES.with_borrow_mut(|lines| {
            if let Some(line) = lines.get(&(self.number, node))
                && !line.is_over()
            {
                return Ok(Arc::clone(line));
            }
            let line = self.open(node)?;
            lines.retain(|_, line| !line.is_over());
            lines.insert((self.number, node), Arc::clone(&line));
            Ok(line)
        })
    }

    fn open(&self, node: NodeId) -> Result<Arc<Line>, BusError> {
        let unreachable = |why: &str| Err(BusError::Unreachable(why.to_owned()));
        let Some(address) = self.shared.directory.load().get(&node).cloned() else {
            return unreachable("no node of this id has an address");
        };
        let peer = self.shared.peer(node);
        if peer.is_paused() {
            return unreachable("it could not be reached a moment ago");
        }
        let line = Arc::new(Line::new(peer));
        let destination = Destination { node, address };
        let ending = ask::Ending(Arc::clone(&line));
        let task = ask::run(Arc::clone(&self.shared), destination, ending);
        match self.shared.tasks.spawn(task) {
            Some(_) => Ok(line),
            None => unreachable("this node's end of the link was closed"),
        }
    }
}

impl Drop for LinkBus {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}

#[async_trait]
impl NodeBus for LinkBus {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        if order.len() > self.shared.max_order {
            return Err(BusError::TooLarge(order.len()));
        }
        // An hour is longer than any caller waits; beyond it sums of time might not fit.
        let limit = limit.min(Duration::from_hours(1));
        let deadline = self.shared.clock.now() + limit.as_millis() as u64;
        let line = self.line(*to)?;
        line.ask(order, deadline, Instant::now() + limit)?.await
    }

    /// What keeps a listener from accepting. A node that does not listen hears well in this sense.
    fn deaf(&self) -> Option<String> {
        self.shared.troubles().iter().flatten().next().cloned()
    }
}

impl Destination {
    fn server_name(&self) -> io::Result<ServerName<'static>> {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host.to_owned())
            .map_err(|_| wire::broken("its address is neither a name nor an IP address"))
    }
}

impl Shared {
    fn peers(&self) -> MutexGuard<'_, HashMap<NodeId, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn troubles(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which node this is now.
    fn me(&self) -> NodeId {
        **self.node.load()
    }

    fn peer(&self, node: NodeId) -> Arc<Peer> {
        let mut peers = self.peers();
        let peer = peers
            .entry(node)
            .or_insert_with(|| Arc::new(Peer::new(self.start)));
        Arc::clone(peer)
    }

    fn set_trouble(&self, listener: usize, trouble: Option<String>) {
        if let Some(place) = self.troubles().get_mut(listener) {
            *place = trouble;
        }
    }

    /// Whether the registry still says so.
    fn leads_to(&self, destination: &Destination) -> bool {
        let directory = self.directory.load();
        directory.get(&destination.node) == Some(&destination.address)
    }
}

impl Counts {
    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a refusal may be said now.
    fn may_say(&self, start: Instant) -> bool {
        let now = start.elapsed().as_secs() + SAID_EVERY;
        let last = self.said.load(Ordering::Relaxed);
        now - last >= SAID_EVERY
            && (self.said)
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    fn broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }
}
