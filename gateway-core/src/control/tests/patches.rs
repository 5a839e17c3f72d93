//! What a PATCH changes and what it leaves.

use serde_json::{Value, json};

use super::{Asked, text};

#[track_caller]
fn check(asked: &mut Asked, path: &str, change: &Value, member: &str, expected: &Value) {
    let changed = asked.done("PATCH", path, change);
    assert_eq!(
        changed.get(member).unwrap_or(&Value::Null),
        expected,
        "{path} {change}"
    );
}

#[test]
fn scalars_maps_and_lists() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    check(
        &mut asked,
        &at,
        &json!({"description": "d", "version": "1"}),
        "version",
        &json!("1"),
    );
    check(
        &mut asked,
        &at,
        &json!({"version": ""}),
        "version",
        &Value::Null,
    );
    check(
        &mut asked,
        &at,
        &json!({"description": ""}),
        "description",
        &Value::Null,
    );
    check(&mut asked, &at, &json!({}), "name", &json!("chat"));
    check(
        &mut asked,
        &at,
        &json!({"protocolType": "WEBSOCKET"}),
        "name",
        &json!("chat"),
    );

    let stage = format!("{at}/stages/s");
    asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "s", "stageVariables": {"a": "1", "b": "2", "c": ""}}),
    );
    check(
        &mut asked,
        &stage,
        &json!({"stageVariables": {"b": "", "d": "4"}}),
        "stageVariables",
        &json!({"a": "1", "d": "4"}),
    );
    check(
        &mut asked,
        &stage,
        &json!({"accessLogSettings": {"destinationArn": "x", "format": "$context.requestId"}}),
        "accessLogSettings",
        &json!({"destinationArn": "x", "format": "$context.requestId"}),
    );
    check(
        &mut asked,
        &stage,
        &json!({"accessLogSettings": {}}),
        "accessLogSettings",
        &Value::Null,
    );

    let made = asked.done("POST", &format!("{at}/integrations"), &json!({
        "integrationType": "MOCK", "requestTemplates": {"200": "x"}, "templateSelectionExpression": "200",
        "requestParameters": {"integration.request.header.a": "'1'", "integration.request.header.b": "'2'"},
    }));
    let integration = format!("{at}/integrations/{}", text(&made, "integrationId"));
    check(
        &mut asked,
        &integration,
        &json!({"requestParameters": {"integration.request.header.a": "", "integration.request.header.c": "''"}}),
        "requestParameters",
        &json!({"integration.request.header.b": "'2'", "integration.request.header.c": "''"}),
    );
    check(
        &mut asked,
        &integration,
        &json!({"requestTemplates": {"application/json": ""}}),
        "requestTemplates",
        &json!({"200": "x", "application/json": ""}),
    );
    check(
        &mut asked,
        &integration,
        &json!({"description": "d"}),
        "integrationType",
        &json!("MOCK"),
    );
}

#[test]
fn single_keys_have_operations_of_their_own() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    let made = asked.done("POST", &format!("{at}/routes"), &json!({
        "routeKey": "$connect", "requestParameters": {"route.request.querystring.token": {"required": true}},
    }));
    let route = format!("{at}/routes/{}", text(&made, "routeId"));
    asked.done(
        "DELETE",
        &format!("{route}/requestparameters/route.request.querystring.token"),
        &Value::Null,
    );
    assert_eq!(
        asked.done("GET", &route, &Value::Null)["requestParameters"],
        json!({})
    );
    asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "s", "routeSettings": {"$connect": {"throttlingRateLimit": 10.5}}}),
    );
    asked.done(
        "DELETE",
        &format!("{at}/stages/s/routesettings/%24connect"),
        &Value::Null,
    );
    assert_eq!(
        asked.done("GET", &format!("{at}/stages/s"), &Value::Null)["routeSettings"],
        json!({})
    );
    asked.refused(
        "DELETE",
        &format!("{at}/stages/s/routesettings/%24connect"),
        &Value::Null,
        404,
        "routeSettings",
    );
}

#[test]
fn tags() {
    let (mut asked, api) = Asked::with_api();
    for arn in [
        format!("arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2F{api}"),
        format!("arn:aws:apigateway:us-east-1::/apis/{api}"),
    ] {
        let path = format!("/v2/tags/{arn}");
        asked.done(
            "POST",
            &path,
            &json!({"tags": {"a": "1", "b b": "2", "c": "3"}}),
        );
        asked.done(
            "DELETE",
            &format!("{path}?tagKeys=a&tagKeys=b%20b"),
            &Value::Null,
        );
        assert_eq!(
            asked.done("GET", &path, &Value::Null),
            json!({"tags": {"c": "3"}})
        );
    }
    assert_eq!(
        asked.done("GET", &format!("/v2/apis/{api}"), &Value::Null)["tags"],
        json!({"c": "3"})
    );
    asked.refused("GET", "/v2/tags/arn:aws:s3:::x", &Value::Null, 400, "ARN");
    asked.refused(
        "GET",
        "/v2/tags/arn:aws:apigateway:us-east-1::/apis/none",
        &Value::Null,
        404,
        "Invalid API",
    );
}

/// "UpdateApiMapping: apiId, required", "UntagResource: tagKeys, required"; what is not kept is checked all the same.
#[test]
fn what_the_service_model_demands_of_a_change() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "prod"}),
    );
    asked.done(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "ws.example.com"}),
    );
    let mappings = "/v2/domainnames/ws.example.com/apimappings";
    let made = asked.done("POST", mappings, &json!({"apiId": api, "stage": "prod"}));
    let mapping = format!("{mappings}/{}", text(&made, "apiMappingId"));
    let tags = format!("/v2/tags/arn:aws:apigateway:us-east-1::/apis/{api}");
    for (method, path, body, words) in [
        ("PATCH", &mapping, json!({"apiMappingKey": "k"}), "'apiId'"),
        ("DELETE", &tags, Value::Null, "'tagKeys'"),
        ("PATCH", &at, json!({"target": 7}), "'target'"),
        ("PATCH", &at, json!({"routeKey": "GET /"}), "'routeKey'"),
        (
            "PATCH",
            &at,
            json!({"credentialsArn": ["x"]}),
            "'credentialsArn'",
        ),
    ] {
        asked.refused(method, path, &body, 400, words);
    }
    check(
        &mut asked,
        &mapping,
        &json!({"apiId": api, "apiMappingKey": "k"}),
        "apiMappingKey",
        &json!("k"),
    );
}
