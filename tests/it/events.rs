//! What a backend is told: Lambda events member by member, `x-wiregate-*` headers over HTTP.

use std::time::{SystemTime, UNIX_EPOCH};

use harness::Table;
use serde_json::{Value, json};

use crate::app::{App, LambdaApp, is_connection_id, is_request_id, only_the_echo_comes_back, text};

/// Checks every member whose value no test can foresee, and takes it out.
fn settle(table: &mut Table, name: &str, event: &mut Value) {
    let context = event["requestContext"].as_object_mut().unwrap();
    let mut take = |member: &str| context.remove(member).unwrap_or_default();
    let request = text(&take("requestId"));
    table.holds(
        name,
        is_request_id(&request),
        &format!("requestId {request}"),
    );
    table.row(name, text(&take("extendedRequestId")), request);
    let connection = text(&take("connectionId"));
    table.holds(
        name,
        is_connection_id(&connection),
        &format!("connectionId {connection}"),
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let now = i64::try_from(now).unwrap();
    let epoch = take("requestTimeEpoch");
    let connected = take("connectedAt");
    for (member, value) in [("requestTimeEpoch", &epoch), ("connectedAt", &connected)] {
        let near = value
            .as_i64()
            .is_some_and(|time| (now - 60_000..=now).contains(&time));
        table.holds(name, near, &format!("{member} {value}"));
    }
    table.holds(
        name,
        connected.as_i64() <= epoch.as_i64(),
        "requestTimeEpoch before connectedAt",
    );
    let time = text(&take("requestTime"));
    table.row(name, time, clf(epoch.as_i64().unwrap_or_default()));
}

/// `11/Nov/2024:13:45:46 +0000`, asked of `date` so that two programs agree.
fn clf(millis: i64) -> String {
    let output = std::process::Command::new("date")
        .args([
            "-u",
            "-d",
            &format!("@{}", millis / 1000),
            "+%d/%b/%Y:%H:%M:%S +0000",
        ])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn a_connect_event_is_the_one_of_aws() {
    let app = LambdaApp::with(
        "limits: { preset: aws }\nstages: { prod: { stageVariables: { table: rooms } } }",
        "",
    )
    .await;
    let client = app
        .gateway
        .handshake("/prod?room=a&room=b&token=t%201&flag")
        .header("User-Agent", "Mozilla/5.0")
        .header("Origin", "https://app.example.com")
        .header("X-Own", "first")
        .header("X-Own", "second")
        .header("Sec-WebSocket-Protocol", "chat.v1, chat.v2")
        .open()
        .await;
    drop(client);
    let mut event = app.lambda.next("connect").await.event;
    let mut table = Table::about("the CONNECT event");
    settle(&mut table, "requestContext", &mut event);
    let trace = text(&event["headers"]["X-Amzn-Trace-Id"]);
    table.holds("X-Amzn-Trace-Id", trace.starts_with("Root=1-"), &trace);
    let host = app.gateway.public().to_string();
    let port = app.gateway.public().port().to_string();
    let headers = json!({
        "Host": host,
        "Origin": "https://app.example.com",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "chat.v1, chat.v2",
        "Sec-WebSocket-Version": "13",
        "User-Agent": "Mozilla/5.0",
        "X-Amzn-Trace-Id": trace,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Port": port,
        "X-Forwarded-Proto": "http",
        "X-Own": "second",
    });
    let mut multi = headers.clone();
    for value in multi.as_object_mut().unwrap().values_mut() {
        *value = json!([value.clone()]);
    }
    multi["X-Own"] = json!(["first", "second"]);
    let expected = json!({
        "headers": headers,
        "multiValueHeaders": multi,
        "queryStringParameters": {"room": "b", "token": "t 1", "flag": ""},
        "multiValueQueryStringParameters": {"room": ["a", "b"], "token": ["t 1"], "flag": [""]},
        "stageVariables": {"table": "rooms"},
        "requestContext": {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "messageDirection": "IN",
            "stage": "prod",
            "identity": {"userAgent": "Mozilla/5.0", "sourceIp": "127.0.0.1"},
            "domainName": host,
            "apiId": "chat",
        },
        "isBase64Encoded": false,
    });
    compare(&mut table, "CONNECT", &event, &expected);
}

/// Each member by itself, so that a wrong event says where it is wrong.
fn compare(table: &mut Table, path: &str, got: &Value, expected: &Value) {
    let (Some(got_map), Some(expected_map)) = (got.as_object(), expected.as_object()) else {
        table.row(path, got, expected);
        return;
    };
    for (key, value) in expected_map {
        match got_map.get(key) {
            Some(found) => compare(table, &format!("{path}.{key}"), found, value),
            None => table.holds(&format!("{path}.{key}"), false, "is missing"),
        }
    }
    for key in got_map.keys() {
        let known = expected_map.contains_key(key) || key == "eventId";
        table.holds(&format!("{path}.{key}"), known, "is not in AWS's event");
    }
}

#[tokio::test]
async fn a_plain_connect_event_leaves_out_what_is_empty() {
    let app = LambdaApp::start().await;
    drop(app.gateway.connect("/dev").await);
    let event = app.lambda.next("connect").await.event;
    let mut table = Table::about("absent members");
    for member in [
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
        "body",
    ] {
        table.row(member, event.get(member), None);
    }
    let context = &event["requestContext"];
    table.row("authorizer", context.get("authorizer"), None);
    table.row("messageId", context.get("messageId"), None);
    table.row(
        "identity",
        &context["identity"],
        &json!({"sourceIp": "127.0.0.1"}),
    );
    for name in ["Connection", "Upgrade", "content-length", "Content-Length"] {
        table.row(name, event["headers"].get(name), None);
    }
}

#[tokio::test]
async fn a_message_event_is_the_one_of_aws() {
    let app = LambdaApp::start().await;
    let handshake = app
        .gateway
        .handshake("/dev?room=a")
        .header("User-Agent", "Mozilla/5.0");
    let mut client = handshake.open().await;
    let connect = app.lambda.next("connect").await.event;
    let message = r#"{ "action":"oneway", "n": 1.0 }"#;
    client.send_text(message).await;
    let mut event = app.lambda.next("oneway").await.event;
    let mut table = Table::about("the MESSAGE event");
    for member in ["connectionId", "connectedAt"] {
        let got = &event["requestContext"][member];
        table.row(member, got, &connect["requestContext"][member]);
    }
    let id = text(&event["requestContext"]["requestId"]);
    table.holds(
        "requestId",
        id != text(&connect["requestContext"]["requestId"]),
        "is not new",
    );
    settle(&mut table, "requestContext", &mut event);
    let message_id = text(&event["requestContext"]["messageId"]);
    table.holds("messageId", is_request_id(&message_id), &message_id);
    event["requestContext"]
        .as_object_mut()
        .unwrap()
        .remove("messageId");
    let expected = json!({
        "requestContext": {
            "routeKey": "oneway",
            "eventType": "MESSAGE",
            "messageDirection": "IN",
            "stage": "dev",
            "identity": {"userAgent": "Mozilla/5.0", "sourceIp": "127.0.0.1"},
            "domainName": app.gateway.public().to_string(),
            "apiId": "chat",
        },
        "body": message,
        "isBase64Encoded": false,
    });
    compare(&mut table, "MESSAGE", &event, &expected);
    client.send_text("plain").await;
    let event = app.lambda.next("default").await.event;
    table.row(
        "routeKey of the fallback",
        text(&event["requestContext"]["routeKey"]),
        "$default".to_owned(),
    );
    table.row(
        "body of the fallback",
        text(&event["body"]),
        "plain".to_owned(),
    );
}

#[tokio::test]
async fn a_disconnect_event_is_the_one_of_aws_and_has_an_event_id() {
    let app = LambdaApp::with("stages: { dev: { stageVariables: { table: rooms } } }", "").await;
    let handshake = app
        .gateway
        .handshake("/dev?room=a")
        .header("User-Agent", "Mozilla/5.0");
    let mut client = handshake.open().await;
    let connect = app.lambda.next("connect").await.event;
    client.close(Some((4001, "bye"))).await;
    let mut event = app.lambda.next("disconnect").await.event;
    let mut table = Table::about("the DISCONNECT event");
    for member in ["connectionId", "connectedAt"] {
        let got = &event["requestContext"][member];
        table.row(member, got, &connect["requestContext"][member]);
    }
    settle(&mut table, "requestContext", &mut event);
    let id = text(&event["requestContext"]["eventId"]);
    table.holds("eventId", !id.is_empty(), "is missing");
    let host = app.gateway.public().to_string();
    let expected = json!({
        "headers": {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""},
        "multiValueHeaders": {"Host": [host], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""]},
        "stageVariables": {"table": "rooms"},
        "requestContext": {
            "routeKey": "$disconnect",
            "disconnectStatusCode": 4001,
            "eventType": "DISCONNECT",
            "messageDirection": "IN",
            "disconnectReason": "bye",
            "stage": "dev",
            "identity": {"userAgent": "Mozilla/5.0", "sourceIp": "127.0.0.1"},
            "domainName": host,
            "apiId": "chat",
        },
        "isBase64Encoded": false,
    });
    compare(&mut table, "DISCONNECT", &event, &expected);
}

#[tokio::test]
async fn an_empty_close_is_told_to_lambda_as_1005() {
    let app = LambdaApp::start().await;
    let (mut client, _) = app.connect().await;
    client.close(None).await;
    let context = app.lambda.next("disconnect").await.event["requestContext"].clone();
    assert_eq!(context["disconnectStatusCode"], json!(1005));
    assert_eq!(
        context["disconnectReason"],
        json!("Client-side close frame status not set")
    );
}

#[tokio::test]
async fn a_binary_message_reaches_lambda_in_base64() {
    let app = LambdaApp::start().await;
    let (mut client, _) = app.connect().await;
    client.send_binary(b"\x00\xff\x01").await;
    let event = app.lambda.next("default").await.event;
    assert_eq!(event["body"], json!("AP8B"));
    assert_eq!(event["isBase64Encoded"], json!(true));
}

#[tokio::test]
async fn lambda_is_invoked_as_the_invoke_api_wants_it() {
    let app = LambdaApp::start().await;
    let (_client, _) = app.connect().await;
    let request = &app.lambda.invocations("connect")[0].request;
    assert_eq!(request.method, "POST");
    let kind = request.header("x-amz-invocation-type");
    assert!(
        kind.is_none() || kind == Some("RequestResponse"),
        "{kind:?}"
    );
}

#[tokio::test]
async fn a_client_cannot_speak_in_the_gateways_name_to_lambda() {
    let app = LambdaApp::start().await;
    let handshake = app.gateway.handshake("/dev");
    drop(
        handshake
            .header("X-Wiregate-Connection-Id", "forged")
            .header("X-Forwarded-For", "203.0.113.1")
            .open()
            .await,
    );
    let event = app.lambda.next("connect").await.event;
    assert!(!event.to_string().contains("forged"), "{event}");
    assert_eq!(event["headers"]["X-Forwarded-For"], json!("127.0.0.1"));
}

#[tokio::test]
async fn an_http_backend_is_told_all_it_needs_in_headers() {
    for preset in ["open", "aws"] {
        let app = App::with(&format!("limits: {{ preset: {preset} }}")).await;
        let mut client = app.gateway.connect("/dev").await;
        let connect = app.backend.next("/connect").await;
        let id = connect.connection_id();
        client.send_text(r#"{"action":"sendmessage"}"#).await;
        let message = app.backend.next("/sendmessage").await;
        only_the_echo_comes_back(&mut client, "x").await;
        client.close(Some((4001, "good bye, señor"))).await;
        let disconnect = app.backend.next("/disconnect").await;

        let mut table = Table::about(&format!("x-wiregate-* headers, preset {preset}"));
        let host = app.gateway.public().to_string();
        for (request, kind, key) in [
            (&connect, "CONNECT", "$connect"),
            (&message, "MESSAGE", "sendmessage"),
            (&disconnect, "DISCONNECT", "$disconnect"),
        ] {
            for (name, expected) in [
                ("connection-id", id.as_str()),
                ("event-type", kind),
                ("route-key", key),
                ("api-id", "chat"),
                ("stage", "dev"),
                ("source-ip", "127.0.0.1"),
                ("domain-name", host.as_str()),
                ("connected-at", connect.wiregate("connected-at")),
            ] {
                table.row(&format!("{kind} {name}"), request.wiregate(name), expected);
            }
            let request_id = request.wiregate("request-id");
            table.holds(
                kind,
                is_request_id(request_id),
                &format!("request-id {request_id}"),
            );
            table.holds(
                kind,
                !request.wiregate("event-id").is_empty(),
                "no event-id",
            );
            let callback = request.wiregate("callback-url");
            let management = format!("http://{}/", app.gateway.management());
            table.holds(
                kind,
                callback.starts_with(&management),
                &format!("callback-url {callback}"),
            );
        }
        table.holds("connection-id", is_connection_id(&id), &id);
        let message_id = message.wiregate("message-id");
        table.holds("message-id", is_request_id(message_id), message_id);
        table.row(
            "message-id of CONNECT",
            connect.header("x-wiregate-message-id"),
            None,
        );
        table.row(
            "disconnect-code",
            disconnect.wiregate("disconnect-code"),
            "4001",
        );
        table.row(
            "disconnect-reason",
            disconnect.disconnect_reason(),
            "good bye, señor".to_owned(),
        );
        table.row(
            "disconnect-code of MESSAGE",
            message.header("x-wiregate-disconnect-code"),
            None,
        );
        table.row("body of DISCONNECT", disconnect.text(), String::new());
        let mut ids = vec![
            connect.wiregate("event-id"),
            message.wiregate("event-id"),
            disconnect.wiregate("event-id"),
        ];
        ids.dedup();
        table.row("event ids", ids.len(), 3);
        let at: u128 = connect.wiregate("connected-at").parse().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let near = now.as_millis() - 60_000..=now.as_millis();
        table.holds(
            "connected-at",
            near.contains(&at),
            &format!("{at} is not epoch milliseconds of now"),
        );
    }
}
