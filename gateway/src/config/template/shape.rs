//! Properties as AWS's API writes them: names with a small first letter, values of the type that the property has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::json;
use super::scope::Scope;
use super::types::{Form, Property, wire_name};
use super::value::{Member, Place, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

/// What became of the properties of one resource.
#[derive(Default)]
pub(super) struct Shaped {
    /// Ids of the resources above, the outermost first.
    pub(super) parents: BTreeMap<u8, String>,
    pub(super) body: Map<String, Json>,
    /// Where each member stands, by its path such as `stageVariables.host`.
    pub(super) places: BTreeMap<String, Place>,
    /// Something was wrong, and that has been said.
    pub(super) broken: bool,
}

/// Shapes the properties of a resource that stands at `place`.
pub(super) fn shape(
    scope: &Scope<'_>,
    properties: &Value,
    table: &[Property],
    place: &Place,
) -> Shaped {
    let mut shaped = Shaped::default();
    for property in table.iter().filter(|property| property.required) {
        if properties.child(property.name).is_none() {
            let message = format!("{} is missing", quoted(property.name));
            scope.report.mistake(place, message);
            shaped.broken = true;
        }
    }
    for member in properties.members() {
        let Some(property) = known(scope, member, table, false) else {
            shaped.broken = true;
            continue;
        };
        if member.value.what == What::Null {
            let hint = "leave it out, or use !Ref AWS::NoValue";
            let message = format!("{} says nothing", quoted(&member.key));
            scope.report.mistake_with_hint(&member.place, message, hint);
            shaped.broken = true;
            continue;
        }
        if let Form::PassedOver(why) = property.form {
            scope.report.notice(
                &member.place,
                format!("{} is passed over: {why}", member.key),
            );
            continue;
        }
        let Some(value) = scope.evaluate(&member.value) else {
            if property.required {
                let message = format!("{} cannot be left out", quoted(&member.key));
                scope.report.mistake(&member.place, message);
                shaped.broken = true;
            }
            continue;
        };
        let name = wire_name(property.name);
        let mut shaper = Shaper {
            scope,
            places: &mut shaped.places,
        };
        match (property.form, shaper.value(&value, property.form, &name)) {
            (_, None) => shaped.broken = true,
            (Form::Parent(above), Some(Json::String(id))) => {
                shaped.places.insert(name, value.place.clone());
                shaped.parents.insert(above, id);
            }
            (_, Some(json)) => {
                shaped.body.insert(name, json);
            }
        }
    }
    shaped
}

/// The property of a table that a member is; unknown ones are reported. `loose`: the first letter may be small.
fn known<'t>(
    scope: &Scope<'_>,
    member: &Member,
    table: &'t [Property],
    loose: bool,
) -> Option<&'t Property> {
    let is = |property: &&Property| {
        property.name == member.key || (loose && wire_name(property.name) == member.key)
    };
    let found = table.iter().find(is);
    if found.is_none() {
        let names: Vec<&str> = table.iter().map(|property| property.name).collect();
        let message = format!("unknown property {}", quoted(&member.key));
        let hint = suggestion(&member.key, "there are", &names);
        scope.report.add(&member.place, message, hint);
    }
    found
}

struct Shaper<'s, 'i> {
    scope: &'s Scope<'i>,
    places: &'s mut BTreeMap<String, Place>,
}

