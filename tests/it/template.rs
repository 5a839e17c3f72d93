//! Templates served as they are: CloudFormation, SAM and `serverless.yml`, end to end.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{
    Answer, Backend, Gateway, GatewayCommand, Lambda, LambdaAnswer, Request, eventually,
};
use serde_json::json;

use crate::app::BINARY;

/// A template of `tests/templates`, served by a gateway whose functions are all one endpoint.
struct Served {
    gateway: Gateway,
    lambda: Lambda,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("templates")
        .join(name)
}

fn command(lambda: &Lambda, file: &Path) -> GatewayCommand {
    let yaml = format!(
        "server: {{ accountId: \"123456789012\" }}\nlambda: {{ endpoint: {} }}\n",
        lambda.endpoint()
    );
    GatewayCommand::new(BINARY, &yaml)
        .arg("--template")
        .arg(&file.display().to_string())
}

impl Served {
    /// Every function that is named answers 200 with its event's body.
    async fn start(name: &str, functions: &[&str]) -> Self {
        Self::with(name, functions, |command| command).await
    }

    async fn with(
        name: &str,
        functions: &[&str],
        more: impl FnOnce(GatewayCommand) -> GatewayCommand,
    ) -> Self {
        let lambda = Lambda::start().await;
        for function in functions {
            lambda.on(function, |event| {
                harness::LambdaAnswer::Returns(json!({"statusCode": 200, "body": event["body"]}))
            });
        }
        let gateway = more(command(&lambda, &path(name))).start_all().await;
        Self { gateway, lambda }
    }

