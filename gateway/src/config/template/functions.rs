//! `Ref` and the `Fn::…` functions ("AWS CloudFormation, intrinsic function reference").

use base64::Engine as _;

use super::cidr;
use super::scope::Scope;
use super::value::{Member, Place, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

const NAMES: [&str; 17] = [
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::GetAZs",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Length",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
];

/// The function and its arguments, where a value is a call.
pub(super) fn call(value: &Value) -> Option<(&str, &Value)> {
    let member = value.single()?;
    let is_call = member.key == "Ref" || member.key.starts_with("Fn::");
    is_call.then_some((&*member.key, &member.value))
}

impl Scope<'_> {
    /// The value with all functions in it worked out; `None` for `AWS::NoValue`.
    pub(super) fn evaluate(&self, value: &Value) -> Option<Value> {
        let place = &value.place;
        if !self.spend(1, place) {
            return Some(Value::broken(place));
        }
        match &value.what {
            What::List(items) => {
                let items = items.iter().filter_map(|item| self.evaluate(item));
                Some(Value::list(items.collect(), place))
            }
            What::Map(members) => {
                if let Some((name, argument)) = call(value) {
                    return self.call(name, argument, place);
                }
                let members = members
                    .iter()
                    .filter_map(|member| self.evaluate_member(member));
                Some(Value::new(What::Map(members.collect()), place))
            }
            what => Some(Value::new(what.clone(), place)),
        }
    }

    fn evaluate_member(&self, member: &Member) -> Option<Member> {
        if member.key.starts_with("Fn::") {
            let message = format!("{} stands beside other keys", quoted(&member.key));
            let hint = "a function is the only key of its map";
            self.report.mistake_with_hint(&member.place, message, hint);
            return None;
        }
        Some(Member {
            key: member.key.clone(),
            place: member.place.clone(),
            value: self.evaluate(&member.value)?,
        })
    }

    fn call(&self, name: &str, argument: &Value, place: &Place) -> Option<Value> {
        let broken = || Value::broken(place);
        if argument.is_broken() {
            return Some(broken());
        }
        let made = match name {
            "Ref" => match argument.as_text() {
                Some(name) => return self.reference(name, place),
                None => self.wrong_arguments("Ref takes a name", place),
            },
            "Fn::If" => match argument.items() {
                [condition, then, otherwise] => {
                    let name = self.text_of(condition);
                    match name.and_then(|name| self.condition(&name, &condition.place)) {
                        Some(true) => return self.evaluate(then),
                        Some(false) => return self.evaluate(otherwise),
                        None => None,
                    }
                }
                _ => self.wrong_arguments(
                    "Fn::If takes a list of three: the name of a condition, the value if it is true, the value if not",
                    place,
                ),
            },
            "Fn::GetAtt" => self.get_att(argument, place),
            "Fn::Sub" => self.sub(argument, place),
            "Fn::Join" => self.join(argument, place),
            "Fn::Select" => self.select(argument, place),
            "Fn::Split" => self.split(argument, place),
            "Fn::FindInMap" => self.find_in_map(argument, place),
            "Fn::ImportValue" => self.import_value(argument, place),
            "Fn::Base64" => self.one_text(argument).map(|text| {
                Value::text(base64::engine::general_purpose::STANDARD.encode(text), place)
            }),
            "Fn::Cidr" => self.cidr(argument, place),
            "Fn::GetAZs" => self.one_text(argument).map(|region| {
                let region = if region.is_empty() { &self.inputs.region } else { &region };
                let zone = |letter| Value::text(format!("{region}{letter}"), place);
                Value::list(["a", "b", "c"].map(zone).into(), place)
            }),
            "Fn::Length" => self.evaluate(argument).and_then(|list| match &list.what {
                What::List(items) => Some(Value::text(items.len().to_string(), place)),
                _ => self.wrong_arguments("Fn::Length takes a list", place),
            }),
            "Fn::ToJsonString" => self
                .evaluate(argument)
                .map(|value| Value::text(value.to_json().to_string(), place)),
            "Fn::And" | "Fn::Equals" | "Fn::Not" | "Fn::Or" => self
                .truth_of(name, argument, place)
                .map(|truth| Value::text(truth.to_string(), place)),
            "Fn::Transform" => self.wrong_arguments(
                "Fn::Transform is run by AWS and not here; write out what it puts in its place",
                place,
            ),
            _ => {
                let message = format!("unknown function {}", quoted(name));
                let hint = suggestion(name, "the functions are", &NAMES);
                let hint = if name.starts_with("Fn::ForEach") {
                    Some("loops are not read; write each member out".to_owned())
                } else {
                    hint
                };
                self.report.add(place, message, hint);
                None
            }
        };
        let made = made.unwrap_or_else(broken);
        let bytes = made.items().iter().chain([&made]);
        let bytes = bytes
            .map(|item| 1 + item.as_text().map_or(0, str::len))
            .sum();
        if !self.spend(bytes, place) {
            return Some(broken());
        }
        Some(made)
    }

    /// Arguments that are not what the function takes; the sentence says what it takes.
    pub(super) fn wrong_arguments<T>(&self, takes: &str, place: &Place) -> Option<T> {
        self.report.mistake(place, takes);
        None
    }

    /// The evaluated arguments of a function that takes a list; `None` where one of them is broken.
    fn arguments(&self, argument: &Value) -> Option<Vec<Value>> {
        let value = self.evaluate(argument)?;
        match value.what {
            What::List(items) if !items.iter().any(Value::is_broken) => Some(items),
            What::List(_) | What::Broken => None,
            _ => Some(vec![value]),
        }
    }

    pub(super) fn one_text(&self, argument: &Value) -> Option<String> {
        self.text_of(&self.evaluate(argument)?)
    }

    fn get_att(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::GetAtt takes Name.Attribute, or a list of both";
        let (name, attribute) = match (argument.as_text(), argument.items()) {
            (Some(path), _) => match path.split_once('.') {
                Some((name, attribute)) => (name.to_owned(), attribute.to_owned()),
                None => return self.wrong_arguments(takes, place),
            },
            (None, [name, attribute @ ..]) if !attribute.is_empty() => {
                let parts = attribute.iter().map(|part| self.one_text(part));
                let parts: Vec<String> = parts.collect::<Option<_>>()?;
                (self.one_text(name)?, parts.join("."))
            }
            _ => return self.wrong_arguments(takes, place),
        };
        Some(self.attribute(&name, &attribute, place))
    }

    fn join(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::Join takes a list of two: what stands between, and a list of parts";
        let [separator, parts] = argument.items() else {
            return self.wrong_arguments(takes, place);
        };
        let separator = self.one_text(separator)?;
        let parts = self.evaluate(parts)?;
        let What::List(parts) = &parts.what else {
            if parts.is_broken() {
                return None;
            }
            return self.wrong_arguments(takes, place);
        };
        let mut joined = String::new();
        for (n, part) in parts.iter().enumerate() {
            let text = self.text_of(part)?;
            let separator = if n == 0 { "" } else { &separator };
            if !self.spend(separator.len() + text.len(), place) {
                return None;
            }
            joined.push_str(separator);
            joined.push_str(&text);
        }
        Some(Value::text(joined, place))
    }

    fn select(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::Select takes a list of two: a number, and a list";
        let arguments = self.arguments(argument)?;
        let [index, list] = &arguments[..] else {
            return self.wrong_arguments(takes, place);
        };
        let number = index
            .as_text()
            .and_then(|text| text.trim().parse::<usize>().ok());
        let (Some(number), What::List(items)) = (number, &list.what) else {
            return self.wrong_arguments(takes, place);
        };
        let Some(item) = items.get(number) else {
            let message = format!(
                "Fn::Select asks for number {number} of a list of {}; the first is 0",
                items.len()
            );
            return self.wrong_arguments(&message, place);
        };
        Some(Value::new(item.what.clone(), place))
    }

    fn split(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::Split takes a list of two: what stands between, and a text";
        let arguments = self.arguments(argument)?;
        let [separator, text] = &arguments[..] else {
            return self.wrong_arguments(takes, place);
        };
        let (Some(separator), Some(text)) = (separator.as_text(), text.as_text()) else {
            return self.wrong_arguments(takes, place);
        };
        if separator.is_empty() {
            return self.wrong_arguments("Fn::Split cannot split by nothing", place);
        }
        let parts = text.matches(separator).count() + 1;
        if !self.spend(parts * 64, place) {
            return None;
        }
        let parts = text.split(separator).map(|part| Value::text(part, place));
        Some(Value::list(parts.collect(), place))
    }

    fn find_in_map(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::FindInMap takes a list of three: the map, its first and its second key";
        let [keys @ .., last] = argument.items() else {
            return self.wrong_arguments(takes, place);
        };
        // The language extensions' { DefaultValue: … } comes fourth.
        let default = last.member("DefaultValue").filter(|_| keys.len() == 3);
        let keys = if default.is_some() {
            keys
        } else {
            argument.items()
        };
        if keys.len() != 3 {
            return self.wrong_arguments(takes, place);
        }
        let names = keys.iter().map(|key| self.one_text(key));
        let names: Vec<String> = names.collect::<Option<_>>()?;
        let mut members = self.mappings;
        let mut found = None;
        for name in &names {
            if !self.spend(members.len() / 8, place) {
                return None;
            }
            found = members.iter().find(|member| member.key == *name);
            members = found.map_or(&[], |member| member.value.members());
        }
        match (found, default) {
            (Some(member), _) => self.evaluate(&member.value),
            (None, Some(default)) => self.evaluate(&default.value),
            (None, None) => {
                let message = format!("Mappings has no {}", quoted(&names.join(".")));
                self.wrong_arguments(&message, place)
            }
        }
    }

    fn import_value(&self, argument: &Value, place: &Place) -> Option<Value> {
        let name = self.one_text(argument)?;
        if let Some(value) = self.supplied(&name) {
            return Some(Value::text(value, place));
        }
        let message = format!(
            "the export {} of another stack is not looked up",
            quoted(&name)
        );
        let hint = format!("give its value with --parameter {name}=value");
        self.report.mistake_with_hint(place, message, hint);
        None
    }

    fn cidr(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes =
            "Fn::Cidr takes a list: an address block, how many (up to 256), and the bits of each";
        let arguments = self.arguments(argument)?;
        let texts: Option<Vec<&str>> = arguments.iter().map(Value::as_text).collect();
        let blocks = match texts.as_deref() {
            Some([block, count]) => cidr::split(block, count, None),
            Some([block, count, bits]) => cidr::split(block, count, Some(bits)),
            _ => None,
        };
        let Some(blocks) = blocks else {
            return self.wrong_arguments(takes, place);
        };
        let blocks = blocks.into_iter().map(|block| Value::text(block, place));
        Some(Value::list(blocks.collect(), place))
    }
}
