//! `Fn::Sub`: a text with names in it.

use super::scope::Scope;
use super::value::{Place, Value, What};
use crate::config::diagnostic::quoted;

impl Scope<'_> {
    pub(super) fn sub(&self, argument: &Value, place: &Place) -> Option<Value> {
        let takes = "Fn::Sub takes a text, or a list of a text and a map of its variables";
        let nothing = Value::new(What::Null, place);
        let (text, variables) = match (argument.as_text(), argument.items()) {
            (Some(text), _) => (text, &nothing),
            (None, [text, variables]) => match text.as_text() {
                Some(text) => (text, variables),
                None => return self.wrong_arguments(takes, place),
            },
            _ => return self.wrong_arguments(takes, place),
        };
        let mut result = String::new();
        let mut sound = true;
        for part in parts_of_sub(text) {
            let made = match part {
                SubPart::Text(text) => Some(text.to_owned()),
                SubPart::Name(name) => self.substitute(name, variables, place),
            };
            match made {
                Some(made) if self.spend(made.len(), place) => result.push_str(&made),
                _ => sound = false,
            }
        }
        sound.then(|| Value::text(result, place))
    }

    fn substitute(&self, name: &str, variables: &Value, place: &Place) -> Option<String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        // Looking through a long map for each of many names would take too long.
        if !self.spend(variables.members().len() / 8, place) {
            return None;
        }
        if let Some(variable) = variables.member(name) {
            return self.one_text(&variable.value);
        }
        if name.is_empty() || !name.chars().all(legal) {
            let message = format!("{} is no name that Fn::Sub could replace", quoted(name));
            let hint = format!("text that is to stay is written ${{!{name}}}");
            self.report.mistake_with_hint(place, message, hint);
            return None;
        }
        let value = match name.split_once('.') {
            Some((thing, attribute)) if !self.parameters.contains_key(name) => {
                self.attribute(thing, attribute, place)
            }
            // AWS::NoValue leaves nothing.
            _ => self
                .reference(name, place)
                .unwrap_or_else(|| Value::text("", place)),
        };
        self.text_of(&value)
    }
}

pub(super) enum SubPart<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// The parts of a text for `Fn::Sub`: `${Name}` is a name, `${!Text}` is the text `${Text}`.
pub(super) fn parts_of_sub(text: &str) -> Vec<SubPart<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        parts.push(SubPart::Text(before));
        let name = &from[2..end];
        match name.strip_prefix('!') {
            Some(literal) => {
                parts.push(SubPart::Text("${"));
                parts.push(SubPart::Text(literal));
                parts.push(SubPart::Text("}"));
            }
            None => parts.push(SubPart::Name(name)),
        }
        rest = &from[end + 1..];
    }
    parts.push(SubPart::Text(rest));
    parts
}
