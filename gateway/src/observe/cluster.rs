//! What `/metrics` shows of a node among others.

use connection_store::Backlog;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// What became of an end from the outbox, as the `result` label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// A backend took it, or no repetition would help.
    Told,
    /// It is tried again later.
    Postponed,
    /// It became a dead letter.
    Dead,
}

impl Handover {
    fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Postponed => "postponed",
            Self::Dead => "dead",
        }
    }
}

/// The meters of what nodes do for each other. Without a store that nodes share all of them stay at zero.
#[derive(Debug, Default)]
pub struct ClusterMetrics {
    store_up: Gauge,
    roads_up: Gauge,
    nodes: Gauge,
    fenced: Counter,
    buried: Counter,
    repaired: Counter,
    ends: Family<Outcome, Counter>,
    waiting: Gauge,
    oldest: Gauge,
    dead: Gauge,
}

impl ClusterMetrics {
    /// All at zero, and known to `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "store_up",
            "1 while the store that nodes share answers",
            metrics.store_up.clone(),
        );
        registry.register(
            "roads_up",
            "1 while orders of other nodes are heard on every road",
            metrics.roads_up.clone(),
        );
        registry.register(
            "nodes",
            "Live nodes, this one included",
            metrics.nodes.clone(),
        );
        registry.register(
            "fenced",
            "Times that this process was declared dead and went on as a new node",
            metrics.fenced.clone(),
        );
        registry.register(
            "nodes_buried",
            "Nodes that this one declared dead",
            metrics.buried.clone(),
        );
        registry.register(
            "registrations_repaired",
            "Connections about which the store had to be told again",
            metrics.repaired.clone(),
        );
        registry.register(
            "outbox_ends",
            "$disconnects from the outbox by result",
            metrics.ends.clone(),
        );
        registry.register(
            "outbox_waiting",
            "$disconnects that wait in the outbox",
            metrics.waiting.clone(),
        );
        registry.register(
            "outbox_oldest_seconds",
            "Age of the oldest $disconnect in the outbox",
            metrics.oldest.clone(),
        );
        registry.register(
            "outbox_dead_letters",
            "$disconnects that were given up and can be replayed",
            metrics.dead.clone(),
        );
        metrics
    }

    /// The store answered, or did not.
    pub fn store_up(&self, up: bool) {
        self.store_up.set(i64::from(up));
    }

    /// Orders of other nodes can be heard, or not.
    pub fn roads_up(&self, up: bool) {
        self.roads_up.set(i64::from(up));
    }

    /// So many nodes are alive.
    pub fn nodes(&self, count: usize) {
        self.nodes.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// This node was declared dead.
    pub fn fenced(&self) {
        self.fenced.inc();
    }

    /// This node declared another dead.
    pub fn buried(&self) {
        self.buried.inc();
    }

    /// The store was told again.
    pub fn repaired(&self, connections: usize) {
        self.repaired.inc_by(connections as u64);
    }

    /// An end from the outbox was dealt with.
    pub fn handed_over(&self, outcome: Handover) {
        let result = outcome.name();
        self.ends.get_or_create(&Outcome { result }).inc();
    }

    /// What waits in the outbox.
    pub fn backlog(&self, backlog: &Backlog) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.set(number(backlog.waiting));
        self.oldest.set(number(backlog.oldest / 1000));
        self.dead.set(number(backlog.dead));
    }
}
