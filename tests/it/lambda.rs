//! What a Lambda function's result means (proxy integration rules).

use std::time::Duration;

use harness::{LambdaAnswer, Table};
use serde_json::{Value, json};

use crate::app::{LambdaApp, error_frame, text};

#[tokio::test]
async fn the_result_of_connect_decides_who_is_let_in() {
    let app = LambdaApp::with("", ", timeoutInMillis: 300").await;
    let mut table = Table::about("results of the $connect function");
    let returns = LambdaAnswer::Returns;
    for (name, answer, expected) in [
        ("200", returns(json!({"statusCode": 200})), 101),
        ("299", returns(json!({"statusCode": 299})), 101),
        ("200 as text", returns(json!({"statusCode": "200"})), 101),
        (
            "body and headers",
            returns(json!({"statusCode": 200, "body": "x", "headers": {"A": "b"}})),
            101,
        ),
        ("302", returns(json!({"statusCode": 302})), 302),
        ("400", returns(json!({"statusCode": 400})), 400),
        (
            "403",
            returns(json!({"statusCode": 403, "body": "no"})),
            403,
        ),
        ("503", returns(json!({"statusCode": 503})), 503),
        ("null", returns(Value::Null), 502),
        ("a text", returns(json!("ok")), 502),
        ("a list", returns(json!([])), 502),
        ("a number", returns(json!(200)), 502),
        ("{}", returns(json!({})), 502),
        ("no status", returns(json!({"body": "x"})), 502),
        (
            "a status of words",
            returns(json!({"statusCode": "fine"})),
            502,
        ),
        (
            "an unknown member",
            returns(json!({"statusCode": 200, "extra": 1})),
            502,
        ),
        (
            "a body that is an object",
            returns(json!({"statusCode": 200, "body": {}})),
            502,
        ),
        (
            "headers that are a list",
            returns(json!({"statusCode": 200, "headers": []})),
            502,
        ),
        ("no JSON", LambdaAnswer::Bytes(b"<html>".to_vec()), 502),
        ("nothing", LambdaAnswer::Bytes(Vec::new()), 502),
        ("an exception", LambdaAnswer::Throws("boom".to_owned()), 502),
        (
            "not allowed",
            LambdaAnswer::Refuses(403, "AccessDeniedException", "no"),
            500,
        ),
        (
            "no such function",
            LambdaAnswer::Refuses(404, "ResourceNotFoundException", "no"),
            500,
        ),
    ] {
        app.lambda.on("connect", move |_| answer.clone());
        let got = app.gateway.handshake("/dev").status().await;
        table.row(name, got, expected);
    }
    app.lambda.on_async("connect", |_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        LambdaAnswer::Returns(json!({"statusCode": 200}))
    });
    table.row(
        "too slow",
        app.gateway.handshake("/dev").status().await,
        504,
    );
}

#[tokio::test]
async fn a_refusal_by_lambda_carries_its_body_and_a_failure_none_of_it() {
    let app = LambdaApp::start().await;
    app.lambda.returns(
        "connect",
        json!({"statusCode": 403, "body": "full", "headers": {"Retry-After": 5}}),
    );
    let answer = app.gateway.handshake("/dev").refused().await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "full"));
    assert_eq!(answer.header("retry-after"), Some("5"));

    app.lambda.on("connect", |_| {
        LambdaAnswer::Throws("canary-of-the-stack".to_owned())
    });
    let answer = app.gateway.handshake("/dev").refused().await;
    let body = answer.json();
    let expected = error_frame(
        "Internal server error",
        &text(&body["connectionId"]),
        &text(&body["requestId"]),
    );
    assert_eq!((answer.status, answer.text()), (502, expected));
}

#[tokio::test]
async fn lambda_chooses_the_subprotocol_and_nothing_else() {
    let app = LambdaApp::start().await;
    for headers in [
        json!({"headers": {"Sec-WebSocket-Protocol": "b", "Set-Cookie": "a=b"}}),
        json!({"headers": {"sec-websocket-protocol": "b"}}),
        json!({"multiValueHeaders": {"Sec-WebSocket-Protocol": ["b"], "X": ["y"]}}),
    ] {
        let mut result = json!({"statusCode": 200, "body": "dropped"});
        result
            .as_object_mut()
            .unwrap()
            .extend(headers.as_object().unwrap().clone());
        app.lambda.returns("connect", result);
        let handshake = app.gateway.handshake("/dev");
        let client = handshake
            .header("Sec-WebSocket-Protocol", "a, b")
            .open()
            .await;
        assert_eq!(
            client.handshake.header("sec-websocket-protocol"),
            Some("b"),
            "{headers}"
        );
        assert_eq!(client.handshake.header("set-cookie"), None);
        assert_eq!(client.handshake.header("x"), None);
    }
}

