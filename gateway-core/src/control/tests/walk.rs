//! The life of an API from its creation to the end.

use serde_json::{Value, json};

use super::super::resources;
use super::{Asked, text};
use crate::live;
use crate::resource::Preset;

#[test]
fn an_api_is_made_deployed_and_compiled() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    let integration = asked.done("POST", &format!("{at}/integrations"), &json!({
        "integrationType": "HTTP_PROXY", "integrationMethod": "POST", "integrationUri": "http://127.0.0.1:9000/hook",
        "requestParameters": {"integration.request.header.connectionId": "context.connectionId"},
    }));
    assert_eq!(integration["timeoutInMillis"], 29_000);
    assert_eq!(integration["passthroughBehavior"], "WHEN_NO_MATCH");
    let target = format!("integrations/{}", text(&integration, "integrationId"));
    let route = asked.done(
        "POST",
        &format!("{at}/routes"),
        &json!({"routeKey": "echo", "target": target}),
    );
    assert_eq!(
        (&route["authorizationType"], &route["apiKeyRequired"]),
        (&json!("NONE"), &json!(false))
    );
    let response = format!("{at}/routes/{}/routeresponses", text(&route, "routeId"));
    asked.done("POST", &response, &json!({"routeResponseKey": "$default"}));
    let deployment = asked.done(
        "POST",
        &format!("{at}/deployments"),
        &json!({"description": "first"}),
    );
    assert_eq!(deployment["deploymentStatus"], "DEPLOYED");
    let stage = asked.done("POST", &format!("{at}/stages"), &json!({
        "stageName": "prod", "deploymentId": deployment["deploymentId"], "stageVariables": {"a": "1"},
    }));
    assert_eq!(stage["defaultRouteSettings"]["loggingLevel"], "OFF");

    // What is changed afterwards is not served before the next deployment; stage variables are at once.
    asked.done(
        "POST",
        &format!("{at}/routes"),
        &json!({"routeKey": "later", "target": target}),
    );
    asked.done(
        "PATCH",
        &format!("{at}/stages/prod"),
        &json!({"stageVariables": {"b": "2"}}),
    );
    let served = resources(&asked.account.apis[&api], "prod", Preset::Open).unwrap();
    let keys: Vec<&str> = served
        .routes
        .iter()
        .map(|route| route.route_key.as_str())
        .collect();
    assert_eq!(keys, ["echo"]);
    assert_eq!(served.stages[0].stage_variables.len(), 2);
    let live = live::compile(&served, &served.stages[0]).unwrap();
    assert!(live.routes[0].two_way);
}

#[test]
fn a_stage_that_deploys_itself_follows_every_change() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    let stage = asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "auto", "autoDeploy": true}),
    );
    assert!(
        stage.get("deploymentId").is_none(),
        "nothing to deploy: {stage}"
    );
    let mut seen: Vec<Value> = Vec::new();
    for key in ["$connect", "a", "b"] {
        asked.done("POST", &format!("{at}/routes"), &json!({"routeKey": key}));
        let stage = asked.done("GET", &format!("{at}/stages/auto"), &Value::Null);
        assert!(!seen.contains(&stage["deploymentId"]));
        seen.push(stage["deploymentId"].clone());
        let served = resources(&asked.account.apis[&api], "auto", Preset::Open).unwrap();
        assert_eq!(served.routes.len(), seen.len());
    }
    for number in 0..40 {
        asked.done(
            "POST",
            &format!("{at}/routes"),
            &json!({"routeKey": format!("r{number}")}),
        );
    }
    let all = asked.done("GET", &format!("{at}/deployments"), &Value::Null);
    assert!(
        all["items"].as_array().unwrap().len() <= 11,
        "superseded deployments are forgotten"
    );
}

#[test]
fn lists_come_in_pages() {
    let (mut asked, api) = Asked::with_api();
    let routes = format!("/v2/apis/{api}/routes");
    for number in 0..7 {
        asked.done("POST", &routes, &json!({"routeKey": format!("r{number}")}));
    }
    let (mut keys, mut token) = (Vec::new(), String::new());
    loop {
        let page = asked.done(
            "GET",
            &format!("{routes}?maxResults=3&nextToken={token}"),
            &Value::Null,
        );
        keys.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|route| text(route, "routeKey")),
        );
        match page["nextToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(keys.len(), 7);
    asked.refused(
        "GET",
        &format!("{routes}?maxResults=x"),
        &Value::Null,
        400,
        "maxResults",
    );
    asked.refused(
        "GET",
        &format!("{routes}?maxResults=0"),
        &Value::Null,
        400,
        "maxResults",
    );
    asked.refused(
        "GET",
        &format!("{routes}?nextToken=%25"),
        &Value::Null,
        400,
        "nextToken",
    );
    assert_eq!(
        asked.done("GET", "/v2/apis/", &Value::Null)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn deleting_an_api_takes_everything_of_it_along() {
    let (mut asked, api) = Asked::with_api();
    asked.done(
        "POST",
        &format!("/v2/apis/{api}/stages"),
        &json!({"stageName": "prod"}),
    );
    asked.done(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "ws.example.com"}),
    );
    let mappings = "/v2/domainnames/ws.example.com/apimappings";
    asked.done(
        "POST",
        mappings,
        &json!({"apiId": api, "stage": "prod", "apiMappingKey": "v1"}),
    );
    asked.refused(
        "DELETE",
        &format!("/v2/apis/{api}/stages/prod"),
        &Value::Null,
        400,
        "API mapping",
    );
    asked.done("DELETE", &format!("/v2/apis/{api}"), &Value::Null);
    assert_eq!(
        asked.done("GET", mappings, &Value::Null)["items"],
        json!([])
    );
    asked.refused(
        "GET",
        &format!("/v2/apis/{api}"),
        &Value::Null,
        404,
        "Invalid API identifier specified 123456789012:",
    );
}

#[test]
fn changes_are_told_by_key_and_taken_over_elsewhere() {
    let before = Asked::default().account;
    let (mut asked, api) = Asked::with_api();
    asked.done(
        "POST",
        &format!("/v2/apis/{api}/routes"),
        &json!({"routeKey": "a"}),
    );
    asked.done("POST", &format!("/v2/apis/{api}/deployments"), &Value::Null);
    asked.done(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "ws.example.com"}),
    );
    asked.done(
        "POST",
        "/v2/vpclinks",
        &json!({"name": "x", "subnetIds": ["a"]}),
    );
    let mut other = before.clone();
    for (key, text) in asked.account.changes_since(&before) {
        other.take_stored(&key, text.as_deref()).unwrap();
    }
    assert_eq!(other, asked.account);
    let full = asked.account.clone();
    assert!(full.changes_since(&full.clone()).is_empty());
    for (key, text) in before.changes_since(&full) {
        assert_eq!(text, None);
        other.take_stored(&key, None).unwrap();
    }
    assert_eq!(other, before);
    assert!(other.take_stored("api/x", Some("{")).is_err());
    assert!(other.take_stored("moon/x", None).is_err());
}
