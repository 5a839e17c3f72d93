//! `Parameters`: what the caller or the template says of each ("AWS CloudFormation, Parameters section").

use std::collections::HashMap;

use regex::Regex;

use super::Inputs;
use super::report::Report;
use super::value::{Member, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

const KEYS: [&str; 11] = [
    "Type",
    "Default",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
];

/// The value of each parameter; broken where it has none.
pub(super) fn read(section: &[Member], inputs: &Inputs, report: &Report) -> HashMap<String, Value> {
    let value = |member: &Member| {
        report.about(format!("Parameters.{}", member.key));
        (
            member.key.clone(),
            Parameter { member, report }.value(inputs),
        )
    };
    section.iter().map(value).collect()
}

struct Parameter<'a> {
    member: &'a Member,
    report: &'a Report,
}

impl Parameter<'_> {
    fn value(&self, inputs: &Inputs) -> Value {
        let Member { key, place, value } = self.member;
        if value.is_broken() {
            return Value::broken(place);
        }
        let What::Map(members) = &value.what else {
            let message = format!("expected a map with Type, found {}", value.describe());
            self.report.mistake(&value.place, message);
            return Value::broken(place);
        };
        for member in members {
            if !KEYS.contains(&&*member.key) {
                let message = format!("unknown key {}", quoted(&member.key));
                let hint = suggestion(&member.key, "the keys here are", &KEYS);
                self.report.add(&member.place, message, hint);
            }
        }
        let Some(kind) = value.child("Type").and_then(Value::as_text) else {
            self.report
                .mistake_with_hint(place, "'Type' is missing", "write Type: String");
            return Value::broken(place);
        };
        let default = value.child("Default");
        let (text, place) = match (inputs.parameters.get(key), default) {
            (Some(text), _) => (text.clone(), place),
            (None, Some(default)) => {
                let Some(text) = default.as_text() else {
                    let found = default.describe();
                    let message = format!("expected text, found {found}");
                    self.report.mistake(&default.place, message);
                    return Value::broken(place);
                };
                (text.to_owned(), &default.place)
            }
            (None, None) => {
                let message = format!("the parameter {} has no value", quoted(key));
                let hint = format!("add --parameter {key}=value, or a Default");
                self.report.mistake_with_hint(place, message, hint);
                return Value::broken(place);
            }
        };
        if kind.starts_with("AWS::SSM::Parameter::Value<") && !inputs.parameters.contains_key(key) {
            let message = format!(
                "the value of the SSM parameter {} is not looked up, its name stands for it; give one with --parameter {key}=value",
                quoted(&text)
            );
            self.report.notice(place, message);
        }
        let is_list = kind == "CommaDelimitedList" || kind.contains("List<");
        let items: Vec<&str> = match is_list {
            true if text.is_empty() => Vec::new(),
            true => text.split(',').map(str::trim).collect(),
            false => vec![&text],
        };
        let is_number = kind == "Number" || kind.ends_with("List<Number>");
        for item in &items {
            if is_number && item.trim().parse::<f64>().is_err() {
                self.refuse(item, "is not a number");
            }
            self.constrain(item, is_number);
        }
        if is_list {
            let items = items.into_iter().map(|item| Value::text(item, place));
            Value::list(items.collect(), place)
        } else {
            Value::text(text, place)
        }
    }

    fn constrain(&self, item: &str, is_number: bool) {
        let rule = |key: &str| self.member.value.child(key);
        let limit = |key: &str| rule(key)?.as_text()?.trim().parse::<f64>().ok();
        if let Some(allowed) = rule("AllowedValues") {
            let allowed: Vec<&str> = allowed.items().iter().filter_map(Value::as_text).collect();
            if !allowed.contains(&item) {
                let listed = crate::config::diagnostic::listed(&allowed);
                self.refuse(item, &format!("is none of the AllowedValues {listed}"));
            }
        }
        if is_number {
            let number = item.trim().parse().unwrap_or(0.0);
            if limit("MinValue").is_some_and(|least| number < least) {
                self.refuse(item, "is less than MinValue");
            }
            if limit("MaxValue").is_some_and(|most| number > most) {
                self.refuse(item, "is more than MaxValue");
            }
        }
        let length = item.chars().count() as f64;
        if limit("MinLength").is_some_and(|least| length < least) {
            self.refuse(item, "is shorter than MinLength");
        }
        if limit("MaxLength").is_some_and(|most| length > most) {
            self.refuse(item, "is longer than MaxLength");
        }
        let Some(pattern) = rule("AllowedPattern") else {
            return;
        };
        let text = pattern.as_text().unwrap_or_default();
        match Regex::new(&format!("^(?:{text})$")) {
            Ok(regex) if !regex.is_match(item) => {
                self.refuse(item, &format!("does not match the AllowedPattern {}", quoted(text)));
            }
            Ok(_) => {}
            Err(_) => self.report.notice(
                &pattern.place,
                "this AllowedPattern uses what only Java's regular expressions have and is not checked",
            ),
        }
    }

    fn refuse(&self, item: &str, why: &str) {
        let Member { key, place, value } = self.member;
        let secret = value.child("NoEcho").and_then(Value::as_bool) == Some(true);
        let shown = if secret {
            "its value".to_owned()
        } else {
            quoted(item)
        };
        let hint = value
            .child("ConstraintDescription")
            .and_then(Value::as_text);
        let message = format!("the parameter {}: {shown} {why}", quoted(key));
        self.report.add(place, message, hint.map(str::to_owned));
    }
}
