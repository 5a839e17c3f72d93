//! The chat starts with one command, and all of it ends with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use harness::{Backend, Handshake, Request, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::app::BINARY;
use crate::sdk::tool;

/// It builds first; other tests may be doing so as well.
const BUILD_LIMIT: Duration = Duration::from_mins(5);

fn is_alive(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[tokio::test]
async fn one_command_starts_the_chat_and_its_end_leaves_nothing_behind() {
    let programs = Path::new(BINARY).parent().unwrap();
    let profile = programs.file_name().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Kept until the last moment.
    let (public, management) = (Backend::down(), Backend::down());
    let (to, operators) = (public.address(), management.address());
    drop((public, management));
    let mut chat = Command::new(tool("../examples/chat/run"));
    // As in a shell: build scripts that look at what `cargo test` sets would have their crates built twice.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            chat.env_remove(name);
        }
    }
    let mut chat = chat
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
    let id = chat.id().unwrap();
    let mut lines = BufReader::new(chat.stdout.take().unwrap()).lines();
    let opened = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(rest) = line.strip_prefix("Open http://") {
                return rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        }
        panic!("it ended without saying where the page is");
    };
    let opened = tokio::time::timeout(BUILD_LIMIT, opened).await;
    let page = opened.expect("it says where the page is");
    let answer = Request::get(page, "/").send().await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("<!doctype html>"),
        "{}",
        answer.text()
    );
    assert_eq!(
        Handshake::to(to, "/dev?name=Ada&room=lounge")
            .status()
            .await,
        101
    );

    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let children: Vec<_> = children.split_whitespace().collect();
    assert!(children.len() >= 2, "{children:?}");
    let kill = Command::new("kill").arg(id.to_string()).status().await;
    assert!(kill.unwrap().success());
    let exit = tokio::time::timeout(Duration::from_secs(30), chat.wait()).await;
    assert_eq!(exit.expect("it ends").unwrap().code(), Some(143));
    eventually("all that it started is gone", async || {
        (!children.iter().any(|child| is_alive(child))).then_some(())
    })
    .await;
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
