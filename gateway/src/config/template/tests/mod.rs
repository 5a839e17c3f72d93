//! Templates with what they declare, templates with mistakes and what is said of them, and text that is neither.

mod bad;
mod creation;
mod files;
mod fuzz;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

/// The templates that the tests of the whole gateway load as well.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/templates")
}

pub(super) fn inputs() -> Inputs {
    Inputs {
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
        ..Inputs::default()
    }
}

/// A caller who gives parameters.
fn with(parameters: &[(&str, &str)]) -> Inputs {
    let parameter = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Inputs {
        parameters: parameters.iter().map(parameter).collect(),
        ..inputs()
    }
}

#[track_caller]
fn loaded(file: &str, inputs: &Inputs) -> Template {
    load(&folder().join(file), inputs).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a template declares, a line each, with `<LogicalId>` in place of generated ids.
fn table(template: &Template) -> String {
    let mut table = String::new();
    for it in &template.declared {
        let body = serde_json::Value::Object(it.body.clone());
        let above = it.parents.join(" ");
        let above = if above.is_empty() {
            above
        } else {
            format!(" of {above}")
        };
        let (kind, name) = (it.kind, &it.logical_id);
        writeln!(table, "{kind:?} {name}{above}: {body}").unwrap();
    }
    for (name, value) in &template.outputs {
        writeln!(table, "output {name}: {value}").unwrap();
    }
    for it in &template.functions {
        let FunctionDeclared {
            logical_id,
            name,
            environment,
            ..
        } = it;
        let [handler, runtime, code] =
            [&it.handler, &it.runtime, &it.code_uri].map(|text| text.as_deref().unwrap_or("-"));
        writeln!(
            table,
            "function {logical_id}: {name} {handler} {runtime} {code} {environment:?}"
        )
        .unwrap();
    }
    for it in template
        .declared
        .iter()
        .filter(|it| it.kind.id_length().is_some())
    {
        table = table.replace(&it.id, &format!("<{}>", it.logical_id));
    }
    table
}

/// Notices of a template, each as `line:column: sentence`.
fn notices(template: &Template) -> Vec<String> {
    let main = template.files[0].to_string_lossy().into_owned();
    let notice = |notice: &Diagnostic| {
        let shown = notice.to_string();
        match shown.strip_prefix(&main) {
            Some(place) => place[1..].to_owned(),
            None => shown[shown.rfind('/').unwrap_or(0) + 1..].to_owned(),
        }
    };
    template.notices.iter().map(notice).collect()
}

/// What is said of a text that stands in `template.yaml`.
fn complaints(text: &str, inputs: &Inputs) -> Vec<String> {
    match read(Path::new("template.yaml"), text, inputs, &nothing_beside) {
        Ok(template) => {
            assert!(!table(&template).is_empty() || template.declared.is_empty());
            Vec::new()
        }
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

/// A folder that holds nothing else.
fn nothing_beside(_: &str) -> Result<(PathBuf, String), String> {
    Err("there is nothing".to_owned())
}
