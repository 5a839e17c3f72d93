//! Routes and route responses.

use serde_json::{Value, json};

use super::super::ControlError;
use super::super::account::{Document, Item, text};
use super::super::kind::Kind;
use super::{Place, bad, default, others, source};
use crate::resource::ProtocolType;

pub(super) fn route(place: &Place<'_>, document: &mut Document) -> Result<(), ControlError> {
    let protocol = place.api.protocol();
    default(document, "apiKeyRequired", json!(false));
    default(document, "authorizationType", json!("NONE"));
    let key = text(document, "routeKey").unwrap_or_default();
    match protocol {
        ProtocolType::Http => http_route_key(key)?,
        ProtocolType::Websocket => {
            if key.starts_with('$') && !["$connect", "$disconnect", "$default"].contains(&key) {
                return bad(format!(
                    "Invalid route key {key}: only $connect, $disconnect and $default may begin with '$'"
                ));
            }
        }
    }
    let items = &place.api.configuration.routes;
    if others(items, place.id).any(|other| text(other, "routeKey") == Some(key)) {
        return Err(ControlError::Conflict(format!(
            "Route with key {key} already exists for this API"
        )));
    }
    if let Some(target) = text(document, "target") {
        let Some(id) = target.strip_prefix("integrations/") else {
            return bad(format!(
                "Invalid target {target}: a target is integrations/{{integrationId}}"
            ));
        };
        if !place.api.configuration.integrations.contains_key(id) {
            return bad(format!("Invalid Integration identifier specified {id}"));
        }
    }
    let kind = text(document, "authorizationType").unwrap_or("NONE");
    if kind == "JWT" && protocol == ProtocolType::Websocket {
        return bad(
            "AuthorizationType JWT is not supported on protocolType WEBSOCKET. Must be one of [NONE, AWS_IAM, CUSTOM]",
        );
    }
    if matches!(kind, "CUSTOM" | "JWT") {
        let Some(id) = text(document, "authorizerId") else {
            return bad(format!(
                "AuthorizerId is a required parameter for authorizationType {kind}"
            ));
        };
        if !place.api.configuration.authorizers.contains_key(id) {
            return bad(format!("Invalid Authorizer identifier specified {id}"));
        }
    } else {
        // AWS keeps no authorizer where none is asked: one must be deletable then.
        document.remove("authorizerId");
    }
    if let Some(response) = text(document, "routeResponseSelectionExpression")
        && response != "$default"
    {
        return bad(format!(
            "Invalid routeResponseSelectionExpression {response}. Must be $default"
        ));
    }
    if document
        .get("authorizationScopes")
        .and_then(Value::as_array)
        .is_some_and(|scopes| scopes.len() > 10)
    {
        return bad("A route takes at most 10 authorizationScopes");
    }
    if let Some(Value::Object(models)) = document.get("requestModels") {
        for name in models.values().filter_map(Value::as_str) {
            let is_it = |item: &Item| text(&item.document, "name") == Some(name);
            if !place.api.configuration.models.values().any(is_it) {
                return bad(format!(
                    "Invalid Model name specified {name}: the API has no such model"
                ));
            }
        }
    }
    if let Some(Value::Object(parameters)) = document.get("requestParameters")
        && !parameters.is_empty()
    {
        if text(document, "routeKey") != Some("$connect") {
            return bad("RequestParameters are supported on the route $connect only");
        }
        for name in parameters.keys() {
            source(name)?;
        }
    }
    Ok(())
}

/// The methods that a route of an HTTP API may name.
const METHODS: [&str; 8] = [
    "ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS",
];

/// `METHOD /path`, `ANY /path` or `$default`; names of variables are unique, `{name+}` stands last.
fn http_route_key(key: &str) -> Result<(), ControlError> {
    if key == "$default" {
        return Ok(());
    }
    let wrong = |why: &str| {
        bad(format!(
            "The provided route key \"{key}\" is not valid: {why}"
        ))
    };
    let Some((method, path)) = key.split_once(' ') else {
        return wrong("write METHOD /path, or $default");
    };
    if !METHODS.contains(&method) {
        return wrong(&format!("the method must be one of {}", METHODS.join(", ")));
    }
    if !path.starts_with('/') || path.contains(' ') {
        return wrong("the path begins with '/' and has no spaces");
    }
    let mut names = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let inner = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let Some(inner) = inner else {
            if segment.contains(['{', '}']) {
                return wrong("a variable takes a whole segment, as in /{name}/");
            }
            continue;
        };
        let name = inner.strip_suffix('+').unwrap_or(inner);
        if name.is_empty() || name.contains(['{', '}', '+']) {
            return wrong("a variable needs a name of its own, as in {name}");
        }
        if inner.ends_with('+') && segments.peek().is_some() {
            return wrong("{name+} takes the rest of the path and stands last");
        }
        if names.contains(&name) {
            return wrong(&format!("the variable {name} is used twice"));
        }
        names.push(name);
    }
    Ok(())
}

pub(super) fn route_response(
    place: &Place<'_>,
    document: &mut Document,
) -> Result<(), ControlError> {
    let key = text(document, "routeResponseKey").unwrap_or_default();
    if place.api.protocol() == ProtocolType::Http {
        return bad("RouteResponses are not supported on protocolType HTTP");
    }
    if key != "$default" {
        return bad(format!("Invalid routeResponseKey {key}. Must be $default"));
    }
    let items = place
        .api
        .configuration
        .items(Kind::RouteResponse, place.parent)?;
    if others(items, place.id).any(|other| text(other, "routeResponseKey") == Some(key)) {
        return Err(ControlError::Conflict(format!(
            "Route response with key {key} already exists for this route"
        )));
    }
    Ok(())
}
