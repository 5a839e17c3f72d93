//! `serverless.yml`: variables resolved, `websocket` events as the resources that the Serverless Framework makes of them.

mod authorizer;
mod events;
mod syntax;
mod variables;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use self::events::Events;
use self::variables::Variables;
use super::document::Document;
use super::report::Report;
use super::sam::over;
use super::value::{Member, Place, Value, What};
use super::{Inputs, ReadBeside};
use crate::config::diagnostic::quoted;

/// What is read of it, and what has no meaning for a gateway.
const KEYS: [&str; 25] = [
    "app",
    "build",
    "configValidationMode",
    "console",
    "custom",
    "deprecationNotificationMode",
    "disabledDeprecations",
    "frameworkVersion",
    "functions",
    "inherits",
    "layers",
    "licenseKey",
    "org",
    "outputs",
    "package",
    "params",
    "plugins",
    "projectDir",
    "provider",
    "resources",
    "service",
    "stages",
    "tenant",
    "useDotenv",
    "variablesResolutionMode",
];

/// A service as a template.
pub(super) struct Service {
    pub(super) document: Document,
    /// Files that it includes.
    pub(super) files: Vec<PathBuf>,
    /// Inputs that its variables asked for.
    pub(super) asked: BTreeSet<String>,
}

/// Reads a service.
pub(super) fn read(
    root: &Value,
    inputs: &Inputs,
    report: &Report,
    beside: ReadBeside<'_>,
) -> Service {
    let variables = Variables::new(root, inputs, report, beside);
    let reader = Reader {
        root,
        variables: &variables,
        inputs,
        report,
    };
    let document = reader.document();
    Service {
        document,
        files: variables.paths.take(),
        asked: variables.asked.take(),
    }
}

struct Reader<'a> {
    root: &'a Value,
    variables: &'a Variables<'a>,
    inputs: &'a Inputs,
    report: &'a Report,
}

