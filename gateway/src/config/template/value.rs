//! What a template says, each value with its place.

use std::sync::Arc;

use crate::config::diagnostic::Position;
use crate::config::yaml::{Node, Tree};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<str>,
    /// Line and column in it.
    pub position: Position,
}

#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) what: What,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Null,
    /// Written without quotes: text, a number or a boolean, as its reader wants it.
    Plain(String),
    /// Text for certain.
    Text(String),
    List(Vec<Value>),
    Map(Vec<Member>),
    /// Already reported; passed over in silence.
    Broken,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Value,
}

/// Equal content; where it stands does not count.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

impl Value {
    /// A tree that was read from `file`.
    pub(super) fn of(node: Node, file: &Arc<str>) -> Self {
        let place = |position: Option<Position>| Place {
            file: Arc::clone(file),
            position: position.unwrap_or(Position::START),
        };
        let at = place(node.origin.position());
        let what = match node.tree {
            Tree::Null => What::Null,
            Tree::Scalar(text) => What::Plain(text),
            Tree::Quoted(text) => What::Text(text),
            Tree::Broken => What::Broken,
            Tree::List(items) => {
                What::List(items.into_iter().map(|item| Self::of(item, file)).collect())
            }
            Tree::Map(entries) => {
                let member = |entry: crate::config::yaml::Entry| Member {
                    place: place(entry.key_origin.position()),
                    value: Self::of(entry.node, file),
                    key: entry.key,
                };
                What::Map(entries.into_iter().map(member).collect())
            }
        };
        Self { what, place: at }
    }

    pub(super) fn new(what: What, place: &Place) -> Self {
        Self {
            what,
            place: place.clone(),
        }
    }

    pub(super) fn text(text: impl Into<String>, place: &Place) -> Self {
        Self::new(What::Text(text.into()), place)
    }

    pub(super) fn broken(place: &Place) -> Self {
        Self::new(What::Broken, place)
    }

    pub(super) fn list(items: Vec<Self>, place: &Place) -> Self {
        Self::new(What::List(items), place)
    }

    /// A map whose keys stand where it stands.
    pub(super) fn map<const N: usize>(members: [(&str, Self); N], place: &Place) -> Self {
        let member = |(key, value)| Member::new(key, value, place);
        Self::new(What::Map(members.into_iter().map(member).collect()), place)
    }

    /// `{ Ref: name }`.
    pub(super) fn reference(name: &str, place: &Place) -> Self {
        Self::map([("Ref", Self::text(name, place))], place)
    }

    /// `{ Fn::GetAtt: [name, attribute] }`.
    pub(super) fn attribute(name: &str, attribute: &str, place: &Place) -> Self {
        let path = [name, attribute].map(|text| Self::text(text, place));
        Self::map([("Fn::GetAtt", Self::list(path.into(), place))], place)
    }

    /// `{ Fn::Join: ["", parts] }`.
    pub(super) fn joined<const N: usize>(parts: [Self; N], place: &Place) -> Self {
        let arguments = vec![Self::text("", place), Self::list(parts.into(), place)];
        Self::map([("Fn::Join", Self::list(arguments, place))], place)
    }

    /// The text of a scalar.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.what {
            What::Plain(text) | What::Text(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`, also as YAML 1.1 writes it.
    pub(super) fn as_bool(&self) -> Option<bool> {
        let text = self.as_text()?;
        match text {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    pub(super) fn members(&self) -> &[Member] {
        match &self.what {
            What::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.what {
            What::List(items) => items,
            _ => &[],
        }
    }

    /// What stands under a key.
    pub(super) fn member(&self, key: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.key == key)
    }

    /// What stands under a key; nothing where that is `null`.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        let value = &self.member(key)?.value;
        (value.what != What::Null).then_some(value)
    }

    /// The only member of a map that has one.
    pub(super) fn single(&self) -> Option<&Member> {
        match self.members() {
            [member] => Some(member),
            _ => None,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.what == What::Broken
    }

    /// What it is, for a message.
    pub(super) fn describe(&self) -> String {
        match &self.what {
            What::Null | What::Broken => "nothing".to_owned(),
            What::Plain(text) | What::Text(text) => crate::config::diagnostic::quoted(text),
            What::List(_) => "a list".to_owned(),
            What::Map(_) => "a map".to_owned(),
        }
    }

    /// As JSON; text without quotes is a number, a boolean or `null` where it looks like one.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.what {
            What::Null | What::Broken => Json::Null,
            What::Text(text) => Json::String(text.clone()),
            What::Plain(text) => plain(text),
            What::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            What::Map(members) => {
                let member = |member: &Member| (member.key.clone(), member.value.to_json());
                Json::Object(members.iter().map(member).collect())
            }
        }
    }
}

impl Member {
    pub(super) fn new(key: &str, value: Value, place: &Place) -> Self {
        Self {
            key: key.to_owned(),
            place: place.clone(),
            value,
        }
    }
}

/// The core schema of YAML 1.2, without octal and hexadecimal numbers.
fn plain(text: &str) -> serde_json::Value {
    match text {
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leads_with_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || leads_with_zero {
        return text.into();
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => text.into(),
    }
}
