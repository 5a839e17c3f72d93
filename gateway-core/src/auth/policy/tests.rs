//! Policies with what they say of one request.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Decision::{Allow, ExplicitDeny, ImplicitDeny};
use super::*;

const ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:4qxjtz3xx8/prod/$connect";

fn request() -> Request<'static> {
    Request {
        action: "execute-api:Invoke",
        resource: ARN,
        source_ip: [203, 0, 113, 7].into(),
        // 11 November 2024, 13:45:46.514 UTC.
        time: 1_731_332_746_514,
        secure: true,
        referer: None,
        user_agent: Some("Mozilla/5.0"),
    }
}

/// A policy of these statements.
fn policy(statements: Value) -> Value {
    let mut policy = json!({"Version": "2012-10-17"});
    policy["Statement"] = statements;
    policy
}

/// A statement about our action.
fn about(effect: &str, resource: impl Into<Value>) -> Value {
    json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource.into()})
}

#[track_caller]
fn check(policy: &Value, expected: Decision) {
    assert_eq!(evaluate(policy, &request()), Ok(expected), "{policy}");
}

#[track_caller]
fn check_invalid(policy: &Value, part: &str) {
    let found = evaluate(policy, &request());
    let Err(error) = found else {
        panic!("{policy} is {found:?}");
    };
    let error = error.to_string();
    assert!(error.contains(part), "{policy}: {error}");
}

#[test]
fn a_deny_stands_over_an_allow_and_what_nothing_allows_is_denied() {
    let (allow, deny) = (about("Allow", ARN), about("Deny", ARN));
    check(&policy(allow.clone()), Allow);
    check(&policy(json!([allow])), Allow);
    check(&policy(json!([])), ImplicitDeny);
    check(&policy(deny.clone()), ExplicitDeny);
    check(&policy(json!([allow, deny])), ExplicitDeny);
    check(&policy(json!([deny, allow])), ExplicitDeny);
    let other = about(
        "Deny",
        "arn:aws:execute-api:eu-west-1:123456789012:other/prod/*",
    );
    check(&policy(json!([other, allow])), Allow);
    check(&policy(json!([other])), ImplicitDeny);
    check(&json!({"Statement": about("Allow", "*")}), Allow);
    check(
        &json!({"Version": "2008-10-17", "Id": "x", "Statement": [about("Allow", "*")]}),
        Allow,
    );
}

#[test]
fn resources_match_by_wildcards_part_by_part() {
    let resource = |resource: Value, expected| check(&policy(about("Allow", resource)), expected);
    for good in [
        "*",
        "arn:aws:execute-api:*:*:*",
        "arn:aws:execute-api:eu-west-1:123456789012:4qxjtz3xx8/*",
        "arn:aws:execute-api:eu-west-1:123456789012:4qxjtz3xx8/prod/*",
        "arn:aws:execute-api:eu-west-1:*:4qxjtz3xx8/*/$connect",
        "arn:aws:execute-api:eu-west-?:123456789012:4qxjtz3xx8/prod/$connect",
    ] {
        resource(json!(good), Allow);
        resource(json!(["arn:aws:s3:::x", good]), Allow);
    }
    for other in [
        "arn:aws:execute-api:eu-west-1:123456789012:4qxjtz3xx8/prod",
        "arn:aws:execute-api:eu-west-1:123456789012:4qxjtz3xx8/test/*",
        "arn:aws:execute-api:eu-west-1:123456789012:4QXJTZ3XX8/prod/$connect",
        "arn:aws:execute-api:us-*:123456789012:4qxjtz3xx8/prod/$connect",
        "arn:aws:execute-api::123456789012:4qxjtz3xx8/prod/$connect",
    ] {
        resource(json!(other), ImplicitDeny);
    }
}

#[test]
fn actions_match_in_any_case_and_by_wildcards() {
    let action = |action: Value, expected| {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        check(&policy(statement), expected);
    };
    for good in [
        "*",
        "execute-api:*",
        "execute-api:Invoke",
        "Execute-API:invoke",
        "execute-api:Inv?ke",
    ] {
        action(json!(good), Allow);
        action(json!(["s3:GetObject", good]), Allow);
    }
    action(json!("execute-api:ManageConnections"), ImplicitDeny);
    action(json!("execute-api:InvokeX"), ImplicitDeny);
    action(json!(["s3:*", "lambda:*"]), ImplicitDeny);
}

