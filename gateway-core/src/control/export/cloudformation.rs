//! Documents as a CloudFormation template.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::super::account::{
    Account, ApiDocuments, Configuration, Document, DomainDocuments, Item, text,
};
use super::super::kind::Kind;
use super::super::member::{Member, Shape, Write};
use super::Export;

/// The account as a CloudFormation template. Deployments freeze what the template says, so each API has one at most.
pub fn to_cloudformation(account: &Account) -> Export {
    let mut template = Template::default();
    let mut apis: Vec<_> = account.apis().collect();
    apis.sort_by_key(|(_, documents)| text(&documents.api, "name").unwrap_or_default());
    for (id, documents) in apis {
        template.api(id, documents);
    }
    for (_, domain) in account.domain_names() {
        template.domain(account, domain);
    }
    for link in account.vpc_links.values() {
        let name = template.name(&format!(
            "{}VpcLink",
            text(link, "name").unwrap_or_default()
        ));
        template.add(&name, Kind::VpcLink, link, Map::new());
    }
    let document = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": template.resources,
    });
    Export {
        document,
        left_out: template.left_out,
    }
}

#[derive(Default)]
struct Template {
    resources: Map<String, Value>,
    names: HashSet<String>,
    /// Logical ids by kind and id.
    logical: BTreeMap<(Kind, String), String>,
    left_out: Vec<String>,
}

impl Template {
    fn api(&mut self, id: &str, documents: &ApiDocuments) {
        let name = text(&documents.api, "name").unwrap_or(id);
        let api = self.name(&format!("{name}Api"));
        let base = api.trim_end_matches("Api").to_owned();
        self.logical.insert((Kind::Api, id.to_owned()), api.clone());
        self.add(&api, Kind::Api, &documents.api, Map::new());
        let of_api = || Map::from_iter([("ApiId".to_owned(), reference(&api))]);
        let Configuration {
            routes,
            integrations,
            models,
            authorizers,
        } = &*documents.configuration;
        // An integration has no name of its own; one that follows from its routes is the same after the next import.
        let first_route = |id: &str| {
            let target = format!("integrations/{id}");
            let routes = routes
                .values()
                .filter(|route| text(&route.document, "target") == Some(&target));
            routes
                .filter_map(|route| text(&route.document, "routeKey"))
                .min()
                .unwrap_or("Unused")
                .to_owned()
        };
        let simple = [
            (Kind::Model, models),
            (Kind::Authorizer, authorizers),
            (Kind::Integration, integrations),
        ];
        for (kind, items) in simple {
            let named = items.iter().map(|(id, item)| {
                let own =
                    text(&item.document, "name").map_or_else(|| first_route(id), str::to_owned);
                (own, without(&item.document, kind.id_member()), id, item)
            });
            let mut named: Vec<_> = named.collect();
            named.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            for (own, _, id, item) in named {
                let logical = self.name(&format!("{base}{}{}", camel(&own), kind.word()));
                self.logical.insert((kind, id.clone()), logical.clone());
                self.add(&logical, kind, &item.document, of_api());
                for response in by_key(&item.responses, "integrationResponseKey") {
                    let mut links = of_api();
                    links.insert("IntegrationId".to_owned(), reference(&logical));
                    let name = self.name(&format!("{logical}Response"));
                    self.add(&name, Kind::IntegrationResponse, &response.document, links);
                }
            }
        }
        let mut made = Vec::new();
        for item in by_key(routes, "routeKey") {
            let key = text(&item.document, "routeKey").unwrap_or_default();
            let logical = self.name(&format!("{base}{}Route", camel(key)));
            let mut links = of_api();
            if let Some(target) = text(&item.document, "target") {
                let id = target.trim_start_matches("integrations/").to_owned();
                if let Some(integration) = self.logical.get(&(Kind::Integration, id)) {
                    let join = json!({"Fn::Join": ["/", ["integrations", reference(integration)]]});
                    links.insert("Target".to_owned(), join);
                }
            }
            if let Some(id) = text(&item.document, "authorizerId")
                && let Some(authorizer) = self.logical.get(&(Kind::Authorizer, id.to_owned()))
            {
                links.insert("AuthorizerId".to_owned(), reference(authorizer));
            }
            self.add(&logical, Kind::Route, &item.document, links);
            for response in by_key(&item.responses, "routeResponseKey") {
                let mut links = of_api();
                links.insert("RouteId".to_owned(), reference(&logical));
                let name = self.name(&format!("{logical}Response"));
                self.add(&name, Kind::RouteResponse, &response.document, links);
                made.push(name);
            }
            made.push(logical);
        }
        self.stages(id, documents, &base, &api, &made);
    }

