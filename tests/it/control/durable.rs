//! What was answered is on disk: through kills, restarts, and clients that hang up in the middle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Gateway, Request, read_answer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Chat, Plane, backend, command, items};
use crate::app::text;

const ROUNDS: u64 = 10;
const WRITERS: usize = 4;

/// One connection that is kept, as SDKs keep theirs.
struct Line {
    stream: TcpStream,
    at: SocketAddr,
}

impl Line {
    async fn to(at: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(at).await.ok()?;
        Some(Self { stream, at })
    }

    async fn write(&mut self, method: &str, path: &str, body: &Value) -> Option<()> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            self.at,
            body.len()
        );
        self.stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .ok()
    }

    /// `None` where the gateway ended before it answered.
    async fn ask(&mut self, method: &str, path: &str, body: Value) -> Option<Value> {
        self.write(method, path, &body).await?;
        let (answer, _) = read_answer(&mut self.stream, false).await?;
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path} {body}: {}",
            answer.text()
        );
        Some(answer.json())
    }
}

/// What one writer was told, and what it asked last without being told anything.
#[derive(Debug, Default)]
struct Writer {
    name: String,
    /// The number that each of its APIs holds, by id.
    known: BTreeMap<String, u64>,
    /// The name of an API that was to be made.
    creating: Option<String>,
    /// The number that one was to hold; `None` where it was to go.
    changing: Option<(String, Option<u64>)>,
    count: u64,
}

impl Writer {
    /// Creates, updates and deletes until nobody answers.
    async fn run(&mut self, at: SocketAddr) {
        let Some(mut line) = Line::to(at).await else {
            return;
        };
        while self.step(&mut line).await.is_some() {}
    }

    async fn step(&mut self, line: &mut Line) -> Option<()> {
        self.count += 1;
        let number = self.count;
        let oldest = self.known.keys().next().cloned();
        match oldest {
            Some(id) if number % 3 == 1 => {
                self.changing = Some((id.clone(), Some(number)));
                // Two members in one change: neither may come without the other.
                let change =
                    json!({"description": number.to_string(), "version": number.to_string()});
                line.ask("PATCH", &format!("/v2/apis/{id}"), change).await?;
                self.known.insert(id, number);
                self.changing = None;
            }
            Some(id) if number % 3 == 2 && self.known.len() > 3 => {
                self.changing = Some((id.clone(), None));
                line.ask("DELETE", &format!("/v2/apis/{id}"), Value::Null)
                    .await?;
                self.known.remove(&id);
                self.changing = None;
            }
            _ => {
                let name = format!("{}-{number}", self.name);
                self.creating = Some(name.clone());
                let text_of = number.to_string();
                let api = json!({
                    "name": name, "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action",
                    "description": text_of, "version": text_of,
                });
                let made = line.ask("POST", "/v2/apis", api).await?;
                self.known.insert(text(&made["apiId"]), number);
                self.creating = None;
            }
        }
        Some(())
    }

    /// Holds what is there against what was answered, and goes on from it.
    fn check(&mut self, found: &[Value]) {
        let own = |api: &&Value| text(&api["name"]).starts_with(&format!("{}-", self.name));
        let mut there = BTreeMap::new();
        for api in found.iter().filter(own) {
            assert_eq!(api["description"], api["version"], "half a change: {api}");
            there.insert(
                text(&api["apiId"]),
                text(&api["version"]).parse::<u64>().unwrap(),
            );
        }
        let creating = self.creating.take();
        let changing = self.changing.take();
        for (id, number) in &self.known {
            let pending = changing.as_ref().filter(|(changed, _)| changed == id);
            let right = match (there.get(id), pending) {
                (Some(found), Some((_, Some(asked)))) => found == number || found == asked,
                (Some(found), _) => found == number,
                (None, Some((_, None))) => true,
                (None, _) => false,
            };
            assert!(
                right,
                "{id} was {number}, is {:?}; asked for {changing:?}",
                there.get(id)
            );
        }
        for api in found
            .iter()
            .filter(own)
            .filter(|api| !self.known.contains_key(&text(&api["apiId"])))
        {
            assert_eq!(
                Some(text(&api["name"])),
                creating,
                "nobody was told of {api}"
            );
        }
        self.known = there;
    }
}

