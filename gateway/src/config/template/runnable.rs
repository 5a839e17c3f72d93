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
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::inputs;
    use super::*;

    /// What becomes of the one function of a template whose function has these properties, where these paths are there.
    fn outcome(properties: &str, there: &[&str]) -> Result<Runnable, String> {
        let text = format!(
            "Globals: {{ Function: {{ MemorySize: 256 }} }}\nResources:\n  F:\n    Type: AWS::Serverless::Function\n{properties}"
        );
        outcome_of("app/template.yaml", &text, there)
    }

    fn outcome_of(file: &str, text: &str, there: &[&str]) -> Result<Runnable, String> {
        let beside = |_: &str| Err("there is nothing".to_owned());
        let template = super::super::read(Path::new(file), text, &inputs(), &beside);
        let template = template.unwrap_or_else(|errors| panic!("{errors}"));
        let known = |path: &Path| there.contains(&path.to_str().unwrap());
        let sight = Sight {
            folder: Path::new(file).parent().unwrap(),
            cache: Path::new("/cache"),
            is_built: file.contains(".aws-sam"),
            is_folder: &|path| known(path) && path.extension().is_none(),
            is_file: &|path| known(path) && path.extension().is_some(),
        };
        sight
            .runnable(&template.functions[0])
            .map_err(|why| why.to_string())
    }

    #[track_caller]
    fn refused(properties: &str, there: &[&str], expected: &str) {
        let found = outcome(properties, there).expect_err("it must not run");
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn noticed(properties: &str, there: &[&str], expected: &[&str]) -> Function {
        let found = outcome(properties, there).unwrap_or_else(|why| panic!("{why}"));
        let notices: Vec<String> = found.notices.iter().map(ToString::to_string).collect();
        assert_eq!(notices, expected);
        found.function
    }

    #[test]
    fn a_function_is_read_with_its_defaults() {
        let there = ["app/src", "app/src/app.js"];
        let function = noticed(
            "    Properties: { Handler: app.handler, Runtime: nodejs20.x, CodeUri: ./src/, AutoPublishAlias: live }",
            &there,
            &[],
        );
        assert_eq!(function.name, "F");
        assert_eq!(function.code, Path::new("app/src"));
        assert_eq!(function.timeout, Duration::from_secs(3));
        assert_eq!(function.memory_mib, 256);
        assert_eq!(function.aliases, ["live"]);
        let function = noticed(
            "    Properties: { Handler: app.handler, Runtime: python3.12, Timeout: 30, MemorySize: 512, Environment: { Variables: { A: !Ref AWS::Region } } }",
            &["app", "app/app.py"],
            &[],
        );
        assert_eq!(function.code, Path::new("app"));
        assert_eq!(function.timeout, Duration::from_secs(30));
        assert_eq!(function.memory_mib, 512);
        assert_eq!(function.environment["A"], "us-east-1");
        let function = noticed(
            "    Properties: { Runtime: provided.al2023, CodeUri: src }",
            &["app/src"],
            &[
                "app/template.yaml:3:3: there is no executable 'bootstrap' in app/src; build the program and give it that name; `sam build` does",
            ],
        );
        assert_eq!(function.handler, "bootstrap");
    }

    #[test]
    fn inline_code_gets_a_file_of_its_own() {
        let text = "    Properties: { Handler: index.handler, Runtime: nodejs20.x, InlineCode: 'exports.handler = 1' }";
        let found = outcome(text, &[]).unwrap();
        let (file, text) = found.inline.unwrap();
        assert_eq!(text, "exports.handler = 1");
        assert_eq!(file.file_name().unwrap(), "index.js");
        assert_eq!(file.parent().unwrap(), found.function.code);
        assert!(file.starts_with("/cache/inline"), "{}", file.display());
        let plain = "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties: { Handler: index.f, Runtime: python3.12, Code: { ZipFile: 'def f(): pass' } }";
        let found = outcome_of("t.yaml", plain, &[]).unwrap();
        assert_eq!(found.inline.unwrap().1, "def f(): pass");
    }

    #[test]
    fn what_cannot_run_here_says_why_and_where() {
        refused(
            "    Properties: { PackageType: Image, ImageUri: x }",
            &[],
            "app/template.yaml:5:39: the function F is a container image, and images are not run here; run the container, and give its address to lambda.functions",
        );
        refused(
            "    Properties: { Handler: a.b, Runtime: java21, CodeUri: src }",
            &["app/src"],
            "app/template.yaml:5:33: the function F has the runtime 'java21'; nodejs, python and provided run here; say where it runs: lambda.functions or lambda.endpoint",
        );
        refused(
            "    Properties: { Handler: a.b, Runtime: nodejs20.x, CodeUri: s3://bucket/key }",
            &[],
            "app/template.yaml:5:54: the code of the function F is not on this machine; CodeUri takes the folder of the code",
        );
        refused(
            "    Properties: { Handler: a.b, Runtime: nodejs20.x, CodeUri: { Bucket: b, Key: k } }",
            &[],
            "app/template.yaml:5:54: the code of the function F is not on this machine; CodeUri takes the folder of the code",
        );
        refused(
            "    Properties: { Handler: a.b, Runtime: nodejs20.x, CodeUri: code.zip }",
            &["app/code.zip"],
            "app/template.yaml:5:54: the code of the function F is an archive, 'code.zip'; CodeUri takes a folder: unpack it",
        );
        refused(
            "    Properties: { Handler: a.b, Runtime: nodejs20.x, CodeUri: nowhere }",
            &[],
            "app/template.yaml:5:54: the folder with the code of F is not there: app/nowhere; a path begins at the folder of the template",
        );
        refused(
            "    Properties: { Runtime: nodejs20.x }",
            &[],
            "app/template.yaml:3:3: the function F has no Handler; such as Handler: app.handler",
        );
        refused(
            "    Properties: { Handler: a.b }",
            &[],
            "app/template.yaml:3:3: the function F has no Runtime; such as Runtime: nodejs20.x",
        );
        refused(
            "    Metadata: { BuildMethod: esbuild }\n    Properties: { Handler: a.b, Runtime: nodejs20.x }",
            &[],
            "app/template.yaml:5:30: the function F is built by 'esbuild' first; run `sam build`, then `wiregate dev .aws-sam/build/template.yaml`",
        );
    }

    #[test]
    fn what_sam_has_built_needs_no_building() {
        let text = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Metadata: { BuildMethod: esbuild }\n    Properties: { Handler: a.b, Runtime: nodejs20.x, CodeUri: F }";
        let there = [".aws-sam/build/F", ".aws-sam/build/F/a.js"];
        let found = outcome_of(".aws-sam/build/template.yaml", text, &there).unwrap();
        assert_eq!(found.function.code, Path::new(".aws-sam/build/F"));
    }

    #[test]
    fn what_is_missing_is_said_and_the_function_still_runs() {
        noticed(
            "    Properties: { Handler: src/app.handler, Runtime: nodejs20.x }",
            &["app/src/app.ts"],
            &[
                "app/template.yaml:5:19: src/app.ts in app is TypeScript, which must be built first; build it beside its source, or run `sam build` and `wiregate dev .aws-sam/build/template.yaml`",
            ],
        );
        noticed(
            "    Properties: { Handler: app.handler, Runtime: nodejs20.x }",
            &[],
            &["app/template.yaml:5:19: there is no app.js, .mjs or .cjs in app"],
        );
        noticed(
            "    Properties: { Handler: a.b.handler, Runtime: python3.12, Layers: [!Ref AWS::Region] }",
            &["app/a/b.py"],
            &[
                "app/template.yaml:5:62: the function F runs without its layers; install what it needs from them beside its code",
            ],
        );
    }
}