    fn stages(
        &mut self,
        id: &str,
        documents: &ApiDocuments,
        base: &str,
        api: &str,
        depends_on: &[String],
    ) {
        let of_api = || Map::from_iter([("ApiId".to_owned(), reference(api))]);
        let deploys_itself = |stage: &Document| stage.get("autoDeploy") == Some(&Value::Bool(true));
        let by_hand = documents
            .stages
            .values()
            .any(|stage| !deploys_itself(stage) && stage.contains_key("deploymentId"));
        let deployment = by_hand.then(|| {
            let deployment = self.name(&format!("{base}Deployment"));
            self.add(&deployment, Kind::Deployment, &Document::new(), of_api());
            if let Some(resource) = self.resources.get_mut(&deployment) {
                resource["DependsOn"] = json!(depends_on);
            }
            deployment
        });
        for (name, stage) in &documents.stages {
            let logical = self.name(&format!("{base}{}Stage", camel(name)));
            self.logical
                .insert((Kind::Stage, format!("{id}/{name}")), logical.clone());
            let mut links = of_api();
            if let (Some(deployment), false) = (&deployment, deploys_itself(stage))
                && let Some(deployed) = documents.deployed(stage)
            {
                links.insert("DeploymentId".to_owned(), reference(deployment));
                if deployed.configuration != documents.configuration {
                    self.left_out.push(format!(
                        "API {id}: stage {name} serves an older deployment; this is the current configuration"
                    ));
                }
            }
            self.add(&logical, Kind::Stage, stage, links);
        }
    }

    fn domain(&mut self, account: &Account, documents: &DomainDocuments) {
        let name = text(&documents.domain_name, "domainName").unwrap_or_default();
        let logical = self.name(&format!("{}Domain", camel(name)));
        self.add(
            &logical,
            Kind::DomainName,
            &documents.domain_name,
            Map::new(),
        );
        let mut mappings: Vec<&Document> = documents.mappings.values().collect();
        mappings.sort_by_key(|mapping| text(mapping, "apiMappingKey"));
        for mapping in mappings {
            let id = text(mapping, "apiId").unwrap_or_default();
            let stage = text(mapping, "stage").unwrap_or_default();
            let mut links = Map::from_iter([("DomainName".to_owned(), reference(&logical))]);
            if account.apis.contains_key(id) {
                let of = |kind, id: String| {
                    self.logical
                        .get(&(kind, id))
                        .map(|logical| reference(logical))
                };
                links.extend(of(Kind::Api, id.to_owned()).map(|api| ("ApiId".to_owned(), api)));
                links.extend(
                    of(Kind::Stage, format!("{id}/{stage}"))
                        .map(|stage| ("Stage".to_owned(), stage)),
                );
            }
            let name = self.name(&format!("{logical}Mapping"));
            self.add(&name, Kind::ApiMapping, mapping, links);
        }
    }

    /// Adds a resource with what its caller may write; `links` stand in for ids.
    fn add(&mut self, logical: &str, kind: Kind, document: &Document, links: Map<String, Value>) {
        let mut properties = Map::new();
        for member in kind
            .members()
            .iter()
            .filter(|member| member.write != Write::Passing)
        {
            let name = capital(member.name);
            match document.get(member.name) {
                Some(Value::Object(map)) if map.is_empty() => {}
                // A stage that deploys itself names no deployment.
                Some(_) if kind == Kind::Stage && member.name == "deploymentId" => {}
                Some(value) if !links.contains_key(&name) => {
                    properties.insert(name, written(member, value));
                }
                _ => {}
            }
        }
        properties.extend(links);
        let resource = json!({"Type": resource_type(kind), "Properties": properties});
        self.resources.insert(logical.to_owned(), resource);
    }

    /// A logical id: letters and digits, and of no other resource.
    fn name(&mut self, wanted: &str) -> String {
        let base = camel(wanted);
        let mut name = base.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{base}{number}");
        }
        name
    }
}

/// In an order that does not follow from ids.
fn by_key<'a>(items: &'a BTreeMap<String, Item>, key: &str) -> Vec<&'a Item> {
    let mut items: Vec<&Item> = items.values().collect();
    items.sort_by_key(|item| text(&item.document, key).unwrap_or_default().to_owned());
    items
}

/// A document as text, apart from its id.
fn without(document: &Document, id: &str) -> String {
    let members: BTreeMap<&String, &Value> =
        document.iter().filter(|(name, _)| *name != id).collect();
    json!(members).to_string()
}

fn resource_type(kind: Kind) -> String {
    let name = match kind {
        Kind::Api => "Api",
        Kind::Stage => "Stage",
        Kind::DomainName => "DomainName",
        Kind::ApiMapping => "ApiMapping",
        Kind::VpcLink => "VpcLink",
        kind => kind.word(),
    };
    format!("AWS::ApiGatewayV2::{name}")
}

fn reference(logical: &str) -> Value {
    json!({ "Ref": logical })
}

/// A value with the names of nested members as templates have them; keys of maps are the user's and stay.
fn written(member: &Member, value: &Value) -> Value {
    shaped(&member.shape, value)
}

fn shaped(shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Object(table), Value::Object(map)) => {
            let members = table.iter().filter_map(|member| {
                let value = map.get(member.name)?;
                Some((capital(member.name), written(member, value)))
            });
            Value::Object(members.collect())
        }
        (Shape::ObjectMap(table), Value::Object(map)) => {
            let entries = map
                .iter()
                .map(|(key, value)| (key.clone(), shaped(&Shape::Object(table), value)));
            Value::Object(entries.collect())
        }
        (Shape::Objects(table), Value::Array(items)) => Value::Array(
            items
                .iter()
                .map(|item| shaped(&Shape::Object(table), item))
                .collect(),
        ),
        (_, value) => value.clone(),
    }
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

/// Words joined, each with a capital: `$connect` is `Connect`, `send message` is `SendMessage`.
fn camel(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .map(capital)
        .collect()
}
