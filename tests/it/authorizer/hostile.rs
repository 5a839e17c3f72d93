//! Authorizers that answer anything, or take their time, and clients that do not wait for them.

use std::time::{Duration, Instant};

use harness::{LambdaAnswer, Table, eventually};
use serde_json::{Value, json};

use super::{Guarded, IMPLICIT, allow, allow_with, policy};
use crate::app::text;

#[tokio::test]
async fn what_is_no_decision_opens_nothing() {
    let app = Guarded::start().await;
    let mut table = Table::about("results that are none");
    let returns = LambdaAnswer::Returns;
    let bytes = |text: String| LambdaAnswer::Bytes(text.into_bytes());
    let without = |member: &str| {
        let mut result = allow();
        result.as_object_mut().unwrap().remove(member);
        returns(result)
    };
    let document = |value: Value| returns(allow_with("policyDocument", value));
    let statement = |member: &str, value: Value| {
        let mut result = allow();
        result["policyDocument"]["Statement"][0][member] = value;
        returns(result)
    };
    let twice = allow()
        .to_string()
        .replace(r#""Effect":"Allow""#, r#""Effect":"Deny","Effect":"Allow""#);
    assert!(twice.contains("Deny"));
    for (name, answer) in [
        ("null", returns(Value::Null)),
        ("a text", returns(json!("Allow"))),
        ("a list", returns(json!([allow()]))),
        ("true", returns(json!(true))),
        ("{}", returns(json!({}))),
        ("nothing", bytes(String::new())),
        ("no JSON", bytes("<html>".to_owned())),
        ("half of it", bytes(allow().to_string()[..80].to_owned())),
        ("no UTF-8", LambdaAnswer::Bytes(vec![0xff; 20])),
        ("a simple response", returns(json!({"isAuthorized": true}))),
        ("a proxy response", returns(json!({"statusCode": 200}))),
        ("no principalId", without("principalId")),
        (
            "a principalId of null",
            returns(allow_with("principalId", Value::Null)),
        ),
        (
            "a principalId of a number",
            returns(allow_with("principalId", json!(1))),
        ),
        ("no policy", without("policyDocument")),
        ("a policy of null", document(Value::Null)),
        (
            "a policy as text",
            document(json!(allow()["policyDocument"].to_string())),
        ),
        (
            "a policy without statements",
            document(json!({"Version": "2012-10-17"})),
        ),
        (
            "a version of today",
            document(json!({"Version": "2026-11-21", "Statement": []})),
        ),
        (
            "an effect in small letters",
            statement("Effect", json!("allow")),
        ),
        ("an unknown element", statement("Principal", json!("*"))),
        ("no ARN", statement("Resource", json!("chat/*"))),
        (
            "a long resource",
            statement(
                "Resource",
                json!(format!("arn:aws:a:b:c:{}", "x".repeat(600))),
            ),
        ),
        (
            "resources of another kind",
            statement("Resource", json!(["*", 1])),
        ),
        (
            "an unknown operator",
            statement(
                "Condition",
                json!({"StringMatches": {"aws:UserAgent": "*"}}),
            ),
        ),
        (
            "an unknown key",
            statement(
                "Condition",
                json!({"StringLikeIfExists": {"aws:Nonsense": "*"}}),
            ),
        ),
        ("Effect twice", bytes(twice)),
        (
            "an object in the context",
            returns(allow_with("context", json!({"a": {"b": 1}}))),
        ),
        (
            "a list in the context",
            returns(allow_with("context", json!({"a": [1]}))),
        ),
        (
            "null in the context",
            returns(allow_with("context", json!({"a": null}))),
        ),
        (
            "a context that is a list",
            returns(allow_with("context", json!(["a"]))),
        ),
        (
            "a key of another kind",
            returns(allow_with("usageIdentifierKey", json!(1))),
        ),
        (
            "9 KB",
            returns(allow_with("context", json!({"a": "x".repeat(9_000)}))),
        ),
        ("deep lists", bytes("[".repeat(4_000))),
        ("deep maps", bytes(r#"{"context":"#.repeat(700))),
        ("7 MB", bytes("x".repeat(7_000_000))),
    ] {
        app.says(answer);
        let answer = app.gateway.handshake("/dev").refused().await;
        let found = (answer.status, answer.message());
        table.row(name, found, (500, "Internal server error".to_owned()));
    }
    table.row("$connect", app.connects(), 0);
    // And it is well afterwards.
    app.says(LambdaAnswer::Returns(allow_with(
        "context",
        json!({"a": "x".repeat(7_500)}),
    )));
    app.gateway.handshake("/dev").open().await;
}

#[tokio::test]
async fn a_bomb_of_wildcards_costs_nobody_his_time() {
    let app = Guarded::start().await;
    let bomb = format!("arn:aws:execute-api:*:*:{}b", "*a".repeat(230));
    let mut result = policy("Allow", "*");
    result["policyDocument"]["Statement"][0]["Resource"] = json!(vec![bomb; 14]);
    app.says(LambdaAnswer::Returns(result));
    let began = Instant::now();
    let answer = app
        .gateway
        .handshake(&format!("/dev?{}", "a".repeat(3_000)))
        .refused()
        .await;
    assert_eq!((answer.status, &*answer.message()), (403, IMPLICIT));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    let mut result = policy("Allow", "*");
    let agent = json!({"StringLike": {"aws:UserAgent": "*a".repeat(3_800) + "b"}});
    result["policyDocument"]["Statement"][0]["Condition"] = agent;
    app.says(LambdaAnswer::Returns(result));
    let began = Instant::now();
    let handshake = app.gateway.handshake("/dev");
    let status = handshake
        .header("User-Agent", &"a".repeat(6_000))
        .status()
        .await;
    assert_eq!(status, 500);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_slow_authorizer_holds_up_nobody_else() {
    let app = Guarded::start().await;
    app.lambda.on_async("who", |event| async move {
        if event["queryStringParameters"]["slow"] != Value::Null {
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        LambdaAnswer::Returns(allow())
    });
    let slow: Vec<_> = (0..40)
        .map(|_| tokio::spawn(app.gateway.handshake("/dev?slow=1").status()))
        .collect();
    eventually("all of them are being judged", async || {
        (app.lambda.invocations("who").len() == 40).then_some(())
    })
    .await;
    let began = Instant::now();
    let mut client = app.gateway.connect("/dev").await;
    client.send_json(&json!({"action": "twoway"})).await;
    assert_eq!(client.next_text().await, "done");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    for one in slow {
        assert_eq!(one.await.unwrap(), 101);
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_judged_is_told_about_like_any_other() {
    let app = Guarded::start().await;
    let gate = harness::Gate::shut();
    let held = gate.clone();
    app.lambda.on_async("who", move |_| {
        let held = held.clone();
        async move {
            held.wait().await;
            LambdaAnswer::Returns(allow())
        }
    });
    // One that is let in after it left, and one that is denied.
    let bytes = app.gateway.handshake("/dev").bytes();
    let mut socket = tokio::net::TcpStream::connect(app.gateway.public())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, &bytes)
        .await
        .unwrap();
    let asked = app.lambda.next("who").await.event;
    let id = text(&asked["requestContext"]["connectionId"]);
    // Until it is let in there is no such connection.
    assert_eq!(app.gateway.push(&id, "early").await.status, 410);
    drop(socket);
    gate.open();
    let connect = app.lambda.next("connect").await.event;
    assert_eq!(text(&connect["requestContext"]["connectionId"]), id);
    let end = app.lambda.next("disconnect").await.event;
    assert_eq!(text(&end["requestContext"]["connectionId"]), id);
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(end["requestContext"]["authorizer"]["principalId"], "user-1");
    eventually("nobody is left", async || {
        let open = app.gateway.metric("wiregate_connections").await?;
        (open < 0.5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_is_judged_while_the_node_drains_is_answered_in_http() {
    let lambda = harness::Lambda::start().await;
    let mut gateway = crate::app::start_alone(&super::yaml(&lambda, "", "[]")).await;
    let gate = harness::Gate::shut();
    let held = gate.clone();
    lambda.on_async("who", move |_| {
        let held = held.clone();
        async move {
            held.wait().await;
            LambdaAnswer::Returns(allow())
        }
    });
    let waiting = tokio::spawn(gateway.handshake("/dev").refused());
    lambda.next("who").await;
    gateway.signal("TERM");
    eventually("the drain begins", async || {
        let ready = harness::Request::get(gateway.management(), "/readyz");
        let status = ready.try_send().await?.status;
        (status == 503).then_some(())
    })
    .await;
    gate.open();
    let answer = waiting.await.unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(
        gateway.wait_exit(Duration::from_secs(10)).await.code,
        Some(0)
    );
    assert_eq!(lambda.invocations("connect").len(), 0);
}
