//! What the drills have in common: nodes that each reach Redis through a proxy of their own, a backend, clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Backend, Chaos, Gateway, GatewayCommand, Opened, Redis, Request, within};

use super::crowd::{Member, Report, Traffic, parts};
use super::ledger::{Allowed, Ledger, Lost};
use super::size::{patience, scaled};
use crate::app::{App, BINARY, indent};

/// How long a renewal counts in these drills.
pub(super) const LEASE: Duration = Duration::from_secs(2);
/// Lines that one node may write in one drill: what repeats is said once.
const MOST_LINES: usize = 60;

/// The ids in a Redis: node part and random part of each, in hexadecimal digits. Nodes wait while it runs, so it makes few calls.
const REGISTERED: &str = "
local found, digits = {}, string.rep('%02x', 16)
for _, key in ipairs(redis.call('KEYS', 'wg:*:conns')) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local hex = string.format(digits, string.byte(member, 1, 16))
    found[#found + 1] = string.sub(key, 5, 16) .. ' ' .. hex
  end
end
return found";

/// How the nodes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// They do not.
    None,
    Direct,
    /// Each is reached through a proxy of its own.
    Proxied,
}

/// What a drill begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) nodes: usize,
    /// On each node, in CI.
    pub(super) clients: usize,
    pub(super) link: Link,
    /// Further options of `server`.
    pub(super) server: &'static str,
    /// Further options of `server.cluster`.
    pub(super) cluster: &'static str,
    pub(super) lease: Duration,
    /// Nodes reach Redis without a proxy, which many clients would slow down.
    pub(super) plain: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            nodes: 2,
            clients: 60,
            link: Link::Direct,
            server: "",
            cluster: "",
            lease: LEASE,
            plain: false,
        }
    }
}

/// One node with its proxies.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) gateway: Gateway,
    /// Its way to Redis.
    pub(super) store: Chaos,
    /// The others' way to it.
    pub(super) link: Option<Chaos>,
}

impl Place {
    pub(super) fn door(&self) -> SocketAddr {
        self.gateway.management()
    }

    pub(super) async fn is(&self, path: &str) -> u16 {
        Request::get(self.door(), path).send().await.status
    }

    pub(super) async fn becomes(&self, ready: bool, limit: Duration) {
        let status = if ready { 200 } else { 503 };
        within(limit, &format!("/readyz answers {status}"), async || {
            (self.is("/readyz").await == status).then_some(())
        })
        .await;
        assert_eq!(self.is("/livez").await, 200);
    }
}

pub(super) struct World {
    pub(super) nodes: Vec<Place>,
    pub(super) redis: Redis,
    pub(super) backend: Backend,
    pub(super) seen: Ledger,
    /// `onIsolation: hold` without a link.
    holds: bool,
    pub(super) members: Vec<Arc<Vec<Member>>>,
    /// Connections of clients in other processes.
    pub(super) guests: BTreeSet<String>,
    /// Whose nodes were killed, and when.
    pub(super) lost: Lost,
}

impl World {
    /// Nodes that know each other, and clients that are registered.
    pub(super) async fn start(setup: Setup) -> Self {
        let redis = Redis::start().await;
        // As in a store that has been there for long.
        redis.command(&["SET", "wg:{cluster}:boot", "1"]).await;
        let backend = App::backend().await;
        let mut world = Self {
            nodes: Vec::new(),
            redis,
            backend,
            seen: Ledger::default(),
            holds: setup.link == Link::None && setup.cluster.contains("hold"),
            members: Vec::new(),
            guests: BTreeSet::new(),
            lost: Lost::new(),
        };
        for _ in 0..setup.nodes {
            let place = world.place(setup).await;
            world.nodes.push(place);
        }
        world.meet(setup.nodes).await;
        world.come(scaled(setup.clients)).await;
        world
    }

