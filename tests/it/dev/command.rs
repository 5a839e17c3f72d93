//! What is said where something is missing or wrong; none of it needs a runtime.

use harness::Request;

use super::app::{App, function};

#[tokio::test]
async fn an_empty_folder_is_told_what_was_looked_for() {
    let exit = App::new().command().try_start().await.unwrap_err();
    assert_eq!(exit.code, Some(64));
    assert!(
        exit.stderr.contains("no template.yaml, template.yml"),
        "{}",
        exit.stderr
    );
}

#[tokio::test]
async fn the_first_file_is_run_and_the_others_are_named() {
    let app = App::of(&[], "")
        .file("serverless.yml", "service: x\nprovider: { name: aws }\n")
        .file("wiregate.yaml", "apis: {}\n");
    let gateway = app.start().await;
    let output = gateway.output();
    assert!(
        output.contains("running template.yaml, and not serverless.yml, wiregate.yaml"),
        "{output}"
    );
}

#[tokio::test]
async fn settings_alone_run_with_awss_limits() {
    let app = App::new().file(
        "wiregate.yaml",
        "apis: { a: { routes: { $default: null } } }\n",
    );
    let gateway = app.start().await;
    let output = gateway.output();
    assert!(output.contains("(preset aws)"), "{output}");
    assert!(
        output.contains("a dev: wss://127.0.0.1:") && output.contains(" and ws://127.0.0.1:"),
        "{output}"
    );
}

#[tokio::test]
async fn operators_are_let_in_with_any_signature_as_where_no_keys_are_set() {
    let gateway = App::of(&[], "").start().await;
    let any = "AWS4-HMAC-SHA256 Credential=any/20261121/us-east-1/apigateway/aws4_request, SignedHeaders=host, Signature=00";
    for to in [gateway.management(), gateway.public()] {
        let asked = Request::get(to, "/v2/apis").header("Authorization", any);
        let expected = if to == gateway.public() { 403 } else { 200 };
        assert_eq!(asked.send().await.status, expected);
    }
}

#[tokio::test]
async fn files_of_variables_are_refused_with_their_lines_and_without_their_values() {
    let app = App::of(&[], "").file(".env", "A=1\nPASSWORD hunter2\n");
    let command = app.command().arg("--env-file").arg("nowhere.env");
    let exit = command.try_start().await.unwrap_err();
    assert_eq!(exit.code, Some(64));
    assert!(
        exit.stderr.contains(".env:2:1: expected NAME=value"),
        "{}",
        exit.stderr
    );
    assert!(
        exit.stderr.contains("nowhere.env: the file cannot be read"),
        "{}",
        exit.stderr
    );
    assert!(!exit.stderr.contains("hunter2"), "{}", exit.stderr);
}

#[tokio::test]
async fn what_cannot_run_here_is_listed_with_its_line() {
    let functions = [
        function("Image", "PackageType: Image, ImageUri: x"),
        function("Java", "Runtime: java21, Handler: a.b, CodeUri: ."),
        function(
            "Stored",
            "Runtime: nodejs20.x, Handler: a.b, CodeUri: s3://b/k",
        ),
        function(
            "Layered",
            "Runtime: provided.al2023, CodeUri: ., Layers: [a]",
        ),
    ];
    let app = App::of(&["$default = Java"], &functions.concat());
    let gateway = app.start().await;
    let output = gateway.output();
    for expected in [
        "the function Image is a container image",
        "the function Java has the runtime 'java21'",
        "the code of the function Stored is not on this machine",
        "the function Layered runs without its layers",
        "there is no executable 'bootstrap'",
    ] {
        let line = output.lines().find(|line| line.contains(expected));
        let line = line.unwrap_or_else(|| panic!("{expected}\n{output}"));
        assert!(line.contains("template.yaml:"), "{line}");
    }
}

#[tokio::test]
async fn a_runtime_that_is_not_installed_is_named_with_the_functions_that_need_it() {
    let functions = [
        function("One", "Runtime: nodejs20.x, Handler: a.b, CodeUri: ."),
        function("Two", "Runtime: python3.12, Handler: a.b, CodeUri: ."),
    ];
    let app = App::of(&[], &functions.concat());
    let nowhere = app.path().display().to_string();
    let exit = app
        .command()
        .env("PATH", &nowhere)
        .try_start()
        .await
        .unwrap_err();
    assert_eq!(exit.code, Some(69));
    assert!(
        exit.stderr.contains("node is not on the PATH, and One"),
        "{}",
        exit.stderr
    );
    assert!(
        exit.stderr.contains("python3 is not on the PATH, and Two"),
        "{}",
        exit.stderr
    );
}
