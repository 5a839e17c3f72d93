//! Registry and outbox in memory: what Redis promises, for nodes that live in one process.
//!
//! A gateway by itself needs neither: its own table of connections ends with it. This is the model that tests and the
//! simulation hold against the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{ConnectionId, NodeId};
use tokio::time::Instant;

use crate::{
    Backlog, Burial, Claimed, ConnectionRecord, ConnectionStore, DeadLetter, Fate, Fencing, Filter,
    Lease, Listing, MOST_DEAD, NodeEntry, NodeInfo, Outbox, Owed, Page, Registration, Renewal,
    StoreError,
};

/// A store that all who hold it share.
#[derive(Debug)]
pub struct MemoryStore {
    lease: Duration,
    /// An unknown node is [`Fate::Absent`] once the data are so old.
    settled_after: Duration,
    data: Mutex<Data>,
}

/// What a store held at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot(Data);

impl Snapshot {
    /// Connections that it knows of: registered ones, and those whose ends wait or were given up.
    pub fn connections(&self) -> Vec<ConnectionId> {
        let Data {
            nodes,
            outbox,
            dead,
            ..
        } = &self.0;
        let registered = nodes.values().flat_map(|node| node.records.keys());
        let dead = dead.iter().map(|letter| &letter.owed.record.connection.id);
        registered
            .chain(outbox.keys())
            .chain(dead)
            .copied()
            .collect()
    }
}

#[derive(Debug, Clone)]
struct Data {
    born: Instant,
    /// The epoch's milliseconds at `born`.
    epoch: u64,
    fenced: BTreeSet<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    outbox: BTreeMap<ConnectionId, Entry>,
    dead: Vec<DeadLetter>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    info: Option<(NodeInfo, Instant)>,
    records: BTreeMap<ConnectionId, ConnectionRecord>,
}

#[derive(Debug, Clone)]
struct Entry {
    owed: Owed,
    attempts: u32,
    since: Instant,
    due: Instant,
}

impl MemoryStore {
    /// An empty store. A lease lasts `lease`; a node that nobody knows is [`Fate::Absent`] once the data are
    /// `settled_after` old; `epoch` is the time now, in milliseconds of the epoch.
    pub fn new(lease: Duration, settled_after: Duration, epoch: u64) -> Self {
        Self {
            lease,
            settled_after,
            data: Mutex::new(Data::new(epoch)),
        }
    }

