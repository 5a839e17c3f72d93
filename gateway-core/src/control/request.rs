//! Requests of the `apigatewayv2` protocol: method and path to an operation, an operation to its answer.

use serde_json::{Map, Value, json};

use super::account::{Account, Document, text, unknown};
use super::kind::Kind;
use super::{Context, ControlError, page, stage, tags};

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it arrived, still percent-encoded, with `/v2`.
    pub path: &'a str,
    /// The query as it arrived, still percent-encoded, without `?`.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What an operation answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, if there is one.
    pub body: Option<Value>,
}

/// Does what a request asks. Where it fails the account may be half changed: work on a copy and throw that away.
pub fn answer(
    account: &mut Account,
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, ControlError> {
    let decoded = segments(request.path);
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["tags", ..] => tags::answer(account, request, context),
        ["apis"] => collection(account, Kind::Api, &[], request, context),
        ["apis", id] => one(account, Kind::Api, &[], id, request, context),
        ["apis", id, "cors"] => {
            only("DELETE", request)?;
            let api = account.api_mut(id, context.account_id)?;
            api.api.remove("corsConfiguration");
            stage::changed(api, context);
            Ok(Answer::nothing())
        }
        ["apis", _, "exports", _] => Err(not_built("ExportApi", "wiregate export")),
        ["apis", api, rest @ ..] => below_api(account, api, rest, request, context),
        ["domainnames"] => collection(account, Kind::DomainName, &[], request, context),
        ["domainnames", name] => one(account, Kind::DomainName, &[], name, request, context),
        ["domainnames", name, "apimappings"] => {
            collection(account, Kind::ApiMapping, &[name], request, context)
        }
        ["domainnames", name, "apimappings", id] => {
            one(account, Kind::ApiMapping, &[name], id, request, context)
        }
        ["domainnames", _, "routingrules", ..] => Err(not_built("Routing rules", "API mappings")),
        ["vpclinks"] => collection(account, Kind::VpcLink, &[], request, context),
        ["vpclinks", id] => one(account, Kind::VpcLink, &[], id, request, context),
        _ => Err(no_operation(request)),
    }
}

