//! What a backend is asked: whole requests in case files, the rules of forwarded headers in tables.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::call::{AuthorizerContext, Event};
use crate::failure::Failure;
use crate::live::fixture::{
    api, call, cases, connection, handshake, live, map, proxy, read_connection, read_given, stage,
    text,
};
use crate::mapping::{IntegrationRequest, build};
use crate::resource::{Integration, Preset};

pub(super) const CALLBACK: &str = "http://127.0.0.1:8081/dev";

fn read_integration(case: &Value) -> Integration {
    let member = |name: &str| case.get(name).cloned();
    let kind = serde_json::from_value(member("type").unwrap()).unwrap();
    let mut integration = Integration::new("i", kind);
    integration.integration_uri = Some(text(&case["uri"]));
    if let Some(method) = member("method") {
        integration.integration_method = text(&method);
    }
    integration.request_parameters = map(&case["requestParameters"]);
    integration.request_templates = map(&case["requestTemplates"]);
    integration.content_handling_strategy =
        member("contentHandlingStrategy").map(|value| serde_json::from_value(value).unwrap());
    integration
}

/// Method, URI, headers in alphabetical order and body of an HTTP request.
pub(super) fn describe(request: &IntegrationRequest<'_>) -> Value {
    let IntegrationRequest::Http {
        method,
        uri,
        host,
        headers,
        body,
        ..
    } = request
    else {
        panic!("{request:?} is no HTTP request");
    };
    let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, value) in headers.iter() {
        let value = String::from_utf8_lossy(value).into();
        values.entry(name).or_default().push(value);
    }
    let host = host
        .as_ref()
        .map(|host| vec![host.to_str().unwrap().into()]);
    values.extend(host.map(|host| ("host", host)));
    let described = values.into_iter().map(|(name, mut values)| {
        let value = match values.len() {
            1 => values.remove(0),
            _ => values.into(),
        };
        (name.to_owned(), value)
    });
    let headers: Map<String, Value> = described.collect();
    let mut whole = json!({
        "method": method.as_str(),
        "uri": uri.to_string(),
        "headers": headers,
        "body": std::str::from_utf8(body).ok(),
    });
    if std::str::from_utf8(body).is_err() {
        whole["bodyBase64"] = STANDARD.encode(body).into();
    }
    whole
}

#[test]
fn requests_are_those_of_the_case_files() {
    for (file, case) in cases("integration_requests", 18) {
        let preset = serde_json::from_value(case["preset"].clone()).unwrap();
        let mut stage = stage();
        stage.stage_variables = map(&case["stageVariables"]);
        let stage = live(
            &api(preset, &[], read_integration(&case["integration"])),
            &stage,
        );
        let (connection, given) = (read_connection(&case), read_given(&case));
        let call = call(&connection, given.event(), "send");
        let request = build(&stage, &stage.integrations[0], &call, CALLBACK).unwrap();
        assert_eq!(
            describe(&request),
            case["expected"],
            "{}: {}",
            file.display(),
            case["about"]
        );
    }
}

/// The request of one event through one integration.
pub(super) fn request(
    preset: Preset,
    integration: Integration,
    event: Event<'_>,
) -> Result<Value, Failure> {
    let mut connection = connection();
    connection.authorizer = Some(Box::new(AuthorizerContext {
        principal_id: "user-1".into(),
        context: vec![("tenant".into(), "a,b".into())],
    }));
    let stage = live(&api(preset, &[], integration), &stage());
    let call = call(&connection, event, "send");
    build(&stage, &stage.integrations[0], &call, CALLBACK).map(|request| describe(&request))
}

/// What the backend gets of one header that the client sent.
#[track_caller]
fn check_header(preset: Preset, sent: &[(&str, &str)], name: &str, expected: impl Into<Value>) {
    let handshake = handshake(sent, &[]);
    let request = request(preset, proxy(), Event::Connect(&handshake)).unwrap();
    assert_eq!(request["headers"][name], expected.into(), "{sent:?}");
}

