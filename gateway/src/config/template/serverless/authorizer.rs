//! The authorizer that a websocket event names.

use super::events::Events;
use super::{normalized, text_at};
use crate::config::diagnostic::{quoted, suggestion};
use crate::config::template::sam::invocations;
use crate::config::template::value::Value;

/// Where the framework looks for a client's identity unless it is told.
const IDENTITY_SOURCE: &str = "route.request.header.Auth";

impl Events<'_> {
    /// The logical id of the authorizer that an event names: a function, an ARN, or a map with either.
    pub(super) fn authorizer(&mut self, written: Option<&Value>, route: &str) -> Option<String> {
        let written = written?;
        let place = &written.place;
        if route != "$connect" {
            let message = "only $connect has an authorizer: it decides who may connect";
            self.report.mistake(place, message);
            return None;
        }
        let (name, arn, sources) = match written.as_text() {
            Some(text) if text.contains(':') => (None, Some(written), None),
            Some(_) => (Some(written), None, None),
            None => {
                let known = ["arn", "identitySource", "name"];
                for member in written
                    .members()
                    .iter()
                    .filter(|member| !known.contains(&&*member.key))
                {
                    let message = format!("unknown key {}", quoted(&member.key));
                    let hint = suggestion(&member.key, "the keys here are", &known);
                    self.report.add(&member.place, message, hint);
                }
                let child = |key| written.child(key);
                (child("name"), child("arn"), child("identitySource"))
            }
        };
        let last = |arn: &Value| {
            let name = arn.as_text()?.rsplit(':').next()?;
            Some(name.to_owned())
        };
        let given = name.and_then(Value::as_text).map(str::to_owned);
        let given = given.filter(|_| arn.is_none_or(|arn| arn.as_text().is_none()));
        let Some(name) = given.or_else(|| arn.and_then(last)) else {
            let message = "an authorizer is the name of a function, or an ARN; an ARN that is a function needs a name besides";
            self.report.mistake(place, message);
            return None;
        };
        let id = format!("{}WebsocketsAuthorizer", normalized(&name));
        if self.taken.contains(&id) {
            return Some(id);
        }
        let function = match arn {
            Some(arn) => arn.clone(),
            None => Value::attribute(
                &format!("{}LambdaFunction", normalized(&name)),
                "Arn",
                place,
            ),
        };
        let default = Value::list(vec![text_at(IDENTITY_SOURCE, place)], place);
        let properties = [
            ("ApiId", Some(self.api_id(place))),
            ("Name", Some(text_at(&name, place))),
            ("AuthorizerType", Some(text_at("REQUEST", place))),
            ("AuthorizerUri", Some(invocations(function))),
            ("IdentitySource", Some(sources.cloned().unwrap_or(default))),
        ];
        self.add(&id, "AWS::ApiGatewayV2::Authorizer", place, properties);
        Some(id)
    }
}