#[test]
fn a_not_element_is_about_everything_else() {
    let other = "arn:aws:execute-api:eu-west-1:123456789012:other/*";
    let not_action = |effect: &str, action: Value| {
        policy(
            json!([about("Allow", "*"), {"Effect": effect, "NotAction": action, "Resource": "*"}]),
        )
    };
    check(&not_action("Deny", json!("s3:*")), ExplicitDeny);
    check(&not_action("Deny", json!(["s3:*", "execute-api:*"])), Allow);
    let not_resource = |effect: &str, resource: Value| {
        policy(json!({"Effect": effect, "Action": "*", "NotResource": resource}))
    };
    check(&not_resource("Allow", json!(other)), Allow);
    check(&not_resource("Allow", json!([other, ARN])), ImplicitDeny);
    check(&not_resource("Deny", json!(other)), ExplicitDeny);
    check(&not_resource("Deny", json!("*")), ImplicitDeny);
}

#[track_caller]
fn condition(condition: Value, expected: bool) {
    let mut statement = about("Allow", "*");
    statement["Condition"] = condition;
    let expected = if expected { Allow } else { ImplicitDeny };
    check(&policy(statement), expected);
}

#[test]
fn conditions_compare_as_their_operators_say() {
    let one = |operator: &str, key: &str, value: Value, expected| {
        condition(json!({operator: {key: value}}), expected);
    };
    one("StringEquals", "aws:UserAgent", json!("Mozilla/5.0"), true);
    one(
        "StringEquals",
        "AWS:useragent",
        json!(["x", "Mozilla/5.0"]),
        true,
    );
    one("StringEquals", "aws:UserAgent", json!("mozilla/5.0"), false);
    one("StringNotEquals", "aws:UserAgent", json!("x"), true);
    one(
        "StringNotEquals",
        "aws:UserAgent",
        json!(["x", "Mozilla/5.0"]),
        false,
    );
    one(
        "StringEqualsIgnoreCase",
        "aws:UserAgent",
        json!("MOZILLA/5.0"),
        true,
    );
    one(
        "StringNotEqualsIgnoreCase",
        "aws:UserAgent",
        json!("MOZILLA/5.0"),
        false,
    );
    one("StringLike", "aws:UserAgent", json!("Mozilla/*"), true);
    one(
        "StringNotLike",
        "aws:UserAgent",
        json!(["x", "Mozilla/?.?"]),
        false,
    );
    one("StringEquals", "aws:SourceIp", json!("203.0.113.7"), true);
    one(
        "StringLike",
        "aws:CurrentTime",
        json!("2024-11-11T13:45:46Z"),
        true,
    );
    one("IpAddress", "aws:SourceIp", json!("203.0.113.0/24"), true);
    one(
        "IpAddress",
        "aws:SourceIp",
        json!(["10.0.0.0/8", "203.0.113.7"]),
        true,
    );
    one("IpAddress", "aws:SourceIp", json!("203.0.112.0/24"), false);
    one("IpAddress", "aws:SourceIp", json!("0.0.0.0/0"), true);
    one("IpAddress", "aws:SourceIp", json!("::/0"), false);
    one(
        "NotIpAddress",
        "aws:SourceIp",
        json!(["10.0.0.0/8", "203.0.113.0/24"]),
        false,
    );
    one("NotIpAddress", "aws:SourceIp", json!("2001:db8::/32"), true);
    one("Bool", "aws:SecureTransport", json!("true"), true);
    one("Bool", "aws:SecureTransport", json!(true), true);
    one("Bool", "aws:SecureTransport", json!("false"), false);
    one("NumericEquals", "aws:EpochTime", json!(1_731_332_746), true);
    one(
        "NumericNotEquals",
        "aws:EpochTime",
        json!("1731332746"),
        false,
    );
    one(
        "NumericLessThan",
        "aws:EpochTime",
        json!(1_731_332_747),
        true,
    );
    one(
        "NumericGreaterThanEquals",
        "aws:EpochTime",
        json!(1_731_332_747),
        false,
    );
    one(
        "DateLessThan",
        "aws:CurrentTime",
        json!("2024-11-11T13:45:47Z"),
        true,
    );
    one(
        "DateLessThan",
        "aws:CurrentTime",
        json!("2024-11-11T14:45:46+01:00"),
        false,
    );
    one(
        "DateGreaterThan",
        "aws:CurrentTime",
        json!("2024-11-11T13:45Z"),
        true,
    );
    one(
        "DateGreaterThan",
        "aws:CurrentTime",
        json!("2024-11-11"),
        true,
    );
    one(
        "DateEquals",
        "aws:CurrentTime",
        json!("2024-11-11T13:45:46.514Z"),
        true,
    );
    one(
        "DateLessThanEquals",
        "aws:EpochTime",
        json!("1731332747"),
        true,
    );
    one(
        "DateNotEquals",
        "aws:EpochTime",
        json!("2024-11-11T13:45:46.5Z"),
        true,
    );
}

