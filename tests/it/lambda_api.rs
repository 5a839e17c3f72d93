//! The Lambda API: functions that come over the wire run here, and are there again after a restart.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Gateway, GatewayCommand, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::BINARY;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// A gateway whose file declares one function, and where that function's code lies.
struct Declared {
    gateway: Gateway,
    _code: TempDir,
}

impl Declared {
    async fn start() -> Self {
        let code = tempfile::tempdir().unwrap();
        let handler = "export const handler = async () => 'declared';";
        fs::write(code.path().join("index.mjs"), handler).unwrap();
        let yaml = format!(
            "lambda:\n  functions:\n    declared: {{ codeUri: \"{}\", handler: index.handler, runtime: nodejs20.x, timeout: 20s }}\n",
            code.path().display()
        );
        Self {
            gateway: GatewayCommand::new(BINARY, &yaml).start().await,
            _code: code,
        }
    }
}

/// A `bootstrap` that answers every call with a text, in bash and curl.
fn archive(says: &str) -> String {
    let script = format!(
        "#!/bin/bash\napi=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\nwhile :; do\n\
         id=$(curl -sS -D - -o /dev/null $api/next | tr -d '\\r' | sed -n 's/^lambda-runtime-aws-request-id: //Ip')\n\
         curl -sS -o /dev/null -d '\"{says}\"' $api/$id/response\ndone\n"
    );
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    std::io::Write::write_all(&mut writer, script.as_bytes()).unwrap();
    STANDARD.encode(writer.finish().unwrap().into_inner())
}

async fn ask(gateway: &Gateway, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::new(gateway.management(), method, &format!("{FUNCTIONS}{path}"));
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    let answer = request.send().await;
    let body = if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    };
    (answer.status, body)
}

async fn create(gateway: &Gateway, name: &str, says: &str) {
    let body = json!({
        "FunctionName": name, "Runtime": "provided.al2023", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "none",
        "Timeout": 20, "Code": {"ZipFile": archive(says)},
    });
    let (status, answer) = ask(gateway, "POST", "", body).await;
    assert_eq!(status, 201, "{answer}");
}

#[track_caller]
fn says((status, answer): (u16, Value), expected: &str) {
    assert_eq!((status, answer.as_str()), (200, Some(expected)));
}

#[tokio::test]
async fn what_was_created_is_there_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let start = || GatewayCommand::new(BINARY, "").data_dir(data.path());
    let mut gateway = start().start().await;
    create(&gateway, "kept", "one").await;
    create(&gateway, "gone", "one").await;
    let (status, _) = ask(&gateway, "POST", "/kept/versions", json!({})).await;
    assert_eq!(status, 201);
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    assert_eq!(ask(&gateway, "POST", "/kept/aliases", alias).await.0, 201);
    let code = json!({"ZipFile": archive("two")});
    assert_eq!(ask(&gateway, "PUT", "/kept/code", code).await.0, 200);
    assert_eq!(ask(&gateway, "DELETE", "/gone", Value::Null).await.0, 204);
    let before = ask(&gateway, "GET", "/kept", Value::Null).await;
    gateway.signal("KILL");
    gateway.wait_exit(Duration::from_secs(10)).await;

    let gateway = start().start().await;
    assert_eq!(ask(&gateway, "GET", "/kept", Value::Null).await, before);
    says(
        ask(&gateway, "POST", "/kept/invocations", json!({})).await,
        "two",
    );
    says(
        ask(&gateway, "POST", "/kept:live/invocations", json!({})).await,
        "one",
    );
    assert_eq!(ask(&gateway, "GET", "/gone", Value::Null).await.0, 404);
    // The archive that nothing names any more is gone: one for each of `one` and `two` is left.
    let kept = fs::read_dir(data.path().join("functions/code")).unwrap();
    assert_eq!(kept.count(), 2);
}

#[tokio::test]
async fn other_callers_are_served_while_an_archive_is_unpacked() {
    let app = Declared::start().await;
    let names: Vec<String> = (0..8).map(|number| format!("f{number}")).collect();
    let creations = names.iter().map(|name| create(&app.gateway, name, name));
    let all = futures_util::future::join_all(creations);
    let others = async {
        for _ in 0..20 {
            let path = format!("{FUNCTIONS}/declared/invocations");
            let answer = Request::new(app.gateway.management(), "POST", &path)
                .json(&json!({}))
                .send();
            let answer = tokio::time::timeout(Duration::from_secs(20), answer)
                .await
                .unwrap();
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "\"declared\"")
            );
        }
    };
    futures_util::join!(all, others);
    for name in &names {
        says(
            ask(
                &app.gateway,
                "POST",
                &format!("/{name}/invocations"),
                json!({}),
            )
            .await,
            name,
        );
    }
}

#[tokio::test]
async fn where_keys_are_set_nobody_brings_a_function_without_one() {
    let yaml = "server: { credentials: [{ accessKeyId: AKIAEXAMPLE, secretAccessKey: a secret that nobody here knows }], tokens: [a-token-that-is-long-enough-to-be-one] }\n";
    let gateway = GatewayCommand::new(BINARY, yaml).start().await;
    let (status, answer) = ask(&gateway, "GET", "", Value::Null).await;
    assert_eq!(status, 403, "{answer}");
    let request = Request::new(gateway.management(), "GET", FUNCTIONS).header(
        "authorization",
        "Bearer a-token-that-is-long-enough-to-be-one",
    );
    assert_eq!(request.send().await.status, 200);
}

mod sdk {
    use tokio::process::Command;

    use super::Declared;
    use crate::sdk::tool;

    async fn run(mut command: Command, app: &Declared) {
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", app.gateway.directory())
            .env("NO_PROXY", "*")
            .env("AWS_ACCESS_KEY_ID", "AKIAANYBODY")
            .env("AWS_SECRET_ACCESS_KEY", "any secret")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS", tool(".tools/venv/bin/aws"))
            .env("ENDPOINT", format!("http://{}", app.gateway.management()))
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(output.status.success(), "{printed}\n{}", app.gateway.log());
    }

    #[tokio::test]
    async fn boto3_creates_calls_changes_and_names_functions() {
        let app = Declared::start().await;
        let mut command = Command::new(tool(".tools/venv/bin/python"));
        command.arg(tool("sdk/lambda.py"));
        run(command, &app).await;
    }

    #[tokio::test]
    async fn the_aws_cli_creates_calls_and_deletes_a_function() {
        let app = Declared::start().await;
        run(Command::new(tool("sdk/lambda.sh")), &app).await;
    }
}
