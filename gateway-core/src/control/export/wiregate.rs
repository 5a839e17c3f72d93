//! Documents as `wiregate.yaml`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::account::{
    Account, ApiDocuments, Configuration, Document, DomainDocuments, Item, text,
};
use super::super::resources::PRESET_TAG;
use super::Export;
use crate::resource::{Api, ProtocolType};

/// Members of `wiregate.yaml`, by kind; what AWS has beyond them says nothing about traffic.
const API: &[&str] = &[
    "routeSelectionExpression",
    "apiKeySelectionExpression",
    "disableExecuteApiEndpoint",
];
const ROUTE: &[&str] = &[
    "target",
    "authorizationType",
    "authorizerId",
    "apiKeyRequired",
    "modelSelectionExpression",
    "requestModels",
    "requestParameters",
    "routeResponseSelectionExpression",
    "operationName",
];
const INTEGRATION: &[&str] = &[
    "integrationType",
    "integrationUri",
    "integrationMethod",
    "timeoutInMillis",
    "requestParameters",
    "requestTemplates",
    "templateSelectionExpression",
    "passthroughBehavior",
    "contentHandlingStrategy",
];
const INTEGRATION_RESPONSE: &[&str] = &[
    "templateSelectionExpression",
    "responseTemplates",
    "contentHandlingStrategy",
];
const AUTHORIZER: &[&str] = &["authorizerUri", "identitySource"];
const ROUTE_SETTINGS: &[&str] = &["throttlingRateLimit", "throttlingBurstLimit"];

/// The account as `wiregate.yaml`: current configurations, with every member that such a file knows.
pub fn to_wiregate(account: &Account) -> Export {
    let (mut apis, mut left_out) = (Map::new(), Vec::new());
    for (id, documents) in account.apis() {
        if documents.protocol() == ProtocolType::Http {
            left_out.push(format!(
                "API {id}: HTTP APIs cannot stand in wiregate.yaml yet"
            ));
            continue;
        }
        apis.insert(id.to_owned(), api(id, documents, &mut left_out));
    }
    let domains: Vec<Value> = account
        .domain_names()
        .map(|(name, domain)| domain_entry(name, domain))
        .collect();
    let mut document = Map::new();
    if !domains.is_empty() {
        document.insert("server".to_owned(), json!({ "domains": domains }));
    }
    document.insert("apis".to_owned(), Value::Object(apis));
    Export {
        document: Value::Object(document),
        left_out,
    }
}

fn domain_entry(name: &str, domain: &DomainDocuments) -> Value {
    let mut mappings: Vec<&Document> = domain.mappings.values().collect();
    mappings.sort_by_key(|mapping| text(mapping, "apiMappingKey").unwrap_or_default());
    let mappings = mappings.into_iter().map(|mapping| {
        let of = |member| text(mapping, member).unwrap_or_default();
        json!({"apiMappingKey": of("apiMappingKey"), "api": of("apiId"), "stage": of("stage")})
    });
    json!({"domainName": name, "mappings": mappings.collect::<Vec<_>>()})
}

