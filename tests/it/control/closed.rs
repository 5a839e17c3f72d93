//! What is stored and cannot be enforced or served stays closed, and takes nothing else along.

use harness::{Request, eventually};
use serde_json::{Value, json};

use super::{Chat, Plane, api, ask, deploy, done, handshake, integration, made, route, two_way};
use crate::app::{only_the_echo_comes_back, text};

#[tokio::test]
async fn a_connect_that_asks_for_what_is_not_built_answers_500_and_opens_nothing() {
    let plane = Plane::start().await;
    for (name, change) in [
        ("AWS_IAM", json!({"authorizationType": "AWS_IAM"})),
        ("apiKeyRequired", json!({"apiKeyRequired": true})),
    ] {
        let id = api(plane.at(), name).await;
        let connect = integration(plane.at(), &id, &plane.backend.url("/connect")).await;
        let echo = integration(plane.at(), &id, &plane.backend.url("/echo")).await;
        two_way(plane.at(), &id, "echo", &echo).await;
        let route = route(plane.at(), &id, "$connect", &connect).await;
        let stage = json!({"stageName": "prod", "autoDeploy": true});
        made(plane.at(), &format!("/v2/apis/{id}/stages"), stage).await;
        let mut before = handshake(&plane.gateway, &id, "prod").open().await;
        let connects = plane.backend.requests("/connect").len();

        done(
            plane.at(),
            "PATCH",
            &format!("/v2/apis/{id}/routes/{route}"),
            change,
        )
        .await;
        let answer = handshake(&plane.gateway, &id, "prod").refused().await;
        assert_eq!(
            (answer.status, &*answer.message()),
            (500, "Internal server error"),
            "{name}"
        );
        assert_eq!(
            plane.backend.requests("/connect").len(),
            connects,
            "{name}: the backend was asked"
        );
        eventually("an ERROR that names the setting", async || {
            let log = plane.gateway.log();
            let mut lines = log.lines().filter(|line| line.contains(&id));
            lines
                .any(|line| line.contains("ERROR") && line.contains(name))
                .then_some(())
        })
        .await;
        // Who is in already stays.
        only_the_echo_comes_back(&mut before, name).await;

        let open = json!({"authorizationType": "NONE", "apiKeyRequired": false});
        done(
            plane.at(),
            "PATCH",
            &format!("/v2/apis/{id}/routes/{route}"),
            open,
        )
        .await;
        handshake(&plane.gateway, &id, "prod").open().await;
    }
}

#[tokio::test]
async fn a_route_that_cannot_be_served_answers_the_error_frame_while_others_work() {
    let plane = Plane::start().await;
    let chat = Chat::create(plane.at(), &plane.backend).await;
    let service = json!({
        "integrationType": "AWS", "integrationMethod": "POST", "credentialsArn": "arn:aws:iam::123456789012:role/r",
        "integrationUri": "arn:aws:apigateway:us-east-1:sqs:path/123456789012/queue",
    });
    let service = made(plane.at(), &chat.path("/integrations"), service).await;
    two_way(
        plane.at(),
        &chat.id,
        "queue",
        &text(&service["integrationId"]),
    )
    .await;
    made(
        plane.at(),
        &chat.path("/routes"),
        json!({"routeKey": "nowhere"}),
    )
    .await;
    let mut client = chat.open(&plane.gateway).await;
    made(
        plane.at(),
        &chat.path("/deployments"),
        json!({"stageName": "prod"}),
    )
    .await;
    client.send_json(&json!({"action": "queue"})).await;
    let frame = client.next_json().await;
    assert_eq!(frame["message"], "Internal server error", "{frame}");
    only_the_echo_comes_back(&mut client, "beside it").await;
    chat.open(&plane.gateway).await;
    let log = plane.gateway.log();
    assert!(
        log.contains("a route is closed until it can be served"),
        "{log}"
    );
    assert!(plane.backend.requests("/queue").is_empty());
}

#[tokio::test]
async fn an_http_api_deploys_and_answers_501() {
    let plane = Plane::start().await;
    let quick =
        json!({"name": "quick", "protocolType": "HTTP", "target": plane.backend.url("/echo")});
    let quick = made(plane.at(), "/v2/apis", quick).await;
    let endpoint = text(&quick["apiEndpoint"]);
    assert!(endpoint.starts_with("http://"), "{endpoint}");
    let id = text(&quick["apiId"]);
    made(
        plane.at(),
        &format!("/v2/apis/{id}/stages"),
        json!({"stageName": "named"}),
    )
    .await;
    let deployment = deploy(plane.at(), &id).await;
    let point = json!({"deploymentId": deployment});
    done(
        plane.at(),
        "PATCH",
        &format!("/v2/apis/{id}/stages/named"),
        point,
    )
    .await;
    for path in ["/named", "/named/pets", "/$default", "/$default/pets"] {
        let path = format!("{}{path}", &endpoint[endpoint.find("/_aws").unwrap()..]);
        let answer = Request::get(plane.gateway.public(), &path).send().await;
        assert_eq!(answer.status, 501, "{path}: {}", answer.text());
    }
    let answer = handshake(&plane.gateway, &id, "named").refused().await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert!(plane.backend.everything().is_empty());
}

#[tokio::test]
async fn a_stage_without_a_deployment_and_one_that_is_gone_let_nobody_in() {
    let plane = Plane::start().await;
    let chat = Chat::create(plane.at(), &plane.backend).await;
    made(
        plane.at(),
        &chat.path("/stages"),
        json!({"stageName": "empty"}),
    )
    .await;
    let status = handshake(&plane.gateway, &chat.id, "empty").status().await;
    assert_eq!(status, 403);
    let open = chat.open(&plane.gateway).await;
    assert_eq!(
        ask(
            plane.at(),
            "DELETE",
            &chat.path("/stages/prod"),
            Value::Null
        )
        .await
        .status,
        204
    );
    assert_eq!(chat.handshake(&plane.gateway).status().await, 403);
    drop(open);
    eventually("the gateway goes on", async || {
        plane.gateway.metric("wiregate_").await
    })
    .await;
    assert_eq!(
        chat.deployment,
        text(&plane.items(&chat.path("/deployments")).await[0]["deploymentId"])
    );
    assert_eq!(plane.items(&chat.path("/integrations")).await.len(), 2);
    let left = ask(
        plane.at(),
        "DELETE",
        &chat.path(&format!("/integrations/{}", chat.integration)),
        Value::Null,
    )
    .await;
    assert_eq!(left.status, 409, "its route names it");
}
