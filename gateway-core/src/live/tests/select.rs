//! Which route takes a message.

use std::collections::BTreeMap;

use crate::call::AuthorizerContext;
use crate::failure::Failure;
use crate::live::LiveStage;
use crate::live::fixture::{api, connection, live, proxy, stage};
use crate::resource::Preset;

fn stage_of(expression: &str, keys: &[&str]) -> LiveStage {
    let mut api = api(Preset::Open, keys, proxy());
    api.route_selection_expression = expression.to_owned();
    let mut stage = stage();
    stage.stage_variables = BTreeMap::from([("color".to_owned(), "blue".to_owned())]);
    live(&api, &stage)
}

/// `None` is a binary message.
#[track_caller]
fn check(stage: &LiveStage, message: Option<&str>, expected: Option<&str>) {
    let mut connection = connection();
    connection.authorizer = Some(Box::new(AuthorizerContext {
        principal_id: "user-1".into(),
        context: vec![("tenant".into(), "acme".into())],
    }));
    let found = stage.select_message(&connection, message);
    let found = found.map(|route| &*route.route_key);
    assert_eq!(found, expected.ok_or(Failure::NoRoute), "{message:?}");
}

const KEYS: [&str; 9] = [
    "$connect",
    "$disconnect",
    "$default",
    "join",
    "chat/join",
    "7",
    "true",
    "[a, b]",
    "two words",
];

#[test]
fn a_message_goes_to_the_route_of_its_key_byte_for_byte() {
    let stage = stage_of("$request.body.action", &KEYS);
    let check = |message: &str, key| check(&stage, Some(message), Some(key));
    check(r#"{"action":"join"}"#, "join");
    check(r#" { "x" : 1 , "action" : "join" } "#, "join");
    check(r#"{"action":"\u006aoin"}"#, "join");
    check(r#"{"action":"two words"}"#, "two words");
    check(r#"{"action":"chat/join"}"#, "chat/join");
    check(r#"{"action":7}"#, "7");
    check(r#"{"action":true}"#, "true");
    check(r#"{"action":["a","b"]}"#, "[a, b]");
    check(r#"{"action":"Join"}"#, "$default");
    check(r#"{"action":"join "}"#, "$default");
    check(r#"{"Action":"join"}"#, "$default");
    check(r#"{"action":"none"}"#, "$default");
    check(r#"{"action":""}"#, "$default");
    check(r#"{"action":null}"#, "$default");
    check(r#"{"action":{"join":1}}"#, "$default");
    check("{}", "$default");
    check("[1]", "$default");
    check(r#""join""#, "$default");
    check("5", "$default");
}

#[test]
fn no_message_speaks_for_the_gateway() {
    let stage = stage_of("$request.body.action", &KEYS);
    for key in ["$connect", "$disconnect", "$default"] {
        let message = format!(r#"{{"action":"{key}"}}"#);
        check(&stage, Some(&message), Some("$default"));
    }
    let fixed = stage_of(r"\$connect", &KEYS);
    check(&fixed, Some("{}"), Some("$default"));
    let without = stage_of("$request.body.action", &["$connect", "$disconnect", "join"]);
    for key in ["$connect", "$disconnect", "$default"] {
        let message = format!(r#"{{"action":"{key}"}}"#);
        check(&without, Some(&message), None);
    }
}

#[test]
fn what_is_not_json_goes_to_the_default_whatever_the_expression() {
    for expression in ["$request.body.action", "join", "${context.stage}"] {
        let stage = stage_of(expression, &["$default", "join", "dev"]);
        for message in [
            None,
            Some(""),
            Some("hello"),
            Some("{"),
            Some(r#"{"action":"join"} x"#),
        ] {
            check(&stage, message, Some("$default"));
        }
        let without = stage_of(expression, &["join", "dev"]);
        check(&without, None, None);
        check(&without, Some("hello"), None);
    }
}

#[test]
fn without_a_default_what_matches_nothing_is_refused() {
    let stage = stage_of("$request.body.action", &["join"]);
    check(&stage, Some(r#"{"action":"join"}"#), Some("join"));
    check(&stage, Some(r#"{"action":"x"}"#), None);
    check(&stage, Some("{}"), None);
    check(&stage_of("$request.body.action", &[]), Some("{}"), None);
}

#[test]
fn keys_are_put_together() {
    let stage = stage_of(
        "${request.body.service}/${request.body.action}",
        &["$default", "chat/join", "/", "chat/"],
    );
    let check = |message: &str, key| check(&stage, Some(message), Some(key));
    check(r#"{"service":"chat","action":"join"}"#, "chat/join");
    check(r#"{"service":"chat"}"#, "chat/");
    check("{}", "/");
    check(r#"{"service":"chat/join"}"#, "$default");
    let fixed = stage_of("join", &["$default", "join"]);
    self::check(&fixed, Some("{}"), Some("join"));
}

/// The route for `{}` of an API whose only custom route has this key.
#[track_caller]
fn check_context(expression: &str, key: &str, found: bool) {
    let stage = stage_of(expression, &["$default", key]);
    check(
        &stage,
        Some("{}"),
        Some(if found { key } else { "$default" }),
    );
}

#[test]
fn the_connections_context_and_the_stages_variables_can_choose() {
    check_context("$context.stage", "dev", true);
    check_context("$context.apiId", "chat", true);
    check_context("$context.eventType", "MESSAGE", true);
    check_context("$context.identity.sourceIp", "203.0.113.7", true);
    check_context("$context.authorizer.principalId", "user-1", true);
    check_context(
        "${context.authorizer.tenant}/${context.stage}",
        "acme/dev",
        true,
    );
    check_context("${stageVariables.color}", "blue", true);
    check_context("${stageVariables.none}x", "x", true);
    check_context("${context.authorizer.none}x", "x", true);
    // A call gets its ids and its time with its route.
    for unknown in [
        "routeKey",
        "messageId",
        "requestId",
        "extendedRequestId",
        "requestTime",
        "requestTimeEpoch",
        "eventId",
    ] {
        check_context(&format!("${{context.{unknown}}}x"), "x", true);
    }
    check_context("$context.disconnectReason", "MESSAGE", false);
}

#[test]
fn a_message_that_costs_too_much_goes_nowhere() {
    let stage = stage_of(
        "${request.body.action}${request.body..*}",
        &["$default", "join"],
    );
    let message = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let deep = format!("{open}\"{}\"{close}", "x".repeat(30_000));
        format!(r#"{{"action":"join","deep":{deep}}}"#)
    };
    check(&stage, Some(&message(10)), Some("$default"));
    let found = stage.select_message(&connection(), Some(&message(100)));
    assert_eq!(
        found.map(|route| &*route.route_key),
        Err(Failure::MessageTooComplex)
    );
}