fn api(id: &str, documents: &ApiDocuments, left_out: &mut Vec<String>) -> Value {
    let Configuration {
        routes,
        integrations,
        models,
        authorizers,
    } = &*documents.configuration;
    let mut api = members(&documents.api, API);
    if text(&api, "apiKeySelectionExpression") == Some(Api::DEFAULT_API_KEY_SELECTION) {
        api.remove("apiKeySelectionExpression");
    }
    let preset = documents
        .api
        .get("tags")
        .and_then(|tags| tags.get(PRESET_TAG));
    if let Some(preset) = preset {
        api.insert("limits".to_owned(), json!({ "preset": preset }));
    }
    let by = |items: &BTreeMap<String, Item>, key: &str, known: &[&str]| -> Map<String, Value> {
        let named = items.values().map(|item| {
            let name = text(&item.document, key).unwrap_or_default();
            (
                name.to_owned(),
                Value::Object(members(&item.document, known)),
            )
        });
        let mut named: Vec<(String, Value)> = named.collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named.into_iter().collect()
    };
    if !authorizers.is_empty() {
        api.insert(
            "authorizers".to_owned(),
            Value::Object(by(authorizers, "authorizerId", AUTHORIZER)),
        );
    }
    let mut of_integrations = by(integrations, "integrationId", INTEGRATION);
    for (id, item) in integrations
        .iter()
        .filter(|(_, item)| !item.responses.is_empty())
    {
        let responses = by(
            &item.responses,
            "integrationResponseKey",
            INTEGRATION_RESPONSE,
        );
        if let Some(Value::Object(integration)) = of_integrations.get_mut(id) {
            integration.insert("integrationResponses".to_owned(), Value::Object(responses));
        }
    }
    let mut of_routes = by(routes, "routeKey", ROUTE);
    for item in routes.values().filter(|item| !item.responses.is_empty()) {
        let key = text(&item.document, "routeKey").unwrap_or_default();
        if let Some(Value::Object(route)) = of_routes.get_mut(key) {
            route.insert("routeResponses".to_owned(), json!(["$default"]));
        }
    }
    api.insert("integrations".to_owned(), Value::Object(of_integrations));
    api.insert("routes".to_owned(), Value::Object(of_routes));
    let stages: Map<String, Value> = documents
        .stages
        .iter()
        .map(|(name, document)| (name.clone(), stage(document)))
        .collect();
    if stages.is_empty() {
        left_out.push(format!(
            "API {id} has no stage; a file without stages means one named dev"
        ));
    } else {
        api.insert("stages".to_owned(), Value::Object(stages));
    }
    for (name, document) in &documents.stages {
        match documents.deployed(document) {
            None => left_out.push(format!("API {id}: stage {name} serves nothing yet; in a file it serves")),
            Some(deployed) if deployed.configuration != documents.configuration => left_out.push(format!(
                "API {id}: stage {name} serves an older deployment; this is the current configuration"
            )),
            Some(_) => {}
        }
    }
    for model in models.values() {
        let name = text(&model.document, "name").unwrap_or_default();
        left_out.push(format!("API {id}: model {name}"));
    }
    for member in ["name", "description", "version"] {
        if let Some(value) = text(&documents.api, member).filter(|value| *value != id) {
            left_out.push(format!("API {id}: {member} {value:?}"));
        }
    }
    Value::Object(api)
}

fn stage(document: &Document) -> Value {
    let mut stage = Map::new();
    let mut put = |name: &str, value: Map<String, Value>| {
        if !value.is_empty() {
            stage.insert(name.to_owned(), Value::Object(value));
        }
    };
    let map = |member: &str| {
        document
            .get(member)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    put("stageVariables", sorted(map("stageVariables")));
    put(
        "defaultRouteSettings",
        members(&map("defaultRouteSettings"), ROUTE_SETTINGS),
    );
    let by_route = map("routeSettings")
        .into_iter()
        .filter_map(|(key, settings)| {
            let settings = members(settings.as_object()?, ROUTE_SETTINGS);
            (!settings.is_empty()).then(|| (key, Value::Object(settings)))
        });
    put("routeSettings", sorted(by_route.collect()));
    Value::Object(stage)
}

/// The members of a document that say something: not what would be so without them.
fn members(document: &Document, known: &[&str]) -> Map<String, Value> {
    let says = |member: &str, value: &Value| match value {
        Value::Bool(false) => false,
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !matches!(
            (member, text.as_str()),
            ("authorizationType", "NONE")
                | ("integrationMethod", "POST")
                | ("passthroughBehavior", "WHEN_NO_MATCH")
        ),
        Value::Number(number) => (member, number.as_u64()) != ("timeoutInMillis", Some(29_000)),
        _ => true,
    };
    let named = known.iter().filter_map(|member| {
        let value = document.get(*member)?;
        says(member, value).then(|| ((*member).to_owned(), tidy(value)))
    });
    named.collect()
}

/// The same whoever wrote it: keys in order, and no fraction where there is none.
fn tidy(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), tidy(value)));
            Value::Object(sorted(entries.collect()))
        }
        Value::Number(number) if number.is_f64() => {
            let text = number.to_string();
            let whole = text
                .strip_suffix(".0")
                .and_then(|whole| whole.parse::<u64>().ok());
            whole.map_or_else(|| value.clone(), Value::from)
        }
        value => value.clone(),
    }
}

fn sorted(map: Map<String, Value>) -> Map<String, Value> {
    let entries: BTreeMap<String, Value> = map.into_iter().collect();
    entries.into_iter().collect()
}
