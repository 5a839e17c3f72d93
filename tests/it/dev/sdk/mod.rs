//! Functions of Node.js and Python under `wiregate dev`, posting back with AWS's own SDKs, unchanged. `tests/run` installs what they need.

mod chat;

use std::time::Duration;

use harness::{Client, Gateway, within};
use serde_json::{Value, json};
use tokio::process::Command;

use super::app::{App, function, python};
use crate::sdk::succeeds;

/// A cold start on a busy machine: a runtime begins, and an SDK is loaded.
const COLD: Duration = Duration::from_mins(1);

/// The next text, however long a function takes to start.
async fn text(client: &mut Client) -> String {
    match client.next_within(COLD).await {
        Some(message) if message.is_text() => message.to_text().unwrap().to_owned(),
        other => panic!("expected a text message, got {other:?}"),
    }
}

/// Waits until it has written this.
async fn says(gateway: &Gateway, expected: &str) -> String {
    within(COLD, expected, async || {
        let output = gateway.output();
        output.contains(expected).then_some(output)
    })
    .await
}

const V3: &str = r"
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

export const handler = async (event) => {
  const { domainName, stage, connectionId } = event.requestContext;
  const api = new ApiGatewayManagementApiClient({ endpoint: `https://${domainName}/${stage}` });
  await api.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: `v3 ${event.body}` }));
  return { statusCode: 200 };
};
";

const V2: &str = r"
const AWS = require('aws-sdk');

exports.handler = async (event) => {
  const { domainName, stage, connectionId } = event.requestContext;
  const api = new AWS.ApiGatewayManagementApi({ apiVersion: '2018-11-29', endpoint: domainName + '/' + stage });
  await api.postToConnection({ ConnectionId: connectionId, Data: 'v2 ' + event.body }).promise();
  return { statusCode: 200 };
};
";

const BOTO3: &str = r#"
import boto3


def handler(event, context):
    here = event["requestContext"]
    api = boto3.client("apigatewaymanagementapi", endpoint_url="https://" + here["domainName"] + "/" + here["stage"])
    api.post_to_connection(ConnectionId=here["connectionId"], Data=("boto3 " + event["body"]).encode())
    return {"statusCode": 200}
"#;

fn node(name: &str, more: &str) -> String {
    function(
        name,
        &format!("Runtime: nodejs20.x, Handler: app.handler, Timeout: 60, CodeUri: {more}"),
    )
}