fn below_api(
    account: &mut Account,
    api: &str,
    rest: &[&str],
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, ControlError> {
    let kind = |name: &str| match name {
        "routes" => Ok(Kind::Route),
        "integrations" => Ok(Kind::Integration),
        "models" => Ok(Kind::Model),
        "authorizers" => Ok(Kind::Authorizer),
        "deployments" => Ok(Kind::Deployment),
        "stages" => Ok(Kind::Stage),
        _ => Err(no_operation(request)),
    };
    match rest {
        [name] => collection(account, kind(name)?, &[api], request, context),
        [name, id] => one(account, kind(name)?, &[api], id, request, context),
        ["routes", route, "routeresponses"] => collection(
            account,
            Kind::RouteResponse,
            &[api, route],
            request,
            context,
        ),
        ["routes", route, "routeresponses", id] => one(
            account,
            Kind::RouteResponse,
            &[api, route],
            id,
            request,
            context,
        ),
        ["integrations", integration, "integrationresponses"] => collection(
            account,
            Kind::IntegrationResponse,
            &[api, integration],
            request,
            context,
        ),
        ["integrations", integration, "integrationresponses", id] => one(
            account,
            Kind::IntegrationResponse,
            &[api, integration],
            id,
            request,
            context,
        ),
        ["models", id, "template"] => {
            only("GET", request)?;
            let model = account.get(Kind::Model, &[api], id, context)?;
            let schema = text(&model, "schema").unwrap_or_default();
            Ok(Answer::with(
                200,
                json!({"value": super::sample::of_schema(schema)}),
            ))
        }
        ["routes", id, "requestparameters", key] => {
            only("DELETE", request)?;
            account.get(Kind::Route, &[api], id, context)?;
            let api = account.api_mut(api, context.account_id)?;
            let route = std::sync::Arc::make_mut(&mut api.configuration)
                .routes
                .get_mut(*id);
            remove_key(
                route.map(|route| &mut route.document),
                "requestParameters",
                key,
            )?;
            stage::changed(api, context);
            Ok(Answer::nothing())
        }
        ["stages", name, "routesettings", key] => {
            only("DELETE", request)?;
            let stages = &mut account.api_mut(api, context.account_id)?.stages;
            let stage = stages
                .get_mut(*name)
                .ok_or_else(|| unknown(Kind::Stage, name))?;
            remove_key(Some(stage), "routeSettings", key)?;
            Ok(Answer::nothing())
        }
        ["stages", name, "accesslogsettings"] => {
            only("DELETE", request)?;
            let stages = &mut account.api_mut(api, context.account_id)?.stages;
            let stage = stages
                .get_mut(*name)
                .ok_or_else(|| unknown(Kind::Stage, name))?;
            stage.remove("accessLogSettings");
            Ok(Answer::nothing())
        }
        ["stages", name, "cache", "authorizers"] => {
            only("DELETE", request)?;
            // No answer of an authorizer is kept anywhere, so there is nothing to forget.
            account.get(Kind::Stage, &[api], name, context)?;
            Ok(Answer::nothing())
        }
        _ => Err(no_operation(request)),
    }
}

fn collection(
    account: &mut Account,
    kind: Kind,
    parents: &[&str],
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, ControlError> {
    match request.method {
        "GET" => {
            let all = account.list(kind, parents, context)?;
            Ok(Answer::with(200, page::of(all, request.query)?))
        }
        "POST" => {
            let made = account.create(kind, parents, body(request)?, context)?;
            Ok(Answer::with(201, Value::Object(made)))
        }
        "PUT" if kind == Kind::Api => Err(not_built("ImportApi", "CreateApi and CreateRoute")),
        _ => Err(no_operation(request)),
    }
}

fn one(
    account: &mut Account,
    kind: Kind,
    parents: &[&str],
    id: &str,
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, ControlError> {
    match request.method {
        "GET" => Ok(Answer::with(
            200,
            Value::Object(account.get(kind, parents, id, context)?),
        )),
        "PATCH" => {
            let changed = account.update(kind, parents, id, body(request)?, context)?;
            Ok(Answer::with(200, Value::Object(changed)))
        }
        "DELETE" => {
            account.delete(kind, parents, id, context)?;
            Ok(match kind {
                Kind::VpcLink => Answer::with(202, json!({})),
                _ => Answer::nothing(),
            })
        }
        "PUT" if kind == Kind::Api => Err(not_built("ReimportApi", "UpdateApi and UpdateRoute")),
        _ => Err(no_operation(request)),
    }
}

impl Answer {
    pub(super) fn with(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
        }
    }
}

/// The object in a body; no body is an empty object.
pub(super) fn body(request: &Request<'_>) -> Result<Document, ControlError> {
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(request.body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(ControlError::Serialization(
            "The body must be a JSON object".to_owned(),
        )),
        Err(why) => Err(ControlError::Serialization(format!(
            "The body is not JSON: {why}"
        ))),
    }
}

/// The segments behind `/v2`, each decoded after the path was split: a route key may hold a `/`. A slash at the end is nothing.
fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix("/v2").unwrap_or(path);
    let mut segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    segments
}

pub(super) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

fn remove_key(
    document: Option<&mut Document>,
    member: &str,
    key: &str,
) -> Result<(), ControlError> {
    let map = document
        .and_then(|document| document.get_mut(member))
        .and_then(Value::as_object_mut);
    match map.and_then(|map| map.remove(key)) {
        Some(_) => Ok(()),
        None => Err(ControlError::NotFound(format!(
            "Invalid key specified for {member}: {key}"
        ))),
    }
}

fn only(method: &str, request: &Request<'_>) -> Result<(), ControlError> {
    if request.method == method {
        Ok(())
    } else {
        Err(no_operation(request))
    }
}

fn no_operation(request: &Request<'_>) -> ControlError {
    ControlError::NotFound(format!(
        "There is no operation {} {}",
        request.method, request.path
    ))
}

fn not_built(what: &str, instead: &str) -> ControlError {
    ControlError::BadRequest(format!("{what} is not built; use {instead}"))
}
