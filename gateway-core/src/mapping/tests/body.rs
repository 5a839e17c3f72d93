//! Bodies, templates, mocks and functions.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::request::{CALLBACK, describe, request};
use crate::failure::Failure;
use crate::live::fixture::{api, call, connection, live, message, proxy, stage, text};
use crate::mapping::{IntegrationRequest, build};
use crate::resource::{ContentHandling, Integration, IntegrationType, PassthroughBehavior, Preset};

/// The body that an `HTTP` integration sends for a message, or why it sends none.
#[track_caller]
fn check_body(
    templates: &[(&str, &str)],
    selection: Option<&str>,
    passthrough: PassthroughBehavior,
    sent: &str,
    expected: Result<&str, Failure>,
) {
    let mut integration = Integration {
        integration_type: IntegrationType::Http,
        template_selection_expression: selection.map(str::to_owned),
        passthrough_behavior: passthrough,
        ..proxy()
    };
    for (key, template) in templates {
        let template = (*template).to_owned();
        integration
            .request_templates
            .insert((*key).to_owned(), template);
    }
    let body = Bytes::from(sent.to_owned());
    let request = request(Preset::Open, integration, message(&body));
    assert_eq!(
        request.map(|request| text(&request["body"])),
        expected.map(str::to_owned),
        "{templates:?} {selection:?} {passthrough:?}"
    );
}

#[test]
fn the_table_of_passthrough_behaviors() {
    use PassthroughBehavior::{Never, WhenNoMatch, WhenNoTemplates};
    let refused = || Err(Failure::UnsupportedMediaType);
    let other = [("other", "T")];
    check_body(&[], None, WhenNoMatch, "m", Ok("m"));
    check_body(&[], None, WhenNoTemplates, "m", Ok("m"));
    check_body(&[], None, Never, "m", refused());
    check_body(&other, None, WhenNoMatch, "m", Ok("m"));
    check_body(&other, None, WhenNoTemplates, "m", refused());
    check_body(&other, None, Never, "m", refused());
    for behavior in [WhenNoMatch, WhenNoTemplates, Never] {
        check_body(&[("application/json", "T")], None, behavior, "m", Ok("T"));
        check_body(&[("$default", "T")], None, behavior, "m", Ok("T"));
    }
}

#[test]
fn templates_are_chosen_by_key() {
    let templates = [("a", "A"), ("$default", "D"), ("application/json", "J")];
    let check = |selection: Option<&str>, sent: &str, expected: &str| {
        let passthrough = PassthroughBehavior::Never;
        check_body(&templates, selection, passthrough, sent, Ok(expected));
    };
    check(None, "m", "J");
    check(Some("$request.body.kind"), r#"{"kind":"a"}"#, "A");
    check(Some("$request.body.kind"), r#"{"kind":"A"}"#, "D");
    check(
        Some("$request.body.kind"),
        r#"{"kind":"application/json"}"#,
        "J",
    );
    check(Some("$request.body.kind"), "not JSON", "D");
    check(Some(r"\$default"), "m", "D");
    check(Some("a"), "m", "A");
    check(Some("${context.routeKey}"), "m", "D");
    let mut integration = Integration {
        integration_type: IntegrationType::Http,
        template_selection_expression: Some("${stageVariables.kind}".to_owned()),
        ..proxy()
    };
    integration.request_templates = [("a".to_owned(), "A".to_owned())].into();
    let mut blue = stage();
    blue.stage_variables = [("kind".to_owned(), "a".to_owned())].into();
    let stage = live(&api(Preset::Open, &[], integration), &blue);
    let (connection, body) = (connection(), Bytes::from_static(b"{}"));
    let call = call(&connection, message(&body), "send");
    let request = build(&stage, &stage.integrations[0], &call, CALLBACK).unwrap();
    assert_eq!(describe(&request)["body"], "A");
}

#[test]
fn bad_base64_is_refused() {
    let mut integration = proxy();
    integration.content_handling_strategy = Some(ContentHandling::ConvertToBinary);
    for sent in ["%%", "a", "aGk", "aGk= x", "aGk_"] {
        let body = Bytes::from_static(sent.as_bytes());
        let refused = request(Preset::Open, integration.clone(), message(&body)).unwrap_err();
        assert!(
            matches!(&refused, Failure::Configuration(why) if why.contains("base64")),
            "{sent}"
        );
    }
}

/// The status of a `MOCK`, or why there is none.
#[track_caller]
fn check_mock(templates: &[(&str, &str)], sent: &str, expected: Result<u16, &str>) {
    let mut integration = Integration::new("i", IntegrationType::Mock);
    integration.template_selection_expression = Some("$request.body.kind".to_owned());
    for (key, template) in templates {
        let template = (*template).to_owned();
        integration
            .request_templates
            .insert((*key).to_owned(), template);
    }
    let stage = live(&api(Preset::Open, &[], integration), &stage());
    let (connection, body) = (connection(), Bytes::from(sent.to_owned()));
    let call = call(&connection, message(&body), "send");
    let found = build(&stage, &stage.integrations[0], &call, CALLBACK);
    let found = found.map(|request| match request {
        IntegrationRequest::Mock { status } => status,
        other => panic!("{other:?}"),
    });
    match (found, expected) {
        (Ok(status), Ok(expected)) => assert_eq!(status, expected),
        (Err(failure), Err(part)) => assert!(failure.to_string().contains(part), "{failure}"),
        (found, _) => panic!("{found:?} is not {expected:?}"),
    }
}

#[test]
fn a_mock_takes_its_status_from_the_chosen_template() {
    let templates = [
        ("bad", "{statusCode: 400}"),
        ("$default", r#"{"statusCode":200}"#),
    ];
    check_mock(&templates, r#"{"kind":"bad"}"#, Ok(400));
    check_mock(&templates, r#"{"kind":"x"}"#, Ok(200));
    check_mock(&templates, "x", Ok(200));
    check_mock(
        &templates[..1],
        "x",
        Err("no MOCK template takes this message"),
    );
}

#[test]
fn a_function_gets_the_event_and_the_trace() {
    let arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/\
               arn:aws:lambda:us-east-1:123456789012:function:echo/invocations";
    let integration = Integration {
        integration_uri: Some(arn.to_owned()),
        ..Integration::new("i", IntegrationType::AwsProxy)
    };
    let stage = live(&api(Preset::Open, &[], integration), &stage());
    let (connection, body) = (connection(), Bytes::from_static(b"hi"));
    let call = call(&connection, message(&body), "send");
    let request = build(&stage, &stage.integrations[0], &call, CALLBACK).unwrap();
    let IntegrationRequest::Lambda {
        event, trace_id, ..
    } = request
    else {
        panic!("{request:?}");
    };
    assert_eq!(trace_id, "Root=1-67320a8a-abababababababababababab");
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(
        (&event["body"], &event["isBase64Encoded"]),
        (&json!("hi"), &json!(false))
    );
}

#[test]
fn methods_without_a_body() {
    for (method, expected) in [
        (Method::GET, ""),
        (Method::HEAD, ""),
        (Method::OPTIONS, ""),
        (Method::POST, "hi"),
        (Method::DELETE, "hi"),
        (Method::PATCH, "hi"),
    ] {
        let mut integration = proxy();
        integration.integration_method = method.to_string();
        let body = Bytes::from_static(b"hi");
        let request = request(Preset::Open, integration, message(&body)).unwrap();
        assert_eq!(request["body"], expected, "{method}");
        assert_eq!(
            request["headers"]["content-type"].is_null(),
            expected.is_empty(),
            "{method}"
        );
    }
}
