//! The two SAM chats of the examples, with a stand-in for DynamoDB: driven by clients, and started by their own command.

use std::path::Path;
use std::time::Duration;

use harness::{Backend, PATIENCE, within};
use serde_json::json;
use tokio::process::{Child, Command};

use super::super::app::{App, python, python_variable};
use super::{COLD, says, text};
use crate::sdk::{succeeds, tool};

/// A stand-in for DynamoDB; ended when dropped.
struct Tables {
    _process: Child,
    url: String,
}

impl Tables {
    /// With the tables of a template.
    async fn of(template: &Path) -> Self {
        let port = Backend::down();
        let address = port.address();
        drop(port);
        let mut command = Command::new(python());
        command.args([
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
        ]);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let process = command.kill_on_drop(true).spawn().unwrap();
        let url = format!("http://{address}");
        within(COLD, "the stand-in answers", async || {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        let tables = Self {
            _process: process,
            url,
        };
        let mut create = tables.script();
        create
            .arg(tool("../examples/create-tables.py"))
            .arg(template);
        succeeds(&mut create).await;
        tables
    }

    /// Python that speaks to it.
    fn script(&self) -> Command {
        let mut command = Command::new(python());
        for (name, value) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", &*self.url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("NO_PROXY", "*"),
        ] {
            command.env(name, value);
        }
        command
    }

    async fn put(&self, table: &str, id: &str) {
        let mut script = self.script();
        script.args(["-c", "import boto3, sys; boto3.resource('dynamodb').Table(sys.argv[1]).put_item(Item={'connectionId': sys.argv[2]})", table, id]);
        succeeds(&mut script).await;
    }

    async fn count(&self, table: &str) -> usize {
        let mut script = self.script();
        script.args(["-c", "import boto3, sys; print(boto3.resource('dynamodb').Table(sys.argv[1]).scan()['Count'])", table]);
        succeeds(&mut script).await.trim().parse().unwrap()
    }
}

/// Two people join, talk and leave; somebody who is long gone is forgotten.
async fn chat(app: &App, table: &str, command: impl FnOnce(&App) -> harness::GatewayCommand) {
    let tables = Tables::of(&app.path().join("template.yaml")).await;
    let command = command(app).env("AWS_ENDPOINT_URL_DYNAMODB", &tables.url);
    let gateway = command.start().await;
    // As AWS would have given it out, years ago.
    tables.put(table, "L0SM9cOFvHcCIhw=").await;
    let mut ada = gateway.connect("/Prod").await;
    let mut bob = gateway.connect("/Prod").await;
    assert_eq!(tables.count(table).await, 3);
    ada.send_json(&json!({"action": "sendmessage", "data": "hello"}))
        .await;
    for client in [&mut ada, &mut bob] {
        assert_eq!(text(client).await, "hello");
    }
    says(&gateway, "L0SM9cOFvHcCIhw= is gone").await;
    says(&gateway, "sendmessage").await;
    bob.close(Some((1000, "bye"))).await;
    bob.closed_within(PATIENCE).await;
    // A function is loaded first. One that takes longer than Lambda's 10 s has failed, and is not called again.
    within(COLD, "only Ada and nobody else is left", async || {
        (tables.count(table).await == 1).then_some(())
    })
    .await;
    says(&gateway, "DISCONNECT").await;
    ada.send_json(&json!({"action": "sendmessage", "data": "alone"}))
        .await;
    assert_eq!(text(&mut ada).await, "alone");
}

#[tokio::test]
async fn the_chat_in_javascript_joins_broadcasts_and_sweeps() {
    let app = App::example("sam-chat-node").with_packages();
    chat(&app, "sam_chat_node", App::command).await;
}

#[tokio::test]
async fn the_chat_in_python_joins_broadcasts_and_sweeps() {
    let app = App::example("sam-chat-python");
    chat(&app, "sam_chat_python", App::python_command).await;
}

/// The example's own command, as a new user runs it.
async fn runs(name: &str, more: &[&str]) {
    let free: Vec<Backend> = (0..2).map(|_| Backend::down()).collect();
    let [gateway, tables] = [0, 1].map(|n| free[n].address().port().to_string());
    drop(free);
    let binary = Path::new(crate::app::BINARY).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(tool(&format!("../examples/{name}/run")));
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("AWS_")
        {
            run.env_remove(name);
        }
    }
    let mut run = run
        // The port beside a free one may be taken.
        .args(["--management-listen", "127.0.0.1:0"])
        .args(more)
        .env("WIREGATE_PORT", &gateway)
        .env("DYNAMODB_PORT", &tables)
        .env("DYNAMODB_PYTHON", python())
        .env("CHAT_PROFILE", binary.file_name().unwrap())
        .env("CARGO_TARGET_DIR", binary.parent().unwrap())
        .env("TMPDIR", folder.path())
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env("XDG_CACHE_HOME", tool(".tools").join("cache"))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = format!("127.0.0.1:{gateway}").parse().unwrap();
    let open = async || harness::Handshake::to(address, "/Prod").try_send().await;
    let opened = within(Duration::from_mins(5), "a socket of the example", open).await;
    let harness::Opened::Open(mut client) = opened else {
        panic!("{opened:?}");
    };
    client
        .send_json(&json!({"action": "sendmessage", "data": "hello"}))
        .await;
    assert_eq!(text(&mut client).await, "hello");
    let pid = run.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .arg(&pid)
            .status()
            .await
            .unwrap()
            .success()
    );
    let exit = tokio::time::timeout(Duration::from_mins(1), run.wait()).await;
    assert_eq!(exit.expect("it ends").unwrap().code(), Some(143));
    assert!(open().await.is_none());
}

#[tokio::test]
async fn one_command_runs_the_chat_in_javascript() {
    runs("sam-chat-node", &[]).await;
}

#[tokio::test]
async fn one_command_runs_the_chat_in_python() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("python.env");
    std::fs::write(&file, python_variable()).unwrap();
    runs("sam-chat-python", &["--env-file", file.to_str().unwrap()]).await;
}
