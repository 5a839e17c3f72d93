//! Whatever is created, changed and deleted, in whatever order, what is left fits together.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Account, ApiDocuments, Document, resources};
use super::Asked;
use crate::live;
use crate::resource::Preset;

/// One request: what kind of thing, which of those that are there, and what is done with it.
#[derive(Debug, Clone)]
enum Step {
    Create(usize, usize, usize),
    Update(usize, usize, usize),
    Delete(usize, usize),
    /// A body that nobody would write, to a path that is there.
    Odd(usize, usize, Value),
}

/// The kinds, by the name of their collection and the member that holds the id.
const KINDS: [(&str, &str); 12] = [
    ("apis", "apiId"),
    ("routes", "routeId"),
    ("integrations", "integrationId"),
    ("models", "modelId"),
    ("authorizers", "authorizerId"),
    ("deployments", "deploymentId"),
    ("stages", "stageName"),
    ("routeresponses", "routeResponseId"),
    ("integrationresponses", "integrationResponseId"),
    ("domainnames", "domainName"),
    ("apimappings", "apiMappingId"),
    ("vpclinks", "vpcLinkId"),
];

fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,12}", Just("$default".to_owned()), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z$.]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Members that documents really have.
const NAMES: &[&str] = &[
    "name",
    "protocolType",
    "routeKey",
    "target",
    "authorizerId",
    "authorizationType",
    "requestParameters",
    "requestModels",
    "integrationType",
    "integrationUri",
    "integrationMethod",
    "timeoutInMillis",
    "requestTemplates",
    "responseParameters",
    "templateSelectionExpression",
    "stageName",
    "deploymentId",
    "autoDeploy",
    "stageVariables",
    "routeSettings",
    "defaultRouteSettings",
    "accessLogSettings",
    "schema",
    "identitySource",
    "jwtConfiguration",
    "domainName",
    "domainNameConfigurations",
    "apiId",
    "stage",
    "apiMappingKey",
    "subnetIds",
    "tags",
    "routeSelectionExpression",
    "routeResponseKey",
    "integrationResponseKey",
    "description",
    "corsConfiguration",
];

