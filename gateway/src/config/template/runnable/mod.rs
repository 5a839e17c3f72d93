//! Which functions of a template run here, and what stands in the way of the others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::lambda_api::LATEST;
use gateway_core::resource::{Function, Runtime};
use sha2::{Digest, Sha256};

use super::Template;
use super::lambda::FunctionDeclared;
use super::value::Place;
use crate::config::diagnostic::{Diagnostic, Origin, quoted};

/// AWS's `Timeout` where none is written.
const TIMEOUT: Duration = Duration::from_secs(3);
/// AWS's limit of `Timeout`, seconds.
const LONGEST: u32 = 900;
/// AWS's `MemorySize` where none is written, MiB.
const MEMORY: u32 = 128;

/// A function that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runnable {
    /// What the host is told; of code that stands in the template, the folder is yet to be made.
    pub function: Function,
    /// A file that must be written: its path and its text.
    pub inline: Option<(PathBuf, String)>,
    /// What it goes without, or what will keep it from answering.
    pub notices: Vec<Diagnostic>,
}

impl Template {
    /// Its functions, each as it runs here, or why it does not. Code that stands in the template itself belongs below `cache`.
    pub fn runnable<'t>(
        &'t self,
        cache: &'t Path,
    ) -> impl Iterator<Item = (&'t FunctionDeclared, Result<Runnable, Diagnostic>)> {
        let file = self.files.first().map_or(Path::new(""), PathBuf::as_path);
        let folder = file.parent().unwrap_or(Path::new(""));
        let is_built = file.components().any(|part| part.as_os_str() == ".aws-sam");
        let sight = Sight {
            folder,
            cache,
            is_built,
            is_folder: &|path| path.is_dir(),
            is_file: &|path| path.is_file(),
        };
        self.functions
            .iter()
            .map(move |declared| (declared, sight.runnable(declared)))
    }
}

/// What is known of the disk.
struct Sight<'s> {
    /// Where relative paths begin.
    folder: &'s Path,
    cache: &'s Path,
    /// `sam build` has made this template: its code is ready.
    is_built: bool,
    is_folder: &'s dyn Fn(&Path) -> bool,
    is_file: &'s dyn Fn(&Path) -> bool,
}

