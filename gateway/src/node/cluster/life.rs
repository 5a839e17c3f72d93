//! The life of a node among others: it renews its lease, learns who is there, and knows when it must not act.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connection_store::{Fate, Lease, NodeEntry, NodeInfo, Owed, Renewal, StoreError};
use futures_util::future::join_all;
use gateway_core::id::NodeId;
use gateway_core::session::CloseCause;
use gateway_core::tenure::{Standing, Tenure, Terms};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{BATCH, Cluster};
use crate::env;
use crate::node::{Node, Repair};
use crate::observe::Observe;

/// Nodes that are asked whether they hear us while the store is away.
const WITNESSES: usize = 8;
/// After so many leases the store is read through, even where nothing seems to be wrong.
const REVIEW: u64 = 30;

/// Keeps one node's place among the others.
#[derive(Debug)]
pub struct Life {
    node: Arc<Node>,
    observe: Arc<Observe>,
    info: NodeInfo,
    terms: Terms,
    tenure: Tenure,
    standing: Standing,
    /// Renewals in a row after which the store knew another number of connections than there are.
    miscounted: u8,
    /// When the store was last brought up to date.
    reviewed: u64,
    /// Since when the store is away.
    away_since: Option<u64>,
    /// Ends that nobody else knows of and that are not in the outbox yet.
    untold: Vec<Owed>,
    /// Somebody looks for dead nodes.
    reaping: Arc<Mutex<()>>,
    /// The store is being brought up to date; whether the log has heard that this fails.
    reconciling: Arc<Mutex<bool>>,
}

impl Life {
    /// Takes the lease for the first time; the node acts from then on.
    pub async fn begin(
        node: Arc<Node>,
        observe: Arc<Observe>,
        info: NodeInfo,
        terms: Terms,
    ) -> Result<Self, StoreError> {
        let mut life = Self {
            node,
            observe,
            info,
            terms,
            tenure: Tenure::new(terms, 0),
            standing: Standing::Suspended,
            miscounted: 0,
            reviewed: env::uptime(),
            away_since: None,
            untold: Vec::new(),
            reaping: Arc::default(),
            reconciling: Arc::default(),
        };
        life.cluster().lease.store(terms.lease, Ordering::Relaxed);
        let sent = env::uptime();
        let renewal = life.cluster().store.renew(&life.info).await?;
        life.tenure = Tenure::new(terms, sent);
        life.renewed(sent, renewal).await;
        life.judge();
        Ok(life)
    }

    /// Renews until it is dropped.
    pub async fn run(mut self) {
        loop {
            let pause = self.every().mul_f64(0.9 + env::chance() / 5.0);
            let next = tokio::time::Instant::now() + pause;
            // A slow store does not make renewals rarer.
            self.turn().await;
            self.watching(tokio::time::sleep_until(next)).await;
        }
    }

