//! AWS's own clients, unmodified, against the running gateway. `tests/run` installs them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use harness::{Answer, Authority, Client};
use tokio::process::Command;

use crate::app::{App, BINARY};

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// A key that comes with a token, as roles have them.
const TEMPORARY: &str = "ASIAEXAMPLE";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE";
/// The longest run of one script: the SDKs retry with pauses.
const LIMIT: Duration = Duration::from_mins(1);

/// A file under `tests/`; fails the test with the remedy if it is not there.
pub(crate) fn tool(path: &str) -> PathBuf {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(
        whole.exists(),
        "{} is not installed; tests/run installs it, tests/run --quick does without",
        whole.display()
    );
    whole
}

/// A program of another package, built beside the binary under test; Cargo does nothing where it is fresh.
pub(crate) async fn built(package: &str, program: &str) -> PathBuf {
    let profile = Path::new(BINARY).parent().unwrap();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", package, "--bin", program]);
    build
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().await.unwrap();
    assert!(status.success(), "{program} does not build");
    profile.join(program)
}

/// Runs a program to its end; fails the test, showing its output, unless it succeeds.
pub(crate) async fn succeeds(command: &mut Command) -> String {
    let output = run(command).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{stderr}",
        output.status
    );
    stdout
}

async fn run(command: &mut Command) -> Output {
    command.kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end within {LIMIT:?}"));
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// An app with two sockets, and the environment that tells a script about them.
struct Callbacks {
    app: App,
    open: Client,
    open_id: String,
    closing: Client,
    closing_id: String,
}

impl Callbacks {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With further members of `server`.
    async fn with(server: &str) -> Self {
        let top = format!(
            "server: {{ credentials: [{{ accessKeyId: {KEY}, secretAccessKey: {SECRET} }}, {{ accessKeyId: {TEMPORARY}, secretAccessKey: {SECRET}, sessionToken: {TOKEN} }}]{server} }}"
        );
        let app = App::with_server(&top, "").await;
        let open = app
            .gateway
            .handshake("/dev")
            .header("User-Agent", "spec/1")
            .open()
            .await;
        let open_id = app.backend.next("/connect").await.connection_id();
        let (closing, closing_id) = app.connect().await;
        Self {
            app,
            open,
            open_id,
            closing,
            closing_id,
        }
    }

    fn endpoint(&self) -> String {
        format!("http://{}/dev", self.app.gateway.public())
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.app.gateway.directory())
            .env("NO_PROXY", "*")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("ENDPOINT", self.endpoint())
            .env("OPEN_ID", &self.open_id)
            .env("CLOSING_ID", &self.closing_id)
            .env("TOO_LONG", (1024 * 1024 + 1).to_string());
    }

    fn python(&self) -> Command {
        let mut command = Command::new(tool(".tools/venv/bin/python"));
        self.environment(&mut command);
        command.arg(tool("sdk/callbacks.py"));
        command
    }

    fn node(&self) -> Command {
        tool("sdk/node_modules/@aws-sdk/client-apigatewaymanagementapi");
        let mut command = Command::new("node");
        self.environment(&mut command);
        command.arg(tool("sdk/callbacks.mjs"));
        command
    }

    fn aws(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool(".tools/venv/bin/python"));
        self.environment(&mut command);
        command.arg(tool(".tools/venv/bin/aws"));
        command.args([
            "apigatewaymanagementapi",
            "--endpoint-url",
            &self.endpoint(),
            "--output",
            "json",
        ]);
        command.args(arguments);
        command
    }

    /// What both scripts have pushed, and the close they asked for.
    async fn saw(&mut self, first: &str) {
        for text in [first, "trailing slash, ünïcode", ""] {
            assert_eq!(self.open.next_text().await, text);
        }
        assert_eq!(
            self.closing.closed().await,
            (1000, "Connection Closed Normally")
        );
        let disconnect = self.app.backend.next("/disconnect").await;
        assert_eq!(disconnect.connection_id(), self.closing_id);
    }
}

#[tokio::test]
async fn boto3_pushes_looks_up_and_deletes_on_the_operators_listener() {
    let mut callbacks = Callbacks::start().await;
    let endpoint = format!("http://{}/dev", callbacks.app.gateway.management());
    succeeds(callbacks.python().env("ENDPOINT", endpoint)).await;
    callbacks.saw("from boto3").await;
}

#[tokio::test]
async fn boto3_signs_for_the_clients_listener() {
    let mut callbacks = Callbacks::start().await;
    succeeds(&mut callbacks.python()).await;
    callbacks.saw("from boto3").await;
}

