//! The same contract for those without functions: an authorizer that is a URL.

use harness::{Answer, Backend, Gateway, Table};
use serde_json::json;

use super::{EXPLICIT, METHOD_ARN, allow, policy};
use crate::app::{start, text};

async fn guarded(backend: &Backend) -> Gateway {
    let url = backend.url("");
    let yaml = format!(
        r#"
server: {{ region: us-east-1, accountId: '123456789012' }}
apis:
  chat:
    authorizers:
      who: {{ authorizerUri: "http://${{stageVariables.auth}}/who?v=1", identitySource: [route.request.querystring.token] }}
    routes:
      $connect: {{ integration: "{url}/connect", authorizationType: CUSTOM, authorizerId: who }}
    stages: {{ dev: {{ stageVariables: {{ auth: "{address}" }} }} }}
"#,
        address = backend.address(),
    );
    start(&yaml).await
}

#[tokio::test]
async fn a_url_gets_the_event_by_post_and_answers_as_a_function_would() {
    let backend = Backend::start().await;
    let gateway = guarded(&backend).await;
    backend.on("/who", |_| Answer::ok(allow().to_string()));
    gateway.handshake("/dev?token=t").open().await;
    let asked = backend.next("/who").await;
    let event = asked.json();
    assert_eq!((&*asked.method, &*asked.query), ("POST", "v=1"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("user-agent"), Some("AmazonAPIGateway_chat"));
    assert_eq!(event["type"], "REQUEST");
    assert_eq!(event["queryStringParameters"], json!({"token": "t"}));
    assert_eq!(event["methodArn"], METHOD_ARN);
    let connect = backend.next("/connect").await;
    assert_eq!(
        connect.wiregate("authorizer"),
        r#"{"principalId":"user-1"}"#
    );
    assert_eq!(
        asked.header("x-amzn-trace-id"),
        connect.header("x-amzn-trace-id")
    );
    assert_eq!(
        text(&event["requestContext"]["connectionId"]),
        connect.connection_id()
    );

    assert_eq!(gateway.handshake("/dev").status().await, 401);
    assert_eq!(backend.requests("/who").len(), 1, "nobody is asked");
}

#[tokio::test]
async fn a_url_may_say_by_its_status_what_a_function_says_by_failing() {
    let backend = Backend::start().await;
    let gateway = guarded(&backend).await;
    let mut table = Table::about("answers of an authorizer's URL");
    let good = allow().to_string();
    for (name, answer, expected) in [
        ("201", Answer::status(201).body(good.clone()), (101, "")),
        (
            "a deny",
            Answer::ok(policy("Deny", "*").to_string()),
            (403, EXPLICIT),
        ),
        (
            "401",
            Answer::status(401).body(good.clone()),
            (401, "Unauthorized"),
        ),
        (
            "403",
            Answer::status(403).body(good.clone()),
            (403, EXPLICIT),
        ),
        (
            "404",
            Answer::status(404).body(good.clone()),
            (500, "Internal server error"),
        ),
        (
            "500",
            Answer::status(500).body("Unauthorized"),
            (500, "Internal server error"),
        ),
        (
            "a redirect",
            Answer::status(307).header("Location", &backend.url("/connect")),
            (500, "Internal server error"),
        ),
        ("204", Answer::status(204), (500, "Internal server error")),
        (
            "a page",
            Answer::ok("<html>"),
            (500, "Internal server error"),
        ),
        (
            "9 KB",
            Answer::ok(good.clone() + &" ".repeat(9_000)),
            (500, "Internal server error"),
        ),
        (
            "2 MB",
            Answer::ok("x".repeat(2_000_000)),
            (500, "Internal server error"),
        ),
        (
            "nothing at all",
            Answer::hang_up(),
            (500, "Internal server error"),
        ),
    ] {
        backend.on("/who", move |_| answer.clone());
        let handshake = gateway.handshake("/dev?token=t");
        if expected.0 == 101 {
            handshake.open().await;
            continue;
        }
        let before = backend.requests("/connect").len();
        let answer = handshake.refused().await;
        let found = (answer.status, answer.message());
        table.row(name, found, (expected.0, expected.1.to_owned()));
        table.row(name, backend.requests("/connect").len(), before);
    }
}
