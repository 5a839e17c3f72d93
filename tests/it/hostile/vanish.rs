//! Clients whose network is gone from one moment to the next: no FIN, no RST, nobody is told. G-C1.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Backend, Gateway, GatewayCommand, Handshake, Namespace, Recorded, within};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::{App, BINARY, only_the_echo_comes_back};

/// Where the gateway listens for clients, in a network of its own.
const GATEWAY: &str = "10.77.0.1";
const CLIENTS: &str = "10.77.0.2";
/// What hundreds of ends may take an unoptimized binary on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// A gateway whose clients live behind a cable.
struct Scene {
    gateway: Gateway,
    backend: Backend,
    /// One that came by another way and talks without a pause.
    neighbour: JoinHandle<()>,
    /// The ids of those behind the cable.
    ids: HashSet<String>,
}

impl Scene {
    fn told(&self) -> Vec<Recorded> {
        self.backend.requests("/disconnect")
    }

    /// The end of each of them is told within `limit`, once and with that code; then nobody can push to them or find
    /// them. The neighbour has noticed nothing.
    async fn all_are_given_up(&self, limit: Duration, code: &str) {
        within(limit, "a $disconnect for each of them", async || {
            (self.told().len() >= self.ids.len()).then_some(())
        })
        .await;
        for id in &self.ids {
            assert_eq!(self.gateway.connection(id).await.status, 410);
            assert_eq!(self.gateway.push(id, "anybody?").await.status, 410);
        }
        let told = self.told();
        let of: HashSet<String> = told.iter().map(Recorded::connection_id).collect();
        assert_eq!(of, self.ids);
        assert_eq!(told.len(), self.ids.len(), "each is told once");
        for one in told {
            assert_eq!(one.wiregate("disconnect-code"), code);
        }
        assert!(!self.neighbour.is_finished(), "the neighbour noticed");
    }
}

/// `count` clients connect over a cable to a gateway with these limits and answer its pings; `scenario` decides when
/// they vanish, and what must come of it.
fn behind_a_cable(
    test: &str,
    count: usize,
    limits: &str,
    scenario: impl AsyncFnOnce(Scene, &Namespace) + Send,
) {
    let Some([network, far]) = Namespace::several(test) else {
        return;
    };
    network.link(&format!("{GATEWAY}/24"), &far, &format!("{CLIENTS}/24"));
    let (say_address, address) = oneshot::channel();
    let (say_open, open) = oneshot::channel();
    let (over, end) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| far.run(async || stay_connected(count, address, say_open, end).await));
        network.run(async || {
            let backend = App::backend().await;
            let yaml = App::yaml(&backend, "", &format!("limits: {{ {limits} }}"));
            let gateway = GatewayCommand::new(BINARY, &yaml).listen(&format!("{GATEWAY}:0"));
            let gateway = gateway.start().await;
            let mut neighbour = gateway.connect("/dev").await;
            let known = backend.next("/connect").await.connection_id();
            let neighbour = tokio::spawn(async move {
                loop {
                    only_the_echo_comes_back(&mut neighbour, "still here").await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            let _ = say_address.send(gateway.public());
            open.await.expect("the clients are let in");
            let connects = backend.requests("/connect");
            let mut ids: HashSet<_> = connects.iter().map(Recorded::connection_id).collect();
            ids.remove(&known);
            assert_eq!(ids.len(), count);
            let scene = Scene {
                gateway,
                backend,
                neighbour,
                ids,
            };
            scenario(scene, &far).await;
            drop(over);
        });
    });
}

/// Clients as they should be: they read, and so answer pings, until the scenario is over.
async fn stay_connected(
    count: usize,
    address: oneshot::Receiver<std::net::SocketAddr>,
    say_open: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
) {
    let Ok(address) = address.await else { return };
    let clients = join_all((0..count).map(|_| Handshake::to(address, "/dev").open())).await;
    let reading: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                while client.next_within(Duration::from_mins(1)).await.is_some() {}
            })
        })
        .collect();
    let _ = say_open.send(());
    let _ = end.await;
    for client in reading {
        client.abort();
    }
}

#[test]
fn clients_that_vanish_without_a_word_are_found_out_by_pings() {
    let (interval, patience) = (Duration::from_secs(1), Duration::from_secs(2));
    behind_a_cable(
        "clients_that_vanish_without_a_word_are_found_out_by_pings",
        300,
        "pingInterval: 1s, pongTimeout: 2s",
        async |scene, clients| {
            // Nothing outside shows that a connection was not given up.
            tokio::time::sleep(interval + patience).await;
            assert_eq!(scene.told().len(), 0, "they answered every ping");
            clients.vanish();
            // Until it is known, a push is taken, within the bounds of the queue.
            for id in scene.ids.iter().take(20) {
                assert_eq!(scene.gateway.push(id, "lost").await.status, 200);
            }
            let limit = interval + patience + SLACK;
            scene.all_are_given_up(limit, "1006").await;
        },
    );
}

#[test]
fn clients_that_vanish_while_they_are_written_to_are_found_out_by_the_write_timeout() {
    behind_a_cable(
        "clients_that_vanish_while_they_are_written_to_are_found_out_by_the_write_timeout",
        100,
        "pingInterval: 0, writeTimeout: 3s, maxQueueBytes: 256KiB",
        async |scene, clients| {
            clients.vanish();
            let body = vec![b'x'; 32 * 1024];
            for id in &scene.ids {
                let mut taken = 0;
                let refused = loop {
                    let answer = scene.gateway.push(id, &body).await;
                    if answer.status != 200 {
                        break answer.status;
                    }
                    taken += 1;
                    // The queue of 256 KiB, and what the kernel holds for the socket.
                    assert!(taken <= 14, "{taken} of 32 KiB were taken");
                };
                assert!([429, 410].contains(&refused), "answered {refused}");
            }
            let limit = Duration::from_secs(3) + SLACK;
            scene.all_are_given_up(limit, "1013").await;
        },
    );
}
