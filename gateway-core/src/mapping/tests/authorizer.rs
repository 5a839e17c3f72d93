//! What an authorizer is asked, and what its answer means.

use serde_json::{Value, json};

use crate::call::{Call, Connection, Event, Handshake};
use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::live::LiveStage;
use crate::live::fixture::{api, call, connection, handshake, live, proxy, stage};
use crate::mapping::authorizer::{ask, decide};
use crate::mapping::{BackendAnswer, IntegrationRequest};
use crate::resource::{AuthorizationType, Authorizer, Preset};

const ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:chat/dev/$connect";

/// A stage whose `$connect` asks this URI about whoever shows a token.
fn judged(uri: &str) -> LiveStage {
    let mut api = api(Preset::Open, &["$connect"], proxy());
    api.authorizers = vec![Authorizer {
        authorizer_id: "who".to_owned(),
        authorizer_uri: uri.to_owned(),
        identity_source: vec!["route.request.querystring.token".to_owned()],
    }];
    api.routes[0].authorization_type = AuthorizationType::Custom;
    api.routes[0].authorizer_id = Some("who".to_owned());
    live(&api, &stage())
}

/// A handshake with these parameters, on its way.
fn with_call<T>(query: &[(&str, &str)], work: impl FnOnce(&Call<'_>) -> T) -> T {
    let (connection, handshake): (Connection, Handshake) = (connection(), handshake(&[], query));
    work(&call(&connection, Event::Connect(&handshake), ""))
}

#[test]
fn nobody_is_asked_about_a_client_without_an_identity() {
    let stage = judged("http://auth/who");
    for query in [&[][..], &[("token", "")], &[("Token", "t")]] {
        let refused = with_call(query, |call| {
            ask(&stage, &stage.authorizers[0], call, ARN).map(|_| ())
        });
        assert!(
            matches!(refused, Err(Failure::Unauthorized(_))),
            "{query:?}"
        );
    }
}

#[test]
fn a_function_and_a_url_are_asked_the_same() {
    let asked = |uri: &str| {
        let stage = judged(uri);
        with_call(&[("token", "t")], |call| {
            match ask(&stage, &stage.authorizers[0], call, ARN).unwrap() {
                IntegrationRequest::Lambda {
                    target,
                    event,
                    trace_id,
                } => (format!("{} {trace_id}", target.name), event),
                IntegrationRequest::Http {
                    method,
                    uri,
                    headers,
                    body,
                    ..
                } => {
                    let headers: Vec<String> = headers
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                        .collect();
                    (format!("{method} {uri} {}", headers.join(", ")), body)
                }
                IntegrationRequest::Mock { .. } => panic!("nobody is asked"),
            }
        })
    };
    let (function, event) = asked("arn:aws:lambda:us-east-1:123456789012:function:judge");
    assert_eq!(function, "judge Root=1-67320a8a-abababababababababababab");
    let (url, body) = asked("http://auth:3000/who?a=b");
    assert_eq!(
        url,
        "POST http://auth:3000/who?a=b content-type: application/json, accept: application/json, \
         user-agent: AmazonAPIGateway_chat, x-amzn-apigateway-api-id: chat, \
         x-amzn-trace-id: Root=1-67320a8a-abababababababababababab"
    );
    assert_eq!(event, body);
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["methodArn"], ARN);
}

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:judge";
const URL: &str = "https://auth.example/";

#[track_caller]
fn check(uri: &str, answer: Result<BackendAnswer, Failure>, expected: Result<&str, Failure>) {
    let stage = judged(uri);
    let about = format!("{answer:?}");
    let found = with_call(&[("token", "t")], |call| {
        decide(&stage.authorizers[0], call, ARN, answer)
    });
    let found = found.map(|context| context.principal_id);
    assert_eq!(found, expected.map(str::to_owned), "{about}");
}

fn result(effect: &str) -> String {
    json!({"principalId": "user-1", "policyDocument": {"Statement": {"Effect": effect, "Action": "*", "Resource": ARN}}})
        .to_string()
}

