//! Reads the section `apis` into resources.

mod integration;
mod limits;
mod route;
mod stage;

use std::collections::{HashMap, HashSet};

use gateway_core::resource::{Api, Authorizer, Preset, ProtocolType};

use self::integration::Ids;
use super::keyed;
use super::reader::{Cursor, Fields};
use super::scalar;
use super::server::each;

/// The APIs, and the ids that integrations written inside a route were given.
pub(super) fn read(map: &Cursor<'_>, default_preset: Preset) -> (Vec<Api>, Vec<InlineIntegration>) {
    let mut inline = Vec::new();
    let mut apis = Vec::new();
    for member in keyed::read(map, "apiId") {
        if !scalar::is_name(member.id, 63) {
            member.mistake(
                "the id of an API consists of up to 63 letters, digits, - and _",
                None,
            );
        }
        let mut api = Api::new(member.id, default_preset);
        match member.fields() {
            Some(fields) => read_api(fields, &mut api, default_preset, &mut inline),
            None if member.body.is_none() => api.stages.push(stage::default_stage()),
            None => {}
        }
        apis.push(api);
    }
    (apis, inline)
}

/// An integration that was written inside its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InlineIntegration {
    pub(super) api_id: String,
    pub(super) integration_id: String,
    pub(super) route_key: String,
}

fn read_api(
    mut fields: Fields<'_>,
    api: &mut Api,
    default_preset: Preset,
    inline: &mut Vec<InlineIntegration>,
) {
    fields.set("protocolType", &mut api.protocol_type, |cursor| {
        cursor.one_of(&[
            ("WEBSOCKET", ProtocolType::Websocket),
            ("HTTP", ProtocolType::Http),
        ])
    });
    let expression = &mut api.route_selection_expression;
    fields.set("routeSelectionExpression", expression, Cursor::string);
    let expression = &mut api.api_key_selection_expression;
    fields.set("apiKeySelectionExpression", expression, Cursor::string);
    let disabled = &mut api.disable_execute_api_endpoint;
    fields.set("disableExecuteApiEndpoint", disabled, Cursor::boolean);
    api.allowed_origins = fields.read("allowedOrigins", |list| Some(each(list, web_origin)));
    fields.set("limits", &mut api.limits, |cursor| {
        limits::read(cursor, default_preset)
    });

    let mut ids = Ids::default();
    if let Some(map) = fields.take("integrations") {
        api.integrations = integration::read_all(&map, api.limits.preset, &mut ids);
    }
    let mut authorizer_ids = HashSet::new();
    if let Some(map) = fields.take("authorizers") {
        let members = keyed::read(&map, "authorizerId");
        api.authorizers = members.iter().filter_map(read_authorizer).collect();
        authorizer_ids = members.iter().map(|member| member.id.to_owned()).collect();
    }
    if let Some(map) = fields.take("routes") {
        let mut context = route::Context {
            preset: api.limits.preset,
            authorizers: authorizer_ids,
            defined: ids.all(),
            ids,
            integrations: &mut api.integrations,
            inline: HashMap::new(),
        };
        api.routes = route::read_all(&map, &mut context);
        for (route_key, integration_id) in context.inline {
            inline.push(InlineIntegration {
                api_id: api.api_id.clone(),
                integration_id,
                route_key,
            });
        }
    }
    let routes = api.routes.iter();
    let route_keys = routes.map(|route| route.route_key.clone()).collect();
    if let Some(map) = fields.take("stages") {
        api.stages = stage::read_all(&map, &route_keys);
    }
    if api.stages.is_empty() {
        api.stages.push(stage::default_stage());
    }
    fields.finish();
}

fn web_origin(cursor: &Cursor<'_>) -> Option<String> {
    cursor.parse(
        "an origin such as https://app.example.com",
        scalar::web_origin,
    )
}

/// The ARN or URI of a Lambda function or a URL alone, or a map.
fn read_authorizer(member: &keyed::Keyed<'_>) -> Option<Authorizer> {
    let Some(body) = &member.body else {
        member.mistake("this authorizer says nothing; set authorizerUri", None);
        return None;
    };
    if body.scalar().is_some() {
        return Some(Authorizer {
            authorizer_id: member.id.to_owned(),
            authorizer_uri: authorizer_uri(body)?,
            identity_source: Vec::new(),
        });
    }
    let mut fields = member.fields()?;
    let uri = fields.required("authorizerUri");
    let sources = fields.read("identitySource", texts);
    fields.finish();
    Some(Authorizer {
        authorizer_id: member.id.to_owned(),
        authorizer_uri: authorizer_uri(&uri?)?,
        identity_source: sources.unwrap_or_default(),
    })
}

/// What an integration without a type may be, an authorizer may be, too.
fn authorizer_uri(cursor: &Cursor<'_>) -> Option<String> {
    let uri = cursor.string()?;
    if integration::type_of(&uri).is_none() {
        cursor.expected(integration::SHORT_FORM, None);
        return None;
    }
    Some(uri)
}

/// A list of texts, or one text.
fn texts(cursor: &Cursor<'_>) -> Option<Vec<String>> {
    if cursor.scalar().is_some() {
        return cursor.string().map(|text| vec![text]);
    }
    Some(each(cursor, Cursor::string))
}
