//! One node after the other is replaced while clients come back and backends push.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Answer, Client, Closed, Gateway, Handshake, Opened, Request, percentile, within};
use tokio_tungstenite::tungstenite::Message;

use super::ledger::{Allowed, Event, Ledger, push_text};
use super::size::{patience, scaled};
use super::{Cluster, Random, all_are_told, settled};

/// The end of a process that drains, with all that slows two cores.
const EXIT: Duration = Duration::from_secs(15);
/// Until everybody is connected anew.
const BACK: Duration = Duration::from_secs(15);

/// Where clients and pushers find nodes: a load balancer that does not know yet who has just left.
#[derive(Clone, Default)]
struct Balancer(Arc<Mutex<Vec<(SocketAddr, SocketAddr)>>>);

impl Balancer {
    fn add(&self, node: &Gateway) {
        let mut nodes = self.0.lock().unwrap();
        nodes.push((node.public(), node.management()));
    }

    fn remove(&self, node: &Gateway) {
        let public = node.public();
        self.0.lock().unwrap().retain(|(other, _)| *other != public);
    }

    /// A listener for clients and one for pushers, of any node.
    fn choose(&self) -> (SocketAddr, SocketAddr) {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let nodes = self.0.lock().unwrap();
        nodes[TURN.fetch_add(1, Ordering::Relaxed) % nodes.len()]
    }
}

/// What the clients of a rolling restart share.
#[derive(Clone, Default)]
struct Fleet {
    balancer: Balancer,
    ledger: Ledger,
    /// Whose connection is which now.
    live: Arc<Mutex<BTreeMap<usize, String>>>,
    /// Every connection that was open.
    ever: Arc<Mutex<BTreeSet<String>>>,
    /// From the end of a connection to the next, with the random second.
    returns: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
}

impl Fleet {
    /// One client: connects, reads, and comes back after a random part of a second when it was sent away.
    async fn client(self, number: usize) {
        let mut random = Random(number as u64 + u64::from(std::process::id()));
        let mut left: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let handshake = Handshake::to(self.balancer.choose().0, "/dev");
            let Some(Opened::Open(mut client)) = handshake.try_send().await else {
                tokio::time::sleep(Duration::from_millis(100 + random.below(200))).await;
                continue;
            };
            client.send_text(r#"{"action": "echo"}"#).await;
            // A node that leaves right then may not answer.
            let Some(Message::Text(id)) = client.next_within(EXIT).await else {
                continue;
            };
            let id = id.to_string();
            if let Some(left) = left {
                self.returns.lock().unwrap().push(left.elapsed());
            }
            self.ever.lock().unwrap().insert(id.clone());
            self.ledger.write(&id, Event::Opened);
            self.live.lock().unwrap().insert(number, id.clone());
            let closed = self.read(&mut client, &id).await;
            assert!(
                closed == (1001, "Going away") || closed.code == 1000,
                "{closed:?}"
            );
            left = Some(Instant::now());
            tokio::time::sleep(Duration::from_millis(random.below(1000))).await;
        }
    }

    /// Reads to the end of the connection, or closes it when all is over.
    async fn read(&self, client: &mut Client, id: &str) -> Closed {
        let mut leaving = false;
        loop {
            let message = tokio::select! {
                message = client.next_within(Duration::from_mins(1)) => message,
                () = tokio::time::sleep(Duration::from_millis(200)), if !leaving => {
                    if self.stop.load(Ordering::Relaxed) {
                        self.ledger.write(id, Event::Leaving);
                        client.close(Some((1000, ""))).await;
                        leaving = true;
                    }
                    continue;
                }
            };
            match Closed::of(message) {
                Ok(closed) => {
                    self.ledger.write(id, Event::Closed(closed.clone()));
                    while client.next_within(EXIT).await.is_some() {}
                    return closed;
                }
                Err(message) => self.ledger.write(id, Event::Read(message.to_string())),
            }
        }
    }

    /// Pushes to one client after the other, each push until it is taken or its connection is gone.
    async fn pusher(self, name: &'static str) {
        for n in 0.. {
            let live: Vec<String> = self.live.lock().unwrap().values().cloned().collect();
            for id in live {
                let text = push_text(name, n, &id);
                self.ledger.write(&id, Event::Posted(text.clone()));
                loop {
                    let path = format!("/dev/@connections/{}", id.replace('=', "%3D"));
                    let post = Request::post(self.balancer.choose().1, &path, &text);
                    let answer = post.header("idempotency-key", &text).try_send().await;
                    let status = answer.map_or(0, |answer| answer.status);
                    if status == 200 || status == 410 {
                        self.ledger.write(&id, Event::Answered(text, status));
                        break;
                    }
                    assert!(status == 503 || status == 0, "{status}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

// G-N6
#[tokio::test]
async fn through_a_rolling_restart_every_client_comes_back_and_no_push_or_end_is_lost() {
    let clients = scaled(90);
    let server = "server: { drainTimeout: 5s, cluster: { lease: 2s } }";
    let mut cluster = Cluster::with(3, server, "").await;
    cluster
        .backend
        .on("/echo", |request| Answer::ok(request.connection_id()));
    let fleet = Fleet::default();
    for node in 0..3 {
        fleet.balancer.add(&cluster.nodes[node]);
    }
    let tasks: Vec<_> = (0..clients)
        .map(|number| tokio::spawn(fleet.clone().client(number)))
        .collect();
    let all_are_here = async |old: &BTreeSet<String>| {
        within(
            patience(BACK),
            "every client is connected anew",
            async || {
                let live = fleet.live.lock().unwrap();
                let anew = live.values().all(|id| !old.contains(id));
                (live.len() == clients && anew).then_some(())
            },
        )
        .await;
    };
    all_are_here(&BTreeSet::new()).await;
    let pushers: Vec<_> = ["one", "two"]
        .map(|name| tokio::spawn(fleet.clone().pusher(name)))
        .into();
    for node in 0..3 {
        cluster.nodes[node].signal("TERM");
        let exit = cluster.nodes[node].wait_exit(patience(EXIT)).await;
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        fleet.balancer.remove(&cluster.nodes[node]);
        let next = cluster.nodes.join().await;
        fleet.balancer.add(&cluster.nodes[next]);
        let gone: BTreeSet<String> = fleet.ledger.closed().into_keys().collect();
        all_are_here(&gone).await;
    }
    fleet.stop.store(true, Ordering::Relaxed);
    for task in tasks.into_iter().chain(pushers) {
        task.await.unwrap();
    }
    let ever = fleet.ever.lock().unwrap().clone();
    all_are_told(&cluster, &ever).await;
    settled(&cluster, &[3, 4, 5]).await;
    // A client may have been let in and never have learnt its id.
    for asked in cluster.backend.requests("/connect") {
        let id = asked.connection_id();
        if !ever.contains(&id) {
            fleet.ledger.write(&id, Event::Opened);
            fleet.ledger.write(&id, Event::Dropped);
        }
    }
    let allowed = Allowed {
        repeated: 1,
        ..Allowed::default()
    };
    fleet.ledger.holds(&cluster.backend, &allowed);
    let returns = fleet.returns.lock().unwrap().clone();
    assert!(returns.len() >= clients, "{}", returns.len());
    let slow = percentile(&returns, 99);
    println!("{} returns, p99 {slow:?}", returns.len());
    assert!(slow < Duration::from_secs(5), "{slow:?}");
}