#[test]
fn a_key_that_is_absent_fails_all_but_negations_and_if_exists() {
    let absent = |operator: &str, value: Value, expected| {
        condition(json!({operator: {"aws:Referer": value}}), expected);
    };
    absent("StringEquals", json!("x"), false);
    absent("StringEqualsIfExists", json!("x"), true);
    absent("StringLike", json!("*"), false);
    absent("StringNotEquals", json!("x"), true);
    absent("StringNotLike", json!("*"), true);
    absent("StringNotEqualsIfExists", json!("x"), true);
    absent("Null", json!("true"), true);
    absent("Null", json!(false), false);
    condition(json!({"Null": {"aws:UserAgent": "false"}}), true);
    condition(
        json!({"StringEqualsIfExists": {"aws:UserAgent": "x"}}),
        false,
    );
    for key in [
        "aws:SourceVpce",
        "aws:PrincipalOrgID",
        "aws:PrincipalTag/team",
    ] {
        condition(json!({"StringEquals": {key: "x"}}), false);
    }
    condition(
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b"}}),
        false,
    );
    condition(
        json!({"ArnLikeIfExists": {"aws:SourceArn": "arn:aws:s3:::b"}}),
        true,
    );
    condition(
        json!({"ArnNotEquals": {"aws:SourceArn": "arn:aws:s3:::b"}}),
        true,
    );
    condition(json!({"Bool": {"aws:MultiFactorAuthPresent": true}}), false);
    condition(
        json!({"NumericLessThanIfExists": {"aws:MultiFactorAuthAge": 3600}}),
        true,
    );
}

#[test]
fn null_is_what_nobody_set() {
    condition(json!(null), true);
    condition(json!({}), true);
    let mut policy = policy(about("Allow", "*"));
    policy["Version"] = json!(null);
    policy["Id"] = json!(null);
    for name in ["Sid", "NotAction", "NotResource", "Principal"] {
        policy["Statement"][name] = json!(null);
    }
    check(&policy, Allow);
    policy["Statement"]["Effect"] = json!(null);
    check_invalid(&policy, ".Effect");
}

#[test]
fn all_operators_and_all_keys_must_hold() {
    condition(
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:SecureTransport": "true"}}),
        true,
    );
    condition(
        json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}),
        false,
    );
    condition(
        json!({"StringEquals": {"aws:UserAgent": "Mozilla/5.0", "aws:Referer": "x"}}),
        false,
    );
    let mut deny = about("Deny", "*");
    deny["Condition"] = json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    check(&policy(json!([about("Allow", "*"), deny])), ExplicitDeny);
    let mut mapped = request();
    mapped.source_ip = "::ffff:203.0.113.7".parse().unwrap();
    let mut allow = about("Allow", "*");
    allow["Condition"] = json!({"IpAddress": {"aws:SourceIp": "203.0.113.7/32"}});
    assert_eq!(evaluate(&policy(allow), &mapped), Ok(Allow));
}

