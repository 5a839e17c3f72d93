//! What stands in exported files.

use serde_json::{Value, json};

use super::super::{to_cloudformation, to_wiregate};
use super::{Asked, text};

fn full() -> (Asked, String) {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    asked.done("PATCH", &at, &json!({"description": "talk"}));
    let made = asked.done("POST", &format!("{at}/integrations"), &json!({
        "integrationType": "HTTP", "integrationMethod": "POST", "integrationUri": "http://127.0.0.1:9000/hook", "timeoutInMillis": 500,
    }));
    let integration = text(&made, "integrationId");
    let responses = format!("{at}/integrations/{integration}/integrationresponses");
    asked.done(
        "POST",
        &responses,
        &json!({"integrationResponseKey": "$default"}),
    );
    let made = asked.done("POST", &format!("{at}/authorizers"), &json!({
        "name": "auth", "authorizerType": "REQUEST", "identitySource": ["route.request.header.Auth"],
        "authorizerUri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:f/invocations",
    }));
    let authorizer = text(&made, "authorizerId");
    let target = format!("integrations/{integration}");
    asked.done("POST", &format!("{at}/routes"), &json!({
        "routeKey": "$connect", "target": target, "authorizationType": "CUSTOM", "authorizerId": authorizer,
    }));
    let made = asked.done(
        "POST",
        &format!("{at}/routes"),
        &json!({"routeKey": "send message", "target": target}),
    );
    let route = text(&made, "routeId");
    asked.done(
        "POST",
        &format!("{at}/routes/{route}/routeresponses"),
        &json!({"routeResponseKey": "$default"}),
    );
    let made = asked.done("POST", &format!("{at}/deployments"), &Value::Null);
    asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({
            "stageName": "prod", "deploymentId": made["deploymentId"], "stageVariables": {"a": "1"},
            "routeSettings": {"$connect": {"throttlingRateLimit": 5, "loggingLevel": "INFO"}},
        }),
    );
    asked.done(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "ws.example.com"}),
    );
    asked.done(
        "POST",
        "/v2/domainnames/ws.example.com/apimappings",
        &json!({"apiId": api, "stage": "prod", "apiMappingKey": "v1"}),
    );
    (asked, api)
}

#[test]
fn a_settings_file_says_what_serves() {
    let (asked, api) = full();
    let export = to_wiregate(&asked.account);
    assert_eq!(
        export.left_out,
        [
            format!("API {api}: name \"chat\""),
            format!("API {api}: description \"talk\"")
        ]
    );
    let document = &export.document;
    assert_eq!(
        document["server"]["domains"],
        json!([{"domainName": "ws.example.com", "mappings": [{"apiMappingKey": "v1", "api": api, "stage": "prod"}]}])
    );
    let of_api = &document["apis"][&api];
    let integration = of_api["integrations"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(integration["timeoutInMillis"], 500);
    assert_eq!(integration["integrationResponses"], json!({"$default": {}}));
    assert!(
        integration.get("passthroughBehavior").is_none(),
        "what is so anyway is not said"
    );
    assert_eq!(
        of_api["routes"]["send message"]["routeResponses"],
        json!(["$default"])
    );
    assert_eq!(of_api["routes"]["$connect"]["authorizationType"], "CUSTOM");
    assert_eq!(
        of_api["stages"],
        json!({"prod": {
            "stageVariables": {"a": "1"}, "routeSettings": {"$connect": {"throttlingRateLimit": 5}},
        }})
    );
}

#[test]
fn a_template_refers_instead_of_repeating_ids() {
    let (asked, api) = full();
    let export = to_cloudformation(&asked.account);
    let resources = export.document["Resources"].as_object().unwrap();
    let names: Vec<&str> = resources.keys().map(String::as_str).collect();
    assert_eq!(
        resources["ChatApi"]["Properties"]["RouteSelectionExpression"],
        "$request.body.action"
    );
    assert_eq!(
        resources["ChatSendMessageRoute"]["Properties"]["ApiId"],
        json!({"Ref": "ChatApi"})
    );
    assert_eq!(
        resources["ChatConnectRoute"]["Properties"]["AuthorizerId"],
        json!({"Ref": "ChatAuthAuthorizer"})
    );
    assert_eq!(
        resources["ChatProdStage"]["Properties"]["DeploymentId"],
        json!({"Ref": "ChatDeployment"})
    );
    assert_eq!(
        resources["ChatProdStage"]["Properties"]["RouteSettings"],
        json!({"$connect": {"LoggingLevel": "INFO", "ThrottlingRateLimit": 5}})
    );
    assert_eq!(
        resources["WsExampleComDomainMapping"]["Properties"]["Stage"],
        json!({"Ref": "ChatProdStage"})
    );
    assert!(!export.document.to_string().contains(&api), "{names:?}");
}

#[test]
fn what_a_file_cannot_say_is_said() {
    let (mut asked, api) = full();
    asked.done(
        "POST",
        &format!("/v2/apis/{api}/routes"),
        &json!({"routeKey": "later"}),
    );
    asked.done(
        "POST",
        &format!("/v2/apis/{api}/models"),
        &json!({"name": "M", "schema": "{}"}),
    );
    asked.done(
        "POST",
        "/v2/apis",
        &json!({"name": "h", "protocolType": "HTTP"}),
    );
    let left_out = to_wiregate(&asked.account).left_out.join("\n");
    for words in [
        "stage prod serves an older deployment",
        "model M",
        "HTTP APIs cannot stand",
    ] {
        assert!(left_out.contains(words), "{words}: {left_out}");
    }
    let only = asked.account.only(std::slice::from_ref(&api)).unwrap();
    assert_eq!(only.apis().count(), 1);
    assert_eq!(
        asked.account.only(&["none".to_owned()]),
        Err("none".to_owned())
    );
}
