//! Functions behind a socket: from `wiregate.yaml` to the frame that a client gets, and to the end of the process.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use harness::{Client, Gateway, Lambda, LambdaAnswer, check, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{MARK, new_mark, processes, processes_become, python, write_code};
use crate::app::{BINARY, error_frame, start_alone, text};

/// A runtime in Python whose functions answer what they are asked to.
const CODE: &str = r#"
while True:
    id, event, _ = next()
    kind = event["requestContext"]["eventType"]
    if kind != "MESSAGE":
        with open(os.environ["EVENTS"], "a") as events: events.write(kind + "\n")
        time.sleep(float(os.environ.get("LAST", "0")) if kind == "DISCONNECT" else 0)
        respond(id, {"statusCode": 200})
        continue
    message = json.loads(event["body"])
    print("message", message, flush=True)
    do = message.get("do")
    if do == "exit": sys.exit(1)
    if do == "fork" and os.fork() == 0:
        os.setsid()
        time.sleep(600)
    if do == "error": fail(id, {"errorType": "Odd", "errorMessage": "secret-of-the-operator"}); continue
    time.sleep(message.get("seconds", 0))
    respond(id, {"statusCode": 200, "body": os.environ["ANSWER"]})
"#;

struct App {
    gateway: Gateway,
    folder: TempDir,
    mark: String,
}

impl App {
    async fn start(settings: &str) -> Self {
        Self::with(settings, "", "").await
    }

    /// With further members of the function, of the section `lambda`, and further top-level sections.
    async fn with(settings: &str, lambda: &str, top: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = new_mark();
        write_bootstrap(folder.path());
        let gateway =
            start_alone(&yaml(folder.path(), &mark, "first", settings, lambda, top)).await;
        Self {
            gateway,
            folder,
            mark,
        }
    }

    async fn connect(&self) -> Client {
        self.gateway.connect("/dev").await
    }

    fn events(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("events")).unwrap_or_default()
    }
}

fn write_bootstrap(folder: &Path) {
    let bootstrap = format!("#!{}\nfrom rapi import *\n{CODE}", python().display());
    write_code(
        &folder.join("code"),
        &[("bootstrap", &bootstrap), ("rapi.py", super::RAPI)],
    );
}

fn yaml(
    folder: &Path,
    mark: &str,
    answer: &str,
    settings: &str,
    lambda: &str,
    top: &str,
) -> String {
    let uri = Lambda::uri("f");
    let shown = folder.display();
    let events = folder.join("events");
    let mut yaml = format!(
        "{top}
lambda:
{lambda}
  functions:
    f:
      codeUri: {shown}/code
      runtime: provided.al2023
      environment: {{ {MARK}: '{mark}', ANSWER: {answer}, EVENTS: {} }}
",
        events.display()
    );
    for line in settings.lines() {
        let _ = writeln!(yaml, "      {line}");
    }
    let _ = write!(
        yaml,
        "apis:
  chat:
    routes:
      $connect: '{uri}'
      $disconnect: '{uri}'
      $default:
        integration: {{ integrationUri: '{uri}', timeoutInMillis: 4000 }}
        routeResponseSelectionExpression: $default
"
    );
    yaml
}

async fn ask(client: &mut Client, message: &Value) -> String {
    client.send_json(message).await;
    client.next_text().await
}

#[tokio::test]
async fn a_function_serves_a_socket_from_connect_to_disconnect() {
    let app = App::start("").await;
    let mut client = app.connect().await;
    assert_eq!(ask(&mut client, &json!({})).await, "first");
    let failed: Value =
        serde_json::from_str(&ask(&mut client, &json!({"do": "error"})).await).unwrap();
    let (id, request) = (text(&failed["connectionId"]), text(&failed["requestId"]));
    assert_eq!(
        failed.to_string(),
        serde_json::from_str::<Value>(&error_frame("Internal server error", &id, &request))
            .unwrap()
            .to_string()
    );
    assert!(
        ask(&mut client, &json!({"do": "exit"}))
            .await
            .contains("Internal server error")
    );
    assert_eq!(ask(&mut client, &json!({})).await, "first");
    client.close(Some((1000, ""))).await;
    eventually("the end is told", async || {
        (app.events() == "CONNECT\nDISCONNECT\n").then_some(())
    })
    .await;
    let log = app.gateway.log();
    assert!(log.contains("message {}"), "{log}");
    assert!(
        log.contains("secret-of-the-operator"),
        "operators read why: {log}"
    );
    for (name, count) in [
        ("calls_total", 6.0),
        ("starts_total", 2.0),
        ("workers", 1.0),
    ] {
        let metric = format!("wiregate_function_{name}");
        let counted = async || (app.gateway.metric(&metric).await == Some(count)).then_some(());
        eventually(&metric, counted).await;
    }
}

