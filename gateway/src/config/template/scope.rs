//! What names in a template stand for, and how much may be made of them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};

use super::Inputs;
use super::fuel::Fuel;
use super::report::Report;
use super::thing::Thing;
use super::value::{Member, Place, Value, What};
use crate::config::diagnostic::{quoted, suggestion};

/// Names that a misspelt one is compared with.
pub(super) const MOST_COMPARED: usize = 1000;

/// Conditions and functions that may stand inside each other across names.
pub(super) const MOST_NESTED: usize = 200;

/// Everything that a function may look up.
pub(super) struct Scope<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) report: &'a Report,
    pub(super) stack_name: &'a str,
    pub(super) mappings: &'a [Member],
    pub(super) conditions: HashMap<&'a str, &'a Member>,
    /// All logical ids, whether there is a thing for them yet or not.
    pub(super) logical_ids: HashSet<&'a str>,
    pub(super) parameters: HashMap<String, Value>,
    /// Other names of resources, such as SAM's `Chat.Stage`.
    pub(super) aliases: HashMap<String, String>,
    pub(super) things: RefCell<HashMap<String, Thing>>,
    /// Conditions that are known, and those on the way (`None`).
    pub(super) truths: RefCell<HashMap<String, Option<bool>>>,
    pub(super) nested: Cell<usize>,
    /// Inputs that something asked for.
    pub(super) asked: RefCell<BTreeSet<String>>,
    fuel: Fuel,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        inputs: &'a Inputs,
        report: &'a Report,
        stack_name: &'a str,
        parameters: HashMap<String, Value>,
    ) -> Self {
        Self {
            inputs,
            report,
            stack_name,
            mappings: &[],
            conditions: HashMap::new(),
            logical_ids: HashSet::new(),
            parameters,
            aliases: HashMap::new(),
            things: RefCell::default(),
            truths: RefCell::default(),
            nested: Cell::new(0),
            asked: RefCell::default(),
            fuel: Fuel::default(),
        }
    }

    /// Counts what was made; false where it is too much, which is then said.
    pub(super) fn spend(&self, amount: usize, place: &Place) -> bool {
        self.fuel.spend(amount, place, self.report)
    }

    /// What `Ref` gives; `None` for `AWS::NoValue`.
    pub(super) fn reference(&self, name: &str, place: &Place) -> Option<Value> {
        if name.starts_with("AWS::") {
            return self.pseudo(name, place);
        }
        if let Some(value) = self.parameters.get(name) {
            let weight = value.items().iter().chain([value]);
            let weight = weight
                .map(|item| 1 + item.as_text().map_or(0, str::len))
                .sum();
            if !self.spend(weight, place) {
                return Some(Value::broken(place));
            }
            return Some(Value::new(value.what.clone(), place));
        }
        let name = self.aliases.get(name).map_or(name, String::as_str);
        Some(self.of_thing(name, place, |thing| thing.reference(name)))
    }

    /// What `Fn::GetAtt` gives.
    pub(super) fn attribute(&self, name: &str, attribute: &str, place: &Place) -> Value {
        if self.parameters.contains_key(name) {
            let message = format!("the parameter {} has no attributes", quoted(name));
            let hint = format!("text that is to stay is written ${{!{name}.{attribute}}}");
            self.report.mistake_with_hint(place, message, hint);
            return Value::broken(place);
        }
        // SAM's parts are for Ref, and people write them either way.
        if let Some(alias) = self.aliases.get(&format!("{name}.{attribute}")) {
            return self.of_thing(alias, place, |thing| thing.reference(alias));
        }
        self.of_thing(name, place, |thing| thing.attribute(attribute))
    }

    fn of_thing(
        &self,
        name: &str,
        place: &Place,
        read: impl FnOnce(&Thing) -> Result<Option<String>, String>,
    ) -> Value {
        let things = self.things.borrow();
        let thing = things
            .get(name)
            .or_else(|| things.get(name.split('.').next()?));
        let Some(thing) = thing else {
            if let Some(made) = super::thing::implied(&things, name) {
                let text = read(&Thing::Foreign(made.named(self)));
                return Value::text(text.ok().flatten().unwrap_or_default(), place);
            }
            drop(things);
            self.unknown(name, place);
            return Value::broken(place);
        };
        match read(thing) {
            Ok(Some(text)) if self.spend(text.len(), place) => Value::text(text, place),
            Ok(_) => Value::broken(place),
            Err(message) => {
                self.report.mistake(place, message);
                Value::broken(place)
            }
        }
    }

    fn unknown(&self, name: &str, place: &Place) {
        if self.logical_ids.contains(name) {
            let message = format!("the resource {} cannot be named here", quoted(name));
            let hint = "conditions may name parameters only";
            self.report.mistake_with_hint(place, message, hint);
            return;
        }
        let message = format!(
            "{} is neither a parameter nor a resource of this template",
            quoted(name)
        );
        if self.report.is_full() {
            self.report.mistake(place, message);
            return;
        }
        let mut known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
        known.extend(&self.logical_ids);
        known.sort_unstable();
        known.truncate(MOST_COMPARED);
        let nearest = suggestion(name, "", &known).filter(|hint| hint.starts_with("did"));
        let hint = nearest.or_else(|| {
            let stays = name == "stageVariables" || name == "stageVariable";
            stays.then(|| "text that is to stay is written ${!stageVariables.name}".to_owned())
        });
        self.report.add(place, message, hint);
    }

    fn pseudo(&self, name: &str, place: &Place) -> Option<Value> {
        let text = match name {
            "AWS::NoValue" => return None,
            "AWS::Region" => self.inputs.region.clone(),
            "AWS::AccountId" => self.inputs.account_id.clone(),
            "AWS::Partition" => self.partition().to_owned(),
            "AWS::URLSuffix" => self.url_suffix().to_owned(),
            "AWS::StackName" => self.stack_name.to_owned(),
            "AWS::StackId" => self.arn(
                "cloudformation",
                &format!("stack/{}/local", self.stack_name),
            ),
            "AWS::NotificationARNs" => return Some(Value::list(Vec::new(), place)),
            _ => {
                let known = [
                    "AWS::AccountId",
                    "AWS::NoValue",
                    "AWS::NotificationARNs",
                    "AWS::Partition",
                    "AWS::Region",
                    "AWS::StackId",
                    "AWS::StackName",
                    "AWS::URLSuffix",
                ];
                let message = format!("unknown pseudo parameter {}", quoted(name));
                let hint = suggestion(name, "there are", &known);
                self.report.add(place, message, hint);
                return Some(Value::broken(place));
            }
        };
        Some(Value::text(text, place))
    }

    pub(super) fn partition(&self) -> &'static str {
        match &self.inputs.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    pub(super) fn url_suffix(&self) -> &'static str {
        if self.inputs.region.starts_with("cn-") {
            return "amazonaws.com.cn";
        }
        "amazonaws.com"
    }

    /// The ARN of something in this account and region.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let Inputs {
            region, account_id, ..
        } = self.inputs;
        let partition = self.partition();
        format!("arn:{partition}:{service}:{region}:{account_id}:{resource}")
    }

    /// What the caller gave under a name that no section declares, such as an export of another stack.
    pub(super) fn supplied(&self, name: &str) -> Option<&'a str> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.inputs.parameters.get(name).map(String::as_str)
    }

    /// The text of a value; what is none is a mistake.
    pub(super) fn text_of(&self, value: &Value) -> Option<String> {
        match (&value.what, value.as_text()) {
            (_, Some(text)) => Some(text.to_owned()),
            (What::Broken, None) => None,
            (_, None) => {
                let message = format!("expected text, found {}", value.describe());
                self.report.mistake(&value.place, message);
                None
            }
        }
    }
}
