//! What a backend's answer makes of a handshake, and when a `$disconnect` is delivered.

use super::response::{http, integration, lambda, response, with_responses};
use crate::call::Event;
use crate::live::fixture::{api, call, connection, handshake, live, proxy, stage};
use crate::mapping::{BackendAnswer, Outcome, connect, disconnect};
use crate::resource::{Integration, IntegrationResponse, IntegrationType, Preset};

/// `101` with a subprotocol, another status with the body, or a failure's status.
#[track_caller]
fn check_connect(integration: Integration, answer: &BackendAnswer, expected: &str) {
    let stage = live(&api(Preset::Open, &["$connect"], integration), &stage());
    let (connection, handshake) = (connection(), handshake(&[], &[]));
    let call = call(&connection, Event::Connect(&handshake), "$connect");
    let found = match connect(&stage.routes[0], &call, answer) {
        Ok(Outcome::Accepted { subprotocol: None }) => "101".to_owned(),
        Ok(Outcome::Accepted {
            subprotocol: Some(name),
        }) => format!("101 {name}"),
        Ok(Outcome::Refused {
            status,
            headers,
            body,
        }) => {
            let headers: Vec<String> = headers.iter().map(|(n, v)| format!(" {n}={v}")).collect();
            format!(
                "{status}{} {}",
                headers.concat(),
                String::from_utf8_lossy(&body)
            )
        }
        Err(failure) => format!("failed {}", failure.answer().status),
    };
    assert_eq!(found, expected, "{answer:?}");
}

#[test]
fn a_functions_status_decides_the_handshake() {
    let check = |result: &str, expected| {
        check_connect(
            integration(IntegrationType::AwsProxy),
            &lambda(result),
            expected,
        );
    };
    check(r#"{"statusCode":200}"#, "101");
    check(
        r#"{"statusCode":"204","body":"dropped","headers":{"Set-Cookie":"dropped"}}"#,
        "101",
    );
    check(r#"{"statusCode":299}"#, "101");
    check(
        r#"{"statusCode":302,"headers":{"Location":"/x"}}"#,
        "302 Location=/x ",
    );
    check(r#"{"statusCode":400,"body":"why"}"#, "400 why");
    check(
        r#"{"statusCode":403,"body":"d2h5","isBase64Encoded":true}"#,
        "403 why",
    );
    check(r#"{"statusCode":503}"#, "503 ");
    // No final answer to a handshake.
    check(r#"{"statusCode":100}"#, "500 ");
    check(r#"{"statusCode":101}"#, "500 ");
    check(r#"{"statusCode":199,"body":"b"}"#, "500 b");
    check(r#"{"statusCode":600}"#, "failed 502");
    check("{}", "failed 502");
    check("null", "failed 502");
    check(r#"{"statusCode":200,"isAuthorized":true}"#, "failed 502");
}

#[test]
fn the_subprotocol_is_the_functions_choice() {
    let check = |headers: &str, expected| {
        let result = format!(r#"{{"statusCode":200,{headers}}}"#);
        check_connect(
            integration(IntegrationType::AwsProxy),
            &lambda(&result),
            expected,
        );
    };
    check(r#""headers":{"Sec-WebSocket-Protocol":"v1"}"#, "101 v1");
    check(r#""headers":{"sec-websocket-protocol":" v1 "}"#, "101 v1");
    check(
        r#""headers":{"SEC-WEBSOCKET-PROTOCOL":"v1","X":"y"}"#,
        "101 v1",
    );
    check(
        r#""multiValueHeaders":{"Sec-WebSocket-Protocol":["v2","v1"]}"#,
        "101 v2",
    );
    check(
        r#""headers":{"Sec-WebSocket-Protocol":"v1"},"multiValueHeaders":{"Sec-WebSocket-Protocol":["v2"]}"#,
        "101 v1",
    );
    check(r#""headers":{"Sec-WebSocket-Protocol":""}"#, "101");
    check(
        r#""multiValueHeaders":{"Sec-WebSocket-Protocol":[]}"#,
        "101",
    );
    check(r#""headers":{}"#, "101");
    check(
        r#""headers":{"Sec-WebSocket-Protocol":"v1\r\nSet-Cookie: a=b"}"#,
        "failed 502",
    );
    check(r#""headers":{"Sec-WebSocket-Protocol":"é"}"#, "failed 502");
}

#[test]
fn a_backends_status_decides_the_handshake() {
    let check = |status, headers: &[(&str, &str)], expected| {
        check_connect(proxy(), &http(status, headers, "b"), expected);
    };
    check(200, &[], "101");
    check(
        204,
        &[("Sec-WebSocket-Protocol", "v1"), ("Set-Cookie", "a")],
        "101 v1",
    );
    check(302, &[("Location", "/x")], "302 b");
    check(
        400,
        &[("Content-Type", "text/plain"), ("Set-Cookie", "a")],
        "400 content-type=text/plain b",
    );
    check(503, &[], "503 b");
    check(103, &[], "500 b");
    check(999, &[], "500 b");
    check_connect(proxy(), &BackendAnswer::None, "101");
}

#[test]
fn integration_responses_may_have_a_say_in_the_handshake() {
    for (kind, answer) in [
        (
            IntegrationType::Http,
            (|status| http(status, &[], "b")) as fn(u16) -> BackendAnswer,
        ),
        (IntegrationType::Mock, BackendAnswer::Mock),
    ] {
        let raw = if kind == IntegrationType::Http {
            "b"
        } else {
            ""
        };
        let check = |responses: &[IntegrationResponse], status, expected: &str| {
            check_connect(
                with_responses(kind, responses.to_vec()),
                &answer(status),
                expected,
            );
        };
        // Without any, the status alone decides.
        check(&[], 200, "101");
        check(&[], 403, &format!("403 {raw}"));
        let good = response("/2\\d\\d/", &[]);
        check(std::slice::from_ref(&good), 200, "101");
        check(std::slice::from_ref(&good), 403, "failed 500");
        let any = response("$default", &[("application/json", "mapped")]);
        check(&[good, any.clone()], 403, "403 mapped");
        check(&[any], 200, "101");
    }
}

#[test]
fn a_disconnect_is_delivered_unless_nobody_was_there() {
    let check = |answer: &BackendAnswer, delivered: bool| {
        assert_eq!(disconnect(answer).is_ok(), delivered, "{answer:?}");
        if let Err(failure) = disconnect(answer) {
            assert!(failure.is_transient(), "{failure} must be tried again");
        }
    };
    for status in [200, 204, 302, 400, 404, 500, 501] {
        check(&http(status, &[], ""), true);
    }
    for status in [429, 502, 503, 504] {
        check(&http(status, &[], ""), false);
    }
    check(&lambda("null"), true);
    check(&lambda(r#"{"statusCode":503}"#), true);
    check(&BackendAnswer::Mock(503), true);
    check(&BackendAnswer::None, true);
}