impl Reader<'_> {
    fn document(&self) -> Document {
        for member in self.root.members() {
            self.report.about(&member.key);
            if !KEYS.contains(&&*member.key) {
                let message = format!(
                    "{} is passed over: the framework's plugins are not run",
                    quoted(&member.key)
                );
                self.report.notice(&member.place, message);
            }
        }
        self.report.about("service");
        let service = self.service_name();
        let stage = self.variables.stage();
        let provider = self
            .root
            .child("provider")
            .map(|provider| self.variables.shallow(provider));
        let nothing = Value::new(What::Null, &self.root.place);
        let provider = provider.unwrap_or(Cow::Borrowed(&nothing));
        self.report.about("provider");
        self.check_provider(&provider);
        let setting = |key: &str| self.variables.child(&provider, key);
        let stack_name = setting("stackName").and_then(|name| name.as_text().map(str::to_owned));
        let stack_name = stack_name.unwrap_or_else(|| format!("{service}-{stage}"));
        let mut events = Events::new(&service, &stage, &provider, self.variables, self.report);
        for function in self.functions() {
            self.report.about(format!("functions.{}", function.key));
            events.function(&function);
        }
        let made = events.finish();
        let mut template = Value::new(What::Map(made.sections), &self.root.place);
        self.report.about("resources");
        for section in self.resources() {
            template = over(&template, &section);
        }
        let mut document = Document::read(&template, &stack_name, self.report);
        document.implied = made.implied;
        document
    }

    fn service_name(&self) -> String {
        let written = self.variables.child(self.root, "service");
        let name = written.as_ref().and_then(|service| {
            let inner = service.child("name").unwrap_or(service);
            inner.as_text().map(str::to_owned)
        });
        name.unwrap_or_else(|| {
            let broken = written.as_ref().is_some_and(Value::is_broken);
            if !broken {
                let place = written.map_or(self.root.place.clone(), |written| written.place);
                self.report.mistake(&place, "service takes a name");
            }
            "service".to_owned()
        })
    }

    fn check_provider(&self, provider: &Value) {
        let name = match provider.as_text() {
            Some(_) => Some(provider.clone()),
            None => self.variables.child(provider, "name"),
        };
        if let Some(name) = name.filter(|name| name.as_text().is_some_and(|name| name != "aws")) {
            let message = format!(
                "the provider {} has no WebSocket APIs; only aws has",
                name.describe()
            );
            self.report.mistake(&name.place, message);
        }
        let region = self
            .report
            .softly(|| self.variables.child(provider, "region"));
        if let Some(region) = region
            && let Some(name) = region.as_text().filter(|name| *name != self.inputs.region)
        {
            let ours = &self.inputs.region;
            let message = format!(
                "the region {} is not used; this gateway's is {ours}",
                quoted(name)
            );
            self.report.notice(&region.place, message);
        }
    }

    /// `functions`, which may be a map, a list of maps, and files of them.
    fn functions(&self) -> Vec<Member> {
        let Some(value) = self.root.child("functions") else {
            return Vec::new();
        };
        let mut functions = Vec::new();
        for map in self.maps(value, "functions") {
            functions.extend(map.members().iter().cloned());
        }
        functions
    }

    /// The sections of `resources`, with `extensions` brought to where they belong.
    fn resources(&self) -> Vec<Value> {
        let Some(value) = self.root.child("resources") else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        let mut extensions = Vec::new();
        for map in self.maps(value, "resources") {
            let mut kept = Vec::new();
            for section in map.members() {
                let value = self.variables.shallow(&section.value);
                let value = match &*section.key {
                    "Resources" => self.only_ours(&value),
                    "extensions" => {
                        let resources = self.variables.resolve(&value);
                        let resources = Member::new("Resources", resources, &section.place);
                        extensions.push(Value::new(What::Map(vec![resources]), &map.place));
                        continue;
                    }
                    _ => self.variables.resolve(&value),
                };
                kept.push(Member::new(&section.key, value, &section.place));
            }
            sections.push(Value::new(What::Map(kept), &map.place));
        }
        sections.extend(extensions);
        sections
    }

    /// Resources, where those that are not created here keep only what names them: their other variables need no value.
    fn only_ours(&self, resources: &Value) -> Value {
        let resource = |member: &Member| {
            let value = self.variables.shallow(&member.value);
            let type_name = self.variables.child(&value, "Type");
            let name = type_name
                .as_ref()
                .and_then(Value::as_text)
                .unwrap_or_default();
            let ours = ["AWS::ApiGatewayV2::", "AWS::Lambda::", "AWS::Serverless::"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            let value = if ours || name.is_empty() {
                self.variables.resolve(&value)
            } else {
                let last = name.rsplit("::").next().unwrap_or_default();
                self.named_only(&value, &format!("{last}Name"))
            };
            Member::new(&member.key, value, &member.place)
        };
        let members = resources.members().iter().map(resource).collect();
        match resources.what {
            What::Map(_) => Value::new(What::Map(members), &resources.place),
            _ => resources.clone(),
        }
    }

    fn named_only(&self, resource: &Value, name: &str) -> Value {
        let member = |member: &Member| {
            let value = match &*member.key {
                "Properties" => {
                    let properties = self.variables.shallow(&member.value);
                    let names = properties.members().iter();
                    let names =
                        names.filter(|property| property.key == name || property.key == "Name");
                    let names = names.cloned().collect();
                    self.report.softly(|| {
                        self.variables
                            .resolve(&Value::new(What::Map(names), &properties.place))
                    })
                }
                _ => self.variables.resolve(&member.value),
            };
            Member::new(&member.key, value, &member.place)
        };
        let members = resource.members().iter().map(member).collect();
        Value::new(What::Map(members), &resource.place)
    }

    /// A map, or a list of maps, each perhaps in another file.
    fn maps(&self, value: &Value, what: &str) -> Vec<Value> {
        let value = self.variables.shallow(value);
        let maps: Vec<Value> = match &value.what {
            What::List(items) => items
                .iter()
                .map(|item| self.variables.shallow(item).into_owned())
                .collect(),
            _ => vec![value.into_owned()],
        };
        let is_map = |map: &Value| match &map.what {
            What::Map(_) => true,
            What::Null | What::Broken => false,
            _ => {
                let message = format!(
                    "{what} takes a map, or a list of maps, found {}",
                    map.describe()
                );
                self.report.mistake(&map.place, message);
                false
            }
        };
        maps.into_iter().filter(is_map).collect()
    }
}

/// `send-message` is `SendDashmessage`, as the framework has it in logical ids.
fn normalized(name: &str) -> String {
    let name = name.replace('-', "Dash").replace('_', "Underscore");
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn text_at(text: &str, place: &Place) -> Value {
    Value::text(text, place)
}
