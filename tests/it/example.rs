//! The examples start with one command each, and all of it ends with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use harness::{Backend, Client, Handshake, Request, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::app::BINARY;
use crate::sdk::tool;

/// It builds first; other tests may be doing so as well.
const BUILD_LIMIT: Duration = Duration::from_mins(5);

/// A running example.
struct Example {
    run: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    /// Where clients connect.
    public: SocketAddr,
    /// Where the page is.
    page: SocketAddr,
}

impl Example {
    async fn start(name: &str) -> Self {
        let programs = Path::new(BINARY).parent().unwrap();
        let profile = programs.file_name().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Kept until the last moment.
        let (public, management) = (Backend::down(), Backend::down());
        let (to, operators) = (public.address(), management.address());
        drop((public, management));
        let mut run = Command::new(tool(&format!("../examples/{name}/run")));
        // As in a shell: build scripts that look at what `cargo test` sets would have their crates built twice.
        for (name, _) in std::env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                run.env_remove(name);
            }
        }
        let mut run = run
            .env("CHAT_PORT", "0")
            .env("WIREGATE_PORT", to.port().to_string())
            .env("WIREGATE_MANAGEMENT_PORT", operators.port().to_string())
            .env("CHAT_PROFILE", profile)
            .env("CARGO_TARGET_DIR", programs.parent().unwrap())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut example = Self {
            lines: BufReader::new(run.stdout.take().unwrap()).lines(),
            run,
            folder,
            public: to,
            page: to,
        };
        let opened = example.line("Open http://").await;
        let page = opened.split_whitespace().next().unwrap();
        example.page = page.parse().unwrap();
        example
    }

    /// What follows `text` in the first line that has it.
    async fn line(&mut self, text: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some((_, rest)) = line.split_once(text) {
                    return rest.to_owned();
                }
            }
            panic!("it ended without saying {text:?}");
        };
        let found = tokio::time::timeout(BUILD_LIMIT, found).await;
        found.unwrap_or_else(|_| panic!("it never says {text:?}"))
    }

    /// Ends it; nothing that it started lives on, or lies about.
    async fn stop(mut self, started: usize) {
        let id = self.run.id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let children: Vec<_> = children.split_whitespace().collect();
        assert!(children.len() >= started, "{children:?}");
        let kill = Command::new("kill").arg(id.to_string()).status().await;
        assert!(kill.unwrap().success());
        let exit = tokio::time::timeout(Duration::from_mins(1), self.run.wait()).await;
        assert_eq!(exit.expect("it ends").unwrap().code(), Some(143));
        eventually("all that it started is gone", async || {
            (!children.iter().any(|child| is_alive(child))).then_some(())
        })
        .await;
        let left: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn is_alive(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[tokio::test]
async fn one_command_starts_the_chat_and_its_end_leaves_nothing_behind() {
    let chat = Example::start("chat").await;
    let answer = Request::get(chat.page, "/").send().await;
    assert_eq!(answer.status, 200);
    let page = answer.text();
    assert!(page.contains("<!doctype html>"), "{page}");
    let status = Handshake::to(chat.public, "/dev?name=Ada&room=lounge");
    assert_eq!(status.status().await, 101);
    chat.stop(2).await;
}

/// Joins the room as that person.
async fn join(to: SocketAddr, name: &str) -> Client {
    let path = format!("/dev?name={name}&room=lounge&key={name}-0123456789abcdef");
    let mut client = Handshake::to(to, &path).open().await;
    let join = json!({"action": "join", "name": name, "room": "lounge", "key": format!("{name}-0123456789abcdef")});
    client.send_json(&join).await;
    next(&mut client, "joined").await;
    client
}

/// The next event of that type.
async fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let event = client.next_json().await;
        if event["type"] == kind {
            return event;
        }
    }
}

/// Whatever still comes before it.
async fn ended(client: &mut Client) {
    while client.next_within(Duration::from_secs(20)).await.is_some() {}
}

#[tokio::test]
async fn on_two_nodes_the_chat_goes_on_when_one_is_killed_and_hears_who_was_lost() {
    let mut nodes = Example::start("two-nodes").await;
    let victim = nodes.line("kill -9 ").await;
    nodes.line("Ctrl-C").await;
    let mut people = Vec::new();
    for name in ["Ada", "Bob"] {
        people.push((name, join(nodes.public, name).await));
    }
    // On different nodes, since the load balancer chooses the one with fewer.
    let said = json!({"action": "sendmessage", "text": "hello", "ref": "r1"});
    people[0].1.send_json(&said).await;
    assert_eq!(next(&mut people[1].1, "message").await["text"], "hello");
    let kill = Command::new("kill").args(["-9", &victim]).status().await;
    assert!(kill.unwrap().success());
    // Whose socket ends was on it; the other one hears of it from the chat.
    let (first, second) = people.split_at_mut(1);
    let (lost, left) = tokio::select! {
        () = ended(&mut first[0].1) => (first[0].0, &mut second[0].1),
        () = ended(&mut second[0].1) => (second[0].0, &mut first[0].1),
    };
    let limit = Duration::from_secs(20);
    let heard = tokio::time::timeout(limit, next(left, "left")).await;
    assert_eq!(heard.expect("the end is told")["person"]["name"], lost);
    nodes.line("It has come back").await;
    nodes.stop(5).await;
}
