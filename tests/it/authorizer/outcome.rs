//! The outcome table: what an authorizer's answer makes of a handshake.

use harness::{LambdaAnswer, Request, Table};
use serde_json::{Value, json};

use super::{EXPLICIT, Guarded, IMPLICIT, METHOD_ARN, allow, allow_with, policy};
use crate::app::{error_frame, is_connection_id, is_request_id, text};

#[tokio::test]
async fn the_policy_decides_who_is_let_in() {
    let app = Guarded::start().await;
    let mut table = Table::about("policies");
    let (allow_all, deny_all) = (policy("Allow", "*"), policy("Deny", "*"));
    let statements = |list: Value| {
        let mut result = allow();
        result["policyDocument"]["Statement"] = list;
        result
    };
    let statement = |result: &Value| result["policyDocument"]["Statement"][0].clone();
    let with = |member: &str, value: Value| {
        let mut one = statement(&allow());
        one[member] = value;
        statements(json!(one))
    };
    let of = |path: &str| format!("arn:aws:execute-api:us-east-1:123456789012:{path}");
    for (name, result, expected) in [
        ("the method's own ARN", allow(), (101, "")),
        ("*", allow_all.clone(), (101, "")),
        ("a stage", policy("Allow", &of("chat/dev/*")), (101, "")),
        ("an API", policy("Allow", &of("chat/*")), (101, "")),
        (
            "any API",
            policy("Allow", "arn:aws:execute-api:*:*:*/*/$connect"),
            (101, ""),
        ),
        (
            "one character",
            policy("Allow", &of("cha?/dev/$connect")),
            (101, ""),
        ),
        (
            "a list",
            with("Resource", json!([of("x/y/z"), METHOD_ARN])),
            (101, ""),
        ),
        (
            "actions",
            with("Action", json!(["s3:*", "execute-api:inv*"])),
            (101, ""),
        ),
        (
            "one statement alone",
            statements(statement(&allow())),
            (101, ""),
        ),
        ("a deny", policy("Deny", METHOD_ARN), (403, EXPLICIT)),
        ("a deny of all", deny_all.clone(), (403, EXPLICIT)),
        (
            "a deny behind an allow",
            statements(json!([statement(&allow_all), statement(&deny_all)])),
            (403, EXPLICIT),
        ),
        (
            "a deny before an allow",
            statements(json!([statement(&deny_all), statement(&allow_all)])),
            (403, EXPLICIT),
        ),
        (
            "a deny of something else",
            policy("Deny", &of("chat/prod/*")),
            (403, IMPLICIT),
        ),
        (
            "an allow of something else",
            policy("Allow", &of("chat/prod/*")),
            (403, IMPLICIT),
        ),
        (
            "another action",
            with("Action", json!("execute-api:ManageConnections")),
            (403, IMPLICIT),
        ),
        ("no statement", statements(json!([])), (403, IMPLICIT)),
        (
            "a condition that holds",
            with(
                "Condition",
                json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
            ),
            (101, ""),
        ),
        (
            "a condition that does not hold",
            with(
                "Condition",
                json!({"Bool": {"aws:SecureTransport": "true"}}),
            ),
            (403, IMPLICIT),
        ),
    ] {
        app.says(LambdaAnswer::Returns(result));
        let before = app.connects();
        let handshake = app.gateway.handshake("/dev");
        if expected.0 == 101 {
            handshake.open().await;
        } else {
            let answer = handshake.refused().await;
            table.row(
                name,
                (answer.status, answer.message()),
                (expected.0, expected.1.to_owned()),
            );
        }
        let called = app.connects() - before;
        table.row(name, called, usize::from(expected.0 == 101));
    }
}

