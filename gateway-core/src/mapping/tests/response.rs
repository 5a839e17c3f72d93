//! What a backend's answer to a message becomes.

use bytes::Bytes;

use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::live::LiveStage;
use crate::live::fixture::{api, call, connection, live, message, proxy, stage, two_way};
use crate::mapping::{BackendAnswer, Reply, message as reply};
use crate::resource::{ContentHandling, Integration, IntegrationResponse, IntegrationType, Preset};

pub(super) fn lambda(result: &str) -> BackendAnswer {
    BackendAnswer::Lambda(Bytes::from(result.to_owned()))
}

pub(super) fn http(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> BackendAnswer {
    let lines = headers.iter().fold(String::new(), |lines, (name, value)| {
        lines + &format!("{name}: {value}\r\n")
    });
    BackendAnswer::Http {
        status,
        headers: HeaderLines::received(lines.as_bytes()),
        body: body.into(),
    }
}

pub(super) fn integration(kind: IntegrationType) -> Integration {
    let uri = match kind {
        IntegrationType::AwsProxy => "arn:aws:lambda:us-east-1:123456789012:function:f",
        _ => "http://backend/in",
    };
    let mut integration = Integration::new("i", kind);
    integration.integration_uri = Some(uri.to_owned());
    if kind == IntegrationType::Mock {
        let template = r#"{"statusCode":200}"#.to_owned();
        integration
            .request_templates
            .insert("application/json".to_owned(), template);
    }
    integration
}

/// An integration response whose templates are `key: text`.
pub(super) fn response(key: &str, templates: &[(&str, &str)]) -> IntegrationResponse {
    IntegrationResponse {
        integration_response_key: key.to_owned(),
        template_selection_expression: None,
        response_templates: templates
            .iter()
            .map(|&(key, text)| (key.to_owned(), text.to_owned()))
            .collect(),
        content_handling_strategy: None,
    }
}

pub(super) fn with_responses(
    kind: IntegrationType,
    responses: Vec<IntegrationResponse>,
) -> Integration {
    Integration {
        integration_responses: responses,
        ..integration(kind)
    }
}

fn reply_of(stage: &LiveStage, sent: &str, answer: &BackendAnswer) -> Result<Reply, Failure> {
    let (connection, body) = (connection(), Bytes::from(sent.to_owned()));
    reply(
        &stage.routes[0],
        &call(&connection, message(&body), "send"),
        answer,
    )
}

fn one_way(integration: Integration) -> LiveStage {
    live(&api(Preset::Open, &["send"], integration), &stage())
}

fn both_ways(integration: Integration) -> LiveStage {
    live(
        &two_way(api(Preset::Open, &["send"], integration)),
        &stage(),
    )
}

/// What a client gets: `Some` body, `None` for nothing, or the words of an error frame.
#[track_caller]
fn check(stage: &LiveStage, answer: &BackendAnswer, expected: Result<Option<&str>, &str>) {
    let found = reply_of(stage, "{}", answer).map_err(|failure| failure.answer().message);
    let expected = expected.map_err(str::to_owned).map(|body| match body {
        Some(body) => Reply::Body(Bytes::from(body.to_owned())),
        None => Reply::Silent,
    });
    assert_eq!(found, expected, "{answer:?}");
}

const BROKEN: Result<Option<&str>, &str> = Err("Internal server error");

#[test]
fn a_functions_body_is_the_reply_of_a_two_way_route() {
    let stage = both_ways(integration(IntegrationType::AwsProxy));
    let check = |result: &str, expected| check(&stage, &lambda(result), expected);
    check(r#"{"statusCode":200,"body":"b"}"#, Ok(Some("b")));
    check(r#"{"statusCode":500,"body":"b"}"#, Ok(Some("b")));
    check(r#"{"statusCode":200}"#, Ok(Some("")));
    check(r#"{"statusCode":200,"body":null}"#, Ok(Some("")));
    check(
        r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
        Ok(Some("hi")),
    );
    check(
        r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
        BROKEN,
    );
    check(r#"{"statusCode":200,"message":"b"}"#, BROKEN);
    check(r#"{"body":"b"}"#, BROKEN);
    check("null", BROKEN);
    check(r#""b""#, BROKEN);
}

#[test]
fn a_one_way_route_says_nothing_unless_the_function_is_malformed() {
    let stage = one_way(integration(IntegrationType::AwsProxy));
    let check = |result: &str, expected| check(&stage, &lambda(result), expected);
    check(r#"{"statusCode":200,"body":"b"}"#, Ok(None));
    check(r#"{"statusCode":500}"#, Ok(None));
    check("null", BROKEN);
    check(r#"{"statusCode":200,"message":"b"}"#, BROKEN);
}

#[test]
fn a_proxied_body_is_the_reply_whatever_the_status() {
    let (one, two) = (one_way(proxy()), both_ways(proxy()));
    for status in [200, 204, 302, 404, 500] {
        check(&one, &http(status, &[], "b"), Ok(None));
        check(&two, &http(status, &[], "b"), Ok(Some("b")));
    }
    check(&two, &http(200, &[], ""), Ok(Some("")));
    let Ok(Reply::Body(body)) = reply_of(&two, "{}", &http(200, &[], &b"\xff\0"[..])) else {
        panic!("bytes are a reply");
    };
    assert_eq!(*body, b"\xff\0"[..]);
}

#[test]
fn a_route_that_calls_nothing_says_nothing() {
    let mut nothing = two_way(api(Preset::Open, &["send"], proxy()));
    nothing.routes[0].target = None;
    check(&live(&nothing, &stage()), &BackendAnswer::None, Ok(None));
}

#[test]
fn the_status_chooses_the_integration_response() {
    let http_type = IntegrationType::Http;
    let responses = vec![
        response("$default", &[("application/json", "other")]),
        response("/2\\d\\d/", &[("application/json", "good")]),
        response("/20\\d/", &[]),
        response("/404/", &[("$default", "gone")]),
        response(
            "/50/",
            &[(
                "application/json",
                "never: a pattern takes the whole status",
            )],
        ),
    ];
    let stage = both_ways(with_responses(http_type, responses.clone()));
    check(&stage, &http(250, &[], "b"), Ok(Some("good")));
    check(&stage, &http(204, &[], "b"), Ok(Some("b")));
    check(&stage, &http(404, &[], "b"), Ok(Some("gone")));
    check(&stage, &http(500, &[], "b"), Ok(Some("other")));
    let one = one_way(with_responses(http_type, responses.clone()));
    check(&one, &http(500, &[], "b"), Ok(None));

    let without_default = both_ways(with_responses(http_type, responses[1..].to_vec()));
    check(&without_default, &http(404, &[], "b"), Ok(Some("gone")));
    check(&without_default, &http(500, &[], "b"), BROKEN);
    // On a one-way route nobody sees that no response matches.
    let unseen = one_way(with_responses(http_type, responses[1..].to_vec()));
    check(&unseen, &http(500, &[], "b"), Ok(None));
    let none = both_ways(integration(http_type));
    check(&none, &http(200, &[], "b"), Ok(None));
    let none = both_ways(integration(IntegrationType::Mock));
    check(&none, &BackendAnswer::Mock(200), Ok(None));
}

#[test]
fn a_mock_answers_with_its_response_template() {
    let responses = vec![
        response("/200/", &[("application/json", r#"{"ok":true}"#)]),
        response("/4\\d\\d/", &[]),
    ];
    let stage = both_ways(with_responses(IntegrationType::Mock, responses.clone()));
    check(
        &stage,
        &BackendAnswer::Mock(200),
        Ok(Some(r#"{"ok":true}"#)),
    );
    check(&stage, &BackendAnswer::Mock(404), Ok(Some("")));
    check(&stage, &BackendAnswer::Mock(500), BROKEN);
    let one = one_way(with_responses(IntegrationType::Mock, responses));
    check(&one, &BackendAnswer::Mock(500), Ok(None));
}

/// The reply that this expression chooses, for an answer 503 with these headers.
#[track_caller]
fn check_chosen(expression: &str, sent: &str, expected: &str) {
    let texts = ["a", "b", "a,b", "503", "503-b", "dev"].map(|key| (key, key));
    let texts = [&texts[..], &[("$default", "none")]].concat();
    let chosen = IntegrationResponse {
        template_selection_expression: Some(expression.to_owned()),
        ..response("$default", &texts)
    };
    let stage = both_ways(with_responses(IntegrationType::Http, vec![chosen]));
    let answer = http(503, &[("X-Kind", "a"), ("x-kind", "b")], "body");
    let found = reply_of(&stage, sent, &answer);
    assert_eq!(
        found,
        Ok(Reply::Body(Bytes::from(expected.to_owned()))),
        "{expression}"
    );
}

#[test]
fn message_status_and_headers_choose_the_response_template() {
    check_chosen("$request.body.kind", r#"{"kind":"a"}"#, "a");
    check_chosen("$request.body.kind", r#"{"kind":"x"}"#, "none");
    check_chosen("$request.body.kind", "not JSON", "none");
    check_chosen("${integration.response.statuscode}", "{}", "503");
    check_chosen("${integration.response.header.X-Kind}", "{}", "b");
    check_chosen("${integration.response.header.x-none}", "{}", "none");
    check_chosen(
        "${integration.response.multivalueheader.X-KIND}",
        "{}",
        "a,b",
    );
    check_chosen(
        "${integration.response.statuscode}-${integration.response.header.x-kind}",
        "{}",
        "503-b",
    );
    check_chosen("${context.stage}", "{}", "dev");
    check_chosen(r"\$default", "{}", "none");
    check_chosen("b", "{}", "b");
}

#[track_caller]
fn check_content(
    handling: Option<ContentHandling>,
    templates: &[(&str, &str)],
    body: &'static [u8],
    expected: Result<&[u8], &str>,
) {
    let converted = IntegrationResponse {
        content_handling_strategy: handling,
        ..response("$default", templates)
    };
    let stage = both_ways(with_responses(IntegrationType::Http, vec![converted]));
    let found = reply_of(&stage, "{}", &http(200, &[], body));
    let expected = expected.map(|body| Reply::Body(Bytes::copy_from_slice(body)));
    assert_eq!(
        found.map_err(|failure| failure.answer().message),
        expected.map_err(str::to_owned)
    );
}

#[test]
fn content_handling_converts_a_body_that_passes() {
    use ContentHandling::{ConvertToBinary, ConvertToText};
    check_content(None, &[], b"\xff", Ok(b"\xff"));
    check_content(Some(ConvertToText), &[], b"\xff\0", Ok(b"/wA="));
    check_content(Some(ConvertToText), &[], b"", Ok(b""));
    check_content(Some(ConvertToBinary), &[], b" /wA=\n", Ok(b"\xff\0"));
    check_content(
        Some(ConvertToBinary),
        &[],
        b"%",
        Err("Internal server error"),
    );
    check_content(
        Some(ConvertToText),
        &[("application/json", "T")],
        b"b",
        Ok(b"T"),
    );
}
