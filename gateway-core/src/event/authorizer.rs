//! What a Lambda REQUEST authorizer is asked, and what it must answer.
//!
//! Source: API Gateway developer guide, input and output of a Lambda authorizer: the answer has a `principalId`, an IAM policy and
//! at most a flat `context`, in 8 KB altogether.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::websocket::{All, Last, Pairs, RequestContext};
use crate::auth::policy::{self, Decision, InvalidPolicy, Request};
use crate::auth::unique_json;
use crate::call::{AuthorizerContext, Call};
use crate::limit::quotas::AUTHORIZER_RESULT_BYTES;
use crate::live::LiveStage;

/// What an authorizer decides about.
const ACTION: &str = "execute-api:Invoke";

/// Names in the context that are the gateway's own in later events: what a function says under them is passed over.
const OURS: [&str; 2] = ["principalId", "integrationLatency"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent<'a> {
    r#type: &'static str,
    method_arn: &'a str,
    headers: Pairs<'a, Last>,
    multi_value_headers: Pairs<'a, All>,
    query_string_parameters: Pairs<'a, Last>,
    multi_value_query_string_parameters: Pairs<'a, All>,
    stage_variables: &'a BTreeMap<String, String>,
    request_context: RequestContext<'a>,
}

/// The event as JSON: of a CONNECT, with all headers as they came, and with empty maps where there is nothing.
pub fn event(stage: &LiveStage, call: &Call<'_>, method_arn: &str) -> Bytes {
    let (mut headers, mut query) = (Vec::new(), Vec::new());
    if let Some(handshake) = call.event.handshake() {
        headers.extend(borrowed(&handshake.headers));
        query.extend(borrowed(&handshake.query));
        // AWS's front adds it where a client sends none, and shows it to authorizers.
        if handshake.header("content-length").is_none() {
            headers.push(("content-length", "0"));
        }
    }
    let request_id = call.request_id.to_string();
    let same = str::eq_ignore_ascii_case;
    let event = AuthorizerEvent {
        r#type: "REQUEST",
        method_arn,
        headers: Pairs::of(headers.iter().copied(), same),
        multi_value_headers: Pairs::of(headers.iter().copied(), same),
        query_string_parameters: Pairs::of(query.iter().copied(), str::eq),
        multi_value_query_string_parameters: Pairs::of(query.iter().copied(), str::eq),
        stage_variables: &stage.stage_variables,
        request_context: RequestContext::of(call, &request_id),
    };
    let mut out = Vec::with_capacity(2048);
    serde_json::to_writer(&mut out, &event).expect("strings and numbers always serialise");
    out.into()
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The ARN of a stage's `$connect`, as authorizers and policies name it.
pub fn method_arn(region: &str, account_id: &str, api_id: &str, stage: &str) -> String {
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:execute-api:{region}:{account_id}:{api_id}/{stage}/$connect")
}

/// What an authorizer answered.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizerResult {
    /// What later events show.
    pub context: AuthorizerContext,
    /// `usageIdentifierKey`: the client's API key, where the API takes keys from its authorizer.
    pub usage_identifier_key: Option<String>,
    policy: Value,
}