impl Sight<'_> {
    fn runnable(&self, declared: &FunctionDeclared) -> Result<Runnable, Diagnostic> {
        let hindrance = |key: &str, message: String, hint: &str| {
            let place = declared.places.get(key).unwrap_or(&declared.place);
            said(declared, place, message, Some(hint.to_owned()))
        };
        let name = &declared.name;
        let elsewhere = "say where it runs: lambda.functions or lambda.endpoint";
        if declared.is_image {
            let at = ["ImageUri", "PackageType", "Code"];
            let at = at.into_iter().find(|key| declared.places.contains_key(key));
            let message =
                format!("the function {name} is a container image, and images are not run here");
            let hint = "run the container, and give its address to lambda.functions";
            return Err(hindrance(at.unwrap_or_default(), message, hint));
        }
        let built = ["nodejs", "python"];
        if let Some(method) = declared.build_method.as_deref()
            && !self.is_built
            && !built.iter().any(|kind| method.starts_with(kind))
        {
            let message = format!("the function {name} is built by {} first", quoted(method));
            let hint = "run `sam build`, then `wiregate dev .aws-sam/build/template.yaml`";
            return Err(hindrance("BuildMethod", message, hint));
        }
        let Some(identifier) = declared.runtime.as_deref() else {
            let message = format!("the function {name} has no Runtime");
            return Err(hindrance("", message, "such as Runtime: nodejs20.x"));
        };
        let Some(runtime) = Runtime::parse(identifier) else {
            let message = format!(
                "the function {name} has the runtime {}; nodejs, python and provided run here",
                quoted(identifier)
            );
            return Err(hindrance("Runtime", message, elsewhere));
        };
        let handler = match (&declared.handler, &runtime) {
            (Some(handler), _) => handler.clone(),
            (None, Runtime::Provided { .. }) => "bootstrap".to_owned(),
            (None, _) => {
                let message = format!("the function {name} has no Handler");
                return Err(hindrance("", message, "such as Handler: app.handler"));
            }
        };
        let (code, inline) = self.code(declared, &runtime, hindrance)?;
        let mut notices = Vec::new();
        if let Some(place) = declared.places.get("Layers") {
            let message = format!("the function {name} runs without its layers");
            let hint = "install what it needs from them beside its code";
            notices.push(said(declared, place, message, Some(hint.to_owned())));
        }
        if inline.is_none()
            && let Some((message, hint)) = self.absent_handler(&runtime, &code, &handler)
        {
            let place = declared.places.get("Handler").unwrap_or(&declared.place);
            notices.push(said(declared, place, message, hint));
        }
        let seconds = |seconds: u32| Duration::from_secs(seconds.clamp(1, LONGEST).into());
        Ok(Runnable {
            function: Function {
                version: LATEST.to_owned(),
                name: name.clone(),
                runtime,
                handler,
                code,
                timeout: declared.timeout_seconds.map_or(TIMEOUT, seconds),
                memory_mib: declared.memory_mib.unwrap_or(MEMORY),
                environment: declared.environment.clone(),
                max_workers: None,
                aliases: declared.alias.clone().into_iter().collect(),
            },
            inline,
            notices,
        })
    }

    /// The folder with the code, and what must be written into it.
    fn code(
        &self,
        declared: &FunctionDeclared,
        runtime: &Runtime,
        hindrance: impl Fn(&str, String, &str) -> Diagnostic,
    ) -> Result<(PathBuf, Option<(PathBuf, String)>), Diagnostic> {
        let name = &declared.name;
        if let Some(text) = &declared.inline_code {
            let extension = match runtime {
                Runtime::Node { .. } => "js",
                Runtime::Python { .. } => "py",
                Runtime::Provided { .. } => {
                    let message = format!("the function {name} has inline code that nothing runs");
                    let hint = "inline code is for nodejs and python";
                    return Err(hindrance("InlineCode", message, hint));
                }
            };
            let folder = self.cache.join("inline").join(digest(text));
            // AWS calls such a file so, whatever the handler says.
            let file = folder.join(format!("index.{extension}"));
            return Ok((folder, Some((file, text.clone()))));
        }
        let key = if declared.places.contains_key("Code") {
            "Code"
        } else {
            "CodeUri"
        };
        let Some(path) = &declared.code_uri else {
            if declared.places.contains_key(key) {
                let message = format!("the code of the function {name} is not on this machine");
                let hint = "CodeUri takes the folder of the code";
                return Err(hindrance(key, message, hint));
            }
            // SAM and the Serverless Framework mean the template's own folder.
            return Ok((joined(self.folder, Path::new("")), None));
        };
        let code = joined(self.folder, Path::new(path));
        if (self.is_folder)(&code) {
            return Ok((code, None));
        }
        let (message, hint) = if (self.is_file)(&code) {
            let message = format!(
                "the code of the function {name} is an archive, {}",
                quoted(path)
            );
            (message, "CodeUri takes a folder: unpack it")
        } else {
            let shown = code.display();
            let message = format!("the folder with the code of {name} is not there: {shown}");
            (message, "a path begins at the folder of the template")
        };
        Err(hindrance(key, message, hint))
    }

    /// What is said where the handler's file is not there: code may yet be built.
    fn absent_handler(
        &self,
        runtime: &Runtime,
        code: &Path,
        handler: &str,
    ) -> Option<(String, Option<String>)> {
        let there = |names: &[String]| names.iter().any(|name| (self.is_file)(&code.join(name)));
        let shown = code.display();
        match runtime {
            Runtime::Node { .. } => {
                let base = handler.rfind('/').map_or(0, |at| at + 1);
                let module = base + handler[base..].find('.').unwrap_or(handler.len() - base);
                let module = &handler[..module];
                let named = |ends: &[&str]| -> Vec<String> {
                    ends.iter().map(|end| format!("{module}{end}")).collect()
                };
                if there(&named(&["", ".js", ".mjs", ".cjs"])) {
                    return None;
                }
                if there(&named(&[".ts", ".mts", ".cts", ".tsx"])) {
                    let message =
                        format!("{module}.ts in {shown} is TypeScript, which must be built first");
                    let hint = "build it beside its source, or run `sam build` and `wiregate dev .aws-sam/build/template.yaml`";
                    return Some((message, Some(hint.to_owned())));
                }
                Some((
                    format!("there is no {module}.js, .mjs or .cjs in {shown}"),
                    None,
                ))
            }
            Runtime::Python { .. } => {
                let module = handler
                    .rsplit_once('.')
                    .map_or(handler, |(module, _)| module);
                let path = module.replace('.', "/");
                let found = there(&[format!("{path}.py"), format!("{path}/__init__.py")]);
                (!found).then(|| (format!("there is no {path}.py in {shown}"), None))
            }
            Runtime::Provided { .. } => (!there(&["bootstrap".to_owned()])).then(|| {
                let hint = "build the program and give it that name; `sam build` does";
                (
                    format!("there is no executable 'bootstrap' in {shown}"),
                    Some(hint.to_owned()),
                )
            }),
        }
    }
}

fn said(
    declared: &FunctionDeclared,
    place: &Place,
    message: String,
    hint: Option<String>,
) -> Diagnostic {
    Diagnostic {
        file: place.file.clone(),
        origin: Origin::File(place.position),
        path: declared.logical_id.clone(),
        message,
        hint,
    }
}

fn joined(folder: &Path, path: &Path) -> PathBuf {
    let whole = folder.join(path);
    // Without `.` in between, and never the empty path.
    let tidy: PathBuf = whole.components().collect();
    if tidy.as_os_str().is_empty() {
        return PathBuf::from(".");
    }
    tidy
}

/// A short name for a text.
fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let first: [u8; 8] = std::array::from_fn(|n| hash[n]);
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests;
