//! The sections of a CloudFormation template and the form of each resource.

use std::sync::Arc;

use super::report::Report;
use super::value::{Member, Place, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

const SECTIONS: [&str; 12] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

const ATTRIBUTES: [&str; 10] = [
    "Type",
    "Properties",
    "Condition",
    "Connectors",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];

/// A template, its functions not yet worked out.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) stack_name: String,
    pub(super) parameters: Vec<Member>,
    pub(super) mappings: Vec<Member>,
    pub(super) conditions: Vec<Member>,
    pub(super) globals: Value,
    pub(super) resources: Vec<Resource>,
    pub(super) outputs: Vec<Member>,
    /// Resources that AWS would have and the file does not spell out, with their types.
    pub(super) implied: Vec<(String, &'static str)>,
}

/// One member of `Resources`.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) logical_id: String,
    pub(super) place: Place,
    pub(super) type_name: String,
    pub(super) type_place: Place,
    /// A map, or nothing.
    pub(super) properties: Value,
    /// `Metadata`, where SAM says how code is built.
    pub(super) metadata: Option<Value>,
    pub(super) depends_on: Vec<(String, Place)>,
    pub(super) condition: Option<(String, Place)>,
}

impl Document {
    /// Reads the sections; `stack_name` is what `AWS::StackName` gives.
    pub(super) fn read(tree: &Value, stack_name: &str, report: &Report) -> Self {
        for section in tree.members() {
            report.about(&section.key);
            match &*section.key {
                "Hooks" | "Rules" => {
                    report.notice(&section.place, format!("{} are not run here", section.key));
                }
                "Transform" => transform(&section.value, report),
                known if SECTIONS.contains(&known) => {}
                unknown => {
                    let message = format!("unknown section {}", quoted(unknown));
                    let hint = suggestion(unknown, "the sections are", &SECTIONS);
                    report.add(&section.place, message, hint);
                }
            }
        }
        let section = |name: &str| match tree.child(name) {
            None => Vec::new(),
            Some(value) => {
                report.about(name);
                map(value, report).to_vec()
            }
        };
        let nothing = Value::new(What::Null, &tree.place);
        Self {
            stack_name: stack_name.to_owned(),
            parameters: section("Parameters"),
            mappings: section("Mappings"),
            conditions: section("Conditions"),
            globals: tree.child("Globals").cloned().unwrap_or(nothing),
            outputs: section("Outputs"),
            implied: Vec::new(),
            resources: section("Resources")
                .iter()
                .filter_map(|member| Resource::read(member, report))
                .collect(),
        }
    }
}

/// Macros other than SAM and the language extensions rewrite templates in ways that only AWS knows.
fn transform(value: &Value, report: &Report) {
    let names = value.items().iter().chain(value.as_text().map(|_| value));
    for name in names {
        match name.as_text() {
            Some(text)
                if text.starts_with("AWS::Serverless-") || text == "AWS::LanguageExtensions" => {}
            _ => report.notice(
                &name.place,
                format!(
                    "the transform {} is run by AWS and not here",
                    name.describe()
                ),
            ),
        }
    }
}

/// The members of a map; anything else is a mistake.
pub(super) fn map<'v>(value: &'v Value, report: &Report) -> &'v [Member] {
    match &value.what {
        What::Map(members) => members,
        What::Null | What::Broken => &[],
        _ => {
            let message = format!("expected a map, found {}", value.describe());
            report.mistake(&value.place, message);
            &[]
        }
    }
}

impl Resource {
    pub(super) fn read(member: &Member, report: &Report) -> Option<Self> {
        let Member { key, place, value } = member;
        report.about(format!("Resources.{key}"));
        if key.starts_with("Fn::") {
            let hint = "write each resource out";
            report.mistake_with_hint(place, "loops over resources are not read", hint);
            return None;
        }
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            let message = format!(
                "the logical id {} must consist of letters and digits",
                quoted(key)
            );
            report.mistake(place, message);
        }
        let members = map(value, report);
        for member in members {
            if !ATTRIBUTES.contains(&&*member.key) {
                let message = format!("unknown key {}", quoted(&member.key));
                let hint = suggestion(&member.key, "the keys of a resource are", &ATTRIBUTES);
                report.add(&member.place, message, hint);
            }
        }
        let text = |key: &str| {
            let value = value.child(key)?;
            let text = value.as_text();
            if text.is_none() && !value.is_broken() {
                let message = format!("expected text, found {}", value.describe());
                report.mistake(&value.place, message);
            }
            Some((text?.to_owned(), value.place.clone()))
        };
        let condition = text("Condition");
        let Some((type_name, type_place)) = text("Type") else {
            if value.child("Type").is_none() && !value.is_broken() {
                let hint = "such as Type: AWS::ApiGatewayV2::Route";
                report.mistake_with_hint(place, "'Type' is missing", hint);
            }
            return None;
        };
        let depends_on = value.child("DependsOn").map(|value| {
            let items = value.items().iter().chain(value.as_text().map(|_| value));
            items
                .filter_map(|item| Some((item.as_text()?.to_owned(), item.place.clone())))
                .collect()
        });
        let nothing = Value::new(What::Null, place);
        let properties = value.child("Properties").cloned().unwrap_or(nothing);
        map(&properties, report);
        Some(Self {
            logical_id: key.clone(),
            place: place.clone(),
            type_name,
            type_place,
            properties,
            metadata: value.child("Metadata").cloned(),
            depends_on: depends_on.unwrap_or_default(),
            condition,
        })
    }

    /// A resource that something else stands for, such as a route of a SAM API.
    pub(super) fn made(logical_id: String, type_name: &str, properties: Value) -> Self {
        Self {
            logical_id,
            place: properties.place.clone(),
            type_name: type_name.to_owned(),
            type_place: properties.place.clone(),
            properties,
            metadata: None,
            depends_on: Vec::new(),
            condition: None,
        }
    }

    /// Whether it is one of AWS's types that stand for several others, and which this reader did not spell out.
    pub(super) fn is_unexpanded(&self) -> bool {
        self.type_name.starts_with("AWS::Serverless::") && !self.is_function()
    }

    pub(super) fn is_function(&self) -> bool {
        matches!(
            &*self.type_name,
            "AWS::Serverless::Function" | "AWS::Lambda::Function"
        )
    }
}

/// The name of a stack whose template is a file: letters, digits and hyphens of its name.
pub(super) fn stack_name_of(file: &Arc<str>) -> String {
    let stem = std::path::Path::new(&**file).file_stem();
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = stem.unwrap_or_default().chars().map(legal).collect();
    match name.trim_matches('-') {
        "" => "template".to_owned(),
        name => name.to_owned(),
    }
}