#[tokio::test]
async fn functions_post_back_with_version_3_of_the_javascript_sdk() {
    let app = App::of(&["$default = Post"], &node("Post", "src"))
        .file("src/app.mjs", V3)
        .with_packages();
    let gateway = app.start().await;
    // By address and by name: the domain name of the event is where its client came by.
    let port = gateway.public().port();
    let mut by_address = gateway.connect("/dev").await;
    let by_name = gateway.handshake("/dev");
    let mut by_name = by_name
        .with("Host", &format!("localhost:{port}"))
        .open()
        .await;
    for client in [&mut by_address, &mut by_name] {
        client.send_text("hello").await;
        assert_eq!(text(client).await, "v3 hello");
    }
    let output = says(&gateway, " ok").await;
    let line = output.lines().find(|line| line.contains("MESSAGE"));
    let line = line.unwrap_or_else(|| panic!("{output}"));
    for part in ["$default", "Post", " ms  ok"] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn functions_post_back_with_version_2_of_the_javascript_sdk() {
    let app = App::of(&["$default = Post"], &node("Post", "src"))
        .file("src/app.js", V2)
        .with_packages();
    let gateway = app.start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("hello").await;
    assert_eq!(text(&mut client).await, "v2 hello");
}

#[tokio::test]
async fn functions_post_back_with_boto3() {
    let properties = "Runtime: python3.12, Handler: app.handler, Timeout: 60, CodeUri: src";
    let app =
        App::of(&["$default = Post"], &function("Post", properties)).file("src/app.py", BOTO3);
    let gateway = app.python_command().start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("hello").await;
    assert_eq!(text(&mut client).await, "boto3 hello");
}

#[tokio::test]
async fn keys_that_a_file_of_variables_brings_are_known_to_the_gateway() {
    let app = App::of(&["$default = Post"], &node("Post", "src"))
        .file("src/app.mjs", V3)
        .file(".env", "AWS_ACCESS_KEY_ID=AKIAOWN\nAWS_SECRET_ACCESS_KEY='own secret'\nAWS_SESSION_TOKEN=own/token==\n")
        .with_packages();
    let gateway = app.start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("hello").await;
    assert_eq!(text(&mut client).await, "v3 hello");
}

/// Answers with the variables that the message names.
const ENVIRONMENT: &str = r"
exports.handler = async (event) => ({
  statusCode: 200,
  body: JSON.stringify(JSON.parse(event.body).map((name) => process.env[name] ?? null)),
});
";

#[tokio::test]
async fn variables_of_the_function_give_way_to_dot_env_and_that_to_named_files() {
    let properties = "src, Environment: { Variables: { A: own, B: own, C: own, TABLE: !Ref Table, HOME_URL: !Sub 'https://${Api}.execute-api.${AWS::Region}.amazonaws.com/dev' } }";
    let table = "  Table: { Type: AWS::DynamoDB::Table, Properties: { TableName: connections } }\n";
    let app = App::of(
        &["$default = Tell (two-way)"],
        &(node("Tell", properties) + table),
    )
    .file("src/app.js", ENVIRONMENT)
    .file(".env", "B=dot\nC=dot\n")
    .file("named.env", "C=named\nexport D=\"two\nlines\"\n");
    let command = app.command().arg("--env-file").arg("named.env");
    let command = command.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
    let gateway = command.env("SHELLS_OWN", "secret").start().await;
    let names = [
        "A",
        "B",
        "C",
        "D",
        "TABLE",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "SHELLS_OWN",
        "HOME_URL",
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
    ];
    let mut client = gateway.connect("/dev").await;
    client.send_json(&json!(names)).await;
    let found: Value = serde_json::from_str(&text(&mut client).await).unwrap();
    let home = format!("https://localhost:{}/dev", gateway.public().port());
    let callback = format!("http://{}/dev", gateway.management());
    let expected = json!([
        "own",
        "dot",
        "named",
        "two\nlines",
        "connections",
        "us-east-1",
        "http://127.0.0.1:9",
        null,
        home,
        callback,
    ]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn changed_code_and_a_changed_file_of_variables_count_from_the_next_call_and_no_socket_closes()
 {
    let answer = |text: &str| {
        format!(
            "exports.handler = async () => ({{ statusCode: 200, body: '{text} ' + process.env.WHO }});"
        )
    };
    let app = App::of(&["$default = Say (two-way)"], &node("Say", "src"))
        .file(
            "src/app.js",
            "exports.handler = require('./lib/say').handler;",
        )
        .file("src/lib/say.js", &answer("one"))
        .file(".env", "WHO=me");
    let gateway = app.start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("x").await;
    assert_eq!(text(&mut client).await, "one me");
    // The calls after a change may still meet what was before; sooner or later they do not.
    for (file, content, expected) in [
        ("src/lib/say.js", answer("two"), "two me"),
        (".env", "WHO=you".to_owned(), "two you"),
        ("src/lib/say.js", answer("three"), "three you"),
    ] {
        app.write(file, &content);
        let mut last = String::new();
        for _ in 0..200 {
            client.send_text("x").await;
            last = text(&mut client).await;
            if last == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(last, expected, "after a change of {file}");
    }
}

#[tokio::test]
async fn what_functions_write_and_how_they_fail_is_shown_and_as_json_on_request() {
    let code = "exports.handler = async (event) => { console.log('a line of ' + event.body); return missing.thing; };";
    let app = App::of(&["$default = Fail"], &node("Fail", "src")).file("src/app.js", code);
    let gateway = app.start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("log").await;
    client.next_within(COLD).await;
    let output = says(&gateway, "502 ").await;
    for expected in [
        "Fail | a line of log",
        "ReferenceError: missing is not defined",
        "at exports.handler",
    ] {
        assert!(output.contains(expected), "{expected}\n{output}");
    }
    assert!(!output.contains('\u{1b}'), "{output}");

    let gateway = app.command().arg("--json").start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("log").await;
    client.next_within(COLD).await;
    let output = within(COLD, "a call as JSON", async || {
        let output = gateway.stdout();
        output.contains("\"event\":\"MESSAGE\"").then_some(output)
    })
    .await;
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["kind"] == kind);
    assert_eq!(of("ready").count(), 1, "{output}");
    let call = of("call").find(|line| line["event"] == "MESSAGE").unwrap();
    assert_eq!(call["backend"], "Fail");
    assert_eq!(call["status"], 502);
    assert!(
        of("log").any(|line| line["line"].as_str().unwrap().ends_with("a line of log")),
        "{output}"
    );
    assert!(
        of("error").any(|line| line["errorType"] == "ReferenceError"),
        "{output}"
    );
}

#[tokio::test]
async fn packages_that_a_function_names_are_installed_beside_its_code() {
    let app = App::of(&["$default = Use (two-way)"], &node("Use", "src"));
    let package = app.path().join("package");
    let app = app
        .file(
            "package/package.json",
            r#"{"name":"greeting","version":"1.0.0","main":"index.js"}"#,
        )
        .file("package/index.js", "module.exports = 'from a package';")
        .file(
            "src/package.json",
            &json!({"dependencies": {"greeting": format!("file:{}", package.display())}})
                .to_string(),
        )
        .file(
            "src/app.js",
            "exports.handler = async () => ({ statusCode: 200, body: require('greeting') });",
        );
    let cache = app.path().join("cache").display().to_string();
    let gateway = app.command().env("XDG_CACHE_HOME", &cache).start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("x").await;
    assert_eq!(text(&mut client).await, "from a package");
    let output = gateway.output();
    assert!(output.contains("installing greeting for Use"), "{output}");
    assert!(!app.path().join("src/node_modules").exists());
}

#[tokio::test]
async fn the_local_authority_is_trusted_where_it_is_told() {
    let app = App::of(&["$default = Say (two-way)"], &node("Say", "src")).file(
        "src/app.js",
        "exports.handler = async (event) => ({ statusCode: 200, body: event.body });",
    );
    let gateway = app.start().await;
    let authority = gateway.directory().join("state/wiregate/ca.pem");
    let output = gateway.output();
    assert!(output.contains("ca.pem"), "{output}");
    let script = "import asyncio, ssl, sys, websockets\nasync def main():\n    trust = ssl.create_default_context(cafile=sys.argv[1])\n    async with websockets.connect(sys.argv[2], ssl=trust) as socket:\n        await socket.send('over TLS')\n        print(await socket.recv())\nasyncio.run(main())";
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("wss://{host}:{}/dev", gateway.public().port());
        let mut client = Command::new(python());
        client
            .env("NO_PROXY", "*")
            .args(["-c", script])
            .arg(&authority)
            .arg(&url);
        assert_eq!(succeeds(&mut client).await.trim(), "over TLS", "{url}");
    }
}

#[tokio::test]
async fn functions_of_a_template_run_under_serve_too() {
    let app = App::of(&["$default = Say (two-way)"], &node("Say", "src")).file(
        "src/app.js",
        "exports.handler = async (event) => ({ statusCode: 200, body: 'served ' + event.body });",
    );
    let template = app.path().join("template.yaml").display().to_string();
    let command = harness::GatewayCommand::new(crate::app::BINARY, "");
    let gateway = command.arg("--template").arg(&template).start().await;
    let mut client = gateway.connect("/dev").await;
    client.send_text("x").await;
    assert_eq!(text(&mut client).await, "served x");
}
