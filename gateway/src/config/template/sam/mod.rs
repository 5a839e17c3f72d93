//! SAM: what its resources stand for ("AWS SAM, generated CloudFormation resources").

use std::collections::{HashMap, HashSet};

mod websocket_api;

use self::websocket_api::WebSocketApi;
use super::document::Resource;
use super::scope::Scope;
use super::thing::{Foreign, Thing};
use super::value::{Member, Value, What};
use crate::config::diagnostic::quoted;

const WEBSOCKET_API: &str = "AWS::Serverless::WebSocketApi";

/// The resources, each `AWS::Serverless::WebSocketApi` replaced by what it stands for. Its parts may also be named by
/// aliases such as `Chat.Stage`, which are added to the scope.
pub(super) fn expand(
    resources: &[Resource],
    globals: &Value,
    scope: &mut Scope<'_>,
) -> Vec<Resource> {
    let mut expanded = Vec::new();
    let mut aliases = Vec::new();
    for resource in resources {
        scope
            .report
            .about(format!("Resources.{}", resource.logical_id));
        if resource.type_name == "AWS::Serverless::Function" {
            events(resource, globals, scope);
        }
        if resource.type_name == WEBSOCKET_API {
            let merged = merged(globals.child("WebSocketApi"), &resource.properties, scope);
            let (made, named) = WebSocketApi::new(resource, &merged, scope).expand();
            expanded.extend(made);
            aliases.extend(named);
        } else {
            expanded.push(resource.clone());
        }
    }
    scope.aliases.extend(aliases);
    let mut taken = HashSet::new();
    expanded.retain(|resource| {
        let new = taken.insert(resource.logical_id.clone());
        if !new {
            let message = format!(
                "two resources have the logical id {}",
                quoted(&resource.logical_id)
            );
            scope.report.mistake(&resource.place, message);
        }
        new
    });
    expanded
}

/// Events of a function that would come by other ways than a WebSocket API.
fn events(resource: &Resource, globals: &Value, scope: &Scope<'_>) {
    let implied = |name: &str| {
        let foreign = Foreign::new("AWS::ApiGateway::RestApi", name.to_owned(), scope);
        let mut things = scope.things.borrow_mut();
        things
            .entry(name.to_owned())
            .or_insert(Thing::Foreign(foreign));
    };
    let events = resource.properties.child("Events");
    let events = events.or_else(|| globals.child("Function")?.child("Events"));
    for event in events.map(Value::members).unwrap_or_default() {
        let Some(kind) = event.value.child("Type") else {
            continue;
        };
        let name = &event.key;
        let said = match kind.as_text() {
            Some("Api") => {
                implied("ServerlessRestApi");
                implied("ServerlessRestApiProdStage");
                format!("the event {name} comes by a REST API, which is not served yet")
            }
            Some("HttpApi") => {
                implied("ServerlessHttpApi");
                implied("ServerlessHttpApiApiGatewayDefaultStage");
                format!("the event {name} comes by an HTTP API, which is not served yet")
            }
            _ => format!(
                "the event {name} ({}) is not delivered here",
                kind.describe()
            ),
        };
        scope.report.notice(&kind.place, said);
    }
}

/// Properties over `Globals`: maps are merged, lists joined, anything else is replaced.
fn merged(globals: Option<&Value>, own: &Value, scope: &Scope<'_>) -> Value {
    let Some(globals) = globals.filter(|globals| scope.spend(weight(globals), &globals.place))
    else {
        return own.clone();
    };
    over(globals, own)
}

pub(super) fn weight(value: &Value) -> usize {
    let items = value
        .items()
        .iter()
        .chain(value.members().iter().map(|member| &member.value));
    1 + value.as_text().map_or(0, str::len) + items.map(weight).sum::<usize>()
}

pub(super) fn over(below: &Value, above: &Value) -> Value {
    let what = match (&below.what, &above.what) {
        (_, What::Null) => return below.clone(),
        (What::List(below), What::List(above)) => What::List([&below[..], above].concat()),
        (What::Map(below), What::Map(members)) if super::functions::call(above).is_none() => {
            let mut all: Vec<Member> = below.clone();
            let numbers = below.iter().enumerate();
            let mut numbers: HashMap<&str, usize> =
                numbers.map(|(n, member)| (&*member.key, n)).collect();
            for member in members {
                if let Some(n) = numbers.get(&*member.key) {
                    all[*n].value = over(&all[*n].value, &member.value);
                } else {
                    numbers.insert(&member.key, all.len());
                    all.push(member.clone());
                }
            }
            What::Map(all)
        }
        (_, above) => above.clone(),
    };
    Value::new(what, &above.place)
}

/// The URI by which an integration invokes a function.
pub(super) fn invocations(function: Value) -> Value {
    let place = function.place.clone();
    let text = |text: &str| Value::text(text, &place);
    let parts = [
        text("arn:"),
        Value::reference("AWS::Partition", &place),
        text(":apigateway:"),
        Value::reference("AWS::Region", &place),
        text(":lambda:path/2015-03-31/functions/"),
        function,
        text("/invocations"),
    ];
    Value::joined(parts, &place)
}
