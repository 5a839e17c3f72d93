//! `loadtest report`: all exhibits in one go, written down as JSON, as tables and as charts.

mod beside;
mod chart;
mod exhibit;
mod goals;
mod group;
mod machine;
mod markdown;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
pub(crate) use exhibit::Exhibit;
pub(crate) use exhibit::{all, peers};
use serde_json::{Map, Value, json};

use crate::error::LoadError;
use crate::hold;
use crate::plan::{self, Plan};

/// The page whose marked block holds the tables.
const PAGE: &str = "performance.md";
/// The folder beside it, for JSON and charts.
const FOLDER: &str = "performance";
const RESULTS: &str = "results.json";

/// Settings of `report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// One short run of each: to see that everything works, not to publish.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The folder of the documentation; `docs` of the source tree if it is not named.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) docs: Option<PathBuf>,
    /// Measure nothing: make tables and charts anew from the JSON that is there.
    #[arg(long)]
    pub(crate) render: bool,
    /// Measure what has no goal: TLS, larger messages, HTTP/2 backends, slow readers, allocators, a million connections. More than an
    /// hour; the rest stays as the JSON has it.
    #[arg(long)]
    pub(crate) beside: bool,
    /// Measure these alone, by their names in the JSON or by how several begin (`functions`); the others stay as the JSON there has
    /// them.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

impl Settings {
    /// What is to be measured; an error if a name is none.
    pub(crate) fn exhibits(&self) -> Result<Vec<Exhibit>, LoadError> {
        let all = all();
        let known: Vec<&str> = all.iter().map(|exhibit| exhibit.key).collect();
        let named = |name: &String, key: &str| names(name, key, &known);
        if let Some(name) = self
            .only
            .iter()
            .find(|name| !known.iter().any(|key| named(name, key)))
        {
            return Err(LoadError::Usage(format!(
                "{name} is not among what is measured: {}",
                known.join(", ")
            )));
        }
        let wanted = |exhibit: &Exhibit| {
            if self.only.is_empty() {
                exhibit.beside == self.beside
            } else {
                self.only.iter().any(|name| named(name, exhibit.key))
            }
        };
        if self.render {
            return Ok(Vec::new());
        }
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// The page and the folder beside it.
    fn places(&self) -> (PathBuf, PathBuf) {
        let docs = self
            .docs
            .clone()
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"));
        (docs.join(PAGE), docs.join(FOLDER))
    }
}

/// Measures, writes everything down, prints the table of goals. True if all could be measured and nothing failed under load; a goal
/// that is missed is a result, not a failure.
pub(crate) fn carry_out(
    settings: &Settings,
    common: &Plan,
    files: u64,
    cores: impl Fn(bool) -> Result<Vec<usize>, LoadError>,
) -> Result<bool, LoadError> {
    let (page, folder) = settings.places();
    fs::create_dir_all(&folder).map_err(LoadError::system(format!(
        "cannot create {}",
        folder.display()
    )))?;
    let file = folder.join(RESULTS);
    let exhibits = settings.exhibits()?;
    let mut results = if settings.render || settings.beside || !settings.only.is_empty() {
        read(&file)?
    } else {
        json!({ "exhibits": {} })
    };
    let (begun, mut clean) = (Instant::now(), true);
    for (number, exhibit) in exhibits.iter().enumerate() {
        eprintln!(
            "\n[{}/{}, {} s] {}",
            number + 1,
            exhibits.len(),
            begun.elapsed().as_secs(),
            exhibit.title
        );
        let mut plan = exhibit.plan(common, settings.quick);
        plan.launch.cores = cores(exhibit.pinned())?;
        let report = match exhibit.scenario.spread() {
            Some(idle) => hold::carry_out(&plan, idle, files),
            None => plan::carry_out(&plan, &exhibit.scenario),
        };
        let mut result = match report {
            Ok(report) => {
                eprint!("\n{}", report.table());
                clean &= report.clean();
                report.json()
            }
            // The others are worth having all the same.
            Err(error) => {
                eprintln!("loadtest: {}: {error}", exhibit.key);
                clean = false;
                json!({ "error": error.to_string() })
            }
        };
        result["heading"] = exhibit.title.into();
        results["exhibits"][exhibit.key] = result;
        let now = machine::describe(&plan.launch, common.machine_cores);
        results["machine"] = machine::keep_versions(now, &results["machine"]);
        results["quick"] = settings.quick.into();
        results["exhibits"] = in_order(&results["exhibits"]);
        // After each, so that a run that is stopped leaves what it found.
        write(&file, &format!("{results:#}\n"))?;
    }
    for (name, svg) in chart::all(&results) {
        write(&folder.join(name), &svg)?;
    }
    let text = fs::read_to_string(&page)
        .map_err(LoadError::system(format!("cannot read {}", page.display())))?;
    let text = markdown::insert(&text, &markdown::block(&results, FOLDER)).ok_or_else(|| {
        LoadError::Usage(format!(
            "{} has no lines `{}` and `{}` for the tables to stand between",
            page.display(),
            markdown::BEGIN,
            markdown::END
        ))
    })?;
    write(&page, &text)?;
    println!("\n{}", markdown::goals(&results));
    println!("Written: {} and {}", page.display(), folder.display());
    Ok(clean)
}

/// True if `name` means `key`, which is one of `all`: it is the same, or, where it is none of them, the first word of it.
fn names(name: &str, key: &str, all: &[&str]) -> bool {
    let begins = |key: &str| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    name == key || (!all.contains(&name) && begins(key))
}

fn read(file: &Path) -> Result<Value, LoadError> {
    let text = fs::read_to_string(file).map_err(LoadError::system(format!(
        "cannot read {}: measure all of it once first",
        file.display()
    )))?;
    serde_json::from_str(&text)
        .map_err(|error| LoadError::Usage(format!("{}: {error}", file.display())))
}

fn write(file: &Path, text: &str) -> Result<(), LoadError> {
    fs::write(file, text).map_err(LoadError::system(format!(
        "cannot write {}",
        file.display()
    )))
}

/// The exhibits as `all` orders them.
fn in_order(exhibits: &Value) -> Value {
    let known = all()
        .into_iter()
        .filter_map(|exhibit| Some((exhibit.key.to_owned(), exhibits.get(exhibit.key)?.clone())));
    Value::Object(known.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_or_all_that_begin_with_it() {
        let all = ["push", "push-1k", "functions-node", "functions-rust"];
        let check = |name: &str, expected: &[&str]| {
            let meant: Vec<&str> = all
                .iter()
                .copied()
                .filter(|key| names(name, key, &all))
                .collect();
            assert_eq!(meant, expected, "{name}");
        };
        check("push", &["push"]);
        check("functions", &["functions-node", "functions-rust"]);
        check("functions-rust", &["functions-rust"]);
        check("function", &[]);
        check("", &[]);
    }
}