    pub(super) async fn place(&self, setup: Setup) -> Place {
        let Setup {
            link,
            server,
            cluster,
            lease,
            plain,
            ..
        } = setup;
        let store = Chaos::before(self.redis.address());
        let url = if plain {
            self.redis.url()
        } else {
            format!("redis://{}", store.address())
        };
        let listen = free_address();
        let proxy = (link == Link::Proxied).then(|| Chaos::before(listen));
        let advertise = proxy.as_ref().map_or(String::new(), |proxy| {
            format!("    advertise: \"{}\"\n", proxy.address())
        });
        let cluster = indent(4, cluster);
        let server = format!(
            "server:\n{}  cluster:\n    lease: {}s\n    outboxRate: 1000\n{advertise}{cluster}",
            indent(2, server),
            lease.as_secs()
        );
        let yaml = App::yaml(&self.backend, &server, "");
        let mut command = GatewayCommand::new(BINARY, &yaml)
            .env("WIREGATE_STORE", &url)
            .env(
                "WIREGATE_CLUSTER_SECRET",
                "the secret of nodes that are drilled",
            );
        if link != Link::None {
            command = command.env("WIREGATE_NODE_LISTEN", &listen.to_string());
        }
        Place {
            gateway: command.start().await,
            store,
            link: proxy,
        }
    }

    /// Each knows all the others.
    async fn meet(&self, count: usize) {
        for place in &self.nodes {
            within(LEASE * 5, "the nodes know each other", async || {
                let nodes = place.gateway.metric("wiregate_nodes").await;
                (nodes == Some(count as f64)).then_some(())
            })
            .await;
        }
    }

    /// So many further clients on each node.
    pub(super) async fn come(&mut self, clients: usize) {
        let refused = self.try_to_come(clients).await;
        assert!(refused.is_empty(), "refused: {refused:?}");
    }

    /// So many more try, on each node; how those were refused who were.
    pub(super) async fn try_to_come(&mut self, clients: usize) -> Vec<u16> {
        let (mut members, mut refused) = (Vec::new(), Vec::new());
        for node in 0..self.nodes.len() {
            for _ in 0..clients {
                match self.arrive(node).await {
                    Ok(member) => members.push(member),
                    Err(status) => refused.push(status),
                }
            }
        }
        self.members.push(Arc::new(members));
        refused
    }

    /// One further client, or how it was refused.
    pub(super) async fn arrive(&self, node: usize) -> Result<Member, u16> {
        match self.nodes[node].gateway.handshake("/dev").send().await {
            Opened::Open(client) => {
                let id = self.backend.next("/connect").await.connection_id();
                Ok(Member::new(*client, id, node, &self.seen))
            }
            Opened::Refused(answer) => Err(answer.status),
        }
    }

