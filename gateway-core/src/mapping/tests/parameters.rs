//! Mapped headers, queries and path parameters.

use bytes::Bytes;
use serde_json::{Value, json};

use super::request::request;
use crate::call::Event;
use crate::failure::Failure;
use crate::live::fixture::{handshake, message, proxy, text};
use crate::resource::{Integration, Preset};

fn mapping(parameters: &[(&str, &str)]) -> Integration {
    let mut integration = proxy();
    for (target, source) in parameters {
        let target = format!("integration.request.{target}");
        integration
            .request_parameters
            .insert(target, (*source).to_owned());
    }
    integration
}

/// What the backend gets where `sent` and `query` came with the handshake and one parameter is mapped.
#[track_caller]
fn check_mapped(
    mapped: (&str, &str),
    sent: &[(&str, &str)],
    query: &[(&str, &str)],
    (place, expected): (&str, Value),
) {
    let handshake = handshake(sent, query);
    let request = request(Preset::Open, mapping(&[mapped]), Event::Connect(&handshake)).unwrap();
    let found = match place {
        "uri" => &request["uri"],
        name => &request["headers"][name],
    };
    assert_eq!(*found, expected, "{mapped:?} {sent:?} {query:?}");
}

#[test]
fn mapped_headers_come_from_the_mapping_alone() {
    let sent = [("X-A", "1"), ("x-a", "2"), ("X-User", "forged")];
    let query = [("t", "q1"), ("t", "q2")];
    let check = |target: &str, source: &str, name: &str, expected: Value| {
        let target = format!("header.{target}");
        check_mapped((&target, source), &sent, &query, (name, expected));
    };
    check("X-B", "'literal'", "x-b", json!("literal"));
    check("X-B", "''", "x-b", json!(""));
    check("X-B", "route.request.header.x-a", "x-b", json!("2"));
    check(
        "X-B",
        "route.request.multivalueheader.X-A",
        "x-b",
        json!("1,2"),
    );
    check("X-B", "route.request.querystring.t", "x-b", json!("q2"));
    check(
        "X-B",
        "route.request.multivaluequerystring.t",
        "x-b",
        json!("q1,q2"),
    );
    check("X-B", "context.authorizer.tenant", "x-b", json!("a,b"));
    check("X-B", "context.routeKey", "x-b", json!("$connect"));
    // Absent: not sent.
    check("X-B", "route.request.header.X-C", "x-b", Value::Null);
    check(
        "X-B",
        "route.request.multivalueheader.X-C",
        "x-b",
        Value::Null,
    );
    check("X-B", "route.request.querystring.T", "x-b", Value::Null);
    check("X-B", "route.request.body.a", "x-b", Value::Null);
    check("X-B", "context.messageId", "x-b", Value::Null);
    check("X-B", "context.none", "x-b", Value::Null);
    check("X-B", "stageVariables.none", "x-b", Value::Null);
    // A mapping overrides what the client sent, also where the source is absent.
    check(
        "X-User",
        "context.authorizer.principalId",
        "x-user",
        json!("user-1"),
    );
    check("X-User", "context.authorizer.none", "x-user", Value::Null);
    check("X-A", "'one'", "x-a", json!("one"));
    check("User-Agent", "'mine'", "user-agent", json!("mine"));
    check("Host", "'other.example'", "host", json!("other.example"));
    check(
        "Accept",
        "context.none",
        "accept",
        json!("application/json"),
    );
}

#[test]
fn mapped_queries_come_from_the_mapping_alone() {
    let check = |name: &str, source: &str, query: &[(&str, &str)], expected: &str| {
        let target = format!("querystring.{name}");
        check_mapped(
            (&target, source),
            &[("X-A", "h")],
            query,
            ("uri", json!(expected)),
        );
    };
    check("q", "'v'", &[], "http://backend/in?q=v");
    check(
        "q",
        "route.request.header.x-a",
        &[("a", "1")],
        "http://backend/in?a=1&q=h",
    );
    check("q", "'v'", &[("q", "forged")], "http://backend/in?q=v");
    check(
        "q",
        "'v'",
        &[("a", "1"), ("%71", "forged"), ("b", "2")],
        "http://backend/in?a=1&b=2&q=v",
    );
    check("q", "'v'", &[("Q", "1")], "http://backend/in?Q=1&q=v");
    check(
        "q",
        "context.none",
        &[("q", "forged"), ("a", "")],
        "http://backend/in?a=",
    );
    check(
        "q",
        "route.request.multivaluequerystring.t",
        &[("t", "1"), ("t", "2&x=3")],
        "http://backend/in?t=1&t=2&x=3&q=1&q=2%26x%3D3",
    );
    check(
        "a.b",
        "'é &=+'",
        &[],
        "http://backend/in?a.b=%C3%A9%20%26%3D%2B",
    );
}