#[test]
fn headers_of_the_hop_and_of_the_gateway_stay_behind() {
    for preset in [Preset::Open, Preset::Aws] {
        let dropped = |name: &str| {
            check_header(
                preset,
                &[(name, "v")],
                &name.to_ascii_lowercase(),
                Value::Null,
            );
        };
        for name in [
            "Connection",
            "Upgrade",
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Via",
            "Expect",
            "TE",
            "Trailer",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Content-Encoding",
            "X-Wiregate-Disconnect-Code",
            "x-wiregate-anything",
            "X-Amzn-Request-Context",
            "X-AMZN-anything",
            // Backends of the CGI kind read these as those above.
            "X_Wiregate_Connection_Id",
            "x-wiregate_event-type",
            "X_Amzn_Trace_Id",
            "Transfer_Encoding",
        ] {
            dropped(name);
        }
        let check =
            |sent: &[(&str, &str)], name, expected| check_header(preset, sent, name, expected);
        check(&[("X-Custom", "v")], "x-custom", json!("v"));
        check(&[("X-Custom", "")], "x-custom", json!(""));
        check(&[("X-Custom", "é\tx")], "x-custom", json!("é\tx"));
        check(
            &[("X-Custom", "a"), ("x-custom", "b")],
            "x-custom",
            json!(["a", "b"]),
        );
        check(&[("Accept", "text/html")], "accept", json!("text/html"));
        check(
            &[("Content-Type", "text/html")],
            "content-type",
            json!("application/json"),
        );
        check(
            &[("User-Agent", "x")],
            "user-agent",
            json!("AmazonAPIGateway_chat"),
        );
        check(
            &[("X-Wiregate-Connection-Id", "forged")],
            "x-wiregate-connection-id",
            json!("AQEBAQEBAQICAgICAgICAgICAgICAgI="),
        );
        check(
            &[("X-Wiregate-Authorizer", "{}")],
            "x-wiregate-authorizer",
            json!(r#"{"principalId":"user-1","tenant":"a,b"}"#),
        );
        check(
            &[("X-Amzn-Trace-Id", "forged")],
            "x-amzn-trace-id",
            json!("Root=1-67320a8a-abababababababababababab"),
        );
        check(
            &[("X-Amzn-Apigateway-Api-Id", "forged")],
            "x-amzn-apigateway-api-id",
            json!("chat"),
        );
        // What the head's parser would never let through.
        check(&[("X-Bad", "a\r\nX-Evil: 1")], "x-bad", Value::Null);
        check(&[("X Bad", "v"), ("X-Good", "v")], "x-good", json!("v"));
    }
}

#[test]
fn a_connection_header_names_what_ends_here_but_nothing_of_ours() {
    let check =
        |sent: &[(&str, &str)], name, expected| check_header(Preset::Open, sent, name, expected);
    check(
        &[("Connection", "X-Hop"), ("X-Hop", "v")],
        "x-hop",
        Value::Null,
    );
    check(
        &[("X-Hop", "v"), ("connection", "a , x-hop")],
        "x-hop",
        Value::Null,
    );
    check(
        &[("Connection", "a"), ("Connection", "X-Hop"), ("X-Hop", "v")],
        "x-hop",
        Value::Null,
    );
    check(
        &[("Connection", "X-Ho"), ("X-Hop", "v")],
        "x-hop",
        json!("v"),
    );
    for name in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"] {
        let sent = [("Connection", name), (name, "v")];
        let name = name.to_ascii_lowercase();
        check_header(Preset::Open, &sent, &name, json!("v"));
    }
    check(
        &[(
            "Connection",
            "user-agent, x-amzn-trace-id, x-wiregate-stage",
        )],
        "x-wiregate-stage",
        json!("dev"),
    );
    check(
        &[("Connection", "user-agent, content-type")],
        "user-agent",
        json!("AmazonAPIGateway_chat"),
    );
}
