//! The other nodes: who they are, what became of them, how an order reaches them.
//!
//! `life.rs` keeps this node's lease, `farewell.rs` ends it in good order, `reaper.rs` buries the dead, `inbox.rs` acts on what others ask, `wire.rs` has the bytes.

mod farewell;
mod inbox;
mod life;
mod reaper;
mod ways;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connection_store::{
    Burial, BusError, ConnectionStore, Fate, NodeBus, NodeEntry, NodeInfo, Outbox, StoreClock,
    StoreError,
};
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::session::CloseCause;

use super::{Delivered, Order, Reach};
use crate::env;

pub use farewell::leave;
pub use inbox::NodeInbox;
pub use life::Life;
pub use ways::Ways;

/// How long an order to another node may take. AWS's SDKs wait far longer, and try again after a 503.
const ORDER_LIMIT: Duration = Duration::from_millis(1_500);
/// Incarnations that are remembered as dead.
const MOST_DEAD: usize = 4096;

/// Ends put into the outbox at once.
const BATCH: usize = 500;
/// Nodes that are looked for at once.
const ASKED_AT_ONCE: usize = 8;

/// The way to the other nodes, with what it learns of them and must be told.
pub trait Roads: NodeBus {
    /// Who is there now.
    fn meet(&self, nodes: &[NodeInfo]);
    /// How long ago something came that only this node can have sent, on a connection straight from it.
    fn heard(&self, node: &NodeId) -> Option<Duration>;
    /// From now on this node is that incarnation.
    fn rename(&self, me: NodeId);
}

/// What is shared with the other nodes, and what is known of them.
pub struct Cluster {
    /// The registry that all share.
    pub store: Arc<dyn ConnectionStore>,
    /// What dead nodes left undone.
    pub outbox: Arc<dyn Outbox>,
    /// The way to them.
    pub roads: Arc<dyn Roads>,
    /// The time that all share.
    pub clock: Arc<StoreClock>,
    /// The store answers.
    up: AtomicBool,
    /// How long a renewal counts, in milliseconds; without end until [`Life`] begins.
    lease: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Those of them that the store last named. One may have lost the store: it holds no lease any more, but is reached, and
    /// asked, until it is buried.
    peers: BTreeSet<NodeId>,
    /// Every node that was ever among the others and is not known to be dead. A store that has lost its data does not name
    /// them all.
    ever: BTreeMap<NodeId, NodeInfo>,
    /// What was read once of nodes of which something else is known.
    doubtful: BTreeMap<NodeId, NodeInfo>,
    /// When each node renewed its lease last, by [`env::uptime`], as the store said; not later than it was.
    renewed: BTreeMap<NodeId, u64>,
    /// Until when each was heard by this one since then, without a gap of a lease.
    heard: BTreeMap<NodeId, u64>,
    dead: HashSet<NodeId>,
    died: VecDeque<NodeId>,
}

impl Known {
    /// Where a node is reached never changes while it lives: what the store says otherwise is believed once it was said
    /// twice.
    fn learn(&mut self, info: NodeInfo) {
        let id = info.id;
        match self.ever.get(&id) {
            Some(before) if before.link == info.link => {}
            Some(_) if self.doubtful.get(&id) != Some(&info) => {
                self.doubtful.insert(id, info);
                return;
            }
            _ => {
                self.ever.insert(id, info);
            }
        }
        self.doubtful.remove(&id);
    }

    /// What the store says of a node's last renewal, asked at `now`.
    fn renewed(&mut self, entry: &NodeEntry, now: u64) {
        if let Some(at) = now.checked_sub(entry.silent_for) {
            let renewed = self.renewed.entry(entry.id).or_default();
            *renewed = at.max(*renewed);
        }
    }

