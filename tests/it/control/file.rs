//! What `wiregate.yaml` declares is shown by the control plane, and changed in the file alone.

use harness::{Gateway, GatewayCommand};
use serde_json::{Value, json};

use super::{Chat, ask, backend, done, items, made, refused};
use crate::app::{App, BINARY, only_the_echo_comes_back, text};

const DOMAIN: &str = "server: { domains: [{ domainName: ws.example.com, mappings: [{ apiMappingKey: v1, api: chat, stage: dev }] }] }";

async fn start(yaml: &str) -> Gateway {
    GatewayCommand::new(BINARY, yaml).start().await
}

#[tokio::test]
async fn what_a_file_declares_is_listed_with_all_its_parts() {
    let backend = App::backend().await;
    let gateway = start(&App::yaml(&backend, DOMAIN, "")).await;
    let at = gateway.management();
    let apis = items(at, "/v2/apis").await;
    assert_eq!(apis.len(), 1);
    assert_eq!(apis[0]["apiId"], "chat");
    assert_eq!(apis[0]["routeSelectionExpression"], "$request.body.action");
    assert_eq!(done(at, "GET", "/v2/apis/chat", Value::Null).await, apis[0]);

    let routes = items(at, "/v2/apis/chat/routes").await;
    let mut keys: Vec<String> = routes
        .iter()
        .map(|route| text(&route["routeKey"]))
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        ["$connect", "$default", "$disconnect", "echo", "sendmessage"]
    );
    let integrations = items(at, "/v2/apis/chat/integrations").await;
    for route in &routes {
        let target = text(&route["target"]);
        let integration = integrations
            .iter()
            .find(|each| target == format!("integrations/{}", text(&each["integrationId"])));
        let uri = text(&integration.expect(&target)["integrationUri"]);
        assert!(uri.starts_with(&backend.url("/")), "{uri}");
    }
    let echo = routes
        .iter()
        .find(|route| route["routeKey"] == "echo")
        .unwrap();
    let path = format!(
        "/v2/apis/chat/routes/{}/routeresponses",
        text(&echo["routeId"])
    );
    assert_eq!(items(at, &path).await[0]["routeResponseKey"], "$default");

    let stages = items(at, "/v2/apis/chat/stages").await;
    assert_eq!(stages.len(), 1);
    assert_eq!(stages[0]["stageName"], "dev");
    let deployments = items(at, "/v2/apis/chat/deployments").await;
    assert_eq!(stages[0]["deploymentId"], deployments[0]["deploymentId"]);

    let mappings = items(at, "/v2/domainnames/ws.example.com/apimappings").await;
    assert_eq!(
        (&mappings[0]["apiId"], &mappings[0]["apiMappingKey"]),
        (&json!("chat"), &json!("v1"))
    );
    for resource in [
        "apis/chat",
        "apis/chat/stages/dev",
        "domainnames/ws.example.com",
    ] {
        let path = format!("/v2/tags/arn:aws:apigateway:us-east-1::/{resource}");
        assert_eq!(
            done(at, "GET", &path, Value::Null).await,
            json!({"tags": {}})
        );
    }
}