async fn start(folder: &Path) -> Gateway {
    command().data_dir(folder).start().await
}

#[tokio::test]
async fn what_was_answered_survives_every_kill_and_nothing_is_there_by_half() {
    let folder = TempDir::new().unwrap();
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            name: format!("writer{number}"),
            ..Writer::default()
        })
        .collect();
    for round in 0..ROUNDS {
        let mut gateway = start(folder.path()).await;
        let found = items(gateway.management(), "/v2/apis").await;
        for writer in &mut writers {
            writer.check(&found);
        }
        let at = gateway.management();
        let kill = async {
            // Somewhere in the middle of something, elsewhere in each round.
            tokio::time::sleep(Duration::from_millis(60 + (round * 7919) % 211)).await;
            gateway.signal("KILL");
            gateway.wait_exit(Duration::from_secs(5)).await;
        };
        tokio::join!(
            kill,
            join_all(writers.iter_mut().map(|writer| writer.run(at)))
        );
    }
    let gateway = start(folder.path()).await;
    let found = items(gateway.management(), "/v2/apis").await;
    for writer in &mut writers {
        writer.check(&found);
    }
    let changes: u64 = writers.iter().map(|writer| writer.count).sum();
    assert!(
        changes > ROUNDS * 10,
        "only {changes} changes were asked for"
    );
}

#[tokio::test]
async fn a_restart_serves_the_same_traffic() {
    let folder = TempDir::new().unwrap();
    let backend = backend().await;
    let mut gateway = start(folder.path()).await;
    let chat = Chat::create(gateway.management(), &backend).await;
    chat.open(&gateway).await.close(None).await;
    let everything = async |gateway: &Gateway| {
        let mut all = Vec::new();
        for path in ["/routes", "/integrations", "/deployments", "/stages"] {
            all.push(items(gateway.management(), &chat.path(path)).await);
        }
        all
    };
    let before = everything(&gateway).await;
    gateway.signal("TERM");
    let exit = gateway.wait_exit(Duration::from_secs(20)).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");

    let again = start(folder.path()).await;
    assert_eq!(everything(&again).await, before);
    chat.open(&again).await;
}

#[tokio::test]
async fn a_second_gateway_on_one_data_dir_is_turned_away_and_told_why() {
    let folder = TempDir::new().unwrap();
    let first = start(folder.path()).await;
    let Err(exit) = command().data_dir(folder.path()).try_start().await else {
        panic!("two gateways write into one folder");
    };
    assert!(exit.code.is_some_and(|code| code != 0), "{exit:?}");
    assert!(
        exit.stderr.contains("is in use by another process"),
        "{}",
        exit.stderr
    );
    assert!(exit.stderr.contains("dataDir"), "{}", exit.stderr);
    drop(first);
    start(folder.path()).await;
}

/// Asks for APIs and hangs up, sooner or later, without an answer.
pub(super) async fn hang_up(at: SocketAddr, times: u64) {
    for number in 0..times {
        let mut line = Line::to(at).await.expect("the gateway listens");
        let api = json!({"name": format!("nobody waits {number}"), "protocolType": "HTTP"});
        line.write("POST", "/v2/apis", &api).await;
        tokio::time::sleep(Duration::from_micros(number % 40 * 150)).await;
    }
}

#[tokio::test]
async fn a_change_whose_client_hung_up_is_served_exactly_if_it_is_stored() {
    let folder = TempDir::new().unwrap();
    let plane = Plane::of(command().data_dir(folder.path())).await;
    hang_up(plane.at(), 200).await;
    let mut served = plane.items("/v2/apis").await.len();
    // What has begun comes to its end.
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = plane.items("/v2/apis").await.len();
        if std::mem::replace(&mut served, now) == now {
            break;
        }
    }
    assert!(served > 0, "none was made at all");
    drop(plane);
    let again = start(folder.path()).await;
    assert_eq!(items(again.management(), "/v2/apis").await.len(), served);
    let ready = Request::get(again.management(), "/readyz").send().await;
    assert_eq!(ready.status, 200);
}