#[test]
fn a_policy_decides() {
    let returned = |text: String| Ok(BackendAnswer::Lambda(text.into()));
    check(FUNCTION, returned(result("Allow")), Ok("user-1"));
    let explicit = Failure::Denied { explicit: true };
    check(FUNCTION, returned(result("Deny")), Err(explicit));
    let other = result("Allow").replace("/dev/", "/prod/");
    let implicit = Failure::Denied { explicit: false };
    check(FUNCTION, returned(other), Err(implicit));
    let unusable = "the authorizer must return a JSON object in which no name stands twice";
    let unusable = Failure::AuthorizerUnusable(unusable.to_owned());
    check(FUNCTION, returned("null".to_owned()), Err(unusable));
    let unusable =
        "the authorizer's result: policyDocument.Statement[0].Effect: must be Allow or Deny";
    let unusable = Failure::AuthorizerUnusable(unusable.to_owned());
    check(FUNCTION, returned(result("allow")), Err(unusable));
}

#[test]
fn a_function_that_fails_with_one_word_alone_is_401() {
    let failed = |text: &str| Err(Failure::FunctionError(text.to_owned()));
    let unauthorized = || Err(Failure::Unauthorized("the authorizer says so"));
    check(
        FUNCTION,
        failed("judge: Error: Unauthorized"),
        unauthorized(),
    );
    check(
        FUNCTION,
        failed("judge: error: Unauthorized"),
        unauthorized(),
    );
    for text in [
        "judge: Error: unauthorized",
        "judge: Error: Unauthorized.",
        "judge: Error: [401] Unauthorized",
        "judge: Error: no: Unauthorized",
        "judge: Unauthorized: no",
        "judge: Unauthorized",
        "other: Error: Unauthorized",
        "Unauthorized",
    ] {
        let said = Failure::AuthorizerFailed(format!("function failed: {text}"));
        check(FUNCTION, failed(text), Err(said));
    }
}

#[test]
fn who_gives_no_answer_decides_nothing() {
    let why = || "why".to_owned();
    let failed = |failure: Failure| {
        let said = Failure::AuthorizerFailed(failure.to_string());
        check(FUNCTION, Err(failure), Err(said));
    };
    failed(Failure::IntegrationTimeout);
    failed(Failure::Unreachable(why()));
    failed(Failure::NetworkError(why()));
    failed(Failure::MalformedResult(why()));
    let unusable = |failure: Failure| {
        let said = Failure::AuthorizerUnusable(failure.to_string());
        check(FUNCTION, Err(failure), Err(said));
    };
    unusable(Failure::NotInvocable(why()));
    unusable(Failure::Configuration(why()));
    let lost = Failure::Overloaded("this node has lost the others");
    check(FUNCTION, Err(lost.clone()), Err(lost));
}

#[test]
fn a_url_says_by_its_status_what_a_function_says_by_failing() {
    let answer = |status, body: String| {
        Ok(BackendAnswer::Http {
            status,
            headers: HeaderLines::default(),
            body: body.into(),
        })
    };
    check(URL, answer(200, result("Allow")), Ok("user-1"));
    check(URL, answer(201, result("Allow")), Ok("user-1"));
    let denied = || Err(Failure::Denied { explicit: true });
    check(URL, answer(200, result("Deny")), denied());
    // What is refused is refused, whatever the body says.
    check(URL, answer(403, result("Allow")), denied());
    let unauthorized = Failure::Unauthorized("the authorizer answered 401");
    check(URL, answer(401, result("Allow")), Err(unauthorized));
    for status in [302, 400, 404, 429, 500, 503] {
        let failed = Failure::AuthorizerFailed(format!("the authorizer answered {status}"));
        check(URL, answer(status, result("Allow")), Err(failed));
    }
    let failure = Failure::FunctionError("judge: Error: Unauthorized".to_owned());
    let failed = Failure::AuthorizerFailed(failure.to_string());
    check(URL, Err(failure), Err(failed));
}
