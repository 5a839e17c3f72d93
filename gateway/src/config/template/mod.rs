//! CloudFormation and SAM templates and `serverless.yml`, read into the resources that they declare.
//!
//! [`load`] reads a file as what it is, works its functions and variables out, and returns all that it declares, or all
//! mistakes with their places. What a template says beyond WebSocket APIs is named in a notice, never passed over in silence.

mod apply;
mod cidr;
mod conditions;
mod declare;
mod document;
mod fuel;
mod functions;
mod ids;
mod json;
mod lambda;
mod order;
mod parameters;
mod report;
mod runnable;
mod sam;
mod scope;
mod served;
mod serverless;
mod shape;
mod sub;
mod thing;
mod types;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::document::Document;
use self::report::Report;
use self::value::Value;
use super::diagnostic::{ConfigErrors, Diagnostic, Origin};
use super::{files, yaml};

pub use self::apply::{Setting, apply};
pub use self::declare::Declared;
pub use self::lambda::FunctionDeclared;
pub use self::runnable::Runnable;
pub use self::value::Place;

/// What the caller adds to a file.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// What `AWS::Region` gives.
    pub region: String,
    /// What `AWS::AccountId` gives.
    pub account_id: String,
    /// Values of parameters (`--parameter Name=value`), and of what the file looks up elsewhere: an export of another
    /// stack by its name, a variable of `serverless.yml` by what stands in its braces, such as `cf:network.VpcId`.
    pub parameters: BTreeMap<String, String>,
    /// `--stage`; for `serverless.yml`, where `dev` stands for none.
    pub stage: Option<String>,
    /// What `${env:NAME}` of `serverless.yml` may read.
    pub environment: BTreeMap<String, String>,
}

/// What a file declares.
#[derive(Debug, Clone)]
pub struct Template {
    /// What `AWS::StackName` gives.
    pub stack_name: String,
    /// Resources, each after those that it names; deployments and stages come last.
    pub declared: Vec<Declared>,
    /// `Outputs`, by their names, in the order of the file.
    pub outputs: Vec<(String, String)>,
    /// Lambda functions.
    pub functions: Vec<FunctionDeclared>,
    /// What is not acted upon, or only kept.
    pub notices: Vec<Diagnostic>,
    /// All files that were read, the named one first: a change of any is a change of the template.
    pub files: Vec<PathBuf>,
}

/// Reads a file that stands beside another, by the path that is written there; the error continues "… cannot be read: ".
type ReadBeside<'a> = &'a dyn Fn(&str) -> Result<(PathBuf, String), String>;

/// Reads a file.
pub fn load(path: &Path, inputs: &Inputs) -> Result<Template, ConfigErrors> {
    let folder = path.parent().unwrap_or(path);
    let beside = |name: &str| {
        let contents = files::read_below(folder, Path::new(name), yaml::MAX_BYTES)?;
        Ok((folder.join(name), contents.text))
    };
    match files::read(path, yaml::MAX_BYTES) {
        Ok(contents) => read(path, &contents.text, inputs, &beside),
        Err(why) => Err(ConfigErrors::from(vec![Diagnostic {
            file: path.to_string_lossy().into(),
            origin: Origin::WholeFile,
            path: String::new(),
            message: format!("the file cannot be read: {why}"),
            hint: None,
        }])),
    }
}

/// Reads a text that stands in the file `path`.
fn read(
    path: &Path,
    text: &str,
    inputs: &Inputs,
    beside: ReadBeside<'_>,
) -> Result<Template, ConfigErrors> {
    let file: Arc<str> = path.to_string_lossy().into();
    let report = Report::default();
    let mut files = vec![path.to_owned()];
    let template = tree(text, &file, &report).and_then(|tree| {
        if tree.child("service").is_some() && tree.child("provider").is_some() {
            let service = serverless::read(&tree, inputs, &report, beside);
            files.extend(service.files);
            return Some(declare::all(
                &service.document,
                inputs,
                service.asked,
                &report,
            ));
        }
        let document = understand(&tree, &file, &report)?;
        Some(declare::all(&document, inputs, BTreeSet::new(), &report))
    });
    let notices = report.finish()?;
    let Some(mut template) = template else {
        // Whoever returns nothing has said why; should one forget, the template is still not loaded.
        return Err(ConfigErrors {
            mistakes: Vec::new(),
            more: 1,
        });
    };
    template.notices = notices;
    template.files = files;
    Ok(template)
}

/// The tree of a YAML or JSON text; mistakes of form are reported.
fn tree(text: &str, file: &Arc<str>, report: &Report) -> Option<Value> {
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let (tree, flaws) =
        if begins.starts_with('{') && !file.ends_with(".yaml") && !file.ends_with(".yml") {
            match json::parse(text) {
                Ok(tree) => (Some(tree), Vec::new()),
                Err(flaw) => (None, vec![flaw]),
            }
        } else {
            yaml::parse_template(text)
        };
    for flaw in flaws {
        let place = Place {
            file: Arc::clone(file),
            position: flaw.position,
        };
        report.add(&place, flaw.message, flaw.hint.map(str::to_owned));
    }
    Some(Value::of(tree?, file))
}

fn understand(tree: &Value, file: &Arc<str>, report: &Report) -> Option<Document> {
    if tree.child("Resources").is_some() {
        return Some(Document::read(tree, &document::stack_name_of(file), report));
    }
    let hint =
        "a CloudFormation or SAM template has Resources, a serverless.yml has service and provider";
    report.mistake_with_hint(&tree.place, "this is no template", hint);
    None
}
