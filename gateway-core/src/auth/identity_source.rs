//! Identity sources of an authorizer: what a handshake must show before the authorizer is asked at all.
//!
//! Source: API Gateway developer guide, Lambda REQUEST authorizers: where one of them is missing, null or empty, the client is
//! answered 401 and the function is not called.

use std::collections::BTreeMap;

use crate::call::Call;
use crate::context;

/// One place in the handshake that must hold something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// `route.request.header.NAME`, whatever its case.
    Header(String),
    /// `route.request.querystring.NAME`.
    Query(String),
    /// `stageVariables.NAME`.
    StageVariable(String),
    /// `context.NAME`.
    Context(String),
}

/// Variables of which AWS says in a handshake's authorizer that they are not there, though the event has them.
const NEVER_THERE: [&str; 2] = ["eventType", "messageDirection"];

const FORMS: &str = "write route.request.header.NAME, route.request.querystring.NAME, stageVariables.NAME or context.NAME";

impl IdentitySource {
    /// Parses one source; says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |start| text.strip_prefix(start).map(str::to_owned);
        let source = (named("route.request.header.").map(Self::Header))
            .or_else(|| named("route.request.querystring.").map(Self::Query))
            .or_else(|| named("stageVariables.").map(Self::StageVariable))
            .or_else(|| named("context.").map(Self::Context))
            .ok_or_else(|| format!("'{text}' is no identity source; {FORMS}"))?;
        let (Self::Header(name)
        | Self::Query(name)
        | Self::StageVariable(name)
        | Self::Context(name)) = &source;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("'{text}' holds no name; {FORMS}"));
        }
        Ok(source)
    }

    /// Whether a handshake shows it, and not empty.
    pub fn is_present(&self, call: &Call<'_>, stage_variables: &BTreeMap<String, String>) -> bool {
        let handshake = call.event.handshake();
        let is_something = |value: &str| !value.is_empty();
        match self {
            Self::Header(name) => handshake
                .and_then(|handshake| handshake.header(name))
                .is_some_and(is_something),
            Self::Query(name) => handshake
                .and_then(|handshake| handshake.query_value(name))
                .is_some_and(is_something),
            Self::StageVariable(name) => stage_variables.get(name).is_some_and(|v| !v.is_empty()),
            Self::Context(name) => {
                !NEVER_THERE.contains(&&**name)
                    && context::lookup(call, name).is_some_and(|value| is_something(&value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Event;
    use crate::live::fixture::{call, connection, handshake};

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let connection = connection();
        let handshake = handshake(
            &[
                ("X-Auth", "t"),
                ("Empty", ""),
                ("Twice", ""),
                ("twice", "b"),
            ],
            &[
                ("token", "t"),
                ("none", ""),
                ("a.b", "c"),
                ("again", "x"),
                ("again", ""),
            ],
        );
        let call = call(&connection, Event::Connect(&handshake), "");
        let variables = [("key", "v"), ("blank", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let source = IdentitySource::parse(text).unwrap();
        assert_eq!(source.is_present(&call, &variables), expected, "{text}");
    }

    #[test]
    fn what_is_missing_or_empty_is_not_there() {
        check("route.request.header.X-Auth", true);
        check("route.request.header.x-auth", true);
        check("route.request.header.twice", true);
        check("route.request.header.Empty", false);
        check("route.request.header.Authorization", false);
        check("route.request.querystring.token", true);
        check("route.request.querystring.a.b", true);
        check("route.request.querystring.Token", false);
        check("route.request.querystring.none", false);
        check("route.request.querystring.again", false);
        check("stageVariables.key", true);
        check("stageVariables.blank", false);
        check("stageVariables.other", false);
        for name in [
            "connectionId",
            "connectedAt",
            "requestTimeEpoch",
            "identity.sourceIp",
        ] {
            check(&format!("context.{name}"), true);
        }
        for name in [
            "eventType",
            "messageDirection",
            "messageId",
            "authorizer.principalId",
            "nothing",
        ] {
            check(&format!("context.{name}"), false);
        }
    }

    #[test]
    fn a_bad_source_is_told_the_legal_forms() {
        for text in [
            "",
            "Auth",
            "$request.header.Auth",
            "method.request.header.Auth",
            "route.request.header.",
            "route.request.header.a b",
            "route.request.multivalueheader.a",
            "route.request.body.token",
            "stageVariables",
            "context.",
        ] {
            let error = IdentitySource::parse(text).unwrap_err();
            assert!(
                error.contains("route.request.header.NAME"),
                "{text}: {error}"
            );
        }
    }
}