    /// Waits for something, and sees meanwhile when the time has come to let the clients go.
    async fn watching<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        let left = (self.tenure.gives_up_at()).checked_sub(env::uptime());
        if let Some(left) = left {
            // One more, because clocks are read in whole milliseconds.
            let given_up = tokio::time::sleep(Duration::from_millis(left + 1));
            tokio::select! {
                biased;
                done = &mut awaited => return done,
                () = given_up => self.judge(),
            }
        }
        awaited.await
    }

    fn every(&self) -> Duration {
        Duration::from_millis(self.terms.lease / 5)
    }

    fn cluster(&self) -> &Cluster {
        others_of(&self.node)
    }

    /// One renewal, with all that follows from it.
    async fn turn(&mut self) {
        let sent = env::uptime();
        let (node, info, terms) = (Arc::clone(&self.node), self.info.clone(), self.terms);
        let cluster = others_of(&node);
        let asked = async {
            let mut renewing = pin!(cluster.store.renew(&info));
            // Other nodes are asked before it is known that the store fails: an answer that comes late is worth less.
            let mut witnesses = pin!(async {
                if cluster.store_is_up() {
                    tokio::time::sleep(Duration::from_millis(terms.lease / 10)).await;
                }
                terms.linked && is_answered(cluster, None, terms).await
            });
            tokio::select! {
                biased;
                renewed = &mut renewing => match renewed {
                    Ok(renewal) => (Ok(renewal), false),
                    Err(error) => (Err(error), witnesses.await),
                },
                heard = &mut witnesses => (renewing.await, heard),
            }
        };
        let (renewed, heard) = self.watching(asked).await;
        if heard {
            self.tenure.answered(sent);
        }
        match renewed {
            Ok(renewal) if renewal.lease == Lease::Fenced => self.be_reborn().await,
            Ok(renewal) => self.renewed(sent, renewal).await,
            Err(error) => self.failed(&error),
        }
        self.judge();
        if self.cluster().store_is_up() {
            self.leave_to_others().await;
        }
        let deaf = self.cluster().roads.deaf();
        self.observe.metrics.cluster.roads_up(deaf.is_none());
        self.reap();
    }

    async fn renewed(&mut self, sent: u64, renewal: Renewal) {
        let now = env::uptime();
        self.tenure.renewed(sent, now);
        let cluster = self.cluster();
        cluster.clock.heard(renewal.time, sent, now);
        cluster.store_is(true);
        self.node.registry.store_is(true);
        self.observe.metrics.cluster.store_up(true);
        if let Some(since) = self.away_since.take() {
            let away_ms = now.saturating_sub(since);
            tracing::info!(away_ms, "the store is back");
            // It may be another one, which missed the last coming and the last going: the right count, and the wrong list.
            self.node.registry.doubt();
        }
        // At once: the rest may take a slow store longer than this node may act without it.
        self.judge();
        let me = self.node.id();
        let cluster = self.cluster();
        let asked = env::uptime();
        // The next renewal does not wait for this.
        let late = || StoreError::Unavailable("the next renewal is due".to_owned());
        let (nodes, backlog) = tokio::join!(
            timeout(self.every(), cluster.store.nodes()),
            timeout(self.every(), cluster.outbox.backlog()),
        );
        let (nodes, backlog) = (
            nodes.unwrap_or_else(|_| Err(late())),
            backlog.unwrap_or_else(|_| Err(late())),
        );
        match nodes {
            Ok(nodes) => {
                let met = cluster.met(me, &nodes, asked);
                self.tenure.met(met.others);
                self.observe.metrics.cluster.nodes(met.live + 1);
                let _ = timeout(self.every(), self.part(&nodes)).await;
            }
            Err(error) => {
                tracing::debug!("the nodes cannot be listed: {error}");
                // What the store said of their leases grows old; they must not become strangers.
                if self.terms.linked {
                    let (node, terms) = (Arc::clone(&self.node), self.terms);
                    env::spawn(async move {
                        is_answered(others_of(&node), Some(me), terms).await;
                    });
                }
            }
        }
        match backlog {
            Ok(backlog) => self.observe.metrics.cluster.backlog(&backlog),
            Err(error) => tracing::debug!("the outbox cannot be counted: {error}"),
        }
        self.reconcile(me, renewal);
    }

    /// Learns what became of nodes that are not named any more.
    async fn part(&self, nodes: &[NodeEntry]) {
        let cluster = self.cluster();
        let missing = cluster.missing(nodes);
        let fates = missing.iter().map(|node| cluster.store.fate(node));
        for (node, fate) in missing.iter().zip(join_all(fates).await) {
            match fate {
                Ok(Fate::Fenced) => cluster.buried(*node),
                // The store has lost its data, not the node its life.
                Ok(Fate::Live | Fate::Absent | Fate::Unknown) | Err(_) => {}
            }
        }
    }

    /// Brings the store up to date where it may not be: beside the renewals, which must not wait for many connections.
    fn reconcile(&mut self, me: NodeId, renewal: Renewal) {
        let registry = &self.node.registry;
        // Connections come and go while the store counts: only a difference that stays is one.
        let counts_agree = renewal.registered == registry.len() as u64;
        self.miscounted = if counts_agree {
            0
        } else {
            self.miscounted.saturating_add(1)
        };
        // A store that fell back by a moment may have lost one and found another: counts do not show that.
        let now = env::uptime();
        let is_due = now >= self.reviewed + REVIEW * self.terms.lease;
        let differs = registry.differs() || self.miscounted >= 3 || is_due;
        if renewal.lease == Lease::Held && !differs {
            return;
        }
        let Ok(mut said) = Arc::clone(&self.reconciling).try_lock_owned() else {
            // What was told already may be lost again.
            return registry.doubt();
        };
        self.miscounted = 0;
        self.reviewed = now;
        let (node, observe) = (Arc::clone(&self.node), Arc::clone(&self.observe));
        env::spawn(async move {
            match node.registry.reconcile(me).await {
                Ok(Repair { added, removed }) => {
                    *said = false;
                    if added + removed > 0 {
                        tracing::info!(
                            added,
                            removed,
                            "the store says again who is connected here"
                        );
                        observe.metrics.cluster.repaired(added + removed);
                    }
                }
                // Each renewal tries again; the log hears of it once.
                Err(error) => {
                    if !std::mem::replace(&mut *said, true) {
                        tracing::warn!("the store cannot be told who is connected here: {error}");
                    }
                }
            }
        });
    }

    fn failed(&mut self, error: &StoreError) {
        let now = env::uptime();
        self.tenure.failed(now);
        self.cluster().store_is(false);
        self.node.registry.store_is(false);
        self.observe.metrics.cluster.store_up(false);
        if self.away_since.is_none() {
            self.away_since = Some(now);
            tracing::error!(
                "the store is away: {error}; clients stay connected, and who comes is registered once it is back"
            );
        }
    }

    /// Lets the node act, or stops it, as its tenure says.
    fn judge(&mut self) {
        let standing = self.tenure.standing(env::uptime());
        let lapsed = !self.node.is_acting();
        self.node.may_act_until(self.tenure.acts_until());
        // A process that was stopped may never have been seen suspended: connections that looked in between wait all the same,
        // and one whose queue is full is woken by nothing else.
        if lapsed && standing == Standing::Acting {
            for live in self.node.sessions.all() {
                live.outlet.wake();
            }
        }
        if std::mem::replace(&mut self.standing, standing) == standing {
            return;
        }
        match standing {
            Standing::Acting => tracing::info!("this node acts"),
            Standing::Suspended => tracing::error!(
                "this node cannot tell whether the others believe it dead: frames of clients wait until it can"
            ),
            Standing::Isolated => {
                tracing::error!(
                    connections = self.node.sessions.len(),
                    "this node reaches neither the store nor any other node: its clients are sent away"
                );
                self.close_all();
            }
        }
    }

    fn close_all(&self) {
        for live in self.node.sessions.all() {
            live.outlet.close(CloseCause::Restart);
        }
    }

    /// This incarnation was declared dead: others have reported its connections as ended. The process goes on as a new one.
    async fn be_reborn(&mut self) {
        let old = self.node.id();
        let new = NodeId(env::random());
        tracing::error!(
            %old, %new, connections = self.node.sessions.len(),
            "this node was declared dead while it did not answer: its clients are sent away, and it goes on as a new one"
        );
        self.observe.metrics.cluster.fenced();
        let cluster = self.cluster();
        // In this order: nothing of the old incarnation acts, then it is known to be dead, then its sockets close.
        self.node.become_node(new);
        cluster.buried(old);
        cluster.roads.rename(new);
        self.close_all();
        self.gather_untold(old);
        self.leave_to_others().await;
        self.info.id = new;
        self.info.started_at = env::wall();
        let sent = env::uptime();
        let renewal = self.cluster().store.renew(&self.info).await;
        match renewal {
            Ok(renewal) => {
                self.tenure = Tenure::new(self.terms, sent);
                self.renewed(sent, renewal).await;
            }
            // The next turn tries again; until then the new incarnation does not act.
            Err(error) => tracing::error!("no lease for the new incarnation yet: {error}"),
        }
    }

    /// Connections that were never registered are unknown to whoever buried the incarnation: somebody must tell of them.
    fn gather_untold(&mut self, old: NodeId) {
        let ended_at = env::wall();
        let cause = CloseCause::NodeLost;
        let unknown = self.node.registry.void(old).into_iter();
        self.untold.extend(unknown.map(|record| Owed {
            record,
            code: cause.code(),
            reason: cause.reason().to_owned(),
            ended_at,
        }));
    }

    /// Puts them into the outbox, however often that must be tried.
    async fn leave_to_others(&mut self) {
        while !self.untold.is_empty() {
            let count = self.untold.len().min(BATCH);
            if let Err(error) = self.cluster().outbox.put(&self.untold[..count]).await {
                let count = self.untold.len();
                tracing::warn!(
                    count,
                    "$disconnects of connections that were never registered wait here: {error}"
                );
                return;
            }
            self.untold.drain(..count);
        }
    }

    /// Looks for dead nodes, if this one may.
    fn reap(&self) {
        if self.tenure.may_bury(env::uptime()) {
            let (node, observe) = (Arc::clone(&self.node), Arc::clone(&self.observe));
            let (terms, reaping) = (self.terms, Arc::clone(&self.reaping));
            // Beside the renewals, which must not wait for a large burial.
            env::spawn(async move {
                if let Ok(_alone) = reaping.try_lock() {
                    super::reaper::reap(node, observe, terms).await;
                }
            });
        }
    }
}

fn others_of(node: &Node) -> &Cluster {
    let cluster = node.cluster.as_ref();
    cluster.expect("only a node among others has a lease")
}

/// Whether any other node answers when it is asked about a node, or whether this one may act.
async fn is_answered(cluster: &Cluster, about: Option<NodeId>, terms: Terms) -> bool {
    let limit = Duration::from_millis(terms.lease / 10);
    let peers = cluster.peers();
    let questions = peers
        .iter()
        .take(WITNESSES)
        .map(|peer| cluster.probe(peer, about, limit));
    join_all(questions).await.iter().any(Option::is_some)
}
