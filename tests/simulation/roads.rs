//! The way between nodes, straight from one to the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use connection_store::{BusError, Inbox, NodeBus, NodeInfo, StoreClock};
use gateway::env;
use gateway::node::{NodeInbox, Roads};
use gateway_core::id::NodeId;

use crate::letters::{self, Unheard};

const PORT: u16 = 7000;

#[derive(Debug)]
pub(crate) struct Link {
    clock: Arc<StoreClock>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    me: NodeId,
    /// Where nodes are, or were.
    places: BTreeMap<NodeId, String>,
    heard: BTreeMap<NodeId, u64>,
}

struct Order {
    from: NodeId,
    to: NodeId,
    /// In the time that all share.
    until: u64,
    bytes: Bytes,
}

impl Link {
    pub(crate) fn new(me: NodeId, clock: Arc<StoreClock>) -> Arc<Self> {
        let known = Known {
            me,
            places: BTreeMap::new(),
            heard: BTreeMap::new(),
        };
        Arc::new(Self {
            clock,
            known: Mutex::new(known),
        })
    }

    /// Takes orders of others.
    pub(crate) async fn serve(self: Arc<Self>, inbox: Arc<NodeInbox>) -> std::io::Result<()> {
        letters::serve(PORT, move |order: Order| {
            let answer = self.receive(order, &inbox);
            async move { answer }
        })
        .await
    }

    fn receive(&self, order: Order, inbox: &NodeInbox) -> Option<Bytes> {
        let me = self.with(|known| {
            known.heard.insert(order.from, env::uptime());
            known.me
        });
        if order.to != me || self.clock.now() > order.until {
            return None;
        }
        inbox.receive(order.from, order.bytes)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl NodeBus for Link {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        let (place, from) = self.with(|known| (known.places.get(to).cloned(), known.me));
        let place = place.ok_or_else(|| BusError::Unreachable("no link".to_owned()))?;
        let order = Order {
            from,
            to: *to,
            until: self.clock.now() + limit.as_millis() as u64,
            bytes: order,
        };
        let answered = letters::ask(&place, PORT, order, limit).await;
        if answered.is_ok() {
            self.with(|known| known.heard.insert(*to, env::uptime()));
        }
        answered.map_err(|unheard| match unheard {
            Unheard::NotSent | Unheard::Withheld => {
                BusError::Unreachable("no connection".to_owned())
            }
            Unheard::NoAnswer => BusError::Unanswered,
        })
    }

    fn deaf(&self) -> Option<String> {
        None
    }
}

impl Roads for Link {
    fn meet(&self, nodes: &[NodeInfo]) {
        self.with(|known| {
            for node in nodes {
                if let Some(link) = &node.link {
                    known.places.insert(node.id, link.clone());
                }
            }
        });
    }

    fn heard(&self, node: &NodeId) -> Option<Duration> {
        let at = self.with(|known| known.heard.get(node).copied())?;
        Some(Duration::from_millis(env::uptime().saturating_sub(at)))
    }

    fn rename(&self, me: NodeId) {
        self.with(|known| known.me = me);
    }
}
