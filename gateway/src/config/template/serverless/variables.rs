//! What variables stand for.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::syntax::{Part, Source, parts, source, sources};
use crate::config::diagnostic::quoted;
use crate::config::template::fuel::Fuel;
use crate::config::template::report::Report;
use crate::config::template::sam::weight;
use crate::config::template::value::{Member, Place, Value, What};
use crate::config::template::{Inputs, ReadBeside, tree};

/// Variables, maps and lists that may stand inside each other.
const DEEPEST: usize = 150;

/// What one variable costs beside its value.
const COST: usize = 64;

/// Resolves the variables of one service.
pub(super) struct Variables<'a> {
    root: &'a Value,
    inputs: &'a Inputs,
    report: &'a Report,
    read: ReadBeside<'a>,
    fuel: Fuel,
    depth: Cell<usize>,
    /// Sources that are on the way: one that comes again would never end.
    way: RefCell<Vec<String>>,
    files: RefCell<HashMap<String, Option<Rc<Value>>>>,
    /// The files that were read.
    pub(super) paths: RefCell<Vec<PathBuf>>,
    pub(super) asked: RefCell<BTreeSet<String>>,
    stage: RefCell<Option<String>>,
}

/// How far a value is resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// With all that is in it.
    Deep,
    /// Itself; what is in a map or list may not be needed, and then needs no value.
    Shallow,
}

/// What a source gave.
enum Found {
    Value(Value),
    /// It has none; a default may follow. The hint says how to give one.
    Missing(String),
    /// It was wrong, and that has been said.
    Broken,
}

