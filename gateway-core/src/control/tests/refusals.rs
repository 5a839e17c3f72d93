//! Every wrong request with its status and words.

use serde_json::{Value, json};

use super::{Asked, text};

#[test]
fn apis() {
    let mut asked = Asked::default();
    let mut check = |body: Value, words: &str| asked.refused("POST", "/v2/apis", &body, 400, words);
    check(json!({"protocolType": "WEBSOCKET"}), "Value null at 'name'");
    check(json!({"name": "x"}), "Value null at 'protocolType'");
    check(
        json!({"name": "x", "protocolType": "FTP"}),
        "Must be one of [HTTP, WEBSOCKET]",
    );
    check(
        json!({"name": "x", "protocolType": "WEBSOCKET"}),
        "RouteSelectionExpression is a required",
    );
    check(
        json!({"name": 7, "protocolType": "HTTP"}),
        "Member must be a string",
    );
    check(
        json!({"name": "x".repeat(129), "protocolType": "HTTP"}),
        "length less than or equal to 128",
    );
    check(
        json!({"name": "x", "protocolType": "HTTP", "routeSelectionExpression": "$request.body.action"}),
        "must be $request.method $request.path",
    );
    check(
        json!({"name": "x", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action", "corsConfiguration": {"maxAge": 1}}),
        "not supported on protocolType WEBSOCKET",
    );
    check(
        json!({"name": "x", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action", "apiKeySelectionExpression": "$x"}),
        "Invalid apiKeySelectionExpression",
    );
    check(
        json!({"name": "x", "protocolType": "WEBSOCKET", "routeSelectionExpression": "${request.body"}),
        "Invalid selection expression",
    );
    let refused = asked.ask("POST", "/v2/apis", &json!([1])).unwrap_err();
    assert_eq!(refused.shape(), "SerializationException");
}

#[test]
fn parts_of_an_api() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    let made = asked.done(
        "POST",
        &format!("{at}/integrations"),
        &json!({"integrationType": "MOCK"}),
    );
    let mock = text(&made, "integrationId");
    asked.done(
        "POST",
        &format!("{at}/routes"),
        &json!({"routeKey": "a", "target": format!("integrations/{mock}")}),
    );
    let mut check = |path: &str, body: Value, status: u16, words: &str| {
        asked.refused("POST", &format!("{at}/{path}"), &body, status, words);
    };
    check("routes", json!({}), 400, "Route key is required");
    check(
        "routes",
        json!({"routeKey": "a"}),
        409,
        "Route with key a already exists for this API",
    );
    check(
        "routes",
        json!({"routeKey": "$other"}),
        400,
        "only $connect, $disconnect and $default",
    );
    check(
        "routes",
        json!({"routeKey": "b", "target": "integrations/none"}),
        400,
        "Invalid Integration identifier",
    );
    check(
        "routes",
        json!({"routeKey": "b", "target": mock}),
        400,
        "Invalid target",
    );
    check(
        "routes",
        json!({"routeKey": "b", "authorizationType": "JWT"}),
        400,
        "JWT is not supported",
    );
    check(
        "routes",
        json!({"routeKey": "b", "authorizationType": "CUSTOM"}),
        400,
        "AuthorizerId is a required",
    );
    check(
        "routes",
        json!({"routeKey": "b", "authorizationType": "CUSTOM", "authorizerId": "x"}),
        400,
        "Invalid Authorizer",
    );
    check(
        "routes",
        json!({"routeKey": "b", "authorizationType": "OPEN"}),
        400,
        "enum value set: [NONE, AWS_IAM, CUSTOM, JWT]",
    );
    check(
        "routes",
        json!({"routeKey": "b", "requestModels": {"x": "None"}}),
        400,
        "Invalid Model name",
    );
    check(
        "routes",
        json!({"routeKey": "b", "requestParameters": {"route.request.querystring.x": {"required": true}}}),
        400,
        "$connect only",
    );
    check(
        "routes",
        json!({"routeKey": "b", "routeResponseSelectionExpression": "x"}),
        400,
        "Must be $default",
    );
    check(
        "integrations",
        json!({}),
        400,
        "Value null at 'integrationType'",
    );
    check(
        "integrations",
        json!({"integrationType": "HTTP_PROXY", "integrationMethod": "POST"}),
        400,
        "IntegrationUri is a required",
    );
    check(
        "integrations",
        json!({"integrationType": "HTTP_PROXY", "integrationUri": "http://x"}),
        400,
        "IntegrationMethod is a required",
    );
    check(
        "integrations",
        json!({"integrationType": "HTTP_PROXY", "integrationMethod": "POST", "integrationUri": "ftp://x"}),
        400,
        "Invalid HTTP endpoint",
    );
    check(
        "integrations",
        json!({"integrationType": "MOCK", "timeoutInMillis": 49}),
        400,
        "greater than or equal to 50",
    );
    check(
        "integrations",
        json!({"integrationType": "MOCK", "timeoutInMillis": 29_001}),
        400,
        "between 50 ms and 29000 ms",
    );
    check(
        "integrations",
        json!({"integrationType": "MOCK", "requestParameters": {"x": "'1'"}}),
        400,
        "Invalid mapping expression",
    );
    check(
        "integrations",
        json!({"integrationType": "MOCK", "payloadFormatVersion": "2.0"}),
        400,
        "PayloadFormatVersion must be 1.0",
    );
    check(
        &format!("integrations/{mock}/integrationresponses"),
        json!({"integrationResponseKey": "/("}),
        400,
        "Invalid integrationResponseKey",
    );
    check(
        "integrations/none/integrationresponses",
        json!({"integrationResponseKey": "$default"}),
        404,
        "Invalid Integration identifier",
    );
    check(
        "models",
        json!({"name": "a b", "schema": "{}"}),
        400,
        "alphanumeric",
    );
    check(
        "models",
        json!({"name": "a", "schema": "{"}),
        400,
        "not JSON",
    );
    check(
        "authorizers",
        json!({"name": "a", "authorizerType": "JWT", "identitySource": []}),
        400,
        "JWT is not supported",
    );
    check(
        "authorizers",
        json!({"name": "a", "authorizerType": "REQUEST", "identitySource": []}),
        400,
        "AuthorizerUri is a required",
    );
    check(
        "authorizers",
        json!({"name": "a", "authorizerType": "REQUEST", "authorizerUri": "arn:x", "identitySource": ["$request.header.x"]}),
        400,
        "Invalid identity source",
    );
    check(
        "stages",
        json!({"stageName": "a b"}),
        400,
        "Invalid stage name",
    );
    check(
        "stages",
        json!({"stageName": "s", "deploymentId": "none"}),
        404,
        "Invalid Deployment",
    );
    check(
        "stages",
        json!({"stageName": "s", "autoDeploy": true, "deploymentId": "none"}),
        400,
        "because AutoDeploy is enabled.",
    );
    check(
        "stages",
        json!({"stageName": "s", "routeSettings": {"none": {}}}),
        404,
        "Unable to find Route by key none",
    );
    check(
        "stages",
        json!({"stageName": "s", "stageVariables": {"a": "ü"}}),
        400,
        "Invalid stage variable 'a'",
    );
    check(
        "deployments",
        json!({"stageName": "none"}),
        404,
        "Invalid stage identifier",
    );
    check("nothing", json!({}), 404, "There is no operation");
    asked.refused(
        "DELETE",
        &format!("{at}/integrations/{mock}"),
        &Value::Null,
        409,
        "Cannot delete Integration because it is referenced by the following Routes with Ids: [",
    );
    asked.refused(
        "GET",
        "/v2/apis/none/routes",
        &Value::Null,
        404,
        "123456789012:none",
    );
    asked.refused(
        "PATCH",
        &at,
        &json!({"protocolType": "HTTP"}),
        400,
        "protocolType cannot be changed",
    );
}

#[test]
fn http_apis() {
    let mut asked = Asked::default();
    let api = asked.done(
        "POST",
        "/v2/apis",
        &json!({"name": "h", "protocolType": "HTTP", "target": "https://example.com"}),
    );
    let at = format!("/v2/apis/{}", text(&api, "apiId"));
    assert_eq!(
        asked.done("GET", &format!("{at}/stages/$default"), &Value::Null)["apiGatewayManaged"],
        true
    );
    let mut check = |path: &str, body: Value, words: &str| {
        asked.refused("POST", &format!("{at}/{path}"), &body, 400, words);
    };
    check(
        "integrations",
        json!({"integrationType": "MOCK"}),
        "only be associated with proxy integrations",
    );
    check(
        "integrations",
        json!({"integrationType": "AWS_PROXY", "integrationUri": "arn:aws:lambda:x"}),
        "PayloadFormatVersion is a required",
    );
    check("routes", json!({"routeKey": "/pets"}), "not valid");
    check("routes", json!({"routeKey": "GET /{a}/{a}"}), "used twice");
    check("routes", json!({"routeKey": "GET /{a+}/b"}), "stands last");
    check(
        "stages",
        json!({"stageName": "s", "defaultRouteSettings": {"loggingLevel": "INFO"}}),
        "Execution logs are not supported",
    );
}

#[test]
fn what_a_stage_or_a_mapping_needs_stays() {
    let (mut asked, api) = Asked::with_api();
    let at = format!("/v2/apis/{api}");
    asked.refused(
        "POST",
        &format!("{at}/deployments"),
        &json!({}),
        400,
        "At least one route is required",
    );
    asked.done("POST", &format!("{at}/routes"), &json!({"routeKey": "a"}));
    let deployment = text(
        &asked.done("POST", &format!("{at}/deployments"), &json!({})),
        "deploymentId",
    );
    asked.done(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "s", "deploymentId": deployment}),
    );
    asked.refused(
        "POST",
        &format!("{at}/stages"),
        &json!({"stageName": "s"}),
        409,
        "Stage already exists",
    );
    asked.refused(
        "DELETE",
        &format!("{at}/deployments/{deployment}"),
        &Value::Null,
        400,
        "Active stages pointing to this deployment",
    );
    asked.done(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "ws.example.com"}),
    );
    asked.refused(
        "POST",
        "/v2/domainnames",
        &json!({"domainName": "WS.example.com"}),
        409,
        "already exists",
    );
    let mappings = "/v2/domainnames/ws.example.com/apimappings";
    for (key, words) in [
        ("/a", "start with a '/'"),
        ("a//b", "consecutive"),
        ("a/", "end with a '/'"),
        ("a/b", "one level"),
        ("ü", "letters"),
    ] {
        asked.refused(
            "POST",
            mappings,
            &json!({"apiId": api, "stage": "s", "apiMappingKey": key}),
            400,
            words,
        );
    }
    asked.done("POST", mappings, &json!({"apiId": api, "stage": "s"}));
    asked.refused(
        "POST",
        mappings,
        &json!({"apiId": api, "stage": "s"}),
        409,
        "already exists",
    );
    asked.refused(
        "POST",
        mappings,
        &json!({"apiId": api, "stage": "none", "apiMappingKey": "k"}),
        404,
        "Invalid stage",
    );
}
