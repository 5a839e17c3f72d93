//! From the sections of a template to what it declares.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use gateway_core::control::Kind;
use serde_json::{Map, Value as Json};

use super::document::{Document, Resource, map};
use super::ids::Ids;
use super::lambda::{self, FunctionDeclared};
use super::order::Order;
use super::report::Report;
use super::scope::Scope;
use super::shape::{Shaped, shape};
use super::thing::{Foreign, Thing};
use super::types::Type;
use super::value::{Member, Place, Value, What};
use super::{Inputs, Template, parameters, sam, served};
use crate::config::diagnostic::{quoted, suggestion};

const OURS: &str = "AWS::ApiGatewayV2::";

/// A resource to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// What it is.
    pub kind: Kind,
    /// Its key in `Resources`.
    pub logical_id: String,
    /// Made from the names of stack and resource, so it is the same each time; a stage's and a domain name's is its name.
    pub id: String,
    /// The ids above it, the outermost first: `[apiId]`, `[apiId, routeId]`, `[domainName]`.
    pub parents: Vec<String>,
    /// Its members as AWS's API writes them, without its id and those above it.
    pub body: Map<String, Json>,
    /// Where it stands.
    pub place: Place,
    /// Where its members stand, by their paths, such as `routeKey` or `stageVariables.host`.
    pub places: BTreeMap<String, Place>,
}

/// All that a document declares; mistakes and notices are in the report.
/// `asked`: the inputs that were asked for before.
pub(super) fn all(
    document: &Document,
    inputs: &Inputs,
    asked: BTreeSet<String>,
    report: &Report,
) -> Template {
    let parameters = parameters::read(&document.parameters, inputs, report);
    let mut scope = Scope::new(inputs, report, &document.stack_name, parameters);
    *scope.asked.get_mut() = asked;
    for (name, type_name) in &document.implied {
        let foreign = Foreign::new(type_name, name.clone(), &scope);
        scope
            .things
            .borrow_mut()
            .insert(name.clone(), Thing::Foreign(foreign));
    }
    let expanded = sam::expand(&document.resources, &document.globals, &mut scope);
    scope.mappings = &document.mappings;
    scope.conditions = document
        .conditions
        .iter()
        .map(|it| (&*it.key, it))
        .collect();
    scope.logical_ids = expanded
        .iter()
        .map(|resource| &*resource.logical_id)
        .collect();
    for condition in &document.conditions {
        report.about(format!("Conditions.{}", condition.key));
        scope.condition(&condition.key, &condition.place);
    }
    let declaring = Declaring {
        scope: &scope,
        globals: &document.globals,
        resources: &expanded,
    };
    let declared = declaring.resources();
    let functions = declaring.functions();
    let outputs = outputs(&document.outputs, &scope);
    report_unasked(document, &scope);
    for declared in &declared {
        served::notice(declared, report);
    }
    Template {
        stack_name: document.stack_name.clone(),
        declared,
        outputs,
        functions,
        notices: Vec::new(),
        files: Vec::<PathBuf>::new(),
    }
}

struct Declaring<'a, 'i> {
    scope: &'a Scope<'i>,
    globals: &'a Value,
    resources: &'a [Resource],
}

impl Declaring<'_, '_> {
    fn resources(&self) -> Vec<Declared> {
        let mut ids = Ids::of_stack(self.scope.stack_name);
        let id = |resource: &Resource| {
            let of = Type::named(resource.type_name.strip_prefix(OURS)?)?;
            ids.give(of, &resource.logical_id)
        };
        let ids: Vec<Option<String>> = self.resources.iter().map(id).collect();
        let (order, circles) = Order::new(self.resources).find(self.scope);
        for resource in circles.iter().map(|n| &self.resources[*n]) {
            self.keep(resource, Thing::Broken);
        }
        let mut declared = Vec::new();
        for n in order {
            let resource = &self.resources[n];
            self.scope
                .report
                .about(format!("Resources.{}", resource.logical_id));
            let thing = self.thing(resource, ids[n].as_deref(), &mut declared);
            self.keep(resource, thing);
        }
        let stages: HashSet<Json> = declared
            .iter()
            .filter(|it| it.kind == Kind::Stage)
            .filter_map(|it| it.body.get("stageName").cloned())
            .collect();
        // A deployment may name a stage that is to show it; that stage must be there first.
        declared.sort_by_key(|it| {
            let step = Type::ALL.iter().position(|of| of.kind() == Some(it.kind));
            let step = 2 * step.unwrap_or(0);
            let stage = it
                .body
                .get("stageName")
                .filter(|_| it.kind == Kind::Deployment);
            let waits = stage.is_some_and(|stage| stages.contains(stage));
            if waits { step + 3 } else { step }
        });
        declared
    }

    fn keep(&self, resource: &Resource, thing: Thing) {
        let mut things = self.scope.things.borrow_mut();
        things.insert(resource.logical_id.clone(), thing);
    }

