//! Reads `routes`: a URL or ARN alone, nothing, or a map with AWS's members.

use std::collections::{BTreeMap, HashMap, HashSet};

use gateway_core::resource::{
    AuthorizationType, Integration, ParameterConstraints, Preset, Route, RouteResponse,
};

use super::integration::{self, Ids};
use crate::config::diagnostic::{nearest, quoted};
use crate::config::keyed::{self, Keyed};
use crate::config::reader::{Cursor, Fields};

const RESERVED: [&str; 3] = ["$connect", "$disconnect", "$default"];

/// What routes refer to, and what they add.
pub(super) struct Context<'c> {
    pub(super) preset: Preset,
    pub(super) authorizers: HashSet<String>,
    pub(super) ids: Ids,
    /// The ids under `integrations`.
    pub(super) defined: HashSet<String>,
    pub(super) integrations: &'c mut Vec<Integration>,
    /// The ids of integrations written inside a route, by route key.
    pub(super) inline: HashMap<String, String>,
}

pub(super) fn read_all(map: &Cursor<'_>, context: &mut Context<'_>) -> Vec<Route> {
    let members = keyed::read(map, "routeKey");
    members.iter().map(|member| read(member, context)).collect()
}

fn read(member: &Keyed<'_>, context: &mut Context<'_>) -> Route {
    check_key(member);
    let mut route = Route::new(member.id);
    match &member.body {
        None => {}
        Some(body) if body.scalar().is_some() => {
            route.target = inline(body, member.id, context);
        }
        Some(_) => {
            if let Some(fields) = member.fields() {
                read_long(fields, &mut route, context);
            }
        }
    }
    route
}

fn check_key(member: &Keyed<'_>) {
    let key = member.id;
    if key.is_empty() {
        member.mistake("a route key cannot be empty", None);
    }
    if key.starts_with('$') && !RESERVED.contains(&key) {
        let hint = nearest(key, RESERVED).map_or_else(
            || "$connect, $disconnect and $default are the only ones".to_owned(),
            |word| format!("did you mean {}?", quoted(word)),
        );
        let message = format!("route key {} cannot begin with $", quoted(key));
        member.mistake(message, Some(hint));
    }
}

/// Reads an integration that stands inside its route, and gives the target that names it.
fn inline(cursor: &Cursor<'_>, route_key: &str, context: &mut Context<'_>) -> Option<String> {
    let id = context.ids.for_route(route_key);
    let integration = integration::read(cursor, || cursor.fields(), &id, context.preset)?;
    context.integrations.push(integration);
    let target = format!("integrations/{id}");
    context.inline.insert(route_key.to_owned(), id);
    Some(target)
}

fn read_long(mut fields: Fields<'_>, route: &mut Route, context: &mut Context<'_>) {
    let target_at = fields.take("target");
    let integration_at = fields.take("integration");
    route.target = match (&target_at, &integration_at) {
        (Some(cursor), Some(_)) => {
            cursor.mistake("target and integration stand here together; keep one");
            None
        }
        (Some(cursor), None) => target(cursor, context),
        (None, Some(cursor)) => inline(cursor, &route.route_key, context),
        (None, None) => None,
    };
    let type_at = fields.take("authorizationType");
    let kind = type_at.as_ref().and_then(|at| {
        at.one_of(&[
            ("NONE", AuthorizationType::None),
            ("AWS_IAM", AuthorizationType::AwsIam),
            ("CUSTOM", AuthorizationType::Custom),
            ("JWT", AuthorizationType::Jwt),
        ])
    });
    route.authorization_type = kind.unwrap_or_default();
    let authorizer_at = fields.take("authorizerId");
    if kind == Some(AuthorizationType::Custom) && authorizer_at.is_none() {
        fields.mistake("authorizationType CUSTOM needs authorizerId");
    }
    // As on AWS the type decides, so whoever forgot it would leave the door open.
    if type_at.is_none()
        && let Some(at) = &authorizer_at
    {
        at.mistake("authorizerId says nothing without authorizationType: CUSTOM asks the authorizer, NONE lets everybody in");
    }
    route.authorizer_id = authorizer_at.and_then(|at| authorizer(&at, &context.authorizers));
    fields.set(
        "apiKeyRequired",
        &mut route.api_key_required,
        Cursor::boolean,
    );
    route.model_selection_expression = fields.read("modelSelectionExpression", Cursor::string);
    let models = &mut route.request_models;
    fields.set("requestModels", models, |map| Some(integration::texts(map)));
    let parameters = &mut route.request_parameters;
    fields.set("requestParameters", parameters, |map| {
        Some(constraints(map))
    });
    let expression = fields.read("routeResponseSelectionExpression", only_default);
    fields.set("routeResponses", &mut route.route_responses, |at| {
        Some(responses(at))
    });
    // In a file the expression makes the response that a route needs to be two-way.
    if expression.is_some() && route.route_responses.is_empty() {
        route.route_responses.push(default_response());
    }
    route.route_response_selection_expression = expression;
    route.operation_name = fields.read("operationName", Cursor::string);
    route.concurrency = fields.read("concurrency", |at| at.count(1));
    fields.finish();
}

/// `integrations/{id}` of an integration under `integrations`.
fn target(cursor: &Cursor<'_>, context: &Context<'_>) -> Option<String> {
    let text = cursor.string()?;
    let Some(id) = text.strip_prefix("integrations/") else {
        let hint = if context.defined.contains(&text) {
            format!("write integrations/{text}")
        } else {
            "the id is one that stands under integrations".to_owned()
        };
        cursor.expected("integrations/ and an id", Some(&hint));
        return None;
    };
    let known = cursor.refers("integration", id, &context.defined);
    known.then_some(text.clone())
}

fn authorizer(cursor: &Cursor<'_>, authorizers: &HashSet<String>) -> Option<String> {
    let id = cursor.string()?;
    cursor.refers("authorizer", &id, authorizers).then_some(id)
}

/// `route.request.querystring.token: true`, or `{ required: true }`.
fn constraints(map: &Cursor<'_>) -> BTreeMap<String, ParameterConstraints> {
    let mut constraints = BTreeMap::new();
    for (entry, cursor) in map.members() {
        let required = if cursor.scalar().is_some() {
            cursor.boolean()
        } else {
            cursor.fields().map(|mut fields| {
                let required = fields.read("required", Cursor::boolean);
                fields.finish();
                required.unwrap_or_default()
            })
        };
        if let Some(required) = required {
            constraints.insert(entry.key.clone(), ParameterConstraints { required });
        }
    }
    constraints
}

fn only_default(cursor: &Cursor<'_>) -> Option<String> {
    cursor.one_of(&[("$default", ())])?;
    Some("$default".to_owned())
}

fn responses(map: &Cursor<'_>) -> Vec<RouteResponse> {
    let mut responses = Vec::new();
    for member in keyed::read(map, "routeResponseKey") {
        if member.id != "$default" {
            let message = format!("route response key {} is not $default", quoted(member.id));
            member.mistake(message, None);
        }
        if let Some(fields) = member.fields() {
            fields.finish();
        }
        responses.push(default_response());
    }
    responses
}

fn default_response() -> RouteResponse {
    RouteResponse {
        route_response_key: "$default".to_owned(),
    }
}