impl Shaper<'_, '_> {
    fn value(&mut self, value: &Value, form: Form, path: &str) -> Option<Json> {
        self.places.insert(path.to_owned(), value.place.clone());
        match form {
            Form::Text | Form::Parent(_) => self.scope.text_of(value).map(Json::String),
            Form::Flag => match value.as_bool() {
                Some(flag) => Some(flag.into()),
                None => self.expected("true or false", value),
            },
            Form::Whole => match value
                .as_text()
                .and_then(|text| text.trim().parse::<i64>().ok())
            {
                Some(number) => Some(number.into()),
                None => self.expected("a whole number", value),
            },
            Form::Number => {
                let number = value
                    .as_text()
                    .and_then(|text| text.trim().parse::<f64>().ok());
                match number.filter(|number| number.is_finite()) {
                    Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                        Some((number as i64).into())
                    }
                    Some(number) => Some(number.into()),
                    None => self.expected("a number", value),
                }
            }
            Form::Texts => {
                let value = self.opened(value, '[')?;
                let items: Vec<&Value> = match &value.what {
                    What::List(items) => items.iter().collect(),
                    _ => vec![&value],
                };
                let texts = items
                    .into_iter()
                    .map(|item| self.scope.text_of(item).map(Json::String));
                texts.collect::<Option<_>>().map(Json::Array)
            }
            Form::Json => self.json_text(value).map(Json::String),
            Form::TextMap => self.map(value, path, |shaper, member, _| {
                shaper.json_text(&member.value).map(Json::String)
            }),
            Form::Object(table) => self.object(value, table, path),
            Form::Objects(table) => {
                let value = self.opened(value, '[')?;
                let What::List(items) = &value.what else {
                    return self.expected("a list", &value);
                };
                let object =
                    |(n, item): (usize, &Value)| self.object(item, table, &format!("{path}.{n}"));
                let objects: Vec<Option<Json>> = items.iter().enumerate().map(object).collect();
                objects.into_iter().collect::<Option<_>>().map(Json::Array)
            }
            Form::ObjectMap(table) => self.map(value, path, |shaper, member, path| {
                // `route.request.querystring.token: true` is short for `{ Required: true }`.
                match (member.value.as_bool(), table) {
                    (Some(flag), [only]) => {
                        let member = (wire_name(only.name), Json::from(flag));
                        Some(Json::Object(Map::from_iter([member])))
                    }
                    _ => shaper.object(&member.value, table, path),
                }
            }),
            Form::ResponseParameters => self.map(value, path, |shaper, member, path| {
                shaper.response_parameters(&member.value, path)
            }),
            Form::PassedOver(_) => None,
        }
    }

    fn object(&mut self, value: &Value, table: &[Property], path: &str) -> Option<Json> {
        let value = self.opened(value, '{')?;
        let What::Map(members) = &value.what else {
            return self.expected("a map", &value);
        };
        let mut object = Some(Map::new());
        for member in members {
            let shaped = known(self.scope, member, table, true).and_then(|property| {
                let name = wire_name(property.name);
                let json = self.value(&member.value, property.form, &format!("{path}.{name}"))?;
                Some((name, json))
            });
            match (shaped, &mut object) {
                (Some((name, json)), Some(object)) => {
                    object.insert(name, json);
                }
                _ => object = None,
            }
        }
        object.map(Json::Object)
    }

    /// A map whose keys are the user's own.
    fn map(
        &mut self,
        value: &Value,
        path: &str,
        read: impl Fn(&mut Self, &Member, &str) -> Option<Json>,
    ) -> Option<Json> {
        let value = self.opened(value, '{')?;
        let What::Map(members) = &value.what else {
            return self.expected("a map", &value);
        };
        let mut map = Some(Map::new());
        for member in members {
            let path = format!("{path}.{}", member.key);
            self.places.insert(path.clone(), member.value.place.clone());
            match (read(self, member, &path), &mut map) {
                (Some(json), Some(map)) => {
                    map.insert(member.key.clone(), json);
                }
                _ => map = None,
            }
        }
        map.map(Json::Object)
    }

    /// `{ ResponseParameters: [{ Source, Destination }] }` is a map of destinations on the wire.
    fn response_parameters(&mut self, value: &Value, path: &str) -> Option<Json> {
        const PAIR: &[Property] = &[
            Property {
                name: "Destination",
                form: Form::Text,
                required: true,
            },
            Property {
                name: "Source",
                form: Form::Text,
                required: true,
            },
        ];
        const LIST: &[Property] = &[Property {
            name: "ResponseParameters",
            form: Form::Objects(PAIR),
            required: true,
        }];
        let object = self.object(value, LIST, path)?;
        let pairs = object.get("responseParameters").and_then(Json::as_array);
        let pair = |pair: &Json| {
            let destination = pair.get("destination")?.as_str()?.to_owned();
            Some((destination, pair.get("source")?.clone()))
        };
        let pairs: Option<Map<String, Json>> = pairs.into_iter().flatten().map(pair).collect();
        match pairs {
            Some(pairs) => Some(Json::Object(pairs)),
            None => self.expected("a list of maps with Destination and Source", value),
        }
    }

    /// Text as it is, anything else as JSON text.
    fn json_text(&self, value: &Value) -> Option<String> {
        match &value.what {
            What::Broken => None,
            What::List(_) | What::Map(_) => {
                if holds_broken(value) {
                    return None;
                }
                Some(value.to_json().to_string())
            }
            What::Null => self.expected("text", value),
            What::Plain(text) | What::Text(text) => Some(text.clone()),
        }
    }

    /// Where a map or list is written as JSON text, what that says; everything in it stands where the text stands.
    fn opened(&self, value: &Value, opening: char) -> Option<Value> {
        let text = match &value.what {
            What::Broken => return None,
            What::Plain(text) | What::Text(text) if text.trim_start().starts_with(opening) => text,
            _ => return Some(value.clone()),
        };
        match json::parse(text) {
            Ok(node) => {
                let mut opened = Value::of(node, &Arc::clone(&value.place.file));
                stand(&mut opened, &value.place);
                Some(opened)
            }
            Err(flaw) => {
                let message = format!("this text should be JSON: {}", flaw.message);
                self.scope.report.mistake(&value.place, message);
                None
            }
        }
    }

    fn expected<T>(&self, what: &str, value: &Value) -> Option<T> {
        if !value.is_broken() {
            let message = format!("expected {what}, found {}", value.describe());
            self.scope.report.mistake(&value.place, message);
        }
        None
    }
}

fn stand(value: &mut Value, place: &Place) {
    value.place = place.clone();
    match &mut value.what {
        What::List(items) => items.iter_mut().for_each(|item| stand(item, place)),
        What::Map(members) => {
            for member in members {
                member.place = place.clone();
                stand(&mut member.value, place);
            }
        }
        _ => {}
    }
}

fn holds_broken(value: &Value) -> bool {
    value.is_broken()
        || value.items().iter().any(holds_broken)
        || value
            .members()
            .iter()
            .any(|member| holds_broken(&member.value))
}