/// The URI for a client's query as it was sent.
#[track_caller]
fn check_query(raw: &str, expected: &str) {
    let mut handshake = handshake(&[], &[]);
    raw.clone_into(&mut handshake.raw_query);
    let request = request(Preset::Open, proxy(), Event::Connect(&handshake)).unwrap();
    assert_eq!(request["uri"], expected, "{raw}");
}

#[test]
fn a_clients_query_goes_on_as_it_came_and_stays_a_query() {
    check_query("", "http://backend/in");
    check_query("a=1&&b", "http://backend/in?a=1&&b");
    check_query("a=%2F%zz+x", "http://backend/in?a=%2F%zz+x");
    check_query("a=/../?x", "http://backend/in?a=/../?x");
    check_query("a=@evil.example/", "http://backend/in?a=@evil.example/");
    check_query("a={b}|\\^`", "http://backend/in?a=%7Bb%7D%7C%5C%5E%60");
    check_query("a=<b>\"#c", "http://backend/in?a=%3Cb%3E%22%23c");
    check_query(
        "a=\r\nHost: x é",
        "http://backend/in?a=%0D%0AHost:%20x%20%C3%A9",
    );
}

#[track_caller]
fn check_path(value: &str, expected: Result<&str, Failure>) {
    let mut integration = mapping(&[("path.p", "route.request.body.p")]);
    integration.integration_uri = Some("http://backend/a/{p}/b".to_owned());
    let body = Bytes::from(json!({ "p": value }).to_string());
    let request = request(Preset::Open, integration, message(&body));
    let expected = expected.map(|path| format!("http://backend{path}"));
    assert_eq!(
        request.map(|request| text(&request["uri"])),
        expected,
        "{value}"
    );
}

#[test]
fn a_path_parameter_is_one_segment() {
    let dots = || {
        Err(Failure::BadRequest(
            "a path parameter may not be a dot segment",
        ))
    };
    check_path("x", Ok("/a/x/b"));
    check_path("", Ok("/a//b"));
    check_path("x/../y", Ok("/a/x%2F..%2Fy/b"));
    check_path("%2e%2e", Ok("/a/%252e%252e/b"));
    check_path("..;", Ok("/a/..%3B/b"));
    check_path("...", Ok("/a/.../b"));
    check_path("a?b#c", Ok("/a/a%3Fb%23c/b"));
    check_path("//evil.example", Ok("/a/%2F%2Fevil.example/b"));
    check_path("@evil.example:1", Ok("/a/%40evil.example%3A1/b"));
    check_path("\\..\\", Ok("/a/%5C..%5C/b"));
    check_path("{p}", Ok("/a/%7Bp%7D/b"));
    check_path("${stageVariables.x}", Ok("/a/%24%7BstageVariables.x%7D/b"));
    check_path("\u{0}\r\n", Ok("/a/%00%0D%0A/b"));
    check_path("..", dots());
    check_path(".", dots());
}

#[test]
fn places_in_the_message_are_read_together() {
    let mapped = |parameters: &[(&str, &str)], body: &str| {
        let body = Bytes::from(body.to_owned());
        request(Preset::Open, mapping(parameters), message(&body))
    };
    let parameters = [
        ("header.h1", "route.request.body.a"),
        ("header.h2", "route.request.body.none"),
        ("header.h3", "'fixed'"),
        ("header.h4", "route.request.body..b"),
        ("querystring.q", "route.request.body.a.b"),
    ];
    let request = mapped(&parameters, r#"{"a":{"b":"x y"}}"#).unwrap();
    for (name, expected) in [
        ("h1", json!("{b=x y}")),
        ("h2", Value::Null),
        ("h3", json!("fixed")),
        ("h4", json!("[x y]")),
    ] {
        assert_eq!(request["headers"][name], expected, "{name}");
    }
    assert_eq!(request["uri"], "http://backend/in?q=x%20y");

    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1024 * 1024));
    let same = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("header.h{n}")).collect();
        let parameters: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "route.request.body.a"))
            .collect();
        mapped(&parameters, &long).map(|_| ())
    };
    assert_eq!(same(2), Ok(()));
    assert_eq!(same(3), Err(Failure::MessageTooComplex));
}