#[tokio::test]
async fn the_sdks_sign_with_temporary_credentials_too() {
    let temporary = |mut command: Command| {
        command.env("AWS_ACCESS_KEY_ID", TEMPORARY);
        command.env("AWS_SESSION_TOKEN", TOKEN);
        command
    };
    let mut callbacks = Callbacks::start().await;
    succeeds(&mut temporary(callbacks.python())).await;
    callbacks.saw("from boto3").await;
    let mut callbacks = Callbacks::start().await;
    succeeds(&mut temporary(callbacks.node())).await;
    callbacks.saw("from JavaScript").await;
}

#[tokio::test]
async fn boto3_signs_for_the_clients_listener_over_tls() {
    let authority = Authority::new();
    let issued = authority.issue("wiregate");
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("cert.pem", &issued.cert), file("key.pem", &issued.key));
    let bundle = file("authority.pem", &authority.pem());
    let mut callbacks = Callbacks::with(&format!(", tls: {{ cert: {cert}, key: {key} }}")).await;
    let endpoint = callbacks.endpoint().replace("http://", "https://");
    let mut python = callbacks.python();
    succeeds(
        python
            .env("ENDPOINT", endpoint)
            .env("AWS_CA_BUNDLE", bundle),
    )
    .await;
    callbacks.saw("from boto3").await;
}

#[tokio::test]
async fn boto3_with_wrong_credentials_is_told_why() {
    let mut callbacks = Callbacks::start().await;
    let mut wrong_secret = callbacks.python();
    succeeds(
        wrong_secret
            .env("AWS_SECRET_ACCESS_KEY", "wrong")
            .arg("InvalidSignatureException"),
    )
    .await;
    let mut wrong_key = callbacks.python();
    succeeds(
        wrong_key
            .env("AWS_ACCESS_KEY_ID", "AKIANOBODY")
            .arg("UnrecognizedClientException"),
    )
    .await;
    crate::app::only_the_echo_comes_back(&mut callbacks.open, "nothing was delivered").await;
}

#[tokio::test]
async fn the_javascript_sdk_pushes_looks_up_and_deletes_on_the_operators_listener() {
    let mut callbacks = Callbacks::start().await;
    let endpoint = format!("http://{}/dev", callbacks.app.gateway.management());
    succeeds(callbacks.node().env("ENDPOINT", endpoint)).await;
    callbacks.saw("from JavaScript").await;
}

#[tokio::test]
async fn the_javascript_sdk_signs_for_the_clients_listener() {
    let mut callbacks = Callbacks::start().await;
    succeeds(&mut callbacks.node()).await;
    callbacks.saw("from JavaScript").await;
    let mut wrong = callbacks.node();
    succeeds(
        wrong
            .env("AWS_SECRET_ACCESS_KEY", "wrong")
            .arg("InvalidSignatureException"),
    )
    .await;
    crate::app::only_the_echo_comes_back(&mut callbacks.open, "nothing was delivered").await;
}

#[tokio::test]
async fn the_aws_cli_pushes_looks_up_and_deletes() {
    let mut callbacks = Callbacks::start().await;
    let id = callbacks.open_id.clone();
    let mut post = callbacks.aws(&[
        "post-to-connection",
        "--connection-id",
        &id,
        "--data",
        "from the CLI",
    ]);
    succeeds(&mut post).await;
    assert_eq!(callbacks.open.next_text().await, "from the CLI");

    let found = succeeds(&mut callbacks.aws(&["get-connection", "--connection-id", &id])).await;
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["Identity"]["SourceIp"], "127.0.0.1");
    assert_eq!(found["Identity"]["UserAgent"], "spec/1");

    succeeds(&mut callbacks.aws(&["delete-connection", "--connection-id", &id])).await;
    assert_eq!(
        callbacks.open.closed().await,
        (1000, "Connection Closed Normally")
    );
    let again = run(&mut callbacks.aws(&["delete-connection", "--connection-id", &id])).await;
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && stderr.contains("GoneException"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_python_websockets_client_talks_to_the_gateway() {
    let app = App::start().await;
    app.backend.on("/connect", |request| {
        Answer::status(if request.header("x-own") == Some("1") {
            200
        } else {
            400
        })
    });
    let mut command = Command::new(tool(".tools/venv/bin/python"));
    command
        .env("WS_URL", app.gateway.ws_url("/dev"))
        .env("NO_PROXY", "*");
    succeeds(command.arg(tool("sdk/roundtrip.py"))).await;
    let disconnect = app.backend.next("/disconnect").await;
    assert_eq!(disconnect.wiregate("disconnect-code"), "4001");
    assert_eq!(disconnect.wiregate("disconnect-reason"), "bye");
}