#[tokio::test]
async fn an_authorizer_that_fails_is_401_by_one_word_and_else_500() {
    let app = Guarded::start().await;
    let mut table = Table::about("failures of the authorizer");
    let throws = |message: &str| LambdaAnswer::Throws(message.to_owned());
    for (name, answer, status) in [
        ("Unauthorized", throws("Unauthorized"), 401),
        ("another case", throws("unauthorized"), 500),
        ("more words", throws("Unauthorized: canary"), 500),
        (
            "the word behind another",
            throws("canary: Unauthorized"),
            500,
        ),
        ("an exception", throws("canary"), 500),
        ("no word", throws(""), 500),
        (
            "not allowed",
            LambdaAnswer::Refuses(403, "AccessDeniedException", "canary"),
            500,
        ),
        (
            "no such function",
            LambdaAnswer::Refuses(404, "ResourceNotFoundException", "canary"),
            500,
        ),
        (
            "throttled",
            LambdaAnswer::Refuses(429, "TooManyRequestsException", "canary"),
            500,
        ),
        (
            "out of order",
            LambdaAnswer::Refuses(503, "ServiceException", "Unauthorized"),
            500,
        ),
    ] {
        app.says(answer);
        let answer = app.gateway.handshake("/dev").refused().await;
        let body = answer.json();
        let (connection, request) = (text(&body["connectionId"]), text(&body["requestId"]));
        let message = if status == 401 {
            "Unauthorized"
        } else {
            "Internal server error"
        };
        let expected = error_frame(message, &connection, &request);
        table.row(name, (answer.status, answer.text()), (status, expected));
        let ids = is_connection_id(&connection) && is_request_id(&request);
        table.holds(name, ids, "the ids are not such");
        table.row(name, answer.header("x-amz-apigw-id"), Some(&*request));
        table.row(name, answer.header("x-amzn-errortype"), None);
    }
    table.row("$connect", app.connects(), 0);
    // Who is refused was nobody: no end is told, and no push finds him.
    table.row("$disconnect", app.lambda.invocations("disconnect").len(), 0);
    // The operator reads why.
    let log = app.gateway.log();
    for part in [
        "AUTHORIZER_FAILURE",
        "AUTHORIZER_CONFIGURATION_ERROR",
        "UNAUTHORIZED",
    ] {
        table.holds(part, log.contains(part), &log);
    }
}

#[tokio::test]
async fn an_authorizer_that_nobody_can_reach_is_500() {
    let lambda = harness::Lambda::start().await;
    let yaml = super::yaml(&lambda, "", "[]").replace(&lambda.endpoint(), "http://127.0.0.1:9");
    let gateway = crate::app::start(&yaml).await;
    let answer = gateway.handshake("/dev").refused().await;
    assert_eq!(
        (answer.status, &*answer.message()),
        (500, "Internal server error")
    );
}

#[tokio::test]
async fn without_an_identity_the_client_is_401_and_nobody_is_asked() {
    let api = "stages: { dev: { stageVariables: { set: x, empty: '' } } }";
    let sources = "[route.request.header.Auth, route.request.querystring.token, stageVariables.set, context.connectionId]";
    let app = Guarded::with(api, sources).await;
    app.says(LambdaAnswer::Returns(allow()));
    let mut table = Table::about("identity sources");
    for (name, path, header, expected) in [
        ("all", "/dev?token=t", Some("a"), 101),
        ("no header", "/dev?token=t", None, 401),
        ("an empty header", "/dev?token=t", Some(""), 401),
        ("no parameter", "/dev", Some("a"), 401),
        ("an empty parameter", "/dev?token=", Some("a"), 401),
        ("another parameter", "/dev?Token=t", Some("a"), 401),
        ("nothing", "/dev", None, 401),
    ] {
        let mut handshake = app.gateway.handshake(path);
        if let Some(value) = header {
            handshake = handshake.header("aUTH", value);
        }
        let before = app.lambda.invocations("who").len();
        if expected == 101 {
            handshake.open().await;
        } else {
            let answer = handshake.refused().await;
            table.row(
                name,
                (answer.status, &*answer.message()),
                (401, "Unauthorized"),
            );
        }
        let asked = app.lambda.invocations("who").len() - before;
        table.row(name, asked, usize::from(expected == 101));
    }
    for never in [
        "stageVariables.empty",
        "stageVariables.none",
        "context.eventType",
        "context.messageDirection",
    ] {
        let app = Guarded::with(api, &format!("[{never}]")).await;
        app.says(LambdaAnswer::Returns(allow()));
        table.row(never, app.gateway.handshake("/dev").status().await, 401);
        table.row(never, app.lambda.everything().len(), 0);
    }
}

