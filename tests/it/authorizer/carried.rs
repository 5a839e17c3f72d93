//! What the authorizer said goes with the connection, wherever its events are told.

use std::time::Duration;

use harness::{
    Backend, GatewayCommand, Lambda, LambdaAnswer, Nodes, Recorded, Redis, Request, eventually,
};
use serde_json::{Value, json};

use super::{Guarded, allow_with};
use crate::app::{App, BINARY};

/// A result with a context of all kinds.
fn rich() -> Value {
    allow_with(
        "context",
        json!({"tenant": "acme é", "level": 3, "admin": true, "principalId": "root", "integrationLatency": "x"}),
    )
}

const CARRIED: &str = r#"{"principalId":"user-1","tenant":"acme é","level":"3","admin":"true"}"#;

fn carried() -> Value {
    serde_json::from_str(CARRIED).unwrap()
}

#[tokio::test]
async fn principal_and_context_are_in_every_later_event() {
    let app = Guarded::start().await;
    app.says(LambdaAnswer::Returns(rich()));
    let mut client = app.gateway.connect("/dev").await;
    let mut connect =
        app.lambda.next("connect").await.event["requestContext"]["authorizer"].clone();
    let latency = connect
        .as_object_mut()
        .unwrap()
        .remove("integrationLatency");
    assert!(latency.is_some_and(|latency| latency.is_u64()), "{connect}");
    assert_eq!(connect, carried());
    client.send_json(&json!({"action": "twoway"})).await;
    assert_eq!(client.next_text().await, "done");
    let message = app.lambda.next("twoway").await.event;
    assert_eq!(message["requestContext"]["authorizer"], carried());
    client.close(Some((1000, ""))).await;
    let end = app.lambda.next("disconnect").await.event;
    assert_eq!(end["requestContext"]["authorizer"], carried());
}

/// An API whose routes are HTTP backends and whose authorizer is a function.
fn yaml(lambda: &Lambda, backend: &Backend, server: &str) -> String {
    let url = backend.url("");
    format!(
        r#"
lambda: {{ endpoint: {endpoint} }}
server: {{ region: us-east-1, accountId: '123456789012'{server} }}
apis:
  chat:
    authorizers: {{ who: "{who}" }}
    routes:
      $connect: {{ integration: "{url}/connect", authorizationType: CUSTOM, authorizerId: who }}
      $disconnect: {url}/disconnect
      echo:
        integration:
          integrationType: HTTP_PROXY
          integrationUri: "{url}/echo"
          requestParameters:
            integration.request.header.tenant: context.authorizer.level
            integration.request.querystring.user: context.authorizer.principalId
            integration.request.header.none: context.authorizer.none
        routeResponseSelectionExpression: $default
"#,
        endpoint = lambda.endpoint(),
        who = Lambda::arn("who"),
    )
}

/// What a backend over HTTP learns of who it is.
#[track_caller]
fn check(request: &Recorded) {
    let told = request.wiregate("authorizer");
    assert!(told.is_ascii(), "{told}");
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!(told, carried(), "{request:?}");
}

#[tokio::test]
async fn backends_over_http_learn_it_in_a_header_and_by_mappings() {
    let (lambda, backend) = (Lambda::start().await, App::backend().await);
    lambda.returns("who", rich());
    let gateway = crate::app::start(&yaml(&lambda, &backend, "")).await;
    let forged = gateway
        .handshake("/dev")
        .header("X-Wiregate-Authorizer", "{\"principalId\":\"root\"}");
    let mut client = forged.open().await;
    let connect = backend.next("/connect").await;
    check(&connect);
    client.send_json(&json!({"action": "echo"})).await;
    assert_eq!(client.next_json().await, json!({"action": "echo"}));
    let message = backend.next("/echo").await;
    check(&message);
    assert_eq!(message.query, "user=user-1");
    assert_eq!(
        (message.header("tenant"), message.header("none")),
        (Some("3"), None)
    );
    // Operators see who it is.
    let id = connect.connection_id();
    let path = format!("/wiregate/connections/{}", id.replace('=', "%3D"));
    let shown = Request::get(gateway.management(), &path)
        .send()
        .await
        .json();
    assert_eq!(shown["principalId"], "user-1", "{shown}");
    assert!(!shown.to_string().contains("acme"), "{shown}");
    client.close(Some((1000, ""))).await;
    check(&backend.next("/disconnect").await);
}

#[tokio::test]
async fn another_node_tells_the_end_of_a_killed_nodes_connection_with_it() {
    let (lambda, backend) = (Lambda::start().await, App::backend().await);
    lambda.returns("who", rich());
    let yaml = yaml(&lambda, &backend, ", cluster: { lease: 2s }");
    let command = GatewayCommand::new(BINARY, &yaml);
    let mut nodes = Nodes::start(command, &Redis::database().await, 2).await;
    let _client = nodes[0].connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();
    // Any node shows who it is.
    let path = format!("/wiregate/connections/{}", id.replace('=', "%3D"));
    let shown = Request::get(nodes[1].management(), &path)
        .send()
        .await
        .json();
    assert_eq!(shown["principalId"], "user-1", "{shown}");
    // Every node has been steady for long enough to bury another.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    nodes.kill(0).await;
    let end = backend
        .next_within(Duration::from_secs(15), "/disconnect")
        .await;
    assert_eq!(
        (end.connection_id(), end.wiregate("disconnect-code")),
        (id, "1006")
    );
    check(&end);
}

#[tokio::test]
async fn what_a_drain_leaves_to_others_is_told_with_it() {
    let (lambda, backend) = (Lambda::start().await, App::backend().await);
    lambda.returns("who", rich());
    let server = ", drainTimeout: 2s, cluster: { lease: 2s }";
    let command = GatewayCommand::new(BINARY, &yaml(&lambda, &backend, server));
    let mut nodes = Nodes::start(command, &Redis::database().await, 2).await;
    let mut told = nodes[0].connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();
    backend.break_down();
    nodes[0].signal("TERM");
    assert_eq!(told.closed().await.code, 1001);
    nodes[0].wait_exit(Duration::from_secs(15)).await;
    let before = backend.requests("/disconnect").len();
    backend.recover();
    let end = eventually("the other node tells the end", async || {
        backend.requests("/disconnect").into_iter().nth(before)
    })
    .await;
    assert_eq!(end.connection_id(), id);
    check(&end);
}
