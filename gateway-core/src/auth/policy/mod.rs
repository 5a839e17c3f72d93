//! What an authorizer's policy says of one request: allowed, denied, or nothing.
//!
//! Source: IAM user guide, JSON policy elements and evaluation logic: an explicit Deny stands over every Allow, and what nothing
//! allows is denied. Every statement is read to its end, whatever another one says: a policy of which any part is not understood
//! is no policy, so that a misspelt Deny never lets anybody in.

mod condition;
mod pattern;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde_json::{Map, Value};
use thiserror::Error;

use self::pattern::{Arn, Work};

/// What a policy is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Such as `execute-api:Invoke`.
    pub action: &'a str,
    /// The ARN of what is called.
    pub resource: &'a str,
    /// `aws:SourceIp`.
    pub source_ip: IpAddr,
    /// `aws:CurrentTime` and `aws:EpochTime`, in milliseconds of the epoch.
    pub time: u64,
    /// `aws:SecureTransport`: the client came over TLS.
    pub secure: bool,
    /// `aws:Referer`, if one was sent.
    pub referer: Option<&'a str>,
    /// `aws:UserAgent`, if one was sent.
    pub user_agent: Option<&'a str>,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement is about it.
    ImplicitDeny,
}

/// Why a document is no policy. It names places, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("policyDocument{place}: {what}")]
pub struct InvalidPolicy {
    place: String,
    what: &'static str,
}

/// The longest `Resource` ("Lambda authorizer output: up to 512 characters").
const LONGEST_RESOURCE: usize = 512;
/// Versions of the policy language.
const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

/// Evaluates a policy document.
pub fn evaluate(document: &Value, request: &Request<'_>) -> Result<Decision, InvalidPolicy> {
    let members = map(document, "")?;
    let mut statements = None;
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "Version" if value.as_str().is_some_and(|v| VERSIONS.contains(&v)) => {}
            "Version" => return wrong(".Version", "must be 2012-10-17 or 2008-10-17"),
            "Id" if value.is_string() => {}
            "Id" => return wrong(".Id", "must be a text"),
            "Statement" => statements = Some(value),
            _ => return wrong("", "may hold Version, Id and Statement alone"),
        }
    }
    let statements = match statements {
        None => return wrong("", "needs a Statement"),
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut work = Work::default();
    let (mut allowed, mut denied) = (false, false);
    for (number, statement) in statements.iter().enumerate() {
        let place = format!(".Statement[{number}]");
        let statement = Statement::read(statement, place)?;
        let applies = statement.applies(request, &mut work)?;
        match statement.effect {
            Effect::Allow => allowed |= applies,
            Effect::Deny => denied |= applies,
        }
    }
    Ok(match (denied, allowed) {
        (true, _) => Decision::ExplicitDeny,
        (false, true) => Decision::Allow,
        (false, false) => Decision::ImplicitDeny,
    })
}

#[derive(Clone, Copy)]
enum Effect {
    Allow,
    Deny,
}

/// An element and its `Not` form.
struct Either<'a> {
    values: Vec<&'a str>,
    is_not: bool,
}

struct Statement<'a> {
    place: String,
    effect: Effect,
    action: Either<'a>,
    resource: Either<'a>,
    condition: Option<&'a Value>,
}

impl<'a> Statement<'a> {
    fn read(value: &'a Value, place: String) -> Result<Self, InvalidPolicy> {
        let members = map(value, &place)?;
        let known = [
            "Sid",
            "Effect",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let mut names = members.keys().filter(|name| said(members, name).is_some());
        if names.any(|name| !known.contains(&name.as_str())) {
            let what = "may hold Sid, Effect, Action or NotAction, Resource or NotResource, and Condition alone";
            return wrong(&place, what);
        }
        if said(members, "Sid").is_some_and(|sid| !sid.is_string()) {
            return wrong(&format!("{place}.Sid"), "must be a text");
        }
        let effect = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return wrong(&format!("{place}.Effect"), "must be Allow or Deny"),
        };
        let action = either(members, &place, "Action", "NotAction")?;
        let resource = either(members, &place, "Resource", "NotResource")?;
        Ok(Self {
            effect,
            action,
            resource,
            condition: said(members, "Condition"),
            place,
        })
    }

    /// All of it is read even where a part already says no.
    fn applies(&self, request: &Request<'_>, work: &mut Work) -> Result<bool, InvalidPolicy> {
        let mut action = false;
        for pattern in &self.action.values {
            action |= is_action(pattern, request.action, work).or_else(|what| {
                let place = format!("{}.Action", self.place);
                wrong(&place, what)
            })?;
        }
        let mut resource = false;
        for pattern in &self.resource.values {
            resource |= is_resource(pattern, request.resource, work).or_else(|what| {
                let place = format!("{}.Resource", self.place);
                wrong(&place, what)
            })?;
        }
        let condition = match self.condition {
            None => true,
            Some(condition) => condition::holds(condition, request, work).or_else(|what| {
                let place = format!("{}.Condition", self.place);
                wrong(&place, what)
            })?,
        };
        Ok(action != self.action.is_not && resource != self.resource.is_not && condition)
    }
}

/// Exactly one of two elements, a text or a list of texts.
fn either<'a>(
    members: &'a Map<String, Value>,
    place: &str,
    is: &str,
    is_not: &str,
) -> Result<Either<'a>, InvalidPolicy> {
    let (value, is_not) = match (said(members, is), said(members, is_not)) {
        (Some(value), None) => (value, false),
        (None, Some(value)) => (value, true),
        _ => {
            let what = "must have exactly one of an element and its Not form";
            return wrong(&format!("{place}.{is}"), what);
        }
    };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let values: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    match values.filter(|values| !values.is_empty() && values.iter().all(|v| !v.is_empty())) {
        Some(values) => Ok(Either { values, is_not }),
        None => wrong(
            &format!("{place}.{is}"),
            "must be a text or a list of texts",
        ),
    }
}

/// Names of actions are the same in any case.
fn is_action(pattern: &str, action: &str, work: &mut Work) -> Result<bool, &'static str> {
    let has_service = pattern
        .split_once(':')
        .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
    if pattern != "*" && !has_service {
        return Err("must be * or a service and an action, such as execute-api:Invoke");
    }
    work.glob(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

fn is_resource(pattern: &str, resource: &str, work: &mut Work) -> Result<bool, &'static str> {
    if pattern.chars().count() > LONGEST_RESOURCE {
        return Err("is longer than 512 characters");
    }
    if pattern.contains("${") {
        return Err("holds a policy variable, and these are not understood");
    }
    if pattern == "*" {
        return Ok(true);
    }
    // "IAM completes an ARN of fewer than six fields with wildcards."
    let missing = 6_usize.saturating_sub(pattern.split(':').count());
    let pattern = format!("{pattern}{}", ":*".repeat(missing));
    let pattern =
        Arn::parse(&pattern).ok_or("must be * or an ARN, such as arn:aws:execute-api:*")?;
    match Arn::parse(resource) {
        Some(resource) => pattern.matches(&resource, work),
        None => Ok(false),
    }
}

/// AWS's own libraries write null for an element that nobody set.
fn said<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn map<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, InvalidPolicy> {
    match value {
        Value::Object(map) => Ok(map),
        _ => wrong(place, "must be an object"),
    }
}

fn wrong<T>(place: &str, what: &'static str) -> Result<T, InvalidPolicy> {
    Err(InvalidPolicy {
        place: place.to_owned(),
        what,
    })
}