    fn thing(&self, resource: &Resource, id: Option<&str>, declared: &mut Vec<Declared>) -> Thing {
        if let Some((condition, place)) = &resource.condition {
            match self.scope.condition(condition, place) {
                Some(true) => {}
                Some(false) => return Thing::NotCreated(condition.clone()),
                None => return Thing::Broken,
            }
        }
        let Some(type_name) = resource.type_name.strip_prefix(OURS) else {
            if resource.is_function() {
                return Thing::Function(lambda::seen(resource, self.globals, self.scope));
            }
            return Thing::Foreign(self.foreign(resource));
        };
        let Some(of) = Type::named(type_name) else {
            let known = Type::ALL.map(Type::name);
            let message = format!("unknown type {}", quoted(&resource.type_name));
            let hint = suggestion(type_name, "AWS::ApiGatewayV2 has", &known);
            self.scope.report.add(&resource.type_place, message, hint);
            return Thing::Broken;
        };
        self.own(resource, of, id, declared)
    }

    fn own(
        &self,
        resource: &Resource,
        of: Type,
        id: Option<&str>,
        declared: &mut Vec<Declared>,
    ) -> Thing {
        let mut shaped = shape(
            self.scope,
            &resource.properties,
            of.properties(),
            &resource.place,
        );
        self.complete(resource, of, &mut shaped);
        let named = of
            .named_by()
            .and_then(|name| shaped.body.get(name)?.as_str());
        let Some(mut id) = id.or(named).map(str::to_owned) else {
            return Thing::Broken;
        };
        // Domain names are kept in small letters, whoever names them.
        if of == Type::DomainName {
            id.make_ascii_lowercase();
        }
        if of == Type::ApiMapping {
            shaped
                .parents
                .values_mut()
                .for_each(|domain| domain.make_ascii_lowercase());
        }
        let thing = Thing::Own {
            of,
            reference: id.clone(),
            attributes: self.attributes(of, &id, &shaped),
        };
        if let Some(kind) = of.kind().filter(|_| !shaped.broken) {
            declared.push(Declared {
                kind,
                logical_id: resource.logical_id.clone(),
                id,
                parents: shaped.parents.into_values().collect(),
                body: shaped.body,
                place: resource.place.clone(),
                places: shaped.places,
            });
        }
        thing
    }

    /// What CloudFormation fills in or demands beyond the table of properties.
    fn complete(&self, resource: &Resource, of: Type, shaped: &mut Shaped) {
        let report = self.scope.report;
        match of {
            Type::Api => {
                let imported = ["Body", "BodyS3Location"]
                    .into_iter()
                    .any(|body| resource.properties.child(body).is_some());
                if imported {
                    let fill = |body: &mut Map<String, Json>, name: &str, value: &str| {
                        body.entry(name).or_insert_with(|| value.into());
                    };
                    fill(&mut shaped.body, "name", &resource.logical_id);
                    fill(&mut shaped.body, "protocolType", "HTTP");
                }
                for name in ["Name", "ProtocolType"] {
                    if !imported && resource.properties.member(name).is_none() {
                        report.mistake(&resource.place, format!("{} is missing", quoted(name)));
                        shaped.broken = true;
                    }
                }
            }
            // The API wants a list, if an empty one.
            Type::Authorizer => {
                let none = || Json::Array(Vec::new());
                shaped.body.entry("identitySource").or_insert_with(none);
            }
            Type::RoutingRule => {
                let hint = "show the API under a path of the domain name with AWS::ApiGatewayV2::ApiMapping";
                let message = "routing rules are not built yet";
                report.mistake_with_hint(&resource.type_place, message, hint);
            }
            _ => {}
        }
    }

    fn attributes(&self, of: Type, id: &str, shaped: &Shaped) -> Vec<(&'static str, String)> {
        let scope = self.scope;
        let mut attributes = Vec::new();
        if let Some(name) = of.id_attribute() {
            attributes.push((name, id.to_owned()));
        }
        let (region, suffix) = (&scope.inputs.region, scope.url_suffix());
        let partition = scope.partition();
        match of {
            Type::Api => {
                let http = shaped.body.get("protocolType").and_then(Json::as_str) == Some("HTTP");
                let scheme = if http { "https" } else { "wss" };
                let endpoint = format!("{scheme}://{id}.execute-api.{region}.{suffix}");
                attributes.push(("ApiEndpoint", endpoint));
                attributes.push(("ExecuteApiArn", scope.arn("execute-api", id)));
            }
            Type::DomainName => {
                let arn = format!("arn:{partition}:apigateway:{region}::/domainnames/{id}");
                let regional = format!("d-local.execute-api.{region}.{suffix}");
                attributes.push(("DomainNameArn", arn));
                attributes.push(("RegionalDomainName", regional));
                attributes.push(("RegionalHostedZoneId", "Z00000000LOCAL".to_owned()));
                attributes.push(("DistributionDomainName", format!("{id}.local")));
                attributes.push(("DistributionHostedZoneId", "Z00000000LOCAL".to_owned()));
            }
            Type::RoutingRule => {
                let domain = shaped.parents.values().next().cloned().unwrap_or_default();
                attributes.push(("RoutingRuleArn", format!("{domain}/routingrules/{id}")));
            }
            _ => {}
        }
        attributes
    }

