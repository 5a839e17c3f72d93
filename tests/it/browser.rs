//! A real browser uses the chat example through the gateway. `tests/run` installs what is needed.

use std::path::Path;
use std::process::Stdio;

use harness::{Backend, PATIENCE};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app;
use crate::sdk::{built, succeeds, tool};

const CHROMIUM: &str = "/usr/bin/chromium";

/// Starts the example's backend and waits until it says where it is.
async fn start_chat(listen: &str, gateway: &str) -> Child {
    let mut child = Command::new(built("examples", "chat").await)
        .args(["--listen", listen, "--gateway", gateway])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let ready = ready
        .expect("the chat backend says where it is")
        .unwrap()
        .unwrap_or_default();
    assert!(ready.starts_with("chat backend on "), "{ready}");
    child
}

#[tokio::test]
async fn two_people_chat_in_two_windows() {
    tool("sdk/node_modules/playwright-core");
    assert!(
        Path::new(CHROMIUM).exists(),
        "{CHROMIUM} is not installed; tests/run installs it"
    );
    // The port is kept for the chat backend, which can only be started once the gateway's is known.
    let place = Backend::down();
    let example = std::fs::read_to_string(tool("../examples/chat/wiregate.yaml")).unwrap();
    let gateway = app::start(&example.replace("http://127.0.0.1:3000", &place.url(""))).await;
    let chat = start_chat(&place.address().to_string(), &gateway.ws_url("/dev")).await;
    let mut script = Command::new("node");
    script.env("PAGE", place.url("/")).env("CHROMIUM", CHROMIUM);
    script.env("GATEWAY", gateway.process().to_string());
    succeeds(script.arg(tool("sdk/chat.mjs"))).await;
    drop(chat);
}
