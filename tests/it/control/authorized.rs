//! Authorizers that the control plane makes: they judge as those of a file do.

use harness::{Lambda, LambdaAnswer, eventually};
use serde_json::{Value, json};

use super::{Plane, api, ask, deploy, done, handshake, integration, made, route};
use crate::app::{BINARY, text};

/// What lets everybody in, or nobody.
fn says(effect: &str) -> LambdaAnswer {
    LambdaAnswer::Returns(
        json!({"principalId": "user-1", "policyDocument": {"Statement": {
            "Effect": effect, "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:*/prod/$connect",
        }}}),
    )
}

#[tokio::test]
async fn a_deployed_authorizer_judges_the_handshake_and_another_deployment_another_way() {
    let lambda = Lambda::start().await;
    let yaml = format!("lambda: {{ endpoint: {} }}\n", lambda.endpoint());
    let plane = Plane::of(harness::GatewayCommand::new(BINARY, &yaml)).await;
    let id = api(plane.at(), "guarded").await;
    let connect = integration(plane.at(), &id, &plane.backend.url("/connect")).await;
    let route = route(plane.at(), &id, "$connect", &connect).await;
    let uri = Lambda::uri("who-${stageVariables.version}");
    let body = json!({"name": "who", "authorizerType": "REQUEST", "authorizerUri": uri,
        "identitySource": ["route.request.querystring.token"]});
    let path = |rest: &str| format!("/v2/apis/{id}{rest}");
    let authorizer = made(plane.at(), &path("/authorizers"), body).await;
    let change = json!({"authorizationType": "CUSTOM", "authorizerId": authorizer["authorizerId"]});
    done(
        plane.at(),
        "PATCH",
        &path(&format!("/routes/{route}")),
        change,
    )
    .await;
    let stage = json!({"stageName": "prod", "deploymentId": deploy(plane.at(), &id).await, "stageVariables": {"version": "1"}});
    made(plane.at(), &path("/stages"), stage).await;

    let shown = async |token: &str| {
        let stage = format!("prod{token}");
        handshake(&plane.gateway, &id, &stage).status().await
    };
    lambda.on("who-1", |_| says("Allow"));
    lambda.on("who-2", |_| says("Deny"));
    assert_eq!(shown("").await, 401);
    assert_eq!(shown("?token=t").await, 101);
    let told = plane.backend.next("/connect").await;
    assert_eq!(told.wiregate("authorizer"), r#"{"principalId":"user-1"}"#);
    let arn = format!("arn:aws:execute-api:us-east-1:000000000000:{id}/prod/$connect");
    assert_eq!(text(&lambda.next("who-1").await.event["methodArn"]), arn);
    // What belongs to the stage acts at once.
    let variables = json!({"stageVariables": {"version": "2"}});
    done(plane.at(), "PATCH", &path("/stages/prod"), variables).await;
    assert_eq!(shown("?token=t").await, 403);
    // What a route names cannot be deleted, and what it stops asking says nothing once deployed.
    let gone = path(&format!(
        "/authorizers/{}",
        text(&authorizer["authorizerId"])
    ));
    assert_eq!(
        ask(plane.at(), "DELETE", &gone, Value::Null).await.status,
        409
    );
    let open = json!({"authorizationType": "NONE"});
    done(
        plane.at(),
        "PATCH",
        &path(&format!("/routes/{route}")),
        open,
    )
    .await;
    assert_eq!(shown("?token=t").await, 403);
    made(
        plane.at(),
        &path("/deployments"),
        json!({"stageName": "prod"}),
    )
    .await;
    assert_eq!(shown("").await, 101);
}

#[tokio::test]
async fn an_authorizer_that_cannot_be_asked_closes_its_route_and_says_why() {
    let plane = Plane::start().await;
    let id = api(plane.at(), "guarded").await;
    let connect = integration(plane.at(), &id, &plane.backend.url("/connect")).await;
    let path = |rest: &str| format!("/v2/apis/{id}{rest}");
    let uri = "arn:aws:apigateway:us-east-1:sqs:path/123456789012/queue";
    let body = json!({"name": "who", "authorizerType": "REQUEST", "authorizerUri": uri, "identitySource": []});
    let authorizer = made(plane.at(), &path("/authorizers"), body).await;
    let body = json!({"routeKey": "$connect", "target": format!("integrations/{connect}"),
        "authorizationType": "CUSTOM", "authorizerId": authorizer["authorizerId"]});
    made(plane.at(), &path("/routes"), body).await;
    let stage = json!({"stageName": "prod", "deploymentId": deploy(plane.at(), &id).await});
    made(plane.at(), &path("/stages"), stage).await;
    let answer = handshake(&plane.gateway, &id, "prod").refused().await;
    assert_eq!(
        (answer.status, &*answer.message()),
        (500, "Internal server error")
    );
    assert!(plane.backend.everything().is_empty());
    eventually("an ERROR that says why", async || {
        let log = plane.gateway.log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("ERROR") && line.contains(&id));
        lines
            .any(|line| line.contains("its authorizer cannot be asked"))
            .then_some(())
    })
    .await;
    assert!(
        plane.gateway.log().contains("is no Lambda integration URI"),
        "{}",
        plane.gateway.log()
    );
}