    /// Everybody who ever came.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flat_map(|members| members.iter())
    }

    /// All connections that there ever were.
    fn ids(&self) -> BTreeSet<String> {
        let mut ids = super::crowd::ids(self.everybody());
        ids.extend(self.guests.iter().cloned());
        ids
    }

    /// Echoes and pushes by every node to the first who came.
    pub(super) fn traffic(&self) -> Traffic {
        let doors = self.nodes.iter().map(Place::door).collect();
        Traffic::start(Arc::clone(&self.members[0]), doors, self.seen.clone())
    }

    /// Judges what was seen so far, while clients are there and nothing is on its way.
    pub(super) async fn holds_now(&self) {
        self.registry_of(&self.redis, patience(Duration::from_secs(10)))
            .await;
        self.holds(&registered(&self.redis).await);
    }

    /// Waits until Redis knows exactly those whose sockets are open.
    pub(super) async fn registry_is_complete(&self, limit: Duration) {
        self.registry_of(&self.redis, limit).await;
    }

    pub(super) async fn registry_of(&self, redis: &Redis, limit: Duration) {
        let began = Instant::now();
        loop {
            let open: BTreeSet<String> = (self.ids().iter())
                .filter(|id| !self.seen.is_over(id))
                .map(|id| {
                    let (node, random) = parts(id);
                    format!("{node} {random}")
                })
                .collect();
            let registered = registered(redis).await;
            if open == registered {
                return;
            }
            let missing = open.difference(&registered).count();
            let surplus = registered.difference(&open).count();
            assert!(
                began.elapsed() < limit,
                "{missing} are missing in the registry and {surplus} too many after {limit:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if a socket has ended, or a backend was told that one did.
    #[track_caller]
    pub(super) fn nobody_has_ended(&self) {
        let ended: Vec<_> = (self.everybody())
            .filter_map(|member| self.seen.end_of(&member.id))
            .collect();
        assert!(ended.is_empty(), "{} sockets ended", ended.len());
        let told = self.backend.requests("/disconnect");
        assert!(told.is_empty(), "{} ends were told", told.len());
    }

    /// What the backend was told of ends: connection, and its event ids, codes and how often.
    pub(super) fn told(&self) -> BTreeMap<String, Vec<(String, u16)>> {
        let mut told: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
        self.backend.each("/disconnect", |request| {
            let code = request.wiregate("disconnect-code").parse();
            let event = request.wiregate("event-id").to_owned();
            let one = (event, code.unwrap_or_default());
            told.entry(request.connection_id()).or_default().push(one);
        });
        told
    }

    /// Fails unless these ends were told, however often, and no other.
    #[track_caller]
    pub(super) fn told_are(&self, ended: &BTreeSet<String>) {
        let known: BTreeSet<String> = self.told().into_keys().collect();
        assert_eq!(
            known.len(),
            ended.len(),
            "ends told, and ends that there were"
        );
        assert_eq!(&known, ended);
    }

    /// Fails where anything is broken that must hold whatever happens.
    #[track_caller]
    fn holds(&self, registered: &BTreeSet<String>) {
        let ids = self.ids().into_iter().map(|id| {
            let (node, random) = parts(&id);
            (format!("{node} {random}"), id)
        });
        let ids: BTreeMap<String, String> = ids.collect();
        let name = |one: &String| ids.get(one).unwrap_or(one).clone();
        let registered = registered.iter().map(name).collect();
        let allowed = Allowed {
            lost: Some(&self.lost),
            repeated: ids.len(),
            registered: Some(&registered),
            holds: self.holds,
        };
        self.seen.holds(&self.backend, &allowed);
    }

    /// Waits until the end of each of these was told.
    pub(super) async fn ends_are_told(&self, ended: &BTreeSet<String>, limit: Duration) {
        let began = Instant::now();
        while self.told().len() < ended.len() && began.elapsed() < limit {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.told_are(ended);
    }

    /// The end of every drill: the ledger is judged while clients are there and after all have left, the registry is empty,
    /// and the logs say nothing bad but what `expected` names.
    pub(super) async fn end(self, expected: &[&str]) {
        let redis = &self.redis;
        self.end_on(redis, expected).await;
    }

    pub(super) async fn end_on(&self, redis: &Redis, expected: &[&str]) {
        self.judge(redis).await;
        for (node, place) in self.nodes.iter().enumerate() {
            let log = place.gateway.output();
            assert!(
                !log.contains("panicked"),
                "node {node} panicked; its log shows where"
            );
            let errors = log.lines().filter(|line| line.contains("ERROR"));
            let odd: Vec<&str> = errors
                .filter(|line| !expected.iter().any(|known| line.contains(known)))
                .collect();
            assert!(odd.is_empty(), "node {node}: {odd:#?}");
            let lines = log.lines().count();
            assert!(lines <= MOST_LINES, "node {node} wrote {lines} lines");
        }
    }

    /// Judges the ledger while clients are there, and after all have left.
    pub(super) async fn judge(&self, redis: &Redis) {
        self.registry_of(redis, patience(Duration::from_secs(5)))
            .await;
        self.holds(&registered(redis).await);
        self.everybody().for_each(Member::leave);
        let everybody = self.ids();
        let limit = patience(Duration::from_secs(10));
        self.ends_are_told(&everybody, limit).await;
        self.registry_of(redis, limit).await;
        self.holds(&registered(redis).await);
    }

    /// Fails unless pushes were as on one node: what is on another one may have been out of reach for a while.
    #[track_caller]
    pub(super) fn all_went_on(&self, report: &Report, remote: &[u16], bar: Duration) {
        report.pushes_are(&[200], remote);
        report.echoes_within(bar);
        self.nobody_has_ended();
    }
}

/// Who is registered in a Redis, node part and random part of each.
async fn registered(redis: &Redis) -> BTreeSet<String> {
    let found = redis.command(&["EVAL", REGISTERED, "0"]).await;
    found.into_iter().collect()
}

/// A port that nobody has at this moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}