/// Members that documents really have, with values that they really do not.
fn odd_body() -> impl Strategy<Value = Value> {
    let member = (prop::sample::select(NAMES), json_value());
    prop_oneof![
        prop::collection::vec(member, 0..6).prop_map(|members| {
            Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            )
        }),
        json_value(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (kind, which, how) = (0..KINDS.len(), 0..8_usize, 0..64_usize);
    prop_oneof![
        6 => (kind.clone(), which.clone(), how.clone()).prop_map(|(a, b, c)| Step::Create(a, b, c)),
        3 => (kind.clone(), which.clone(), how).prop_map(|(a, b, c)| Step::Update(a, b, c)),
        2 => (kind.clone(), which.clone()).prop_map(|(a, b)| Step::Delete(a, b)),
        1 => (kind, which, odd_body()).prop_map(|(a, b, body)| Step::Odd(a, b, body)),
    ]
}

/// What was created and not deleted: each collection's ids, as answers told them.
#[derive(Default)]
struct Model {
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl Model {
    /// One of the ids below that collection.
    fn pick(&self, collection: &str, which: usize) -> Option<&str> {
        let ids = self.ids.get(collection).filter(|ids| !ids.is_empty())?;
        ids.iter().nth(which % ids.len()).map(String::as_str)
    }

    /// The collection of a kind, below whatever parents there are.
    fn collection(&self, kind: usize, which: usize) -> Option<String> {
        let api = || {
            self.pick("/v2/apis", which)
                .map(|id| format!("/v2/apis/{id}"))
        };
        let below = |parent: &str| {
            let items = format!("{}/{parent}", api()?);
            let id = self.pick(&items, which / 2)?;
            Some(format!("{items}/{id}"))
        };
        Some(match KINDS[kind].0 {
            name @ ("apis" | "domainnames" | "vpclinks") => format!("/v2/{name}"),
            name @ "routeresponses" => format!("{}/{name}", below("routes")?),
            name @ "integrationresponses" => format!("{}/{name}", below("integrations")?),
            name @ "apimappings" => {
                let id = self.pick("/v2/domainnames", which)?;
                format!("/v2/domainnames/{id}/{name}")
            }
            name => format!("{}/{name}", api()?),
        })
    }

    fn created(&mut self, collection: &str, id: &str) {
        self.ids
            .entry(collection.to_owned())
            .or_default()
            .insert(id.to_owned());
    }

    /// With all that was below it.
    fn deleted(&mut self, collection: &str, id: &str) {
        if let Some(ids) = self.ids.get_mut(collection) {
            ids.remove(id);
        }
        let below = format!("{collection}/{id}/");
        self.ids
            .retain(|collection, _| !collection.starts_with(&below));
    }

    /// A body for that kind which has a fair chance: it names what is there, and often what is not.
    fn body(&self, kind: usize, collection: &str, how: usize) -> Value {
        let api = collection.split('/').take(4).collect::<Vec<_>>().join("/");
        let named = |items: &str| {
            self.pick(&format!("{api}/{items}"), how / 4)
                .unwrap_or("none")
        };
        let auto = how.is_multiple_of(2);
        match KINDS[kind].0 {
            "apis" if how.is_multiple_of(5) => {
                json!({"name": "h", "protocolType": "HTTP", "target": "http://127.0.0.1/x"})
            }
            "apis" => {
                json!({"name": "w", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"})
            }
            "routes" => {
                let key = [
                    "$connect",
                    "$disconnect",
                    "$default",
                    "a",
                    "b",
                    "GET /a",
                    "ANY /{p+}",
                ][how % 7];
                let authorization = ["NONE", "CUSTOM", "AWS_IAM", "JWT"][how / 7 % 4];
                json!({
                    "routeKey": key, "authorizationType": authorization, "authorizerId": named("authorizers"),
                    "target": format!("integrations/{}", named("integrations")),
                })
            }
            "integrations" => match how % 5 {
                0 => {
                    json!({"integrationType": "MOCK", "requestTemplates": {"$default": "{\"statusCode\":200}"}})
                }
                1 => json!({
                    "integrationType": "HTTP", "integrationMethod": "POST", "integrationUri": "http://127.0.0.1/${stageVariables.a}",
                    "requestParameters": {"integration.request.header.a": "stageVariables.b"},
                }),
                2 => {
                    json!({"integrationType": "AWS", "integrationMethod": "POST", "integrationUri": "arn:aws:apigateway:r:sqs:path/q"})
                }
                _ => json!({
                    "integrationType": "HTTP_PROXY", "integrationMethod": "POST", "integrationUri": "http://127.0.0.1/x",
                    "payloadFormatVersion": "1.0",
                }),
            },
            "models" => json!({"name": format!("M{}", how % 3), "schema": "{\"type\":\"object\"}"}),
            "authorizers" => json!({
                "name": format!("a{}", how % 3), "authorizerType": "REQUEST", "identitySource": ["route.request.header.A"],
                "authorizerUri": "arn:aws:apigateway:r:lambda:path/f/invocations", "authorizerPayloadFormatVersion": "1.0",
            }),
            "deployments" if auto => json!({"stageName": named("stages")}),
            "deployments" => json!({}),
            "stages" if auto => {
                json!({"stageName": format!("s{}", how % 4), "autoDeploy": true, "stageVariables": {"a": "x"}})
            }
            "stages" => {
                json!({"stageName": format!("s{}", how % 4), "deploymentId": named("deployments")})
            }
            "routeresponses" => json!({"routeResponseKey": "$default"}),
            "integrationresponses" => {
                json!({"integrationResponseKey": (["$default", "/200/", "/(/"][how % 3])})
            }
            "domainnames" => json!({"domainName": format!("d{}.example.com", how % 3)}),
            "apimappings" => {
                let api = self.pick("/v2/apis", how).unwrap_or("none");
                let stage = self
                    .pick(&format!("/v2/apis/{api}/stages"), how)
                    .unwrap_or("none");
                json!({"apiId": api, "stage": stage, "apiMappingKey": (["", "a", "a/b"][how % 3])})
            }
            _ => json!({"name": "link", "subnetIds": ["s"]}),
        }
    }
}

/// Does one step; what is refused changes nothing.
fn take(asked: &mut Asked, model: &mut Model, step: &Step) {
    let before = asked.account.clone();
    let (kind, which) = match step {
        Step::Create(kind, which, _)
        | Step::Update(kind, which, _)
        | Step::Delete(kind, which)
        | Step::Odd(kind, which, _) => (*kind, *which),
    };
    let Some(collection) = model.collection(kind, which) else {
        return;
    };
    let one = model.pick(&collection, which).map(str::to_owned);
    let answered = match (step, &one) {
        (Step::Create(_, _, how), _) => {
            let body = model.body(kind, &collection, *how);
            asked.ask("POST", &collection, &body)
        }
        (Step::Odd(_, which, body), None) => {
            asked.ask(["POST", "PATCH"][which % 2], &collection, body)
        }
        (Step::Odd(_, which, body), Some(_)) if which % 2 == 0 => {
            asked.ask("POST", &collection, body)
        }
        (Step::Update(_, _, how), Some(id)) => {
            let body = model.body(kind, &collection, *how);
            asked.ask("PATCH", &format!("{collection}/{id}"), &body)
        }
        (Step::Odd(_, _, body), Some(id)) => {
            asked.ask("PATCH", &format!("{collection}/{id}"), body)
        }
        (Step::Delete(..), Some(id)) => {
            asked.ask("DELETE", &format!("{collection}/{id}"), &Value::Null)
        }
        (Step::Update(..) | Step::Delete(..), None) => return,
    };
    let Ok(answer) = answered else {
        assert_eq!(asked.account, before, "a refusal changed something");
        return;
    };
    match (answer.status, &answer.body, &one) {
        (201, Some(made), _) => {
            let id = made[KINDS[kind].1]
                .as_str()
                .expect("what is made has an id");
            model.created(&collection, id);
            // Of a quick create, the parts were not told.
            if kind == 0 {
                adopt_parts(asked, model, id);
            }
        }
        (202 | 204, _, Some(id)) => {
            model.deleted(&collection, id);
            if kind == 0 {
                // "Deleting an API removes the mappings to it".
                adopt_mappings(&asked.account, model);
            }
        }
        _ => {}
    }
}

fn adopt_parts(asked: &Asked, model: &mut Model, id: &str) {
    let api = &asked.account.apis[id];
    let at = |items: &str| format!("/v2/apis/{id}/{items}");
    api.configuration
        .routes
        .keys()
        .for_each(|id| model.created(&at("routes"), id));
    api.configuration
        .integrations
        .keys()
        .for_each(|id| model.created(&at("integrations"), id));
    api.stages
        .keys()
        .for_each(|id| model.created(&at("stages"), id));
}

fn adopt_mappings(account: &Account, model: &mut Model) {
    for (name, domain) in account.domain_names() {
        let mappings = domain.mappings.keys().cloned().collect();
        model
            .ids
            .insert(format!("/v2/domainnames/{name}/apimappings"), mappings);
    }
}

/// Everything that names something else names what is there.
fn fits_together(account: &Account) {
    for (_, api) in account.apis() {
        configuration_fits(api);
        for stage in api.stages.values() {
            if let Some(id) = text(stage, "deploymentId") {
                assert!(api.deployments.contains_key(id), "{stage:?}");
            }
        }
        let stages = api
            .stages
            .iter()
            .filter(|(_, stage)| stage.get("deploymentId").is_some());
        for (name, _) in stages {
            let served = resources(api, name, Preset::Open).expect("a deployed stage is served");
            let (live, _) = live::compile_deployed(&served, &served.stages[0]);
            assert!(live.is_some(), "{served:?}");
        }
    }
    for (_, domain) in account.domain_names() {
        for mapping in domain.mappings.values() {
            let api = account.apis.get(text(mapping, "apiId").unwrap_or_default());
            let api = api.unwrap_or_else(|| panic!("{mapping:?}"));
            assert!(
                api.stages
                    .contains_key(text(mapping, "stage").unwrap_or_default()),
                "{mapping:?}"
            );
        }
    }
}

fn configuration_fits(api: &ApiDocuments) {
    let configuration = &api.configuration;
    let names: BTreeSet<&str> = configuration
        .models
        .values()
        .filter_map(|model| text(&model.document, "name"))
        .collect();
    let mut keys = BTreeSet::new();
    for route in configuration.routes.values().map(|route| &route.document) {
        assert!(keys.insert(text(route, "routeKey")), "twice: {route:?}");
        if let Some(target) = text(route, "target") {
            let id = target.strip_prefix("integrations/").expect(target);
            assert!(configuration.integrations.contains_key(id), "{route:?}");
        }
        if let Some(id) = text(route, "authorizerId") {
            assert!(configuration.authorizers.contains_key(id), "{route:?}");
        }
        let models = route.get("requestModels").and_then(Value::as_object);
        for name in models.into_iter().flat_map(|models| models.values()) {
            assert!(
                names.contains(name.as_str().unwrap_or_default()),
                "{route:?}"
            );
        }
    }
}

fn text<'d>(document: &'d Document, member: &str) -> Option<&'d str> {
    document.get(member)?.as_str()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_what_is_left_fits_together(steps in prop::collection::vec(step(), 1..60)) {
        let mut asked = Asked::default();
        let mut model = Model::default();
        let mut elsewhere = Account::default();
        for step in &steps {
            let before = asked.account.clone();
            take(&mut asked, &mut model, step);
            fits_together(&asked.account);
            // Another node, which is told of each change by its keys, has the same.
            for (key, text) in asked.account.changes_since(&before) {
                elsewhere.take_stored(&key, text.as_deref()).unwrap();
            }
            prop_assert_eq!(&elsewhere, &asked.account);
        }
        // What is listed is what was created and not deleted; deployments are made and forgotten by `autoDeploy`, too.
        for (collection, ids) in model.ids.iter().filter(|(collection, _)| !collection.ends_with("deployments")) {
            let listed = asked.done("GET", collection, &Value::Null);
            let member = KINDS.iter().find(|(name, _)| collection.ends_with(name)).unwrap().1;
            let listed: BTreeSet<String> = listed["items"].as_array().unwrap().iter().map(|item| super::text(item, member)).collect();
            prop_assert_eq!(&listed, ids, "{}", collection);
        }
    }

    #[test]
    fn no_body_and_no_path_breaks_anything(
        path in "/v2(/(apis|domainnames|vpclinks|tags|routes|%[0-9a-zA-Z]{2}|[a-z$]{0,5})){0,6}/?",
        query in "[ -~]{0,20}",
        method in prop::sample::select(&["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", ""][..]),
        body in odd_body(),
    ) {
        let (mut asked, _) = Asked::with_api();
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        if let Err(refused) = asked.ask(method, &path, &body) {
            prop_assert!((400..500).contains(&refused.status()));
        }
        fits_together(&asked.account);
    }
}