#[tokio::test]
async fn the_authorizer_sees_the_handshake_and_shares_its_ids_with_connect() {
    let app = Guarded::with(
        "stages: { dev: { stageVariables: { table: rooms } } }",
        "[]",
    )
    .await;
    app.says(LambdaAnswer::Returns(allow()));
    let handshake = app
        .gateway
        .handshake("/dev?room=a&token=t%201&room=b")
        .header("X-Two", "1")
        .header("x-two", "2")
        .header("User-Agent", "tester/1")
        .header("X-Wiregate-Authorizer", "{}")
        .header("X-Forwarded-For", "10.0.0.1");
    handshake.open().await;
    let asked = app.lambda.next("who").await.event;
    let connect = app.lambda.next("connect").await.event;
    let members: Vec<&str> = asked
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "type",
            "methodArn",
            "headers",
            "multiValueHeaders",
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "stageVariables",
            "requestContext"
        ]
    );
    assert_eq!(
        (&asked["type"], &asked["methodArn"]),
        (&json!("REQUEST"), &json!(METHOD_ARN))
    );
    assert_eq!(
        asked["queryStringParameters"],
        json!({"room": "b", "token": "t 1"})
    );
    assert_eq!(
        asked["multiValueQueryStringParameters"],
        json!({"room": ["a", "b"], "token": ["t 1"]})
    );
    assert_eq!(asked["stageVariables"], json!({"table": "rooms"}));
    let headers = &asked["headers"];
    for (name, value) in [
        ("X-Two", "2"),
        ("Upgrade", "websocket"),
        ("content-length", "0"),
        ("X-Forwarded-For", "127.0.0.1"),
    ] {
        assert_eq!(text(&headers[name]).to_lowercase(), value, "{headers}");
    }
    assert!(text(&headers["Connection"]).eq_ignore_ascii_case("upgrade"));
    assert_eq!(headers.get("X-Wiregate-Authorizer"), None);
    assert_eq!(asked["multiValueHeaders"]["X-Two"], json!(["1", "2"]));
    // All that CONNECT shows but the authorizer's own word.
    let mut context = connect["requestContext"].clone();
    context.as_object_mut().unwrap().remove("authorizer");
    assert_eq!(asked["requestContext"], context);
    assert_eq!(
        headers["X-Amzn-Trace-Id"],
        connect["headers"]["X-Amzn-Trace-Id"]
    );

    let bare = Guarded::start().await;
    bare.says(LambdaAnswer::Returns(allow()));
    bare.gateway.handshake("/dev").open().await;
    let asked = bare.lambda.next("who").await.event;
    for empty in [
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
    ] {
        assert_eq!(asked[empty], json!({}), "{empty}");
    }
}

#[tokio::test]
async fn every_handshake_is_judged_anew() {
    let app = Guarded::start().await;
    app.says(LambdaAnswer::Returns(allow()));
    app.gateway.handshake("/dev").open().await;
    app.says(LambdaAnswer::Returns(policy("Deny", "*")));
    assert_eq!(app.gateway.handshake("/dev").status().await, 403);
    assert_eq!(app.lambda.invocations("who").len(), 2);
}

#[tokio::test]
async fn an_authorizer_that_says_yes_is_not_the_last_word() {
    let app = Guarded::start().await;
    app.says(LambdaAnswer::Returns(allow_with(
        "usageIdentifierKey",
        json!("k"),
    )));
    app.lambda
        .returns("connect", json!({"statusCode": 409, "body": "taken"}));
    let answer = app.gateway.handshake("/dev").refused().await;
    assert_eq!((answer.status, answer.text()), (409, "taken".to_owned()));
    // A plain request is no handshake: nobody is asked.
    let before = app.lambda.invocations("who").len();
    let plain = Request::get(app.gateway.public(), "/dev").send().await;
    assert_eq!(plain.status, 426);
    assert_eq!(app.lambda.invocations("who").len(), before);
}
