//! Requests of the Lambda API: method and path to an operation, an operation to its answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::catalog::Catalog;
use super::entry::{LATEST, Version};
use super::fields;
use super::page::{decoded, parameter};
use super::{Context, LambdaApiError, aliases, create, page, permissions};
use crate::lambda_arn::LambdaTarget;

/// "AWS quotas, Lambda: 50 MB zipped, direct upload".
const MOST_ARCHIVE: usize = 52_428_800;

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query, still percent-encoded, without `?`.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What an operation answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, if there is one.
    pub body: Option<Value>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
        }
    }
}

/// The function that a request invokes; `None` where it asks for something else.
pub fn invocation(request: &Request<'_>) -> Option<Result<LambdaTarget, LambdaApiError>> {
    let segments = segments(request.path);
    match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [name, "invocations"] if request.method == "POST" => Some(target(name, request.query)),
        _ => None,
    }
}

/// The archive that a request brings: of a new function, or of a new version of its code.
pub fn upload(request: &Request<'_>) -> Result<Option<Vec<u8>>, LambdaApiError> {
    let segments = segments(request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (fields, operation) = match (request.method, &segments[..]) {
        ("POST", []) => (
            fields::read(request.body)?.object("Code")?,
            "CreateFunction",
        ),
        ("PUT", [_, "code"]) => (Some(fields::read(request.body)?), "UpdateFunctionCode"),
        _ => return Ok(None),
    };
    let Some(fields) = fields else {
        return Ok(None);
    };
    for (member, what) in [("S3Bucket", "S3"), ("ImageUri", "container images")] {
        if fields.has(member) {
            return Err(LambdaApiError::InvalidParameter(format!(
                "Code from {what} is not fetched; send the archive as ZipFile"
            )));
        }
    }
    let Some(text) = fields.text("ZipFile")? else {
        return Ok(None);
    };
    let archive = STANDARD.decode(text.trim()).map_err(|_| {
        LambdaApiError::Serialization("ZipFile must be an archive in base64".to_owned())
    })?;
    if archive.len() > MOST_ARCHIVE {
        return Err(LambdaApiError::TooLarge {
            operation,
            limit: MOST_ARCHIVE,
        });
    }
    Ok(Some(archive))
}

/// Does what a request asks, invocations apart. Where it fails the catalog may be half changed: work on a copy and throw that away.
pub fn answer(
    catalog: &mut Catalog,
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, LambdaApiError> {
    let segments = segments(request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method, &segments[..]) {
        ("GET", []) => list(catalog, request, context),
        ("POST", []) => create_function(catalog, request, context),
        (_, [name, rest @ ..]) => {
            let target = target(name, request.query)?;
            one(catalog, &target, rest, request, context)
        }
        _ => Err(no_operation(request)),
    }
}

fn one(
    catalog: &mut Catalog,
    target: &LambdaTarget,
    rest: &[&str],
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, LambdaApiError> {
    match (request.method, rest) {
        ("GET", []) => {
            let tags = catalog.entry(target, context)?.tags.clone();
            let configuration = configuration(catalog, target, context)?;
            // AWS names a place in S3 here; there is none, and clients that wait for a function look at its state.
            let mut shown = json!({
                "Configuration": configuration,
                "Code": {"RepositoryType": "Wiregate", "Location": ""},
            });
            if !tags.is_empty() {
                shown["Tags"] = json!(tags);
            }
            Ok(Answer::new(200, shown))
        }
        ("DELETE", []) => {
            catalog.remove(target, context)?;
            Ok(Answer::nothing())
        }
        ("GET", ["configuration"]) => {
            Ok(Answer::new(200, configuration(catalog, target, context)?))
        }
        ("PUT", ["configuration"]) => {
            let fields = fields::read(request.body)?;
            create::configure(catalog.entry_mut(target, context)?, &fields, context)?;
            Ok(Answer::new(200, latest(catalog, target, context)?))
        }
        ("PUT", ["code"]) => {
            let fields = fields::read(request.body)?;
            let entry = catalog.entry_mut(target, context)?;
            let published = create::replace_code(entry, &fields, context)?;
            let target = qualified(target, published);
            Ok(Answer::new(200, configuration(catalog, &target, context)?))
        }
        ("POST", ["versions"]) => {
            let fields = fields::read(request.body)?;
            let entry = catalog.entry_mut(target, context)?;
            create::check_revision(&fields, &entry.latest.revision_id)?;
            if let Some(hash) = fields
                .text("CodeSha256")?
                .filter(|hash| *hash != entry.latest.code.sha256)
            {
                return Err(LambdaApiError::InvalidParameter(format!(
                    "CodeSHA256 ({hash}) is different from current CodeSHA256 in $LATEST ({}). Please try again with the \
                     CodeSHA256 in $LATEST.",
                    entry.latest.code.sha256
                )));
            }
            let number = entry.publish(fields.text("Description")?, context);
            let target = qualified(target, Some(number));
            Ok(Answer::new(201, configuration(catalog, &target, context)?))
        }
        ("GET", ["versions"]) => {
            let entry = catalog.entry(target, context)?;
            let latest = std::iter::once((LATEST.to_owned(), &entry.latest));
            let numbered = entry
                .versions
                .iter()
                .map(|(number, version)| (number.to_string(), version));
            let shown = latest
                .chain(numbered)
                .map(|(name, version)| show(target, &name, Some(&name), version, context));
            page::of("Versions", shown.collect(), request)
        }
        (_, ["aliases", rest @ ..]) => aliases::answer(catalog, target, rest, request, context),
        ("POST", ["policy"]) => {
            let fields = fields::read(request.body)?;
            catalog.version(target, context)?;
            permissions::add(
                catalog.entry_mut(target, context)?,
                target,
                &fields,
                context,
            )
        }
        ("GET", ["policy"]) => permissions::policy(catalog.entry(target, context)?, target),
        ("DELETE", ["policy", id]) => {
            permissions::remove(catalog.entry_mut(target, context)?, target, id)
        }
        _ => Err(no_operation(request)),
    }
}

fn create_function(
    catalog: &mut Catalog,
    request: &Request<'_>,
    context: &mut Context<'_>,
) -> Result<Answer, LambdaApiError> {
    let fields = fields::read(request.body)?;
    let name = fields.required("FunctionName")?;
    let target = parse(name)?;
    if target.qualifier.is_some() || target.name.len() > 64 || target.name.contains('.') {
        let pattern = "Member must satisfy regular expression pattern: \
            (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)";
        return Err(LambdaApiError::breaks("FunctionName", name, pattern));
    }
    let entry = create::create(&fields, context)?;
    let published = (entry.published > 0).then_some(entry.published);
    catalog.insert(&target.name, entry)?;
    let target = qualified(&target, published);
    Ok(Answer::new(201, configuration(catalog, &target, context)?))
}

/// `ListFunctions`: `$LATEST` of each, or every version.
fn list(
    catalog: &Catalog,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<Answer, LambdaApiError> {
    let all = match parameter(request.query, "FunctionVersion").as_deref() {
        None | Some("") => false,
        Some("ALL") => true,
        Some(other) => {
            let values = "Member must satisfy enum value set: [ALL]";
            return Err(LambdaApiError::breaks("FunctionVersion", other, values));
        }
    };
    let mut shown = Vec::new();
    for (name, entry) in catalog.all() {
        let target = LambdaTarget {
            name: name.to_owned(),
            qualifier: None,
            arn: None,
            region: None,
        };
        let qualifier = all.then_some(LATEST);
        shown.push(show(&target, LATEST, qualifier, &entry.latest, context));
        for (number, version) in entry.versions.iter().filter(|_| all) {
            let number = number.to_string();
            shown.push(show(&target, &number, Some(&number), version, context));
        }
    }
    page::of("Functions", shown, request)
}

fn latest(
    catalog: &Catalog,
    target: &LambdaTarget,
    context: &Context<'_>,
) -> Result<Value, LambdaApiError> {
    configuration(catalog, &qualified(target, None), context)
}

fn configuration(
    catalog: &Catalog,
    target: &LambdaTarget,
    context: &Context<'_>,
) -> Result<Value, LambdaApiError> {
    let (name, version) = catalog.version(target, context)?;
    Ok(show(target, &name, target.qualifier.as_deref(), version, context).1)
}

/// A version as its ARN's qualifier names it, with its key in a list.
fn show(
    target: &LambdaTarget,
    name: &str,
    qualifier: Option<&str>,
    version: &Version,
    context: &Context<'_>,
) -> (String, Value) {
    let arn = context.arn(&target.name);
    let arn = qualifier.map_or(arn.clone(), |qualifier| format!("{arn}:{qualifier}"));
    let key = format!("{}:{name}", target.name);
    (
        key,
        Value::Object(version.shown(&target.name, name, &arn, context)),
    )
}

fn qualified(target: &LambdaTarget, number: Option<u64>) -> LambdaTarget {
    LambdaTarget {
        qualifier: number.map(|number| number.to_string()),
        ..target.clone()
    }
}

/// The function that the path names, with the qualifier of path or query.
fn target(name: &str, query: &str) -> Result<LambdaTarget, LambdaApiError> {
    let target = parse(name)?;
    let Some(qualifier) = parameter(query, "Qualifier") else {
        return Ok(target);
    };
    match &target.qualifier {
        Some(other) if *other != qualifier => {
            let message = "The derived qualifier from the function name does not match the specified qualifier.";
            Err(LambdaApiError::InvalidParameter(message.to_owned()))
        }
        _ => {
            // The reader of names knows what a qualifier may be.
            let parsed = parse(&format!("{}:{qualifier}", target.name))?;
            Ok(LambdaTarget {
                qualifier: parsed.qualifier,
                ..target
            })
        }
    }
}

fn parse(name: &str) -> Result<LambdaTarget, LambdaApiError> {
    LambdaTarget::parse(name)
        .map_err(|why| LambdaApiError::breaks("FunctionName", name, &why.to_string()))
}

/// The segments behind `/2015-03-31/functions`, each decoded after the path was split. A slash at the end is nothing.
fn segments(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = path.split('/').skip(3).map(decoded).collect();
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    segments
}

pub(super) fn no_operation(request: &Request<'_>) -> LambdaApiError {
    LambdaApiError::NotFound(format!(
        "There is no operation {} {}",
        request.method, request.path
    ))
}
