//! Functions that run here, and what is said of those that do not.

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
