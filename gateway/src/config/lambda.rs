//! Reads the section `lambda`.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::lambda_api::LATEST;
use gateway_core::lambda_arn::LambdaTarget;
use gateway_core::resource::{Function as LocalFunction, Runtime};

use super::reader::{Cursor, Fields};
use super::scalar::Refusal;
use super::secret::Secret;
use super::settings::{Function, Lambda};
use super::{scalar, secrets};

/// More processes than this for one function are a mistake rather than a wish.
const MAX_WORKERS: u32 = 10_000;
const RUNTIMES: &str = "a runtime that runs here (nodejs20.x and its like, python3.12 and its like, provided, provided.al2 or provided.al2023)";
const ELSEWHERE: &str = "run it elsewhere, such as by `sam local start-lambda`, and write its endpoint in place of codeUri";

/// The section; `None` where a mistake was reported.
pub(super) fn read(cursor: &Cursor<'_>) -> Option<Lambda> {
    let mut fields = cursor.fields()?;
    let endpoint = fields.read("endpoint", url);
    let functions = fields.take("functions").map(|map| functions(&map));
    let max_workers = fields.read("maxWorkers", |cursor| cursor.count_up_to(0, MAX_WORKERS));
    let idle_timeout = fields.read("idleTimeout", Cursor::positive_duration);
    let credentials = fields.read("credentials", secrets::credential);
    fields.finish();
    let (functions, local) = functions?;
    Some(Lambda {
        endpoint,
        functions,
        local,
        max_workers: max_workers?,
        idle_timeout: idle_timeout?,
        credentials,
    })
}

type Functions = (BTreeMap<String, Function>, BTreeMap<String, LocalFunction>);

fn functions(map: &Cursor<'_>) -> Functions {
    let (mut elsewhere, mut local) = Functions::default();
    for (entry, cursor) in map.members() {
        match function(&entry.key, &cursor) {
            Some(Place::Elsewhere(function)) => drop(elsewhere.insert(entry.key.clone(), function)),
            Some(Place::Here(function)) => drop(local.insert(entry.key.clone(), *function)),
            None => {}
        }
    }
    (elsewhere, local)
}

enum Place {
    Elsewhere(Function),
    Here(Box<LocalFunction>),
}

/// A URL alone, or a map: with `endpoint` it runs elsewhere, with `codeUri` here.
fn function(name: &str, cursor: &Cursor<'_>) -> Option<Place> {
    if cursor.scalar().is_some() {
        return Some(Place::Elsewhere(Function {
            endpoint: url(cursor)?,
            path_name: None,
            headers: BTreeMap::new(),
        }));
    }
    let mut fields = cursor.fields()?;
    match (fields.take("endpoint"), fields.take("codeUri")) {
        (Some(endpoint), None) => {
            let path_name = fields.read("pathName", Cursor::string);
            let headers = fields.take("headers").map(|map| headers(&map));
            fields.finish();
            Some(Place::Elsewhere(Function {
                endpoint: url(&endpoint)?,
                path_name,
                headers: headers.unwrap_or_default(),
            }))
        }
        (None, Some(code)) => {
            let function = local_function(name, &code, &mut fields);
            fields.finish();
            Some(Place::Here(Box::new(function?)))
        }
        (Some(_), Some(code)) => {
            code.mistake("endpoint says that the function runs elsewhere, codeUri that it runs here; write one of them");
            None
        }
        (None, None) => {
            cursor.mistake(
                "write endpoint, where the function runs, or codeUri, the folder of its code, to run it here",
            );
            None
        }
    }
}

/// A function that runs here: the members have the names and defaults of AWS's.
fn local_function(name: &str, code: &Cursor<'_>, fields: &mut Fields<'_>) -> Option<LocalFunction> {
    let parsed = LambdaTarget::parse(name).ok();
    let named = parsed.is_some_and(|target| target.name == name && target.qualifier.is_none());
    if !named {
        code.mistake(
            "a function that runs here is named by letters, digits, '-', '_' and '.' alone",
        );
    }
    let runtime = fields.required("runtime");
    let runtime = runtime.and_then(|cursor| {
        cursor.parse(RUNTIMES, |text| {
            Runtime::parse(text).ok_or(Refusal(Some(ELSEWHERE)))
        })
    });
    let handler = match &runtime {
        // Its executable may look at it or not.
        Some(Runtime::Provided { .. }) => {
            let handler = fields.read("handler", Cursor::string);
            Some(handler.unwrap_or_else(|| "bootstrap".to_owned()))
        }
        _ => fields
            .required("handler")
            .and_then(|cursor| cursor.string()),
    };
    let timeout = fields.read("timeout", Cursor::positive_duration);
    let memory_mib = fields.read("memorySize", |cursor| cursor.count_up_to(128, 10_240));
    let environment = fields.take("environment").map(|map| environment(&map));
    let max_workers = fields.read("maxWorkers", |cursor| cursor.count_up_to(1, MAX_WORKERS));
    let aliases = fields.take("aliases").map(|list| aliases(&list));
    let folder = code.file_path()?;
    if !folder.is_dir() {
        code.mistake(format!("there is no folder {}", folder.display()));
        return None;
    }
    Some(LocalFunction {
        version: LATEST.to_owned(),
        name: name.to_owned(),
        runtime: runtime?,
        handler: handler?,
        // Workers have a working directory of their own.
        code: std::path::absolute(&folder).unwrap_or(folder),
        timeout: timeout.unwrap_or(Duration::from_secs(3)),
        memory_mib: memory_mib.unwrap_or(128),
        environment: environment.unwrap_or_default(),
        max_workers,
        aliases: aliases.unwrap_or_default(),
    })
    .filter(|_| named)
}

fn environment(map: &Cursor<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (entry, cursor) in map.members() {
        let Some(value) = cursor.text() else { continue };
        let name = &entry.key;
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            cursor.mistake("this cannot be a variable of an environment");
        } else {
            variables.insert(name.clone(), value.to_owned());
        }
    }
    variables
}

fn aliases(list: &Cursor<'_>) -> Vec<String> {
    let alias = |cursor: Cursor<'_>| cursor.string();
    list.items().into_iter().filter_map(alias).collect()
}

/// Values are kept as secrets: this is where an Authorization header stands.
fn headers(map: &Cursor<'_>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (entry, cursor) in map.members() {
        let Some(value) = cursor.text() else { continue };
        if http::HeaderName::from_bytes(entry.key.as_bytes()).is_err() {
            cursor.mistake("this is no name of a header");
        } else if http::HeaderValue::from_str(value).is_err() {
            cursor.mistake("this cannot be the value of a header");
        } else {
            headers.insert(entry.key.to_ascii_lowercase(), Secret::new(value));
        }
    }
    headers
}

fn url(cursor: &Cursor<'_>) -> Option<String> {
    cursor.parse("a URL such as http://127.0.0.1:9001", scalar::http_url)
}
