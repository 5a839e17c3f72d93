//! What a proxy function must return. Source: AWS guide, Lambda proxy integration response; unknown keys are malformed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;

/// A legal proxy response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyResult {
    /// `statusCode`.
    pub status: u16,
    /// `headers`, then `multiValueHeaders`.
    pub headers: Vec<(String, String)>,
    /// `body`, decoded where `isBase64Encoded` says so; empty where absent.
    pub body: Bytes,
}

/// Why a result is malformed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedResult {
    /// Not JSON.
    #[error("the function's result is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("the function must return an object with a statusCode")]
    NotAnObject,
    /// A key that a proxy response does not have.
    #[error(
        "unknown key '{0}'; a proxy response has statusCode, headers, multiValueHeaders, body, isBase64Encoded"
    )]
    UnknownKey(String),
    /// `statusCode` is absent or no status.
    #[error("statusCode must be an integer from 100 to 599")]
    Status,
    /// `headers` or `multiValueHeaders` is no map of strings.
    #[error("{0} must map names to strings")]
    Headers(&'static str),
    /// `body` is no string.
    #[error("body must be a string; encode objects with JSON.stringify or json.dumps")]
    Body,
    /// `isBase64Encoded` is no boolean, or the body is not base64.
    #[error("isBase64Encoded is true but the body is not valid base64")]
    Base64,
}

/// All keys of a proxy response.
const KNOWN: [&str; 5] = [
    "statusCode",
    "headers",
    "multiValueHeaders",
    "body",
    "isBase64Encoded",
];

impl ProxyResult {
    /// Parses a function's result.
    pub fn parse(json: &[u8]) -> Result<Self, MalformedResult> {
        let value: Value = serde_json::from_slice(json).map_err(|_| MalformedResult::NotJson)?;
        let Value::Object(members) = value else {
            return Err(MalformedResult::NotAnObject);
        };
        if let Some(key) = members.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(MalformedResult::UnknownKey(key.clone()));
        }
        let status = members
            .get("statusCode")
            .and_then(status)
            .ok_or(MalformedResult::Status)?;
        let mut headers = Vec::new();
        for (name, value) in map(&members, "headers")? {
            headers.push((
                name.clone(),
                scalar(value).ok_or(MalformedResult::Headers("headers"))?,
            ));
        }
        for (name, values) in map(&members, "multiValueHeaders")? {
            let Value::Array(values) = values else {
                return Err(MalformedResult::Headers("multiValueHeaders"));
            };
            for value in values {
                let value = scalar(value).ok_or(MalformedResult::Headers("multiValueHeaders"))?;
                headers.push((name.clone(), value));
            }
        }
        let text = match members.get("body") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(MalformedResult::Body),
        };
        let encoded = match members.get("isBase64Encoded") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(encoded)) => *encoded,
            Some(_) => return Err(MalformedResult::Base64),
        };
        let body = if encoded {
            STANDARD
                .decode(text.trim())
                .map_err(|_| MalformedResult::Base64)?
                .into()
        } else {
            Bytes::from(text)
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }
}

/// An integer, or a string of one, as AWS accepts.
fn status(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (100..600).contains(&number).then_some(number)
}

fn map<'a>(
    members: &'a Map<String, Value>,
    key: &'static str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, MalformedResult> {
    let map = match members.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::Object(map)) => Some(map),
        Some(_) => return Err(MalformedResult::Headers(key)),
    };
    Ok(map.into_iter().flatten())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<(u16, &str), MalformedResult>) {
        let found = ProxyResult::parse(json.as_bytes());
        let found = found.map(|result| {
            (
                result.status,
                String::from_utf8_lossy(&result.body).into_owned(),
            )
        });
        assert_eq!(
            found,
            expected.map(|(status, body)| (status, body.to_owned())),
            "{json}"
        );
    }

    #[test]
    fn only_the_documented_shape_is_legal() {
        check(r#"{"statusCode":200}"#, Ok((200, "")));
        check(r#"{"statusCode":"201","body":"b"}"#, Ok((201, "b")));
        check(
            r#"{"statusCode":200,"body":null,"headers":null,"isBase64Encoded":null}"#,
            Ok((200, "")),
        );
        check(
            r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
            Ok((200, "hi")),
        );
        check(
            r#"{"statusCode":200,"headers":{"a":1,"b":true,"c":"x"}}"#,
            Ok((200, "")),
        );
        check("null", Err(MalformedResult::NotAnObject));
        check(r#""""#, Err(MalformedResult::NotAnObject));
        check("[]", Err(MalformedResult::NotAnObject));
        check("200", Err(MalformedResult::NotAnObject));
        check("", Err(MalformedResult::NotJson));
        check("{", Err(MalformedResult::NotJson));
        check("{}", Err(MalformedResult::Status));
        check(r#"{"statusCode":"x"}"#, Err(MalformedResult::Status));
        check(r#"{"statusCode":99}"#, Err(MalformedResult::Status));
        check(r#"{"statusCode":200.5}"#, Err(MalformedResult::Status));
        check(
            r#"{"statusCode":200,"cookies":[]}"#,
            Err(MalformedResult::UnknownKey("cookies".into())),
        );
        check(
            r#"{"statusCode":200,"body":{"a":1}}"#,
            Err(MalformedResult::Body),
        );
        check(
            r#"{"statusCode":200,"headers":[]}"#,
            Err(MalformedResult::Headers("headers")),
        );
        check(
            r#"{"statusCode":200,"headers":{"a":[]}}"#,
            Err(MalformedResult::Headers("headers")),
        );
        check(
            r#"{"statusCode":200,"multiValueHeaders":{"a":"b"}}"#,
            Err(MalformedResult::Headers("multiValueHeaders")),
        );
        check(
            r#"{"statusCode":200,"body":"%%","isBase64Encoded":true}"#,
            Err(MalformedResult::Base64),
        );
    }

    #[test]
    fn headers_come_before_multi_value_headers() {
        let json = br#"{"statusCode":200,"headers":{"A":"1"},"multiValueHeaders":{"A":["2","3"]}}"#;
        let headers = ProxyResult::parse(json).unwrap().headers;
        let pair = |value: &str| ("A".to_owned(), value.to_owned());
        assert_eq!(headers, [pair("1"), pair("2"), pair("3")]);
    }
}