    /// Something came from a node: whether it cannot have been buried before. Who asks this one whether it has heard the node
    /// buries it only where a lease has gone by since.
    fn hears(&mut self, node: NodeId, now: u64, lease: u64) -> bool {
        let last = self.heard.get(&node).max(self.renewed.get(&node));
        let goes_on = last.is_some_and(|last| now < last.saturating_add(lease));
        let goes_on = goes_on && !self.dead.contains(&node);
        if goes_on {
            self.heard.insert(node, now);
        }
        goes_on
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// What a node needs of the others.
    pub fn new(
        store: Arc<dyn ConnectionStore>,
        outbox: Arc<dyn Outbox>,
        roads: Arc<dyn Roads>,
        clock: Arc<StoreClock>,
    ) -> Self {
        Self {
            store,
            outbox,
            roads,
            clock,
            up: AtomicBool::new(false),
            lease: AtomicU64::new(u64::MAX),
            known: Mutex::default(),
        }
    }

    /// Whether the store answered when it was last asked.
    pub fn store_is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    fn store_is(&self, up: bool) {
        self.up.store(up, Ordering::Release);
    }

    /// Nodes but for this one that are not known to be dead; first those that the store last named.
    pub fn peers(&self) -> Vec<NodeId> {
        let known = self.known();
        let unnamed = (known.ever.keys()).filter(|node| !known.peers.contains(*node));
        known.peers.iter().chain(unnamed).copied().collect()
    }

    /// Why orders of other nodes, or the answers of the store, are not to be counted on; `None` while all is well.
    pub fn trouble(&self) -> Option<String> {
        if !self.store_is_up() {
            return Some("the store does not answer".to_owned());
        }
        self.roads.deaf()
    }

    /// Whether an incarnation is known never to act again.
    pub fn is_dead(&self, node: &NodeId) -> bool {
        self.known().dead.contains(node)
    }

    /// Carries an order of node `me` to the node that holds the connection, and its answer back.
    pub(super) async fn send(
        &self,
        me: NodeId,
        id: &ConnectionId,
        reach: Reach<&str>,
        order: &Order,
    ) -> Result<Delivered, Failure> {
        let owner = id.node();
        let (is_dead, is_peer) = {
            let known = self.known();
            (known.dead.contains(&owner), known.peers.contains(&owner))
        };
        if is_dead {
            return Err(Failure::Gone);
        }
        if !is_peer {
            self.seek(me, owner).await?;
        }
        let bytes = wire::order(id, reach, order);
        match self.roads.request(&owner, bytes, ORDER_LIMIT).await {
            Ok(answer) => match wire::read_answer(answer) {
                Ok(wire::Answer::Done(done)) => done,
                Ok(wire::Answer::Heard(_)) | Err(_) => Err(Failure::Unknown),
            },
            Err(BusError::Busy) => Err(Failure::Unknown),
            Err(BusError::TooLarge(bytes)) => Err(Failure::PayloadTooLarge(bytes as u64)),
            Err(BusError::Unreachable(_) | BusError::Unanswered) => {
                let fate = self.store.fate(&owner).await;
                Err(self.verdict(owner, &fate))
            }
        }
    }

    /// Finds out about a node that was not among the others when these were last listed. An id is a hint that anybody can
    /// make up: nothing is sent to a node of which nobody ever heard.
    async fn seek(&self, me: NodeId, node: NodeId) -> Result<(), Failure> {
        let fate = self.store.fate(&node).await;
        if fate == Ok(Fate::Live) {
            // It has just come.
            let asked = env::uptime();
            if let Ok(nodes) = self.store.nodes().await {
                self.met(me, &nodes, asked);
            }
            return Ok(());
        }
        match self.verdict(node, &fate) {
            // It may be cut off from the store, and there all the same.
            Failure::Unknown if self.known().ever.contains_key(&node) => Ok(()),
            failure => Err(failure),
        }
    }

    /// What may be said of a connection whose node does not answer: gone, where the node can never act again, or unknown.
    fn verdict(&self, node: NodeId, fate: &Result<Fate, StoreError>) -> Failure {
        match fate {
            Ok(Fate::Fenced) => {
                self.buried(node);
                Failure::Gone
            }
            // A node that was here may be cut off from a store that has lost its data since.
            Ok(Fate::Absent) if !self.known().ever.contains_key(&node) => Failure::Gone,
            Ok(Fate::Live | Fate::Absent | Fate::Unknown) | Err(_) => Failure::Unknown,
        }
    }

    /// A node asks whether it may act because this one hears it. Only one that cannot have been buried meanwhile may: one that
    /// slept or was cut off from all for a lease has to ask the store.
    fn vouches_for(&self, node: NodeId) -> bool {
        let lease = self.lease.load(Ordering::Relaxed);
        self.known().hears(node, env::uptime(), lease)
    }

    /// Nodes that held their lease within the last two and may, therefore, have vouched for another one within the last. What
    /// one of them has heard is not known while it does not say so, and its end does not undo it.
    fn witnesses(&self) -> BTreeSet<NodeId> {
        let known = self.known();
        known.renewed.keys().copied().collect()
    }

    /// The store said who is there; it was asked at `asked`.
    fn met(&self, me: NodeId, nodes: &[NodeEntry], asked: u64) -> Met {
        let others = || nodes.iter().filter(|entry| entry.id != me);
        let live = || others().filter_map(|entry| entry.info.clone());
        let mut known = self.known();
        live().for_each(|info| known.learn(info));
        others().for_each(|entry| known.renewed(entry, asked));
        let two_leases = self.lease.load(Ordering::Relaxed).saturating_mul(2);
        let is_recent = |at: &u64| asked < at.saturating_add(two_leases);
        known.renewed.retain(|_, at| is_recent(at));
        known.heard.retain(|_, at| is_recent(at));
        let named = || others().filter(|entry| !known.dead.contains(&entry.id));
        let peers = named().map(|entry| entry.id);
        let peers = peers.filter(|id| known.ever.contains_key(id)).collect();
        let met = Met {
            live: live().count(),
            others: named().next().is_some(),
        };
        known.peers = peers;
        // Whoever left in good order is buried by then; nothing is asked of them any more.
        if known.ever.len() > MOST_DEAD {
            let Known { ever, peers, .. } = &mut *known;
            ever.retain(|id, _| peers.contains(id));
        }
        // Where nothing can be read of a node that renewed its lease, it is not silent.
        let lease = self.lease.load(Ordering::Relaxed);
        let lapsed = |entry: &&NodeEntry| entry.info.is_none() && entry.silent_for > lease;
        let silent: HashMap<NodeId, u64> = (others().filter(lapsed))
            .map(|entry| (entry.id, entry.silent_for))
            .collect();
        let ever: Vec<NodeInfo> = known.ever.values().cloned().collect();
        drop(known);
        // Of one that lost the store more is heard here than there, since it asks whether it is heard. Another one is gone,
        // or stopped, and who pushes to it need not wait for an answer.
        let reached = |info: &NodeInfo| {
            silent.get(&info.id).is_none_or(|silent| {
                let heard = self.roads.heard(&info.id);
                heard.is_some_and(|ago| ago.as_millis() * 2 < u128::from(*silent))
            })
        };
        let reached: Vec<NodeInfo> = ever.into_iter().filter(reached).collect();
        self.roads.meet(&reached);
        met
    }

    /// Nodes that were among the others and that the store does not name any more: they left in good order or were buried,
    /// unless the store has lost its data.
    fn missing(&self, nodes: &[NodeEntry]) -> Vec<NodeId> {
        let known = self.known();
        let is_named = |node: &NodeId| nodes.iter().any(|entry| entry.id == *node);
        let missing = known.ever.keys().filter(|node| !is_named(node));
        missing.take(ASKED_AT_ONCE).copied().collect()
    }

    /// An incarnation is known to be dead.
    fn buried(&self, node: NodeId) {
        let mut known = self.known();
        known.peers.remove(&node);
        known.ever.remove(&node);
        known.doubtful.remove(&node);
        if known.dead.insert(node) {
            known.died.push_back(node);
        }
        if known.died.len() > MOST_DEAD
            && let Some(oldest) = known.died.pop_front()
        {
            known.dead.remove(&oldest);
        }
    }

    /// Moves what is registered of a fenced node to the outbox, and returns how much this call moved: another node may be at
    /// it, and then does the rest.
    async fn bury(&self, node: &NodeId, cause: &CloseCause) -> Result<usize, StoreError> {
        let end = (cause.code(), cause.reason());
        let mut moved = 0;
        loop {
            match self.store.bury(node, end, BATCH).await? {
                Burial::More(count) => moved += count,
                Burial::Done(count) => return Ok(moved + count),
                Burial::Taken => return Ok(moved),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a node whether it is there, and how long ago it heard `about`.
    async fn probe(&self, node: &NodeId, about: Option<NodeId>, limit: Duration) -> Option<Heard> {
        let answer = self.roads.request(node, wire::probe(about), limit).await;
        match wire::read_answer(answer.ok()?) {
            Ok(wire::Answer::Heard(heard)) => {
                self.vouches_for(*node);
                Some(Heard(heard))
            }
            Ok(wire::Answer::Done(_)) | Err(_) => None,
        }
    }
}

/// Whom the store named.
struct Met {
    /// Other nodes that hold their lease.
    live: usize,
    /// There is any other that is not buried.
    others: bool,
}

/// What a node that answers a probe knows of another one.
struct Heard(Option<Duration>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_of_a_node_is_believed_once_it_was_said_twice() {
        let mut known = Known::default();
        let id = NodeId([7; 6]);
        // What the store says, and where the node is believed to be then.
        for (said, believed) in [
            ("a", "a"),
            ("x", "a"),
            ("a", "a"),
            ("x", "a"),
            ("y", "a"),
            ("y", "y"),
        ] {
            known.learn(NodeInfo {
                id,
                hostname: String::new(),
                version: String::new(),
                link: Some(said.to_owned()),
                started_at: 0,
            });
            let link = known.ever[&id].link.as_deref();
            assert_eq!(link, Some(believed), "after {said}");
        }
    }

    /// A node that renewed at 0 and is heard at these times: whether this one vouches for it.
    #[track_caller]
    fn check(heard: &[(u64, bool)]) {
        let (mut known, id) = (Known::default(), NodeId([7; 6]));
        let entry = NodeEntry {
            id,
            info: None,
            silent_for: 500,
            connections: 0,
        };
        assert!(!known.hears(id, 400, 1000), "nobody named it");
        known.renewed(&entry, 500);
        for (at, vouches) in heard {
            assert_eq!(known.hears(id, *at, 1000), *vouches, "at {at}");
        }
        known.dead.insert(id);
        assert!(!known.hears(id, 501, 1000), "it is dead");
    }

    #[test]
    fn a_node_is_vouched_for_while_it_cannot_have_been_buried() {
        check(&[(900, true), (1800, true), (2700, true)]);
        check(&[(1000, false), (1001, false)]);
        // Heard again after a gap: it may have been buried in it.
        check(&[(900, true), (1900, false), (1950, false), (2500, false)]);
    }
}
