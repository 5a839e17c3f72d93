//! What must hold for any expression on any message. Used by the fuzz target, and by an ordinary test on the seeds.

use std::borrow::Cow;

use gateway_core::expression::{
    Evaluation, Kind, MAX_KEY_BYTES, MAX_PATTERN_BYTES, ResponseKey, Scope, SelectionExpression,
    select,
};
use gateway_core::jsonpath::{JsonPath, MAX_TEXT_BYTES, ReadError, Reading, is_json};
use serde_json::Value;

const KINDS: [Kind; 8] = [
    Kind::Route,
    Kind::ApiKey,
    Kind::ApiMapping,
    Kind::Model,
    Kind::RouteResponse,
    Kind::RequestTemplate,
    Kind::IntegrationResponse,
    Kind::ResponseTemplate,
];

/// Bytes of a message on which nothing runs out of fuel.
const CHEAP: usize = 2048;

/// Panics if the input breaks a promise. The first line is the expression, the rest the message.
pub(crate) fn run(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let (text, message) = input.split_once('\n').unwrap_or((input, ""));
    for kind in KINDS {
        check_expression(text, kind, message);
    }
    check_path(text, message);
    check_response_key(text, message);
}

fn check_expression(text: &str, kind: Kind, message: &str) {
    let expression = match SelectionExpression::parse(text, kind) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(
                text.is_char_boundary(error.position),
                "{error} is inside a character of {text:?}"
            );
            return;
        }
    };
    let printed = expression.to_string();
    assert_eq!(
        SelectionExpression::parse(&printed, kind).as_ref(),
        Ok(&expression),
        "{text:?} prints as {printed:?}"
    );

    let name_itself = |name: &str| Some(Cow::Owned(name.to_owned()));
    let scope = Scope {
        request_header: Some(&name_itself),
        base_path: Some("base"),
        context: Some(&name_itself),
        stage_variable: Some(&name_itself),
        status_code: Some(200),
        error_message: Some(message),
        response_header: Some(&name_itself),
        response_multi_value_header: Some(&name_itself),
        ..Scope::of_message(message)
    };
    let longest = MAX_KEY_BYTES.max(MAX_TEXT_BYTES).max(message.len());
    match expression.evaluate(&scope) {
        Evaluation::NotJson => assert!(
            !is_json(message),
            "{text:?} calls JSON not JSON: {message:?}"
        ),
        Evaluation::OutOfFuel => assert!(message.len() > CHEAP, "{text:?} on {message:?}"),
        Evaluation::Key(key) => {
            assert!(key.len() <= longest, "{text:?} grew to {} bytes", key.len());
        }
    }
}

/// The evaluator on text and the one on a `Value` must find the same.
fn check_path(text: &str, message: &str) {
    let Ok(path) = JsonPath::parse(text) else {
        return;
    };
    assert_eq!(
        JsonPath::parse(&path.to_string()).as_ref(),
        Ok(&path),
        "{text:?} prints as {path}"
    );
    let reading = path.read(message);
    let is_read = reading != Err(ReadError::NotJson);
    assert_eq!(is_read, is_json(message), "{text:?} on {message:?}");
    let Ok(document) = serde_json::from_str::<Value>(message) else {
        return;
    };
    let Ok(found) = path.select(&document) else {
        return assert!(message.len() > CHEAP, "{text:?} on {message:?}");
    };
    match reading {
        Err(error) => assert!(message.len() > CHEAP, "{error}: {text:?} on {message:?}"),
        Ok(Reading::Missing) => assert!(found.is_empty(), "{text:?} on {message:?}"),
        Ok(Reading::Null) => assert_eq!(found, [&Value::Null], "{text:?} on {message:?}"),
        Ok(Reading::Text(read)) => match found.as_slice() {
            [Value::String(string)] if path.is_definite() => {
                assert_eq!(read, *string, "{text:?} on {message:?}");
            }
            [_] => {}
            _ => assert!(
                !path.is_definite() && !found.is_empty(),
                "{text:?} on {message:?}"
            ),
        },
    }
}

fn check_response_key(text: &str, message: &str) {
    let Ok(key) = ResponseKey::parse(text) else {
        return;
    };
    assert!(text.len() <= MAX_PATTERN_BYTES + 2 || !text.starts_with('/'));
    let selected = select([&key], Some(message)).is_some();
    assert_eq!(
        selected,
        key.matches(message) || key.is_default(),
        "{text:?} on {message:?}"
    );
}