#[tokio::test]
async fn what_a_file_declares_is_changed_there_and_nowhere_else() {
    let backend = App::backend().await;
    let gateway = start(&App::yaml(&backend, DOMAIN, "")).await;
    let at = gateway.management();
    let route = text(&items(at, "/v2/apis/chat/routes").await[0]["routeId"]);
    let integration = text(&items(at, "/v2/apis/chat/integrations").await[0]["integrationId"]);
    let deployment = text(&items(at, "/v2/apis/chat/deployments").await[0]["deploymentId"]);
    let mapping =
        text(&items(at, "/v2/domainnames/ws.example.com/apimappings").await[0]["apiMappingId"]);
    let description = json!({"description": "x"});
    let domain = "/v2/domainnames/ws.example.com";
    for (method, path, body) in [
        ("PATCH", "/v2/apis/chat".to_owned(), description.clone()),
        ("DELETE", "/v2/apis/chat".to_owned(), Value::Null),
        ("DELETE", "/v2/apis/chat/cors".to_owned(), Value::Null),
        (
            "POST",
            "/v2/apis/chat/routes".to_owned(),
            json!({"routeKey": "new"}),
        ),
        (
            "PATCH",
            format!("/v2/apis/chat/routes/{route}"),
            json!({"operationName": "x"}),
        ),
        (
            "DELETE",
            format!("/v2/apis/chat/routes/{route}"),
            Value::Null,
        ),
        (
            "POST",
            format!("/v2/apis/chat/routes/{route}/routeresponses"),
            json!({"routeResponseKey": "$default"}),
        ),
        (
            "POST",
            "/v2/apis/chat/integrations".to_owned(),
            json!({"integrationType": "MOCK"}),
        ),
        (
            "PATCH",
            format!("/v2/apis/chat/integrations/{integration}"),
            description.clone(),
        ),
        (
            "DELETE",
            format!("/v2/apis/chat/integrations/{integration}"),
            Value::Null,
        ),
        (
            "POST",
            "/v2/apis/chat/models".to_owned(),
            json!({"name": "M", "schema": "{}"}),
        ),
        ("POST", "/v2/apis/chat/deployments".to_owned(), json!({})),
        (
            "PATCH",
            format!("/v2/apis/chat/deployments/{deployment}"),
            description.clone(),
        ),
        (
            "DELETE",
            format!("/v2/apis/chat/deployments/{deployment}"),
            Value::Null,
        ),
        (
            "POST",
            "/v2/apis/chat/stages".to_owned(),
            json!({"stageName": "new"}),
        ),
        (
            "PATCH",
            "/v2/apis/chat/stages/dev".to_owned(),
            description.clone(),
        ),
        ("DELETE", "/v2/apis/chat/stages/dev".to_owned(), Value::Null),
        (
            "DELETE",
            "/v2/apis/chat/stages/dev/accesslogsettings".to_owned(),
            Value::Null,
        ),
        (
            "POST",
            "/v2/tags/arn:aws:apigateway:us-east-1::/apis/chat".to_owned(),
            json!({"tags": {"a": "b"}}),
        ),
        (
            "PATCH",
            domain.to_owned(),
            json!({"routingMode": "API_MAPPING_ONLY"}),
        ),
        ("DELETE", domain.to_owned(), Value::Null),
        (
            "POST",
            format!("{domain}/apimappings"),
            json!({"apiId": "chat", "stage": "dev", "apiMappingKey": "v2"}),
        ),
        (
            "DELETE",
            format!("{domain}/apimappings/{mapping}"),
            Value::Null,
        ),
    ] {
        let answer = ask(at, method, &path, body).await;
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text());
        refused(&answer, 400, "BadRequestException", "wiregate.yaml");
    }
    let mut client = gateway.connect("/dev").await;
    only_the_echo_comes_back(&mut client, "as before").await;
}

#[tokio::test]
async fn files_and_the_control_plane_serve_side_by_side() {
    let backend = backend().await;
    let yaml = App::yaml(&backend, "", "");
    let gateway = start(&yaml).await;
    let at = gateway.management();
    let mut from_file = gateway.connect("/dev").await;
    let chat = Chat::create(at, &backend).await;
    let mut created = chat.open(&gateway).await;
    only_the_echo_comes_back(&mut from_file, "still served").await;
    assert_eq!(items(at, "/v2/apis").await.len(), 2);

    // The file is loaded again: what was created stays.
    gateway.rewrite(&yaml.replace("sendmessage:", "renamed:"));
    harness::eventually("the route of the new file", async || {
        let routes = items(at, "/v2/apis/chat/routes").await;
        routes
            .iter()
            .find(|route| route["routeKey"] == "renamed")
            .cloned()
    })
    .await;
    assert_eq!(items(at, "/v2/apis").await.len(), 2);
    only_the_echo_comes_back(&mut created, "after the file").await;
    only_the_echo_comes_back(&mut from_file, "too").await;
}

#[tokio::test]
async fn a_domain_name_that_a_file_takes_and_gives_back_is_what_was_created() {
    let backend = backend().await;
    let yaml = App::yaml(&backend, "", "");
    let gateway = start(&yaml).await;
    let at = gateway.management();
    let chat = Chat::create(at, &backend).await;
    made(
        at,
        "/v2/domainnames",
        json!({"domainName": "ws.example.com"}),
    )
    .await;
    let mappings = "/v2/domainnames/ws.example.com/apimappings";
    let own = made(
        at,
        mappings,
        json!({"apiId": chat.id, "stage": "prod", "apiMappingKey": "own"}),
    )
    .await;
    let shows = async |api: &str| {
        harness::eventually(api, async || {
            let mappings = items(at, mappings).await;
            mappings.into_iter().find(|mapping| mapping["apiId"] == api)
        })
        .await
    };
    gateway.rewrite(&App::yaml(&backend, DOMAIN, ""));
    assert_eq!(shows("chat").await["apiMappingKey"], "v1");
    gateway.rewrite(&yaml);
    assert_eq!(shows(&chat.id).await, own);
}
