//! What all of one run share: the ledger, who runs, and how store and backend are disposed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use connection_store::MemoryStore;
use gateway::env::simulated::Process;
use gateway::node::Node;
use harness::ledger::{Entry, Event};

pub(crate) const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];
pub(crate) const CROWDS: [&str; 2] = ["clients-1", "clients-2"];
pub(crate) const STORE: &str = "store";
pub(crate) const BACKEND: &str = "backend";
pub(crate) const PUSHERS: &str = "pushers";

/// A node's process.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) node: Arc<Node>,
    /// It was asked to leave in good order.
    pub(crate) leaving: Arc<AtomicBool>,
    /// It has left.
    pub(crate) left: Arc<AtomicBool>,
}

/// What store and backend do to those who ask them; shares are of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mood {
    /// Nothing is answered until this is over, and then everything.
    pub(crate) paused: bool,
    pub(crate) refuses: u64,
    pub(crate) loses_answers: u64,
    pub(crate) dawdles: u64,
}

/// What happens to the store's data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    Flush,
    RollBack { millis: u64 },
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) store: OnceLock<Arc<MemoryStore>>,
    /// Nobody comes any more, nothing goes wrong any more.
    pub(crate) quiet: AtomicBool,
    outside: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) ledger: Vec<Entry>,
    pub(crate) running: BTreeMap<&'static str, Running>,
    /// Clients under way, with their crowd and node.
    pub(crate) attempts: BTreeMap<String, (&'static str, &'static str)>,
    /// Connections that the backend has heard of.
    pub(crate) known: Vec<String>,
    pub(crate) store_mood: Mood,
    pub(crate) backend_mood: Mood,
    pub(crate) loss: Option<Loss>,
    /// When a replica has taken over.
    pub(crate) taken_over: u64,
    pub(crate) generations: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            store: OnceLock::new(),
            quiet: AtomicBool::new(false),
            outside: AtomicU64::new(0),
            shared: Mutex::default(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        turmoil::sim_elapsed().map_or_else(
            || self.outside.load(Ordering::Relaxed),
            |elapsed| elapsed.as_millis() as u64,
        )
    }

    /// The time for whoever stands outside of all machines.
    pub(crate) fn is_now(&self, millis: u64) {
        self.outside.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn write(&self, event: Event) {
        let at = self.now();
        self.lock().ledger.push(Entry { at, event });
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    pub(crate) fn running(&self, name: &str) -> Option<Running> {
        self.lock().running.get(name).cloned()
    }

    /// Connections of which a backend must still be told, of all nodes or of one.
    pub(crate) fn untold(&self, of: Option<&str>) -> BTreeSet<String> {
        let shared = self.lock();
        let mut nodes = BTreeMap::new();
        let mut untold = BTreeSet::new();
        for entry in &shared.ledger {
            match &entry.event {
                Event::Connect { id, node, .. } => {
                    nodes.insert(id, node);
                }
                Event::Entered { id } if of.is_none_or(|of| nodes[id] == of) => {
                    untold.insert(id.clone());
                }
                Event::Disconnect {
                    id, taken: true, ..
                } => {
                    untold.remove(id);
                }
                _ => {}
            }
        }
        untold
    }

    /// Connections whose clients are there.
    pub(crate) fn connected(&self) -> BTreeSet<String> {
        let shared = self.lock();
        let (mut ids, mut connected) = (BTreeMap::new(), BTreeSet::new());
        for entry in &shared.ledger {
            match &entry.event {
                Event::Connect { client, id, .. } => {
                    ids.insert(client, id);
                }
                Event::Opened { client } => {
                    connected.insert(client);
                }
                Event::Closing { client } | Event::Vanished { client } | Event::Over { client } => {
                    connected.remove(client);
                }
                _ => {}
            }
        }
        let ids = connected.into_iter().filter_map(|client| ids.get(client));
        ids.map(|id| (*id).clone()).collect()
    }

    /// Connections that the store knows of.
    pub(crate) fn stored(&self) -> BTreeSet<String> {
        let store = self.store.get();
        let snapshot = store.map(|store| store.snapshot());
        let ids = snapshot.map(|snapshot| snapshot.connections());
        ids.unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// A node's process ends without a word.
    pub(crate) fn killed(&self, name: &str) {
        let Some(running) = self.lock().running.remove(name) else {
            return;
        };
        let node = running.node.id().to_string();
        let stored = self.stored();
        let untold = self.untold(Some(&node));
        let unknown = untold.difference(&stored).cloned().collect();
        self.write(Event::Killed { node, unknown });
    }
}
