//! The store: a model of Redis on a machine of its own, and the nodes' way to it.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connection_store::{
    Backlog, Burial, Claimed, ConnectionRecord, ConnectionStore, DeadLetter, Fate, Fencing, Filter,
    Listing, MemoryStore, NodeEntry, NodeInfo, Outbox, Owed, Page, Registration, Renewal, Snapshot,
    StoreError,
};
use gateway::env::simulated::EPOCH;
use gateway_core::id::{ConnectionId, NodeId};
use harness::ledger::Event;

use crate::dice::Dice;
use crate::letters;
use crate::world::{Loss, Mood, STORE, World};

/// How long a lease lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
const PORT: u16 = 6379;
/// How long a node waits for the store.
const LIMIT: Duration = Duration::from_millis(500);
/// How old the data are before an unknown node is called absent.
const SETTLED: Duration = Duration::from_secs(4);

/// How long nobody answers while a replica takes over, in milliseconds: no node misses it, as it renews more often.
const TAKE_OVER: u64 = 900;

type Done = Box<dyn Any + Send>;
type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;
/// A question is what to do with the store.
type Question = Box<dyn FnOnce(Arc<MemoryStore>) -> Doing + Send>;

/// The store's machine.
pub(crate) async fn host(world: Arc<World>) -> turmoil::Result {
    let store = Arc::new(MemoryStore::new(LEASE, SETTLED, EPOCH));
    let store = Arc::clone(world.store.get_or_init(|| store));
    tokio::spawn(lose_data(Arc::clone(&world), Arc::clone(&store)));
    let dice = Arc::new(std::sync::Mutex::new(Dice::new(world.seed, "store")));
    letters::serve(PORT, move |question: Question| {
        let (world, store, dice) = (Arc::clone(&world), Arc::clone(&store), Arc::clone(&dice));
        async move {
            // Its connections broke, and nobody has taken over yet.
            if world.now() < world.lock().taken_over {
                return None;
            }
            let mood = loop {
                let mood = world.lock().store_mood;
                if !mood.paused {
                    break mood;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let Mood {
                refuses,
                loses_answers,
                dawdles,
                ..
            } = mood;
            let (refused, lost, wait) = {
                let mut dice = dice.lock().expect("nobody panics with it");
                let wait = if dice.permille(dawdles) { 700 } else { 0 };
                (
                    dice.permille(refuses),
                    dice.permille(loses_answers),
                    dice.between(0, wait),
                )
            };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if refused {
                return Some(Box::new(()) as Done);
            }
            let done = question(store).await;
            (!lost).then_some(done)
        }
    })
    .await?;
    Ok(())
}

/// Keeps what a replica would have, and loses data when told to.
async fn lose_data(world: Arc<World>, store: Arc<MemoryStore>) {
    const EVERY: u64 = 50;
    let mut replicas: VecDeque<Snapshot> = VecDeque::new();
    loop {
        tokio::time::sleep(Duration::from_millis(EVERY)).await;
        let loss = world.lock().loss.take();
        let before = loss.map(|_| world.stored());
        match loss {
            None => {}
            Some(Loss::Flush) => store.flush(),
            Some(Loss::RollBack { millis }) => {
                let back = ((millis / EVERY) as usize).min(replicas.len().saturating_sub(1));
                if let Some(replica) = replicas.get(back) {
                    store.roll_back(replica.clone());
                }
                world.lock().taken_over = world.now() + TAKE_OVER;
                replicas.drain(..back.min(replicas.len()));
            }
        }
        if let Some(before) = before {
            let after = world.stored();
            let running: Vec<NodeId> = {
                let shared = world.lock();
                shared.running.values().map(|one| one.node.id()).collect()
            };
            let is_over = |id: &&String| {
                let parsed = ConnectionId::parse(id);
                let Ok(gateway_core::id::ParsedId::Ours(id)) = parsed else {
                    return true;
                };
                !running.contains(&id.node())
            };
            let ids = before.difference(&after).filter(is_over).cloned().collect();
            world.write(Event::Forgotten { ids });
        }
        replicas.push_front(store.snapshot());
        replicas.truncate(40);
    }
}

/// A node's way to the store.
#[derive(Debug)]
pub(crate) struct StoreClient;

async fn ask<A: Send + 'static, Asking>(
    question: impl FnOnce(Arc<MemoryStore>) -> Asking + Send + 'static,
) -> Result<A, StoreError>
where
    Asking: Future<Output = Result<A, StoreError>> + Send,
{
    let question: Question =
        Box::new(move |store| Box::pin(async move { Box::new(question(store).await) as Done }));
    match letters::ask::<Question, Done>(STORE, PORT, question, LIMIT).await {
        Ok(done) => match done.downcast::<Result<A, StoreError>>() {
            Ok(done) => *done,
            Err(_) => Err(StoreError::Refused("it is told to".to_owned())),
        },
        Err(unheard) => Err(StoreError::Unavailable(format!("{unheard:?}"))),
    }
}

#[async_trait]
impl ConnectionStore for StoreClient {
    async fn register(&self, records: &[ConnectionRecord]) -> Result<Registration, StoreError> {
        let records = records.to_vec();
        ask(|store| async move { store.register(&records).await }).await
    }

    async fn unregister(&self, ids: &[ConnectionId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        ask(|store| async move { store.unregister(&ids).await }).await
    }

    async fn renew(&self, node: &NodeInfo) -> Result<Renewal, StoreError> {
        let node = node.clone();
        ask(|store| async move { store.renew(&node).await }).await
    }

    async fn retire(&self, node: &NodeId) -> Result<(), StoreError> {
        let node = *node;
        ask(move |store| async move { store.retire(&node).await }).await
    }

    async fn fate(&self, node: &NodeId) -> Result<Fate, StoreError> {
        let node = *node;
        ask(move |store| async move { store.fate(&node).await }).await
    }

    async fn nodes(&self) -> Result<Vec<NodeEntry>, StoreError> {
        ask(|store| async move { store.nodes().await }).await
    }

    async fn fence(&self, node: &NodeId) -> Result<Fencing, StoreError> {
        let node = *node;
        ask(move |store| async move { store.fence(&node).await }).await
    }

    async fn bury(
        &self,
        node: &NodeId,
        (code, reason): (u16, &str),
        limit: usize,
    ) -> Result<Burial, StoreError> {
        let (node, reason) = (*node, reason.to_owned());
        // Small portions, so that a burial can be cut off in the middle.
        let limit = limit.min(3);
        ask(move |store| async move { store.bury(&node, (code, &reason), limit).await }).await
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        let filter = filter.clone();
        ask(move |store| async move { store.list(&filter, page).await }).await
    }
}

#[async_trait]
impl Outbox for StoreClient {
    async fn put(&self, owed: &[Owed]) -> Result<(), StoreError> {
        let owed = owed.to_vec();
        ask(|store| async move { store.put(&owed).await }).await
    }

    async fn claim(&self, limit: usize, hold: Duration) -> Result<Vec<Claimed>, StoreError> {
        ask(move |store| async move { store.claim(limit, hold).await }).await
    }

    async fn settle(&self, id: &ConnectionId) -> Result<(), StoreError> {
        let id = *id;
        ask(move |store| async move { store.settle(&id).await }).await
    }

    async fn postpone(&self, id: &ConnectionId, pause: Duration) -> Result<(), StoreError> {
        let id = *id;
        ask(move |store| async move { store.postpone(&id, pause).await }).await
    }

    async fn give_up(&self, id: &ConnectionId, why: &str) -> Result<(), StoreError> {
        let (id, why) = (*id, why.to_owned());
        ask(move |store| async move { store.give_up(&id, &why).await }).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        ask(|store| async move { store.backlog().await }).await
    }

    async fn dead(&self, skip: usize, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        ask(move |store| async move { store.dead(skip, limit).await }).await
    }

    async fn replay(&self, id: &ConnectionId) -> Result<bool, StoreError> {
        let id = *id;
        ask(move |store| async move { store.replay(&id).await }).await
    }
}