#[test]
fn what_is_not_understood_is_no_policy_wherever_it_stands() {
    for document in [json!(null), json!("{}"), json!([]), json!(1)] {
        check_invalid(&document, "policyDocument: must be an object");
    }
    check_invalid(&json!({}), "needs a Statement");
    check_invalid(&json!({"statement": []}), "Version, Id and Statement alone");
    check_invalid(
        &json!({"Version": "2024-01-01", "Statement": []}),
        ".Version",
    );
    check_invalid(&json!({"Version": 2012, "Statement": []}), ".Version");
    check_invalid(&json!({"Id": 1, "Statement": []}), ".Id");
    check_invalid(
        &json!({"Statement": "x"}),
        ".Statement[0]: must be an object",
    );
    // Beside a statement that allows everything, and before it: neither helps.
    let beside = |statement: Value, part: &str| {
        check_invalid(&policy(json!([about("Allow", "*"), statement])), part);
        check_invalid(&policy(json!([statement, about("Deny", "*")])), part);
    };
    let with = |member: &str, value: Value| {
        let mut statement = about("Deny", "*");
        statement[member] = value;
        statement
    };
    let without = |member: &str| {
        let mut statement = about("Deny", "*");
        statement.as_object_mut().unwrap().shift_remove(member);
        statement
    };
    beside(json!(null), "must be an object");
    beside(with("Effect", json!("deny")), ".Effect");
    beside(with("Effect", json!(true)), ".Effect");
    beside(without("Effect"), ".Effect");
    beside(with("effect", json!("Deny")), "alone");
    beside(with("Principal", json!("*")), "alone");
    beside(with("Sid", json!(1)), ".Sid");
    for (is, is_not) in [("Action", "NotAction"), ("Resource", "NotResource")] {
        beside(without(is), "exactly one");
        beside(with(is, json!(null)), "exactly one");
        beside(with(is_not, json!("*")), "exactly one");
        for bad in [
            json!([]),
            json!(""),
            json!([""]),
            json!(["*", 1]),
            json!({}),
        ] {
            beside(with(is, bad), "a list of texts");
        }
    }
    beside(with("Action", json!("Invoke")), ".Action");
    beside(with("Action", json!(["*", "execute-api:"])), ".Action");
    beside(with("Resource", json!("4qxjtz3xx8/prod/*")), ".Resource");
    beside(
        with("Resource", json!(["*", "aws:execute-api:*"])),
        ".Resource",
    );
    beside(
        with(
            "Resource",
            json!("arn:aws:execute-api:*:*:${aws:username}/*"),
        ),
        "variable",
    );
    beside(
        with(
            "Resource",
            json!(format!("arn:aws:a:b:c:{}", "x".repeat(512))),
        ),
        "512",
    );
    for bad in [
        json!([]),
        json!({"StringEquals": null}),
        json!({"StringEquals": {}}),
        json!({"StringEquals": "x"}),
        json!({"StringEquals": {"aws:UserAgent": []}}),
        json!({"StringEquals": {"aws:UserAgent": {}}}),
        json!({"StringEquals": {"aws:UserAgent": "${aws:username}"}}),
        json!({"StringEquals": {"aws:Nonsense": "x"}}),
        json!({"StringEquals": {"UserAgent": "x"}}),
        json!({"stringequals": {"aws:UserAgent": "x"}}),
        json!({"NullIfExists": {"aws:Referer": "true"}}),
        json!({"Null": {"aws:Referer": "maybe"}}),
        json!({"ForAnyValue:StringEquals": {"aws:UserAgent": "x"}}),
        json!({"BinaryEquals": {"aws:UserAgent": "x"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/33"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/+8"}}),
        json!({"IpAddress": {"aws:SourceIp": "here"}}),
        json!({"IpAddress": {"aws:UserAgent": "203.0.113.0/24"}}),
        json!({"Bool": {"aws:SecureTransport": "yes"}}),
        json!({"Bool": {"aws:SourceIp": "true"}}),
        json!({"NumericEquals": {"aws:EpochTime": "soon"}}),
        json!({"NumericEquals": {"aws:EpochTime": "NaN"}}),
        json!({"NumericEquals": {"aws:CurrentTime": 1}}),
        json!({"DateLessThan": {"aws:CurrentTime": "11 Nov 2024"}}),
        json!({"DateLessThan": {"aws:CurrentTime": "2024-02-30"}}),
        json!({"DateLessThan": {"aws:CurrentTime": "2024-11-11T13:45:46"}}),
        json!({"DateLessThan": {"aws:CurrentTime": "2024-11-11T13:45:46.Z"}}),
        json!({"DateLessThan": {"aws:UserAgent": "2024-11-11"}}),
        json!({"ArnLike": {"aws:SourceArn": "x"}}),
        json!({"ArnLike": {"aws:UserAgent": "arn:aws:s3:::b"}}),
        // The first key already fails; the second is read all the same.
        json!({"StringEquals": {"aws:UserAgent": "x", "aws:Nonsense": "x"}}),
    ] {
        beside(with("Condition", bad), ".Condition");
    }
}

#[test]
fn an_error_says_nothing_of_what_stood_there() {
    let canary = json!({"Statement": {"Effect": "canary", "Action": "*", "Resource": "*"}});
    let error = evaluate(&canary, &request()).unwrap_err().to_string();
    assert_eq!(
        error,
        "policyDocument.Statement[0].Effect: must be Allow or Deny"
    );
}