/// Why an answer decides nothing. It names places, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidResult {
    /// Over 8 KB.
    #[error("the authorizer's result has {0} bytes, the limit is {AUTHORIZER_RESULT_BYTES}")]
    TooLarge(usize),
    /// No JSON object, or one that says a name twice.
    #[error("the authorizer must return a JSON object in which no name stands twice")]
    NotAnObject,
    /// A member that is absent or of another type.
    #[error("the authorizer's result: {0}")]
    Member(&'static str),
    /// `policyDocument` is no policy.
    #[error("the authorizer's result: {0}")]
    Policy(#[from] InvalidPolicy),
}

impl AuthorizerResult {
    /// Parses what a function returned; its policy is read by [`decide`](Self::decide).
    pub fn parse(json: &[u8]) -> Result<Self, InvalidResult> {
        if json.len() > AUTHORIZER_RESULT_BYTES {
            return Err(InvalidResult::TooLarge(json.len()));
        }
        let Some(Value::Object(mut members)) = unique_json::parse(json) else {
            return Err(InvalidResult::NotAnObject);
        };
        let Some(Value::String(principal_id)) = members.remove("principalId") else {
            return Err(InvalidResult::Member("principalId must be a text"));
        };
        let Some(policy) = members.remove("policyDocument") else {
            return Err(InvalidResult::Member("policyDocument is missing"));
        };
        let usage_identifier_key = match members.remove("usageIdentifierKey") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) => Some(key),
            Some(_) => return Err(InvalidResult::Member("usageIdentifierKey must be a text")),
        };
        let context = match members.remove("context") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(map)) => context(map)?,
            Some(_) => return Err(InvalidResult::Member("context must be a map")),
        };
        Ok(Self {
            context: AuthorizerContext {
                principal_id,
                context,
            },
            usage_identifier_key,
            policy,
        })
    }

    /// Whether its policy lets this handshake in.
    pub fn decide(&self, call: &Call<'_>, method_arn: &str) -> Result<Decision, InvalidResult> {
        let header = |name| {
            call.event
                .handshake()
                .and_then(|handshake| handshake.header(name))
        };
        let request = Request {
            action: ACTION,
            resource: method_arn,
            source_ip: call.connection.source_ip,
            time: call.time,
            // Settled by the door: what a client says of it counts only behind a trusted proxy.
            secure: header("x-forwarded-proto")
                .is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            referer: header("referer"),
            user_agent: call.connection.user_agent.as_deref(),
        };
        Ok(policy::evaluate(&self.policy, &request)?)
    }
}