    /// A resource of a type that is not created here, and a notice of that.
    fn foreign(&self, resource: &Resource) -> Foreign {
        let type_name = &*resource.type_name;
        let scope = self.scope;
        let last = type_name.rsplit("::").next().unwrap_or_default();
        let text = |key: &str| {
            let value = scope.evaluate(resource.properties.child(key)?)?;
            value.as_text().map(str::to_owned)
        };
        let name = match (resource.is_unexpanded(), last) {
            (true, _) | (false, "Alias" | "Version" | "Permission") => None,
            (false, last) => text(&format!("{last}Name")).or_else(|| text("Name")),
        };
        let name = name.unwrap_or_else(|| resource.logical_id.clone());
        let mut foreign = Foreign::new(type_name, name, scope);
        let qualifier = match type_name {
            "AWS::Lambda::Alias" => text("Name"),
            "AWS::Lambda::Version" => Some("1".to_owned()),
            _ => None,
        };
        if let (Some(qualifier), Some(function)) = (qualifier, text("FunctionName")) {
            let function = if function.starts_with("arn:") {
                function
            } else {
                scope.arn("lambda", &format!("function:{function}"))
            };
            foreign.arn = format!("{function}:{qualifier}");
            foreign.reference.clone_from(&foreign.arn);
        }
        let said = match type_name {
            "AWS::Serverless::Api" => "is a REST API, which is not served yet".to_owned(),
            "AWS::Serverless::HttpApi" => "is an HTTP API, which is not served yet".to_owned(),
            "AWS::Lambda::Permission" => "is passed over: nothing needs it here".to_owned(),
            "AWS::CloudFormation::Stack" | "AWS::Serverless::Application" => {
                "is another template, which is not read; load that one beside this".to_owned()
            }
            rest if rest.starts_with("AWS::ApiGateway::") => {
                "belongs to a REST API, which is not served yet".to_owned()
            }
            rest if rest.starts_with("AWS::IAM::") => {
                "is passed over: nothing needs it here".to_owned()
            }
            _ => format!(
                "is not created here; !Ref gives {}",
                quoted(&foreign.reference)
            ),
        };
        scope.report.notice(
            &resource.type_place,
            format!("{} ({type_name}) {said}", resource.logical_id),
        );
        foreign
    }

    fn functions(&self) -> Vec<FunctionDeclared> {
        let function = |resource: &Resource| {
            let seen = match self.scope.things.borrow().get(&resource.logical_id) {
                Some(Thing::Function(seen)) => seen.clone(),
                _ => return None,
            };
            self.scope
                .report
                .about(format!("Resources.{}", resource.logical_id));
            lambda::remark(resource, self.globals, self.scope);
            let read = || lambda::declared(resource, self.globals, &seen, self.scope);
            Some(self.scope.report.softly(read))
        };
        self.resources.iter().filter_map(function).collect()
    }
}

fn outputs(section: &[Member], scope: &Scope<'_>) -> Vec<(String, String)> {
    let output = |member: &Member| {
        scope.report.about(format!("Outputs.{}", member.key));
        let members = map(&member.value, scope.report);
        if let Some(condition) = member.value.child("Condition") {
            let name = scope.text_of(condition)?;
            if scope.condition(&name, &condition.place) != Some(true) {
                return None;
            }
        }
        let Some(value) = member.value.child("Value") else {
            if !members.is_empty() {
                scope.report.mistake(&member.place, "'Value' is missing");
            }
            return None;
        };
        let value = scope.evaluate(value)?;
        let text = match (&value.what, value.as_text()) {
            (What::Broken, _) => return None,
            (_, Some(text)) => text.to_owned(),
            (_, None) => value.to_json().to_string(),
        };
        Some((member.key.clone(), text))
    };
    section.iter().filter_map(output).collect()
}

/// What the caller gave and nothing asked for is probably misspelt.
fn report_unasked(document: &Document, scope: &Scope<'_>) {
    let known: Vec<&str> = document
        .parameters
        .iter()
        .map(|member| &*member.key)
        .collect();
    let asked = scope.asked.borrow();
    for name in scope.inputs.parameters.keys() {
        if known.contains(&&**name) || asked.contains(name) {
            continue;
        }
        let message = format!("nothing asks for the parameter {}", quoted(name));
        let hint = suggestion(name, "the parameters are", &known);
        scope.report.flag("--parameter", message, hint);
    }
}
