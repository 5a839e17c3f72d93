//! The tables of the language, and that no text can do harm.

use std::borrow::Cow;

use super::{
    Doubt, Evaluation, Kind, MAX_EXPRESSION_BYTES, MAX_KEY_BYTES, MAX_VARIABLES, Problem, Scope,
    SelectionExpression,
};
use crate::jsonpath::JsonPathProblem;

/// Properties whose author writes the expression.
const FREE: [Kind; 4] = [
    Kind::Route,
    Kind::Model,
    Kind::RequestTemplate,
    Kind::ResponseTemplate,
];

#[track_caller]
fn parse(text: &str, kind: Kind) -> SelectionExpression {
    SelectionExpression::parse(text, kind)
        .unwrap_or_else(|error| panic!("{kind:?} {text}: {error}"))
}

#[track_caller]
fn check(text: &str, message: &str, expected: &str) {
    let expression = parse(text, Kind::Route);
    let key = expression.evaluate(&Scope::of_message(message));
    assert_eq!(
        key,
        Evaluation::Key(Cow::Borrowed(expected)),
        "{text} on {message}"
    );
}

const CHAT: &str = r#"{"service":"chat","action":"join","data":{"room":"room1234"}}"#;

#[test]
fn the_worked_examples_come_out() {
    check("$request.body.action", CHAT, "join");
    check("${request.body.action}", CHAT, "join");
    check(
        "${request.body.service}/${request.body.action}",
        CHAT,
        "chat/join",
    );
    check(
        "${request.body.action}-${request.body.invalidPath}",
        CHAT,
        "join-",
    );
    check("$request.body.data.room", CHAT, "room1234");
    check("action", CHAT, "action");
    check(r"\$default", CHAT, "$default");
    check("${request.body.a}.${request.body.b}", r#"{"a":"x"}"#, "x.");
}

#[test]
fn an_open_variable_ends_where_its_path_ends() {
    check(
        "$request.body.service/$request.body.action",
        CHAT,
        "chat/join",
    );
    check(
        "$request.body.service$request.body.action",
        CHAT,
        "chatjoin",
    );
    check(
        "$request.body.service:$request.body.data.room!",
        CHAT,
        "chat:room1234!",
    );
    check(
        "$request.body.service.$request.body.action",
        CHAT,
        "chat.join",
    );
    check("$request.body.service, see.", CHAT, "chat, see.");
    check("$request.body['action'] now", CHAT, "join now");
    check("$request.body.data['room']/x", CHAT, "room1234/x");
    check("$request.body[1]", r#"["a","b"]"#, "b");
    check("$request.body.a-b", r#"{"a-b":1,"a":2}"#, "1");
    check("${request.body.a}-b", r#"{"a-b":1,"a":2}"#, "2-b");
    check("${request.body['a}b']}", r#"{"a}b":1}"#, "1");
    check("${request.body.@type}", r#"{"@type":"t"}"#, "t");
    check(
        "$request.body..id",
        r#"{"a":{"id":1},"b":{"id":2}}"#,
        "[1, 2]",
    );
}

#[test]
fn literals_are_taken_as_they_are() {
    for (text, expected) in [
        ("200", "200"),
        (r"\$connect", "$connect"),
        (r"a\$b\$", "a$b$"),
        (r"\\$x", r"\$x"),
        (r"\n", r"\n"),
        (r"\", r"\"),
        ("{a} }", "{a} }"),
        ("größe 😀", "größe 😀"),
        ("request.body", "request.body"),
        ("request.body.a/b", "request.body.a/b"),
        ("my request.body.a", "my request.body.a"),
    ] {
        check(text, CHAT, expected);
        assert_eq!(parse(text, Kind::Route).warnings(), [], "{text}");
    }
}

#[test]
fn what_a_variable_yields_is_not_evaluated_again() {
    check(
        "$request.body.a",
        r#"{"a":"${request.body.b}","b":"x"}"#,
        "${request.body.b}",
    );
    check("$request.body.a", r#"{"a":"$connect"}"#, "$connect");
    check("$request.body.a", r#"{"a":"\\$default"}"#, r"\$default");
}

#[test]
fn values_become_keys() {
    for (value, expected) in [
        ("\"join\"", "join"),
        ("7", "7"),
        ("1.50", "1.50"),
        ("1e999", "1e999"),
        ("true", "true"),
        ("null", ""),
        ("[\"item1\",\"item2\"]", "[item1, item2]"),
        ("{\"a\":1,\"b\":\"x\"}", "{a=1, b=x}"),
        ("\"\\ud83d\"", "\u{fffd}"),
        ("\"a\\u0000b\"", "a\0b"),
    ] {
        check(
            "$request.body.action",
            &format!("{{\"action\":{value}}}"),
            expected,
        );
    }
    check(
        "$request.body.action",
        r#"{"action":"a","action":"b"}"#,
        "b",
    );
    // JSON, but not an object.
    for message in ["\"x\"", "5", "[1]", "null", "{}"] {
        check("$request.body.action", message, "");
    }
}

#[test]
fn a_message_that_is_not_json_is_not_evaluated() {
    let bombs = [
        "[".repeat(128 * 1024),
        format!("{}1{}", "{\"action\":".repeat(200), "}".repeat(200)),
    ];
    for message in ["hello", "", "{\"action\":\"x\"} y", "{\"action\":"]
        .into_iter()
        .chain(bombs.iter().map(String::as_str))
    {
        let scope = Scope::of_message(message);
        for text in [
            "$request.body.action",
            "a${request.body.x}",
            "static",
            "$context.stage",
        ] {
            let expression = parse(text, Kind::Route);
            assert_eq!(expression.evaluate(&scope), Evaluation::NotJson, "{text}");
        }
        // A template may be named outright, for messages of any form.
        let fixed = parse("200", Kind::RequestTemplate);
        assert_eq!(
            fixed.evaluate(&scope),
            Evaluation::Key(Cow::Borrowed("200"))
        );
        let reading = parse("${request.body.a}", Kind::RequestTemplate);
        assert_eq!(reading.evaluate(&scope), Evaluation::NotJson);
    }
    // On `$connect` there is no message at all.
    let expression = parse("x${request.body.a}", Kind::RequestTemplate);
    assert_eq!(
        expression.evaluate(&Scope::default()),
        Evaluation::Key(Cow::Borrowed("x"))
    );
}

#[test]
fn the_usual_key_is_borrowed_from_the_message() {
    let message = CHAT.to_owned();
    let expression = parse("$request.body.action", Kind::Route);
    let Evaluation::Key(Cow::Borrowed(key)) = expression.evaluate(&Scope::of_message(&message))
    else {
        panic!("the key was copied");
    };
    assert_eq!(key, "join");
    assert!(message.as_bytes().as_ptr_range().contains(&key.as_ptr()));
}

#[track_caller]
fn check_variable(kind: Kind, text: &str, scope: &Scope<'_>, expected: &str) {
    let expression = parse(text, kind);
    assert_eq!(expression.kind(), kind);
    assert_eq!(
        expression.evaluate(scope),
        Evaluation::Key(Cow::Borrowed(expected)),
        "{text}"
    );
    assert_eq!(expression.warnings(), [], "{text}");
    let nothing = Evaluation::Key(Cow::Borrowed(if text == "$default" { text } else { "" }));
    assert_eq!(expression.evaluate(&Scope::default()), nothing, "{text}");
}

#[test]
fn each_property_has_its_variables() {
    let header = |name: &str| (name == "x-api-key").then_some(Cow::Borrowed("the-key"));
    let context = |name: &str| match name {
        "authorizer.usageIdentifierKey" => Some(Cow::Borrowed("the-usage-key")),
        "stage" => Some(Cow::Borrowed("dev")),
        _ => None,
    };
    let stage_variable = |name: &str| (name == "v").then_some(Cow::Borrowed("one"));
    let response_header = |name: &str| (name == "X-Kind").then_some(Cow::Borrowed("list"));
    let response_multi_value_header =
        |name: &str| (name == "X-Kind").then_some(Cow::Borrowed("list, map"));
    let scope = Scope {
        body: Some(CHAT),
        request_header: Some(&header),
        base_path: Some("chat"),
        context: Some(&context),
        stage_variable: Some(&stage_variable),
        status_code: Some(404),
        error_message: Some("Bad request: x"),
        response_header: Some(&response_header),
        response_multi_value_header: Some(&response_multi_value_header),
    };
    check_variable(Kind::ApiKey, "$request.header.x-api-key", &scope, "the-key");
    check_variable(
        Kind::ApiKey,
        "$context.authorizer.usageIdentifierKey",
        &scope,
        "the-usage-key",
    );
    check_variable(Kind::ApiMapping, "$request.basepath", &scope, "chat");
    check_variable(Kind::RouteResponse, "$default", &scope, "$default");
    check_variable(
        Kind::IntegrationResponse,
        "${integration.response.statuscode}",
        &scope,
        "404",
    );
    check_variable(
        Kind::IntegrationResponse,
        "$integration.response.statuscode",
        &scope,
        "404",
    );
    check_variable(
        Kind::IntegrationResponse,
        "${response.statuscode}",
        &scope,
        "404",
    );
    check_variable(
        Kind::IntegrationResponse,
        "$integration.response.body.errorMessage",
        &scope,
        "Bad request: x",
    );
    check_variable(
        Kind::IntegrationResponse,
        "${integration.response.body.errorMessage}",
        &scope,
        "Bad request: x",
    );
    check_variable(
        Kind::ResponseTemplate,
        "${integration.response.statuscode}",
        &scope,
        "404",
    );
    check_variable(
        Kind::ResponseTemplate,
        "${integration.response.header.X-Kind}",
        &scope,
        "list",
    );
    check_variable(
        Kind::ResponseTemplate,
        "$integration.response.header.X-Kind",
        &scope,
        "list",
    );
    check_variable(
        Kind::ResponseTemplate,
        "${integration.response.multivalueheader.X-Kind}",
        &scope,
        "list, map",
    );
    for kind in FREE {
        check_variable(kind, "${request.body.action}", &scope, "join");
        check_variable(kind, "$context.stage", &scope, "dev");
        check_variable(kind, "${stageVariables.v}", &scope, "one");
        check_variable(kind, "${context.absent}", &scope, "");
    }
    let mixed = parse(
        "${integration.response.statuscode}/${request.body.action}",
        Kind::ResponseTemplate,
    );
    assert_eq!(
        mixed.evaluate(&scope),
        Evaluation::Key(Cow::Borrowed("404/join"))
    );
}

#[test]
fn a_fixed_property_takes_nothing_else() {
    for (kind, text) in [
        (Kind::ApiKey, "$request.body.key"),
        (Kind::ApiKey, "$request.header.other"),
        (Kind::ApiKey, "x"),
        (Kind::ApiMapping, "$request.body.x"),
        (Kind::ApiMapping, "$request.basepath/x"),
        (Kind::RouteResponse, "$request.body.x"),
        (Kind::RouteResponse, "default"),
        (Kind::RouteResponse, r"\$default"),
        (Kind::IntegrationResponse, "$request.body.x"),
        (Kind::IntegrationResponse, "200"),
    ] {
        let error = SelectionExpression::parse(text, kind).expect_err(text);
        assert!(
            matches!(error.problem, Problem::NotAllowed(_)),
            "{text}: {error}"
        );
    }
    let error = SelectionExpression::parse("$x", Kind::ApiMapping).expect_err("not allowed");
    assert_eq!(
        error.to_string(),
        "at byte 0: only `$request.basepath` may stand here"
    );
}

#[track_caller]
fn check_warned(text: &str, kind: Kind, expected: &str, position: usize, doubt: &Doubt) {
    let expression = parse(text, kind);
    let warned: Vec<_> = expression
        .warnings()
        .iter()
        .map(|warning| (warning.position, &warning.doubt))
        .collect();
    assert_eq!(warned, [(position, doubt)], "{text}");
    let key = expression.evaluate(&Scope {
        status_code: Some(200),
        ..Scope::of_message(CHAT)
    });
    assert_eq!(key, Evaluation::Key(Cow::Borrowed(expected)), "{text}");
}

#[test]
fn doubtful_expressions_work_and_warn() {
    let unknown = |name: &str| Doubt::UnknownVariable(name.to_owned());
    for kind in FREE {
        check_warned(
            "request.body.action",
            kind,
            "join",
            0,
            &Doubt::MissingDollar,
        );
        check_warned(
            "request.body['data'].room",
            kind,
            "room1234",
            0,
            &Doubt::MissingDollar,
        );
        check_warned(
            "a$request.header.x-y/b",
            kind,
            "a/b",
            1,
            &unknown("request.header.x-y"),
        );
        check_warned(
            "${request.querystring.q}",
            kind,
            "",
            0,
            &unknown("request.querystring.q"),
        );
        check_warned("$request.bodyx.a", kind, "", 0, &unknown("request.bodyx.a"));
        check_warned("$context", kind, "", 0, &unknown("context"));
        check_warned("${context.}", kind, "", 0, &unknown("context."));
        check_warned(
            "$default",
            kind,
            "",
            0,
            &Doubt::UnescapedKey("$default".to_owned()),
        );
        check_warned("$request.body.action.", kind, "join.", 20, &Doubt::LooseDot);
        check_warned(
            "$request.body.action.@x",
            kind,
            "join.@x",
            20,
            &Doubt::LooseDot,
        );
    }
    for kind in [Kind::Route, Kind::Model, Kind::RequestTemplate] {
        check_warned(
            "$integration.response.statuscode",
            kind,
            "",
            0,
            &unknown("integration.response.statuscode"),
        );
    }
}

#[track_caller]
fn check_refused(text: &str, position: usize, problem: &Problem) {
    for kind in FREE {
        let error = SelectionExpression::parse(text, kind).expect_err(text);
        assert_eq!(
            (error.position, &error.problem),
            (position, problem),
            "{text}: {error}"
        );
    }
}

#[test]
fn broken_expressions_are_refused() {
    let path = Problem::Path;
    check_refused("", 0, &Problem::Empty);
    check_refused("$", 0, &Problem::NoVariable);
    check_refused("a$ b", 1, &Problem::NoVariable);
    check_refused("$$x", 0, &Problem::NoVariable);
    check_refused("$.a", 0, &Problem::NoVariable);
    check_refused("${}", 0, &Problem::NoVariable);
    check_refused("${ request.body.a}", 0, &Problem::NoVariable);
    check_refused("a${", 1, &Problem::UnclosedBrace);
    check_refused("a${context.x", 1, &Problem::UnclosedBrace);
    check_refused("a${request.body.x", 1, &Problem::UnclosedBrace);
    check_refused("a-${request.body.x b}", 18, &Problem::Unexpected(' '));
    check_refused(
        "${request.body.x${request.body.y}}",
        16,
        &Problem::Unexpected('$'),
    );
    check_refused("${context.x y}", 11, &Problem::Unexpected(' '));
    check_refused("$request.body", 13, &Problem::EmptyPath);
    check_refused("$request.body.", 13, &Problem::EmptyPath);
    check_refused("x$request.body/y", 14, &Problem::EmptyPath);
    check_refused("${request.body}", 14, &Problem::EmptyPath);
    check_refused("${request.body.}", 15, &path(JsonPathProblem::EmptyKey));
    check_refused(
        "$request.body.a[x]",
        15,
        &path(JsonPathProblem::BadIndex("x".into())),
    );
    check_refused(
        "$request.body.a[",
        15,
        &path(JsonPathProblem::UnclosedBracket),
    );
    check_refused(
        "${request.body.a[?(@.b)]}",
        16,
        &path(JsonPathProblem::Filter),
    );
    check_refused(&"x".repeat(MAX_EXPRESSION_BYTES + 1), 0, &Problem::TooLong);
    check_refused(
        &"$a/".repeat(MAX_VARIABLES + 1),
        3 * MAX_VARIABLES,
        &Problem::TooManyVariables,
    );
}

#[test]
fn errors_say_where_and_how_to_mend_it() {
    let said = |text| {
        SelectionExpression::parse(text, Kind::Route)
            .expect_err(text)
            .to_string()
    };
    assert_eq!(
        said("a${request.body.x"),
        "at byte 1: `${` is not closed: add `}`"
    );
    assert_eq!(
        said("costs 5$"),
        r"at byte 7: `$` begins a variable, but no name follows: write `\$` for a dollar sign"
    );
    assert_eq!(
        said("$request.body"),
        "at byte 13: `request.body` needs a path: write, for example, `$request.body.action`"
    );
    let warning = |text| parse(text, Kind::RequestTemplate).warnings()[0].to_string();
    assert_eq!(
        warning("$default"),
        r"at byte 0: `$default` is read as a variable and is always empty: write `\$default` for the text `$default`"
    );
    assert_eq!(
        warning("$request.body.a."),
        "at byte 15: the dot is read as text, not as part of the variable before it: write `${…}` around the variable"
    );
}

#[test]
fn a_key_does_not_grow_without_bound() {
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_KEY_BYTES / 2 + 1));
    check("$request.body.a/$request.body.a", &message, "");
}

#[test]
fn what_costs_too_much_has_no_key() {
    // `..*` names each byte once for each level above it.
    let (open, close) = ("[".repeat(100), "]".repeat(100));
    let message = format!("{open}\"{}\"{close}", "x".repeat(25_000));
    let evaluate = |text: &str, kind| match parse(text, kind).evaluate(&Scope::of_message(&message))
    {
        Evaluation::Key(key) => Some(key.into_owned()),
        Evaluation::OutOfFuel => None,
        Evaluation::NotJson => panic!("{text}"),
    };
    for kind in [
        Kind::Route,
        Kind::Model,
        Kind::RequestTemplate,
        Kind::ResponseTemplate,
    ] {
        assert_eq!(
            evaluate("join$request.body..none", kind).as_deref(),
            Some("join")
        );
        assert_eq!(
            evaluate("join$request.body[0]..none", kind).as_deref(),
            Some("join")
        );
        assert_eq!(evaluate("join$request.body..*", kind), None);
    }
}

#[test]
fn an_expression_prints_in_one_spelling() {
    for (kind, text, expected) in [
        (
            Kind::Route,
            "$request.body.action",
            "${request.body.action}",
        ),
        (
            Kind::Route,
            "request.body['a b'][0]",
            "${request.body['a b'][0]}",
        ),
        (Kind::Route, r"\$a/$context.b\", r"\$a/${context.b}\"),
        (Kind::Route, "$x.y z", "${x.y} z"),
        (
            Kind::ApiKey,
            "$request.header.x-api-key",
            "$request.header.x-api-key",
        ),
        (Kind::ApiMapping, "$request.basepath", "$request.basepath"),
        (Kind::RouteResponse, "$default", "$default"),
        (
            Kind::IntegrationResponse,
            "${response.statuscode}",
            "${integration.response.statuscode}",
        ),
    ] {
        assert_eq!(parse(text, kind).to_string(), expected);
        assert_eq!(parse(expected, kind), parse(text, kind));
    }
    assert_ne!(parse("a", Kind::Route), parse("a", Kind::Model));
    assert_ne!(parse("a", Kind::Route), parse("b", Kind::Route));
}