    /// Loses everything, as a store that is restarted without its data.
    pub fn flush(&self) {
        let mut data = self.lock();
        *data = Data::new(data.time());
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Forgets what came since, as a store whose replica takes over without the last writes.
    pub fn roll_back(&self, to: Snapshot) {
        *self.lock() = to.0;
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    fn new(epoch: u64) -> Self {
        Self {
            born: Instant::now(),
            epoch,
            fenced: BTreeSet::new(),
            nodes: BTreeMap::new(),
            outbox: BTreeMap::new(),
            dead: Vec::new(),
        }
    }

    fn time(&self) -> u64 {
        self.epoch + millis(self.born.elapsed())
    }

    fn holds_lease(&self, node: NodeId, lease: Duration) -> bool {
        let info = self.nodes.get(&node).and_then(|node| node.info.as_ref());
        info.is_some_and(|(_, renewed)| renewed.elapsed() < lease)
    }

    fn put(&mut self, owed: Owed) {
        let now = Instant::now();
        let id = owed.record.connection.id;
        self.outbox.entry(id).or_insert(Entry {
            owed,
            attempts: 0,
            since: now,
            due: now,
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl ConnectionStore for MemoryStore {
    async fn register(&self, records: &[ConnectionRecord]) -> Result<Registration, StoreError> {
        let mut data = self.lock();
        if records
            .iter()
            .any(|record| data.fenced.contains(&record.node()))
        {
            return Ok(Registration::Fenced);
        }
        for record in records {
            let node = data.nodes.entry(record.node()).or_default();
            node.records.insert(record.connection.id, record.clone());
        }
        Ok(Registration::Done)
    }

    async fn unregister(&self, ids: &[ConnectionId]) -> Result<(), StoreError> {
        let mut data = self.lock();
        for id in ids {
            if let Some(node) = data.nodes.get_mut(&id.node()) {
                node.records.remove(id);
            }
        }
        Ok(())
    }

    async fn renew(&self, node: &NodeInfo) -> Result<Renewal, StoreError> {
        let mut data = self.lock();
        let held = data.holds_lease(node.id, self.lease);
        let lease = match (data.fenced.contains(&node.id), held) {
            (true, _) => Lease::Fenced,
            (false, true) => Lease::Held,
            (false, false) => Lease::Lapsed,
        };
        let time = data.time();
        if lease == Lease::Fenced {
            return Ok(Renewal {
                lease,
                time,
                registered: 0,
            });
        }
        let known = data.nodes.entry(node.id).or_default();
        known.info = Some((node.clone(), Instant::now()));
        Ok(Renewal {
            lease,
            time,
            registered: known.records.len() as u64,
        })
    }

    async fn retire(&self, node: &NodeId) -> Result<(), StoreError> {
        let mut data = self.lock();
        data.fenced.insert(*node);
        // What is registered all the same is there to be buried.
        if let Some(known) = data.nodes.get_mut(node) {
            known.info = None;
            if known.records.is_empty() {
                data.nodes.remove(node);
            }
        }
        Ok(())
    }

    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError> {
        let data = self.lock();
        Ok(if data.fenced.contains(node) {
            Fate::Fenced
        } else if data.holds_lease(*node, self.lease) {
            Fate::Live
        } else if !data.nodes.contains_key(node) && data.born.elapsed() >= self.settled_after {
            Fate::Absent
        } else {
            Fate::Unknown
        })
    }

    async fn nodes(&self) -> Result<Vec<NodeEntry>, StoreError> {
        let data = self.lock();
        let entry = |(id, node): (&NodeId, &Node)| NodeEntry {
            id: *id,
            info: (node.info.as_ref())
                .filter(|(_, renewed)| renewed.elapsed() < self.lease)
                .map(|(info, _)| info.clone()),
            silent_for: (node.info.as_ref())
                .map_or(u64::MAX, |(_, renewed)| millis(renewed.elapsed())),
            connections: node.records.len() as u64,
        };
        Ok(data.nodes.iter().map(entry).collect())
    }

    async fn fence(&self, node: &NodeId) -> Result<Fencing, StoreError> {
        let mut data = self.lock();
        if data.holds_lease(*node, self.lease) {
            return Ok(Fencing::Alive);
        }
        data.fenced.insert(*node);
        Ok(Fencing::Fenced)
    }

    async fn bury(
        &self,
        node: &NodeId,
        (code, reason): (u16, &str),
        limit: usize,
    ) -> Result<Burial, StoreError> {
        let mut data = self.lock();
        if !data.fenced.contains(node) {
            let why = format!("node {node} is not fenced, so it is not buried");
            return Err(StoreError::Refused(why));
        }
        let ended_at = data.time();
        let mut moved = 0;
        while moved < limit {
            let records = data.nodes.get_mut(node).map(|node| &mut node.records);
            let Some((_, record)) = records.and_then(BTreeMap::pop_first) else {
                data.nodes.remove(node);
                return Ok(Burial::Done(moved));
            };
            data.put(Owed {
                record,
                code,
                reason: reason.to_owned(),
                ended_at,
            });
            moved += 1;
        }
        Ok(Burial::More(moved))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        let data = self.lock();
        let all = data.nodes.values().flat_map(|node| node.records.values());
        let mut records: Vec<_> = all
            .filter(|record| filter.admits(record))
            .filter(|record| page.after.is_none_or(|after| record.connection.id > after))
            .take(page.limit + 1)
            .cloned()
            .collect();
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next = records.last().filter(|_| more);
        let next = next.map(|record| record.connection.id);
        Ok(Listing { records, next })
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn put(&self, owed: &[Owed]) -> Result<(), StoreError> {
        let mut data = self.lock();
        for owed in owed {
            data.put(owed.clone());
        }
        Ok(())
    }

    async fn claim(&self, limit: usize, hold: Duration) -> Result<Vec<Claimed>, StoreError> {
        let mut data = self.lock();
        let now = Instant::now();
        let mut due: Vec<&mut Entry> = data.outbox.values_mut().filter(|e| e.due <= now).collect();
        due.sort_by_key(|entry| entry.due);
        let claim = |entry: &mut Entry| {
            entry.due = now + hold;
            entry.attempts += 1;
            Claimed {
                owed: entry.owed.clone(),
                attempts: entry.attempts - 1,
                age: millis(entry.since.elapsed()),
            }
        };
        Ok(due.into_iter().take(limit).map(claim).collect())
    }

    async fn settle(&self, id: &ConnectionId) -> Result<(), StoreError> {
        self.lock().outbox.remove(id);
        Ok(())
    }

    async fn postpone(&self, id: &ConnectionId, pause: Duration) -> Result<(), StoreError> {
        if let Some(entry) = self.lock().outbox.get_mut(id) {
            entry.due = Instant::now() + pause;
        }
        Ok(())
    }

    async fn give_up(&self, id: &ConnectionId, why: &str) -> Result<(), StoreError> {
        let mut data = self.lock();
        let given_up_at = data.time();
        if let Some(entry) = data.outbox.remove(id) {
            data.dead.push(DeadLetter {
                owed: entry.owed,
                attempts: entry.attempts,
                why: why.to_owned(),
                given_up_at,
            });
        }
        let surplus = data.dead.len().saturating_sub(MOST_DEAD);
        data.dead.drain(..surplus);
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let data = self.lock();
        let ages = data.outbox.values().map(|e| millis(e.since.elapsed()));
        Ok(Backlog {
            waiting: data.outbox.len() as u64,
            oldest: ages.max().unwrap_or(0),
            dead: data.dead.len() as u64,
        })
    }

    async fn dead(&self, skip: usize, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let data = self.lock();
        Ok(data.dead.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn replay(&self, id: &ConnectionId) -> Result<bool, StoreError> {
        let mut data = self.lock();
        let place = data
            .dead
            .iter()
            .position(|letter| letter.owed.record.connection.id == *id);
        let Some(place) = place else {
            return Ok(false);
        };
        let letter = data.dead.remove(place);
        data.put(letter.owed);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn store() -> MemoryStore {
        MemoryStore::new(contract::LEASE, contract::SETTLED, 1_700_000_000_000)
    }

    #[tokio::test(start_paused = true)]
    async fn memory_keeps_the_contract_of_a_registry() {
        let store = store();
        contract::registry::all(&store, &store).await;
    }

    #[tokio::test(start_paused = true)]
    async fn memory_keeps_the_contract_of_an_outbox() {
        contract::outbox::all(&store()).await;
    }
}