/// Texts, numbers and flags, as texts.
fn context(map: Map<String, Value>) -> Result<Vec<(String, String)>, InvalidResult> {
    let mut context = Vec::with_capacity(map.len());
    for (name, value) in map {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let why = "context may hold texts, numbers, true and false alone; encode anything else as a text";
                return Err(InvalidResult::Member(why));
            }
        };
        if !OURS.contains(&name.as_str()) {
            context.push((name, text));
        }
    }
    Ok(context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::Event;
    use crate::live::fixture::{
        TIME, api, call, cases, connection, handshake, live, map, proxy, read_connection,
        read_given, stage,
    };
    use crate::resource::Preset;

    const ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:chat/dev/$connect";

    #[test]
    fn events_are_those_of_the_case_files_to_the_byte() {
        for (file, case) in cases("authorizer_events", 2) {
            let mut stage = stage();
            stage.stage_variables = map(&case["stageVariables"]);
            let stage = live(&api(Preset::Open, &[], proxy()), &stage);
            let (connection, given) = (read_connection(&case), read_given(&case));
            let call = call(&connection, given.event(), "");
            let event = event(&stage, &call, ARN);
            let event = String::from_utf8_lossy(&event);
            assert_eq!(event, case["expected"].to_string(), "{}", file.display());
        }
    }

    #[test]
    fn an_arn_names_the_partition_of_its_region() {
        assert_eq!(method_arn("eu-west-1", "123456789012", "chat", "dev"), ARN);
        for (region, partition) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            let arn = method_arn(region, "1", "a", "s");
            assert_eq!(
                arn,
                format!("arn:{partition}:execute-api:{region}:1:a/s/$connect")
            );
        }
    }

    fn allow() -> Value {
        json!({"principalId": "user-1", "policyDocument": {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}})
    }

    #[track_caller]
    fn check(member: &str, value: Value, expected: Result<&[(&str, &str)], &str>) {
        let mut result = allow();
        result[member] = value;
        let found = AuthorizerResult::parse(result.to_string().as_bytes());
        let found = found
            .map(|result| result.context.context)
            .map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<_> = found
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                assert_eq!(found, expected, "{result}");
            }
            (Err(found), Err(part)) => assert!(found.contains(part), "{result}: {found}"),
            (found, expected) => panic!("{result}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_context_is_flat_and_becomes_texts() {
        check(
            "context",
            json!({"tenant": "acme", "level": 3, "share": 0.5, "less": -1, "admin": true, "none": ""}),
            Ok(&[
                ("tenant", "acme"),
                ("level", "3"),
                ("share", "0.5"),
                ("less", "-1"),
                ("admin", "true"),
                ("none", ""),
            ]),
        );
        check("context", json!({}), Ok(&[]));
        check("context", json!(null), Ok(&[]));
        check(
            "context",
            json!({"principalId": "root", "integrationLatency": 1, "a": "b"}),
            Ok(&[("a", "b")]),
        );
        check("context", json!({"a": {}}), Err("context may hold"));
        check("context", json!({"a": []}), Err("context may hold"));
        check("context", json!({"a": null}), Err("context may hold"));
        check("context", json!([]), Err("context must be a map"));
        check("context", json!("x"), Err("context must be a map"));
    }

    #[test]
    fn what_is_no_result_says_which_part() {
        check(
            "principalId",
            json!(null),
            Err("principalId must be a text"),
        );
        check("principalId", json!(7), Err("principalId must be a text"));
        check("principalId", json!(""), Ok(&[]));
        check("usageIdentifierKey", json!("key"), Ok(&[]));
        check("usageIdentifierKey", json!(null), Ok(&[]));
        check(
            "usageIdentifierKey",
            json!(1),
            Err("usageIdentifierKey must be a text"),
        );
        // AWS's SDKs and frameworks add members of their own.
        check("unknown", json!({"a": [1]}), Ok(&[]));
        let parse = |text: &str| AuthorizerResult::parse(text.as_bytes());
        for text in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            r#"{"principalId":"a","principalId":"b"}"#,
        ] {
            assert_eq!(parse(text), Err(InvalidResult::NotAnObject), "{text}");
        }
        let none = parse(r#"{"isAuthorized":true}"#).unwrap_err();
        assert_eq!(
            none.to_string(),
            "the authorizer's result: principalId must be a text"
        );
        let none = parse(r#"{"principalId":"a"}"#).unwrap_err();
        assert_eq!(
            none.to_string(),
            "the authorizer's result: policyDocument is missing"
        );
    }

    #[test]
    fn a_result_has_8_kilobytes_at_most() {
        let padded = |bytes: usize| {
            let mut text = allow().to_string();
            text.push_str(&" ".repeat(bytes - text.len()));
            AuthorizerResult::parse(text.as_bytes())
        };
        assert!(padded(8_192).is_ok());
        assert_eq!(padded(8_193), Err(InvalidResult::TooLarge(8_193)));
    }

    #[track_caller]
    fn decides(condition: Value, proto: &str, expected: Decision) {
        let about = condition.to_string();
        let mut result = allow();
        result["policyDocument"]["Statement"]["Condition"] = condition;
        let result = AuthorizerResult::parse(result.to_string().as_bytes()).unwrap();
        let handshake = handshake(
            &[("Referer", "https://a/"), ("X-Forwarded-Proto", proto)],
            &[],
        );
        let connection = connection();
        let call = call(&connection, Event::Connect(&handshake), "");
        assert_eq!(result.decide(&call, ARN), Ok(expected), "{about}");
    }

    #[test]
    fn conditions_see_the_handshake() {
        decides(
            json!({"Bool": {"aws:SecureTransport": true}}),
            "https",
            Decision::Allow,
        );
        decides(
            json!({"Bool": {"aws:SecureTransport": true}}),
            "http",
            Decision::ImplicitDeny,
        );
        decides(
            json!({"StringLike": {"aws:Referer": "https://a/*"}}),
            "http",
            Decision::Allow,
        );
        decides(
            json!({"StringEquals": {"aws:UserAgent": "Mozilla/5.0"}}),
            "http",
            Decision::Allow,
        );
        decides(
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
            "http",
            Decision::Allow,
        );
        decides(
            json!({"NumericEquals": {"aws:EpochTime": TIME / 1000}}),
            "http",
            Decision::Allow,
        );
    }

    #[test]
    fn a_policy_that_is_not_understood_decides_nothing() {
        let mut result = allow();
        result["policyDocument"] = json!("{}");
        let result = AuthorizerResult::parse(result.to_string().as_bytes()).unwrap();
        let handshake = handshake(&[], &[]);
        let connection = connection();
        let call = call(&connection, Event::Connect(&handshake), "");
        assert!(matches!(
            result.decide(&call, ARN),
            Err(InvalidResult::Policy(_))
        ));
    }
}