#[test]
fn a_bomb_of_wildcards_is_answered_soon() {
    let bomb = format!("arn:aws:execute-api:*:*:{}b", "*a".repeat(230));
    let many: Vec<Value> = (0..16).map(|_| json!(bomb)).collect();
    let resource = format!("arn:aws:execute-api:r:1:{}", "a".repeat(1_500));
    let request = Request {
        resource: &resource,
        ..request()
    };
    let policy = policy(about("Allow", Value::Array(many)));
    assert_eq!(evaluate(&policy, &request), Ok(ImplicitDeny));
    let agent = "a".repeat(60_000);
    let request = Request {
        user_agent: Some(&agent),
        ..request
    };
    let mut statement = about("Allow", "*");
    statement["Condition"] = json!({"StringLike": {"aws:UserAgent": "*a".repeat(2_000) + "b"}});
    let error = evaluate(&json!({"Statement": statement}), &request).unwrap_err();
    assert!(error.to_string().contains("too much work"));
}

/// Values that a policy may hold, right and wrong ones.
fn word() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        json!("Allow"),
        json!("Deny"),
        json!("*"),
        json!(ARN),
        json!("execute-api:Invoke"),
        json!("execute-api:*"),
        json!("s3:*"),
        json!("arn:aws:execute-api:*:*:*/prod/*"),
        json!("203.0.113.0/24"),
        json!("2024-11-11T00:00:00Z"),
        json!("true"),
        json!(""),
        json!(null),
        json!(1),
        json!(-1.5e300),
        json!([]),
        json!({}),
    ]);
    prop_oneof![8 => words, 1 => ".{0,12}".prop_map(Value::from)]
}

fn statement() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "Sid",
        "Other",
    ]);
    let operators = prop::sample::select(vec![
        "StringEquals",
        "StringNotLike",
        "IpAddress",
        "NotIpAddress",
        "DateLessThan",
        "NumericLessThanIfExists",
        "Bool",
        "ArnNotLike",
        "Null",
        "Nonsense",
    ]);
    let keys = prop::sample::select(vec![
        "aws:SourceIp",
        "aws:UserAgent",
        "aws:Referer",
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:SecureTransport",
        "aws:SourceArn",
    ]);
    let condition = (operators, keys, word()).prop_map(|(o, k, v)| json!({o: {k: v}}));
    let value = prop_oneof![4 => word(), 1 => prop::collection::vec(word(), 0..3).prop_map(Value::from), 1 => condition];
    let wild = prop::collection::vec((names, value), 0..6).prop_map(|members| {
        Value::Object(
            members
                .into_iter()
                .map(|(n, v)| (n.to_owned(), v))
                .collect(),
        )
    });
    let good = (any::<bool>(), word(), word()).prop_map(|(allow, action, resource)| {
        json!({"Effect": if allow { "Allow" } else { "Deny" }, "Action": action, "Resource": resource})
    });
    prop_oneof![3 => good, 1 => wild, 2 => prop::sample::select(vec![about("Allow", "*"), about("Allow", ARN), about("Deny", ARN)])]
}

proptest! {
    #[test]
    fn no_statement_beside_it_takes_a_deny_away(statements in prop::collection::vec(statement(), 0..4), at: prop::sample::Index) {
        let decision = |statements: &[Value]| evaluate(&policy(json!(statements)), &request());
        let before = decision(&statements);
        // One more that denies everything: nobody is let in.
        let at = at.index(statements.len() + 1);
        let mut denied = statements.clone();
        denied.insert(at, about("Deny", "*"));
        prop_assert!(!matches!(decision(&denied), Ok(Allow)));
        // And no other one opens what a deny closed, or mends what was not understood.
        for more in [about("Allow", "*"), about("Deny", "arn:aws:s3:::other")] {
            let mut longer = statements.clone();
            longer.insert(at, more);
            match &before {
                Ok(ExplicitDeny) => prop_assert_eq!(decision(&longer), Ok(ExplicitDeny)),
                Err(_) => prop_assert!(decision(&longer).is_err()),
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn whatever_a_function_returns_is_answered(text in r#"[\[\]{}",:a-zA-Z*?$0-9 ]{0,80}"#) {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            prop_assert!(!matches!(evaluate(&value, &request()), Ok(Allow)));
            prop_assert!(!matches!(evaluate(&policy(value), &request()), Ok(Allow)));
        }
    }
}
