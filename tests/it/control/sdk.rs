//! AWS's own clients, unmodified, against a gateway that no file tells of any API. `tests/run` installs them.

use std::path::Path;
use std::time::Duration;

use harness::Handshake;
use tempfile::TempDir;
use tokio::process::Command;

use super::{Plane, command};
use crate::app::only_the_echo_comes_back;
use crate::sdk::tool;

/// The longest run of one script: the AWS CLI starts anew for each command, a hundred times.
const LIMIT: Duration = Duration::from_mins(5);

/// What every client is told: where the gateway and the backend are, and credentials that nobody checks.
fn environment<'c>(command: &'c mut Command, plane: &Plane) -> &'c mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("HOME", plane.gateway.directory())
        .env("NO_PROXY", "*")
        .env("AWS_ACCESS_KEY_ID", "AKIAANYBODY")
        .env("AWS_SECRET_ACCESS_KEY", "any secret")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS", tool(".tools/venv/bin/aws"))
        .env("ENDPOINT", format!("http://{}", plane.at()))
        .env("BACKEND", plane.backend.url(""))
        .kill_on_drop(true)
}

/// Runs it to its end and returns what it printed; fails the test with that unless it succeeds.
async fn run(command: &mut Command, plane: &Plane) -> String {
    let command = environment(command, plane);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end within {LIMIT:?}"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{stderr}",
        output.status
    );
    stdout
}

fn python(script: &str) -> Command {
    let mut command = Command::new(tool(".tools/venv/bin/python"));
    command.arg(tool(script));
    command
}

#[tokio::test]
async fn the_aws_cli_makes_an_api_that_carries_a_message_and_a_push_and_deletes_it() {
    let plane = Plane::start().await;
    let script = tool("sdk/control.sh");
    let printed = run(Command::new(&script).arg("make"), &plane).await;
    let last = printed.lines().last().unwrap_or_default();
    let ["serving", api, endpoint, stage] = last.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{printed}");
    };

    let address = plane.gateway.public();
    let (start, path) = endpoint.split_at(endpoint.find("/_aws").unwrap());
    assert_eq!(start, format!("ws://localhost:{}", address.port()));
    let path = format!("{path}/{stage}");
    let mut client = Handshake::to(address, &path).open().await;
    only_the_echo_comes_back(&mut client, "through the API of the CLI").await;
    let seen = plane.backend.next("/echo").await;
    let connection = seen.connection_id();
    assert_eq!(seen.header("x-mapped"), Some(&*connection), "as mapped");

    let mut push = Command::new(tool(".tools/venv/bin/aws"));
    push.args(["apigatewaymanagementapi", "post-to-connection"])
        .args(["--endpoint-url", &format!("http://{}{path}", plane.at())])
        .args(["--connection-id", &connection, "--data", "from the CLI"]);
    run(&mut push, &plane).await;
    assert_eq!(client.next_text().await, "from the CLI");

    run(Command::new(&script).args(["end", api]), &plane).await;
    let gone = Handshake::to(address, &path).refused().await;
    assert_eq!((gone.status, &*gone.message()), (403, "Forbidden"));
    assert!(plane.items("/v2/apis").await.is_empty());
}

#[tokio::test]
async fn boto3_changes_an_api_under_an_open_socket() {
    let plane = Plane::start().await;
    run(&mut python("sdk/control.py"), &plane).await;
}

#[tokio::test]
async fn the_javascript_sdk_changes_an_api_under_an_open_socket() {
    let plane = Plane::start().await;
    tool("sdk/node_modules/@aws-sdk/client-apigatewayv2");
    let mut node = Command::new("node");
    // Until Node 22 its WebSocket has to be asked for.
    node.args(["--no-warnings", "--experimental-websocket"]);
    run(node.arg(tool("sdk/control.mjs")), &plane).await;
}

#[tokio::test]
async fn every_operation_answers_as_the_service_model_of_botocore_says() {
    // Some twenty thousand requests that prove nothing of disks.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    let folder = folder.unwrap();
    let plane = Plane::of(command().data_dir(folder.path())).await;
    let table = run(&mut python("sdk/oracle.py"), &plane).await;
    println!("{table}");
}