/// A source by its parts and as a whole, variables in it resolved.
struct Named<'t> {
    name: &'t str,
    argument: &'t str,
    address: &'t str,
    whole: &'t str,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        root: &'a Value,
        inputs: &'a Inputs,
        report: &'a Report,
        read: ReadBeside<'a>,
    ) -> Self {
        Self {
            root,
            inputs,
            report,
            read,
            fuel: Fuel::default(),
            depth: Cell::new(0),
            way: RefCell::default(),
            files: RefCell::default(),
            paths: RefCell::default(),
            asked: RefCell::default(),
            stage: RefCell::default(),
        }
    }

    /// `--stage`, or what the provider says, or `dev`.
    pub(super) fn stage(&self) -> String {
        if let Some(stage) = &self.inputs.stage {
            return stage.clone();
        }
        if let Some(stage) = &*self.stage.borrow() {
            return stage.clone();
        }
        let written = self
            .report
            .softly(|| self.at(self.root, "provider.stage", Reach::Deep));
        let stage = match written {
            Found::Value(value) => value.as_text().unwrap_or("dev").to_owned(),
            _ => "dev".to_owned(),
        };
        *self.stage.borrow_mut() = Some(stage.clone());
        stage
    }

    /// A value with all its variables resolved.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        let place = &value.place;
        if !self.fuel.spend(1, place, self.report) {
            return Value::broken(place);
        }
        self.deeper(place, || match &value.what {
            What::Plain(text) | What::Text(text) => match self.resolve_text(text, value) {
                Some(resolved) => resolved,
                None => value.clone(),
            },
            What::List(items) => {
                Value::list(items.iter().map(|item| self.resolve(item)).collect(), place)
            }
            What::Map(members) => {
                let member = |member: &Member| Member {
                    key: member.key.clone(),
                    place: member.place.clone(),
                    value: self.resolve(&member.value),
                };
                Value::new(What::Map(members.iter().map(member).collect()), place)
            }
            What::Null | What::Broken => value.clone(),
        })
        .unwrap_or_else(|| Value::broken(place))
    }

    /// A value whose own text is resolved, if it is one; what is inside a map or list is left as it is.
    pub(super) fn shallow<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        match value.as_text() {
            Some(text) if text.contains("${") => {
                let shallow = || match parts(text)[..] {
                    [Part::Variable(inside)] => self.variable(inside, &value.place, Reach::Shallow),
                    _ => self.resolve(value),
                };
                let resolved = self.deeper(&value.place, shallow);
                Cow::Owned(resolved.unwrap_or_else(|| Value::broken(&value.place)))
            }
            _ => Cow::Borrowed(value),
        }
    }

    /// What stands under a key, resolved; nothing where that is null.
    pub(super) fn child(&self, value: &Value, key: &str) -> Option<Value> {
        let value = self.resolve(value.child(key)?);
        (value.what != What::Null).then_some(value)
    }

    /// `None` where the text has no variables.
    fn resolve_text(&self, text: &str, value: &Value) -> Option<Value> {
        if !text.contains("${") {
            return None;
        }
        let place = &value.place;
        let parts = parts(text);
        if let [Part::Variable(inside)] = parts[..] {
            return Some(self.variable(inside, place, Reach::Deep));
        }
        if !parts.iter().any(|part| matches!(part, Part::Variable(_))) {
            return None;
        }
        let mut joined = String::new();
        for part in parts {
            match part {
                Part::Text(text) => joined.push_str(text),
                Part::Variable(inside) => {
                    let resolved = self.variable(inside, place, Reach::Deep);
                    match resolved.as_text() {
                        Some(text) if self.fuel.spend(text.len(), place, self.report) => {
                            joined.push_str(text);
                        }
                        Some(_) => return Some(Value::broken(place)),
                        None => {
                            if !resolved.is_broken() {
                                let found = resolved.describe();
                                let message =
                                    format!("{} stands in a text and is {found}", shown(inside));
                                self.report.mistake(place, message);
                            }
                            return Some(Value::broken(place));
                        }
                    }
                }
            }
        }
        Some(Value::text(joined, place))
    }

    fn variable(&self, inside: &str, place: &Place, reach: Reach) -> Value {
        if !self.fuel.spend(COST, place, self.report) {
            return Value::broken(place);
        }
        let mut hint = String::new();
        let mut later = false;
        for text in sources(inside) {
            match self.source(text, place, reach) {
                Found::Value(value) => {
                    if later && !hint.is_empty() {
                        let message = format!(
                            "{} is not looked up; its default stands for it",
                            shown(inside)
                        );
                        self.report.notice(place, message);
                    }
                    return value;
                }
                Found::Broken => return Value::broken(place),
                Found::Missing(how) if hint.is_empty() => hint = how,
                Found::Missing(_) => {}
            }
            later = true;
        }
        let message = format!("{} has no value", shown(inside));
        let hint = (!hint.is_empty()).then_some(hint);
        self.report.add(place, message, hint);
        Value::broken(place)
    }

    fn source(&self, text: &str, place: &Place, reach: Reach) -> Found {
        let Some(source) = source(text) else {
            let message = format!("{} is no source of a variable", quoted(text));
            let hint = "text stands in quotes: 'text'";
            self.report.mistake_with_hint(place, message, hint);
            return Found::Broken;
        };
        match source {
            Source::Text(text) => Found::Value(Value::text(text, place)),
            Source::Plain("null") => Found::Value(Value::new(What::Null, place)),
            Source::Plain(text) => Found::Value(Value::new(What::Plain(text.to_owned()), place)),
            Source::Variable(inside) => present(self.variable(inside, place, reach)),
            Source::Named {
                name,
                argument,
                address,
            } => {
                let text = |text: &str| {
                    let resolved = self.resolve_text(text, &Value::text(text, place));
                    let resolved = resolved.unwrap_or_else(|| Value::text(text, place));
                    resolved.as_text().map(str::to_owned)
                };
                let (Some(argument), Some(address)) =
                    (text(argument.unwrap_or_default()), text(address))
                else {
                    return Found::Broken;
                };
                let whole = match &*argument {
                    "" => format!("{name}:{address}"),
                    argument => format!("{name}({argument}):{address}"),
                };
                if self.way.borrow().contains(&whole) {
                    let message = format!("{} is made of itself", shown(&whole));
                    self.report.mistake(place, message);
                    return Found::Broken;
                }
                self.way.borrow_mut().push(whole.clone());
                let found = self.deeper(place, || {
                    let named = Named {
                        name,
                        argument: &argument,
                        address: &address,
                        whole: &whole,
                    };
                    self.named(&named, place, reach)
                });
                self.way.borrow_mut().pop();
                found.unwrap_or(Found::Broken)
            }
        }
    }

    fn named(&self, named: &Named<'_>, place: &Place, reach: Reach) -> Found {
        let Named {
            name,
            argument,
            address,
            whole,
        } = *named;
        let text = |text: &str| Found::Value(Value::text(text, place));
        if let Some(given) = self.supplied(whole) {
            return text(&given);
        }
        let none = || Found::Missing(String::new());
        match (name, address) {
            ("self", address) => self.at(self.root, address, reach),
            ("opt", "stage") => match &self.inputs.stage {
                Some(stage) => text(stage),
                None => none(),
            },
            ("opt", option) => match self.supplied(option) {
                Some(given) => text(&given),
                None => none(),
            },
            ("sls", "stage") => text(&self.stage()),
            ("sls", "instanceId") => text("local"),
            ("env", variable) => match self.inputs.environment.get(variable) {
                Some(value) => text(value),
                None => none(),
            },
            ("aws", "region") => text(&self.inputs.region),
            ("aws", "accountId") => text(&self.inputs.account_id),
            ("param", parameter) => self.parameter(parameter, place, reach),
            ("file", address) => self.file(argument, address, place, reach),
            ("strToBool", _) => match argument {
                "true" | "1" => Found::Value(Value::new(What::Plain("true".to_owned()), place)),
                "false" | "0" | "" => {
                    Found::Value(Value::new(What::Plain("false".to_owned()), place))
                }
                _ => {
                    let message = format!(
                        "strToBool takes true, false, 1 or 0, found {}",
                        quoted(argument)
                    );
                    self.report.mistake(place, message);
                    Found::Broken
                }
            },
            _ => Found::Missing(format!("give its value with --parameter '{whole}=value'")),
        }
    }

    fn supplied(&self, name: &str) -> Option<String> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.inputs.parameters.get(name).cloned()
    }

    fn parameter(&self, name: &str, place: &Place, reach: Reach) -> Found {
        if let Some(given) = self.supplied(name) {
            return Found::Value(Value::text(given, place));
        }
        let stage = self.stage();
        for section in [
            format!("params.{stage}"),
            "params.default".to_owned(),
            format!("stages.{stage}.params"),
            "stages.default.params".to_owned(),
        ] {
            match self.at(self.root, &format!("{section}.{name}"), reach) {
                Found::Missing(_) => {}
                found => return found,
            }
        }
        Found::Missing(format!("give its value with --parameter {name}=value"))
    }

    /// What stands at an address such as `custom.hosts.0`, whose steps may themselves be variables.
    fn at(&self, root: &Value, address: &str, reach: Reach) -> Found {
        let mut value = Cow::Borrowed(root);
        for step in address.split('.').filter(|step| !step.is_empty()) {
            // Looking through a long map for each of many variables would take too long.
            if !self
                .fuel
                .spend(value.members().len() / 8, &value.place, self.report)
            {
                return Found::Broken;
            }
            let next = match &value {
                Cow::Borrowed(value) => below(value, step).map(|next| self.shallow(next)),
                Cow::Owned(value) => below(value, step).map(|next| {
                    // A part of what a variable gave.
                    if !self.fuel.spend(weight(next), &next.place, self.report) {
                        return Cow::Owned(Value::broken(&next.place));
                    }
                    Cow::Owned(self.shallow(next).into_owned())
                }),
            };
            match next {
                None => return Found::Missing(String::new()),
                Some(next) if next.is_broken() => return Found::Broken,
                Some(next) => value = next,
            }
        }
        if reach == Reach::Deep {
            return present(self.resolve(&value));
        }
        if !self.fuel.spend(weight(&value), &value.place, self.report) {
            return Found::Broken;
        }
        present(value.into_owned())
    }

    fn file(&self, path: &str, address: &str, place: &Place, reach: Reach) -> Found {
        let known = self.files.borrow().get(path).cloned();
        let file = known.unwrap_or_else(|| {
            let read = self.read_file(path, place).map(Rc::new);
            self.files
                .borrow_mut()
                .insert(path.to_owned(), read.clone());
            read
        });
        match file {
            Some(file) => self.at(&file, address, reach),
            None => Found::Broken,
        }
    }

    fn read_file(&self, path: &str, place: &Place) -> Option<Value> {
        let ending = path
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if matches!(&*ending, "js" | "cjs" | "mjs" | "ts" | "cts" | "mts") {
            let message = format!("{} is a program, and programs are not run", quoted(path));
            let hint = "write what it gives into a YAML or JSON file";
            self.report.mistake_with_hint(place, message, hint);
            return None;
        }
        let (path, text) = match (self.read)(path) {
            Ok(read) => read,
            Err(why) => {
                let message = format!("the file {} cannot be read: {why}", quoted(path));
                self.report.mistake(place, message);
                return None;
            }
        };
        if !self.fuel.spend(text.len(), place, self.report) {
            return None;
        }
        let file: Arc<str> = path.to_string_lossy().into();
        self.paths.borrow_mut().push(path);
        if !matches!(&*ending, "yml" | "yaml" | "json") {
            return Some(Value::text(text, place));
        }
        tree(&text, &file, self.report)
    }

    /// Goes one level down, unless that is too deep, which is then said.
    fn deeper<T>(&self, place: &Place, go: impl FnOnce() -> T) -> Option<T> {
        let depth = self.depth.get();
        if depth >= DEEPEST {
            let message =
                format!("variables and values stand deeper than {DEEPEST} levels in each other");
            self.report.mistake(place, message);
            return None;
        }
        self.depth.set(depth + 1);
        let result = go();
        self.depth.set(depth);
        Some(result)
    }
}

fn below<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match &value.what {
        What::List(items) => step.parse::<usize>().ok().and_then(|n| items.get(n)),
        _ => value.child(step),
    }
}

fn present(value: Value) -> Found {
    match value.what {
        What::Null => Found::Missing(String::new()),
        What::Broken => Found::Broken,
        _ => Found::Value(value),
    }
}

fn shown(inside: &str) -> String {
    quoted(&format!("${{{inside}}}"))
}