/// What a two-way function returns and the frame that the client gets; `None` is the error frame.
#[tokio::test]
async fn the_result_of_a_two_way_function_is_the_reply() {
    let app = LambdaApp::with("", ", timeoutInMillis: 300").await;
    let (mut client, id) = app.connect().await;
    let mut table = Table::about("results of a two-way function");
    let returns = LambdaAnswer::Returns;
    for (name, answer, expected) in [
        (
            "a body",
            returns(json!({"statusCode": 200, "body": "b"})),
            Some("b"),
        ),
        (
            "status 500",
            returns(json!({"statusCode": 500, "body": "b"})),
            Some("b"),
        ),
        (
            "status as text",
            returns(json!({"statusCode": "201", "body": "b"})),
            Some("b"),
        ),
        ("no body", returns(json!({"statusCode": 200})), Some("")),
        (
            "a null body",
            returns(json!({"statusCode": 200, "body": null})),
            Some(""),
        ),
        (
            "an empty body",
            returns(json!({"statusCode": 200, "body": ""})),
            Some(""),
        ),
        (
            "headers",
            returns(json!({"statusCode": 200, "body": "b", "headers": {"a": 1, "c": true}})),
            Some("b"),
        ),
        (
            "not base64",
            returns(json!({"statusCode": 200, "body": "YWJj", "isBase64Encoded": false})),
            Some("YWJj"),
        ),
        (
            "base64",
            returns(json!({"statusCode": 200, "body": "YWJj", "isBase64Encoded": true})),
            Some("abc"),
        ),
        (
            "bad base64",
            returns(json!({"statusCode": 200, "body": "!", "isBase64Encoded": true})),
            None,
        ),
        (
            "an unknown member",
            returns(json!({"statusCode": 200, "body": "b", "extra": 1})),
            None,
        ),
        (
            "an object as body",
            returns(json!({"statusCode": 200, "body": {"a": 1}})),
            None,
        ),
        ("no status", returns(json!({"body": "b"})), None),
        (
            "a float status",
            returns(json!({"statusCode": 200.5, "body": "b"})),
            None,
        ),
        ("null", returns(Value::Null), None),
        ("an empty text", returns(json!("")), None),
        ("a text", returns(json!("b")), None),
        ("a list", returns(json!([1])), None),
        (
            "a header that is an object",
            returns(json!({"statusCode": 200, "headers": {"a": {}}})),
            None,
        ),
        (
            "no JSON",
            LambdaAnswer::Bytes(b"{\"statusCode\":200".to_vec()),
            None,
        ),
        (
            "an exception",
            LambdaAnswer::Throws("canary".to_owned()),
            None,
        ),
        (
            "not allowed",
            LambdaAnswer::Refuses(403, "AccessDeniedException", "canary"),
            None,
        ),
        (
            "throttled",
            LambdaAnswer::Refuses(429, "TooManyRequestsException", "canary"),
            None,
        ),
        (
            "service down",
            LambdaAnswer::Refuses(503, "ServiceException", "canary"),
            None,
        ),
    ] {
        app.lambda.on("twoway", move |_| answer.clone());
        client.send_json(&json!({"action": "twoway"})).await;
        let got = client.next_text().await;
        let event = app.lambda.next("twoway").await.event;
        let request = text(&event["requestContext"]["requestId"]);
        let expected = expected.map_or_else(
            || error_frame("Internal server error", &id, &request),
            str::to_owned,
        );
        table.row(name, got, expected);
    }
    app.lambda.on_async("twoway", |_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        LambdaAnswer::Returns(json!({"statusCode": 200}))
    });
    client.send_json(&json!({"action": "twoway"})).await;
    let frame = client.next_json().await;
    table.row(
        "too slow",
        text(&frame["message"]),
        "Endpoint request timed out".to_owned(),
    );
}

#[tokio::test]
async fn a_one_way_function_shows_only_its_failures() {
    let app = LambdaApp::start().await;
    let (mut client, _) = app.connect().await;
    let mut table = Table::about("results of a one-way function");
    app.lambda
        .returns("twoway", json!({"statusCode": 200, "body": "mark"}));
    for (name, answer, fails) in [
        (
            "a body",
            LambdaAnswer::Returns(json!({"statusCode": 200, "body": "b"})),
            false,
        ),
        (
            "status 500",
            LambdaAnswer::Returns(json!({"statusCode": 500, "body": "b"})),
            false,
        ),
        ("an exception", LambdaAnswer::Throws("x".to_owned()), true),
        ("null", LambdaAnswer::Returns(Value::Null), true),
        (
            "an unknown member",
            LambdaAnswer::Returns(json!({"statusCode": 200, "extra": 1})),
            true,
        ),
    ] {
        app.lambda.on("oneway", move |_| answer.clone());
        client.send_json(&json!({"action": "oneway"})).await;
        client.send_json(&json!({"action": "twoway"})).await;
        let first = client.next_text().await;
        if fails {
            let failed = first.starts_with(r#"{"message": "Internal server error""#);
            table.holds(name, failed, &first);
            table.row(name, client.next_text().await, "mark".to_owned());
        } else {
            table.row(name, first, "mark".to_owned());
        }
    }
}

#[tokio::test]
async fn a_disconnect_function_that_fails_troubles_nobody() {
    let app = LambdaApp::start().await;
    app.lambda.on("disconnect", |_| {
        LambdaAnswer::Returns(json!({"odd": true}))
    });
    let (mut client, id) = app.connect().await;
    client.close(Some((1000, ""))).await;
    let event = app.lambda.next("disconnect").await.event;
    assert_eq!(text(&event["requestContext"]["connectionId"]), id);
    let (_client, _) = app.connect().await;
}