    /// The event type with which the function was called next.
    async fn called(&self, function: &str) -> String {
        let event = self.lambda.next(function).await.event;
        event["requestContext"]["eventType"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

#[tokio::test]
async fn the_least_template_serves_its_route() {
    let served = Served::start("minimal.yaml", &["Fn"]).await;
    let _client = served.gateway.connect("/dev").await;
    assert_eq!(served.called("Fn").await, "CONNECT");
}

#[tokio::test]
async fn a_sam_chat_calls_its_functions_by_their_names() {
    let served = Served::start("chat-sam.yaml", &["OnConnect", "chat-sam-send"]).await;
    let mut client = served.gateway.connect("/Prod").await;
    let event = served.lambda.next("OnConnect").await.event;
    let id = event["requestContext"]["connectionId"].as_str().unwrap();
    client
        .send_json(&json!({"action": "sendmessage", "data": "hi"}))
        .await;
    assert_eq!(served.called("chat-sam-send").await, "MESSAGE");
    let to = format!("/Prod/@connections/{id}");
    assert_eq!(
        Request::post(served.gateway.management(), &to, "pushed")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(client.next_text().await, "pushed");
    let output = served.gateway.output();
    assert!(
        output.contains("chat-sam output WebSocketURI: wss://"),
        "{output}"
    );
    assert!(
        output.contains("ConnectionsTable (AWS::DynamoDB::Table) is not created here"),
        "{output}"
    );
}

#[tokio::test]
async fn two_way_routes_and_mocks_answer_on_the_socket() {
    let served = Served::start("two-way.yaml", &["echo"]).await;
    let mut client = served.gateway.connect("/test").await;
    client.send_text(r#"{"action":"echo","n":1}"#).await;
    assert_eq!(client.next_text().await, r#"{"action":"echo","n":1}"#);
    client.send_text(r#"{"action":"ping"}"#).await;
    assert_eq!(client.next_json().await["type"], "pong");
}

#[tokio::test]
async fn an_http_backend_is_found_by_a_stage_variable_from_a_parameter() {
    let backend = Backend::start().await;
    backend.otherwise(|_| Answer::ok(""));
    let host = backend.url("").replace("http://", "BackendHost=");
    let served = Served::with("http-proxy.yaml", &[], |command| {
        command.arg("--parameter").arg(&host)
    })
    .await;
    assert_eq!(
        served.gateway.handshake("/dev").status().await,
        400,
        "the template requires a token"
    );
    let mut client = served.gateway.connect("/dev?token=t").await;
    let connect = backend.next("/connect").await;
    assert!(connect.query.ends_with("stage=dev"), "{}", connect.query);
    assert_eq!(
        connect.header("connectionid"),
        Some(connect.connection_id().as_str())
    );
    client.send_text("hello").await;
    assert_eq!(backend.next("/http-proxy/message").await.text(), "hello");
}

#[tokio::test]
async fn functions_inside_functions_name_the_right_lambda() {
    let served = Served::start("nested.yaml", &["on-connect"]).await;
    let _client = served.gateway.connect("/dev").await;
    assert_eq!(served.called("on-connect").await, "CONNECT");
}

#[tokio::test]
async fn a_serverless_file_calls_its_functions_by_service_stage_and_name() {
    let functions = ["chat-dev-connection", "chat-dev-default-handler"];
    let served = Served::start("serverless-short/serverless.yml", &functions).await;
    let mut client = served.gateway.connect("/dev").await;
    assert_eq!(served.called(functions[0]).await, "CONNECT");
    client.send_text("anything").await;
    assert_eq!(served.called(functions[1]).await, "MESSAGE");
    client.close(None).await;
    assert_eq!(served.called(functions[0]).await, "DISCONNECT");
}

#[tokio::test]
async fn a_serverless_file_in_pieces_is_served_at_the_stage_that_is_asked_for() {
    let functions = ["game-prod-move", "game-state"];
    let served = Served::with("serverless-object/serverless.yml", &functions, |command| {
        command.arg("--stage").arg("prod")
    })
    .await;
    let mut client = served.gateway.connect("/prod").await;
    assert_eq!(served.called("game-prod-move").await, "CONNECT");
    client
        .send_json(&json!({"route": "game/state", "n": 7}))
        .await;
    assert_eq!(client.next_json().await["n"], 7);
}

#[tokio::test]
async fn a_condition_chooses_routes() {
    let backend = Backend::start().await;
    backend.otherwise(|_| Answer::ok(""));
    let host = backend.url("").replace("http://", "Host=");
    let mark = |action: &str| json!({ "action": action }).to_string();
    for (environment, there, absent) in [
        ("dev", ["hello", "bye"], "admin"),
        ("prod", ["hello", "admin"], "bye"),
    ] {
        let chosen = format!("Environment={environment}");
        let served = Served::with("conditions.yaml", &[], |command| {
            command
                .arg("--parameter")
                .arg(&chosen)
                .arg("--parameter")
                .arg(&host)
        })
        .await;
        let mut client = served.gateway.connect("/dev").await;
        for action in there {
            client.send_text(&mark(action)).await;
            assert_eq!(backend.next("/chat/backend").await.text(), mark(action));
        }
        client.send_text(&mark(absent)).await;
        assert_eq!(
            client.next_json().await["message"],
            "Forbidden",
            "{absent} in {environment}"
        );
    }
}

#[tokio::test]
async fn a_domain_name_leads_to_both_of_its_apis() {
    let served = Served::start("domain.yaml", &["chat", "news"]).await;
    for (path, function) in [("/chat", "chat"), ("/", "news")] {
        let handshake = served
            .gateway
            .handshake(path)
            .with("Host", "ws.example.com");
        let mut client = handshake.open().await;
        client.send_text("anything").await;
        assert_eq!(served.called(function).await, "MESSAGE", "{path}");
    }
}

#[tokio::test]
async fn what_is_not_built_is_said_with_its_line_and_fails_closed() {
    let served = Served::start("json-form.json", &[]).await;
    let mut client = served.gateway.connect("/prod").await;
    client.send_text("to the queue").await;
    assert_eq!(client.next_json().await["message"], "Internal server error");

    let served = Served::start("mixed.yaml", &["Tell"]).await;
    let mut client = served.gateway.connect("/dev").await;
    for action in ["start", "tell"] {
        client.send_json(&json!({ "action": action })).await;
        assert_eq!(
            client.next_json().await["message"],
            "Internal server error",
            "{action}"
        );
    }
    assert!(served.lambda.invocations("Tell").is_empty());

    let served = Served::start("models.yaml", &[]).await;
    let mut client = served.gateway.connect("/dev").await;
    client.send_json(&json!({"action": "order"})).await;
    assert_eq!(client.next_json().await["message"], "Internal server error");
    let output = served.gateway.output();
    assert!(
        output.contains("validation by models is stored"),
        "{output}"
    );
}

#[tokio::test]
async fn an_authorizer_of_a_template_judges_the_handshake() {
    for (name, authorizer, connect, good, bad) in [
        (
            "authorizer.yaml",
            "Guard",
            "Guard",
            "/v1?token=t",
            "/v1?token=t",
        ),
        (
            "websocket-api.yaml",
            "Guard",
            "OnConnect",
            "/default?token=t",
            "/default",
        ),
        (
            "serverless-authorizer/serverless.yml",
            "guarded-dev-auth",
            "guarded-dev-connect",
            "/dev?token=t",
            "/dev",
        ),
    ] {
        let served = Served::start(name, &[connect]).await;
        // One of them is both: it judges and answers.
        let says = |effect: &'static str| {
            served.lambda.on(authorizer, move |event| {
                let statement =
                    json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": "*"});
                let judged =
                    json!({"principalId": "user-1", "policyDocument": {"Statement": statement}});
                let is_asked = event["type"] == "REQUEST";
                LambdaAnswer::Returns(if is_asked {
                    judged
                } else {
                    json!({"statusCode": 200})
                })
            });
        };
        let handshake = |path: &str| {
            let handshake = served.gateway.handshake(path);
            if name == "authorizer.yaml" && path == good {
                return handshake.header("Authorization", "Bearer t");
            }
            handshake
        };
        says("Deny");
        assert_eq!(handshake(good).status().await, 403, "{name}");
        says("Allow");
        let without = served.gateway.handshake(bad).status().await;
        assert_eq!(without, 401, "{name}");
        handshake(good).open().await;
        let event = served.lambda.next(authorizer).await.event;
        assert_eq!(event["type"], "REQUEST", "{name}");
    }
}

#[tokio::test]
async fn a_changed_template_is_served_at_once_and_a_wrong_one_changes_nothing() {
    let lambda = Lambda::start().await;
    lambda.returns("Fn", json!({"statusCode": 200}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.yaml");
    let text = fs::read_to_string(path("minimal.yaml")).unwrap();
    fs::write(&file, &text).unwrap();
    let gateway = command(&lambda, &file).start().await;
    let mut client = gateway.connect("/dev").await;

    let route = "  Hello:\n    Type: AWS::ApiGatewayV2::Route\n    Properties: {ApiId: !Ref Ws, RouteKey: hello, Target: !Sub \"integrations/${WsInt}\"}\n";
    rewrite(
        &file,
        &text.replace("  Dep:\n", &format!("{route}  Dep:\n")),
    );
    lambda.next("Fn").await;
    eventually("the new route is served to the open socket", async || {
        client.send_json(&json!({"action": "hello"})).await;
        let called = lambda.invocations("Fn");
        called
            .iter()
            .any(|call| call.event["requestContext"]["routeKey"] == "hello")
            .then_some(())
    })
    .await;

    rewrite(
        &file,
        &text.replace("RouteKey: $connect", "RouteKey: $conect"),
    );
    eventually("the mistake is told", async || {
        let log = gateway.log();
        log.contains("template.yaml:")
            .then(|| log.contains("$conect"))
            .filter(|told| *told)
    })
    .await;
    let _other = gateway.connect("/dev").await;
}

fn rewrite(file: &Path, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, file).unwrap();
}

#[tokio::test]
async fn an_imported_export_is_the_same_again() {
    for name in [
        "two-way.yaml",
        "http-proxy.yaml",
        "chat-sam.yaml",
        "domain.yaml",
    ] {
        let served = Served::start(name, &[]).await;
        let url = format!("http://{}", served.gateway.management());
        let export = |format: &str| wiregate(&["export", "--format", format, "--url", &url]);
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first.yaml");
        fs::write(&first, export("cloudformation")).unwrap();
        let second = wiregate(&[
            "import",
            "--format",
            "cloudformation",
            &first.display().to_string(),
        ]);
        assert_eq!(second, fs::read_to_string(&first).unwrap(), "{name}");

        // The settings file that an export is serves the same.
        let yaml = export("wiregate");
        let again = GatewayCommand::new(BINARY, &yaml).start().await;
        let url = format!("http://{}", again.management());
        let bare = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            bare(&wiregate(&["export", "--url", &url])),
            bare(&yaml),
            "{name}"
        );
    }
}

fn wiregate(args: &[&str]) -> String {
    let binary = std::env::var("WIREGATE_BIN").unwrap_or_else(|_| BINARY.to_owned());
    let output = std::process::Command::new(binary)
        .args(args)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_wrong_template_is_refused_whole_before_a_port_is_bound() {
    let lambda = Lambda::start().await;
    let folder = tempfile::tempdir().unwrap();
    let refused = async |text: &str| {
        let file = folder.path().join("wrong.yaml");
        fs::write(&file, text).unwrap();
        let exit = command(&lambda, &file).try_start().await.unwrap_err();
        assert_eq!(exit.code, Some(64), "{exit:?}");
        exit.stderr
    };
    let api = "Resources:\n  Ws:\n    Type: AWS::ApiGatewayV2::Api\n    Properties: {Name: x, ProtocolType: WEBSOCKET}\n";
    let told = refused(api).await;
    assert!(
        told.contains("wrong.yaml:")
            && told.contains("RouteSelectionExpression is a required parameter"),
        "{told}"
    );
    let told = refused("Resources:\n  A: {Type: \"AWS::ApiGatewayV2::Route\", Properties: {ApiId: !Ref Nobody, RouteKey: a}}\n").await;
    assert!(
        told.contains("wrong.yaml:2:") && told.contains("Nobody"),
        "{told}"
    );
    let told = refused("nothing: here\n").await;
    assert!(told.contains("this is no template"), "{told}");
}
