//! Clients of a drill that only hold their connections, in processes of their own, since one process may not have descriptors for
//! all: each is this very program, told by its environment to be a generator.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use harness::{Client, Gateway, Handshake, Opened, PATIENCE, allow_open_files};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::size::patience;

/// Where to connect, and how often; only generators have it.
const TASK: &str = "WIREGATE_DRILL_HOLD";
/// Handshakes under way at once.
const AT_ONCE: usize = 32;
/// Until all are open, or all have answered.
const DONE: Duration = Duration::from_mins(1);
/// Begins what a generator says; the rest of its output is the test runner's.
const SAYS: &str = "generator: ";

/// Ends its connections without a word when it is dropped.
pub(super) struct Generator {
    _process: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
    share: usize,
}

impl Generator {
    /// Opens so many connections to a node.
    pub(super) async fn open(to: &Gateway, share: usize) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command
            .args(["--exact", "cluster::generator::holds_connections"])
            .args(["--nocapture", "--test-threads", "1"])
            .env(TASK, format!("{} {share}", to.public()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("this program starts");
        let orders = process.stdin.take().expect("a piped stdin");
        let said = BufReader::new(process.stdout.take().expect("a piped stdout"));
        let mut generator = Self {
            _process: process,
            orders,
            said,
            share,
        };
        generator.done("open").await;
        generator
    }

    /// Fails unless each connection answers a ping, and none was lost or read anything.
    pub(super) async fn all_are_alive(&mut self) {
        let told = self.orders.write_all(b"check\n").await;
        told.unwrap_or_else(|error| panic!("a generator has ended: {error}"));
        self.done("alive").await;
    }

    /// Waits until it says that of all its connections.
    async fn done(&mut self, what: &str) {
        let expected = format!("{SAYS}{} {what}", self.share);
        let hear = async {
            let mut line = String::new();
            while !line.contains(SAYS) {
                line.clear();
                let read = self.said.read_line(&mut line).await;
                assert!(read.is_ok_and(|read| read > 0), "a generator has ended");
            }
            // The test runner does not end its own line before.
            line[line.find(SAYS).unwrap_or_default()..]
                .trim()
                .to_owned()
        };
        let heard = tokio::time::timeout(patience(DONE), hear).await;
        assert_eq!(heard.expect("a generator in time"), expected);
    }
}

/// One connection: reads, which answers pings, until the check; true if it lives then.
async fn hold(mut client: Client, mut check: watch::Receiver<bool>) -> (bool, Client) {
    tokio::select! {
        _ = client.next_within(Duration::from_hours(1)) => return (false, client),
        _ = check.wait_for(|check| *check) => {}
    }
    if !client.try_send(Message::Ping(b"alive?"[..].into())).await {
        return (false, client);
    }
    loop {
        match client.next_of_any_kind(PATIENCE).await {
            Some(Message::Ping(_)) => {}
            Some(Message::Pong(answer)) => return (answer == b"alive?"[..], client),
            _ => return (false, client),
        }
    }
}

async fn open(to: SocketAddr, place: usize) -> Client {
    loop {
        let source = [127, 0, (1 + place % 200) as u8, 1];
        let handshake = Handshake::to(to, "/dev").source(source);
        match handshake.send().await {
            Opened::Open(client) => return *client,
            Opened::Refused(answer) => assert_eq!(answer.status, 503),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A generator itself, which goes on until its input ends; where it is not told to be one, nothing.
#[tokio::test]
async fn holds_connections() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let (to, share) = task.split_once(' ').expect("an address and a number");
    let (to, share): (SocketAddr, usize) = (to.parse().unwrap(), share.parse().unwrap());
    allow_open_files(share as u64 + 100);
    let (begin, check) = watch::channel(false);
    let (tell, mut told) = mpsc::channel(AT_ONCE);
    let opening = stream::iter(0..share).map(|place| {
        let (check, tell) = (check.clone(), tell.clone());
        async move {
            let client = open(to, place).await;
            // At once, since the node pings while others still open.
            tokio::spawn(async move {
                let (lives, mut client) = hold(client, check).await;
                let _ = tell.send(lives).await;
                while client
                    .next_of_any_kind(Duration::from_hours(1))
                    .await
                    .is_some()
                {}
            });
        }
    });
    let opened = opening.buffer_unordered(AT_ONCE).count().await;
    println!("\n{SAYS}{opened} open");
    // Orders come over a blocking pipe; sockets are served meanwhile.
    let (order, mut orders) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = order.blocking_send(line);
        }
    });
    while orders.recv().await.is_some() {
        begin.send_replace(true);
        let mut alive = 0;
        for _ in 0..share {
            alive += usize::from(told.recv().await.unwrap());
        }
        println!("\n{SAYS}{alive} alive");
    }
    // Nobody says good-bye.
    std::process::exit(0);
}