#[tokio::test]
async fn two_hundred_messages_at_once_are_all_answered_within_the_limit_of_workers() {
    let app = App::start("maxWorkers: 3\ntimeout: 20s").await;
    let mut clients = futures_util::future::join_all((0..200).map(|_| app.connect())).await;
    for client in &mut clients {
        client.send_json(&json!({"seconds": 0.01})).await;
    }
    for client in &mut clients {
        assert_eq!(client.next_text().await, "first");
    }
    assert!(
        processes(&app.mark).len() <= 6,
        "three workers and their keepers"
    );
    // Those that no worker is free for in time get the frame of a slow integration.
    for client in &mut clients[..8] {
        client.send_json(&json!({"seconds": 3})).await;
    }
    let mut answers = Vec::new();
    for client in &mut clients[..8] {
        answers.push(
            client
                .next_within(Duration::from_secs(20))
                .await
                .unwrap()
                .to_string(),
        );
    }
    let late = answers
        .iter()
        .filter(|answer| answer.contains("Endpoint request timed out"));
    let done = answers.iter().filter(|answer| *answer == "first").count();
    assert_eq!((done, late.count()), (3, 5), "{answers:?}");
}

#[tokio::test]
async fn functions_serve_until_the_last_end_is_told_and_then_nothing_is_left() {
    let mut app = App::with("timeout: 10s\nmaxWorkers: 4", "", "").await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(app.connect().await);
    }
    assert_eq!(ask(&mut clients[0], &json!({"do": "fork"})).await, "first");
    app.gateway.signal("TERM");
    let exit = app.gateway.wait_exit(Duration::from_secs(20)).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert_eq!(app.events().matches("DISCONNECT").count(), 10);
    assert_eq!(processes(&app.mark), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_left_of_a_gateway_that_was_killed() {
    let mut app = App::start("maxWorkers: 4").await;
    let mut client = app.connect().await;
    assert_eq!(ask(&mut client, &json!({"do": "fork"})).await, "first");
    client.send_json(&json!({"seconds": 60})).await;
    eventually("workers, and what one forked", async || {
        (processes(&app.mark).len() >= 3).then_some(())
    })
    .await;
    app.gateway.signal("KILL");
    app.gateway.wait_exit(Duration::from_secs(5)).await;
    processes_become(&app.mark, 0).await;
}

#[tokio::test]
async fn a_reload_takes_up_functions_without_closing_a_socket() {
    let app = App::start("").await;
    let mut client = app.connect().await;
    assert_eq!(ask(&mut client, &json!({})).await, "first");
    app.gateway
        .rewrite(&yaml(app.folder.path(), &app.mark, "second", "", "", ""));
    eventually("the second answer", async || {
        (ask(&mut client, &json!({})).await == "second").then_some(())
    })
    .await;
    assert!(
        !app.gateway.log().contains("take effect at the next start"),
        "{}",
        app.gateway.log()
    );
    // Code alone is taken up on a signal.
    let code = std::fs::read_to_string(app.folder.path().join("code/bootstrap")).unwrap();
    write_code(
        &app.folder.path().join("code"),
        &[(
            "bootstrap",
            &code.replace(r#"os.environ["ANSWER"]"#, "'third'"),
        )],
    );
    assert_eq!(ask(&mut client, &json!({})).await, "second");
    app.gateway.signal("HUP");
    eventually("the third answer", async || {
        (ask(&mut client, &json!({})).await == "third").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_configured_endpoint_goes_before_code_and_code_before_the_endpoint_of_all_others() {
    let elsewhere = Lambda::start().await;
    for function in ["f", "g"] {
        elsewhere.on(function, |_| {
            LambdaAnswer::Returns(json!({"statusCode": 200, "body": "elsewhere"}))
        });
    }
    let endpoint = format!("  endpoint: {}", elsewhere.endpoint());
    let app = App::with("", &endpoint, "").await;
    let mut client = app.connect().await;
    assert_eq!(ask(&mut client, &json!({})).await, "first", "it runs here");
    let uri = |yaml: String, name: &str| yaml.replace("function:f/", &format!("function:{name}/"));
    let first = yaml(app.folder.path(), &app.mark, "first", "", &endpoint, "");
    app.gateway.rewrite(&uri(first.clone(), "g"));
    eventually("the endpoint of all others", async || {
        (ask(&mut client, &json!({})).await == "elsewhere").then_some(())
    })
    .await;
    app.gateway.rewrite(&uri(first, "f:other"));
    elsewhere.on("f", |_| {
        LambdaAnswer::Returns(json!({"statusCode": 200, "body": "another version"}))
    });
    eventually("an alias that is not here", async || {
        (ask(&mut client, &json!({})).await == "another version").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_function_that_is_nowhere_is_said_to_be_so() {
    let app = App::start("").await;
    let mut client = app.connect().await;
    let first = yaml(app.folder.path(), &app.mark, "first", "", "", "");
    app.gateway
        .rewrite(&first.replace("function:f/", "function:ghost/"));
    eventually("a failure", async || {
        ask(&mut client, &json!({}))
            .await
            .contains("Internal server error")
            .then_some(())
    })
    .await;
    for part in [
        "lambda.functions.ghost.endpoint is not set",
        "no function of that name runs here",
        "lambda.endpoint is not set",
    ] {
        eventually(part, async || {
            app.gateway.log().contains(part).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn mistakes_of_functions_are_told_with_their_lines() {
    let code = tempfile::tempdir().unwrap();
    let folder = code.path().display();
    let yaml = format!(
        "lambda:
  functions:
    a: {{ codeUri: {folder}, endpoint: http://127.0.0.1:1, runtime: nodejs20.x, handler: app.handler }}
    b: {{ codeUri: {folder}, runtime: java21, handler: app.handler }}
    c: {{ codeUri: {folder}, runtime: nodejs20.x }}
    d: {{ codeUri: {folder}/nowhere, runtime: provided }}
    e: {{ codeUri: {folder}, runtime: provided, memorySize: 64, timeout: 0, pathName: x }}
    f: {{ runtime: nodejs20.x }}
    g:h: {{ codeUri: {folder}, runtime: provided }}
    i: {{ codeUri: {folder}, handler: app.handler }}
apis: {{ chat: }}
"
    );
    let exit = check(BINARY, &yaml);
    assert_eq!(exit.code, Some(64));
    for part in [
        "3:19: endpoint says that the function runs elsewhere, codeUri that it runs here; write one of them",
        "expected a runtime that runs here (nodejs20.x and its like, python3.12 and its like, provided, provided.al2 or provided.al2023), found 'java21'; run it elsewhere",
        "'handler' is missing",
        "there is no folder",
        "expected a whole number from 128 to 10240, found '64'",
        "this duration cannot be turned off",
        "unknown key 'pathName'",
        "8:8: write endpoint, where the function runs, or codeUri",
        "a function that runs here is named by letters",
        "'runtime' is missing",
    ] {
        assert!(exit.stderr.contains(part), "{part}:\n{}", exit.stderr);
    }
    for line in 3..=10 {
        assert!(
            exit.stderr.contains(&format!(":{line}:")),
            "line {line}:\n{}",
            exit.stderr
        );
    }
}

#[tokio::test]
async fn what_is_in_force_shows_no_variable_of_a_function() {
    let code = tempfile::tempdir().unwrap();
    let folder = code.path().display();
    let exit = check(
        BINARY,
        &format!(
            "lambda: {{ functions: {{ f: {{ codeUri: {folder}, runtime: provided, environment: {{ TOKEN: hunter2 }} }} }} }}\napis: {{ chat: }}\n"
        ),
    );
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(
        exit.stdout.contains("TOKEN") && !exit.stdout.contains("hunter2"),
        "{}",
        exit.stdout
    );
}
