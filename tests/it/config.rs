//! `wiregate check` and what `serve` makes of a configuration.

use harness::{GatewayCommand, Table, check};

use crate::app::{self, BINARY};

/// What is wrong in a file: the line that is named, and the words that must stand beside it.
fn finds(table: &mut Table, name: &str, yaml: &str, expected: &[(usize, &[&str])]) {
    let exit = check(BINARY, yaml);
    table.row(name, exit.code, Some(64));
    for (line, words) in expected {
        let found = exit.stderr.split("wiregate.yaml:").any(|part| {
            part.starts_with(&format!("{line}:")) && words.iter().all(|word| part.contains(word))
        });
        table.holds(
            name,
            found,
            &format!("line {line} with {words:?} is not in: {}", exit.stderr),
        );
    }
}

#[test]
fn every_mistake_is_named_with_its_line_and_a_hint() {
    let mut table = Table::about("mistakes in wiregate.yaml");
    finds(
        &mut table,
        "an unknown key",
        "apis:\n  chat:\n    rootes: {}\n",
        &[(3, &["rootes", "routes"])],
    );
    finds(
        &mut table,
        "several at once",
        "server:\n  lissen: 127.0.0.1:8080\n  region: [x]\napis:\n  chat:\n    limits: { preset: gcp, idleTimeout: 5 }\n    routes:\n      $conect: http://127.0.0.1:1/\n",
        &[
            (2, &["lissen", "listen"]),
            (3, &["text", "list"]),
            (6, &["gcp", "aws", "open"]),
            (6, &["duration", "unit"]),
            (8, &["$conect", "$connect"]),
        ],
    );
    finds(&mut table, "no YAML", "apis: [unclosed\nserver: x\n", &[]);
    finds(
        &mut table,
        "a key that stands twice",
        "apis:\n  chat: {}\n  chat: {}\n",
        &[(3, &["chat"])],
    );
    finds(
        &mut table,
        "a URL of another kind",
        "apis:\n  chat:\n    routes:\n      $default: ftp://127.0.0.1/\n",
        &[(4, &["ftp"])],
    );
    finds(
        &mut table,
        "a bad integration type",
        "apis:\n  chat:\n    routes:\n      x: { integration: { integrationType: HTTP_PROXI, integrationUri: http://127.0.0.1:1/ } }\n",
        &[(4, &["HTTP_PROXI", "HTTP_PROXY"])],
    );
}

#[test]
fn a_bad_selection_expression_is_a_mistake_or_a_warning_but_no_silence() {
    let yaml = "apis:\n  chat:\n    routeSelectionExpression: ${request.body.\n    routes: { $default: http://127.0.0.1:1/ }\n";
    let exit = check(BINARY, yaml);
    assert_eq!(exit.code, Some(64), "{exit:?}");
    assert!(exit.stderr.contains("wiregate.yaml:3"), "{}", exit.stderr);
}

#[test]
fn a_good_file_is_accepted_and_what_is_in_force_is_shown() {
    let yaml = "server: { region: eu-west-1 }\napis:\n  chat:\n    routes:\n      $default: http://127.0.0.1:3000/default\n";
    let exit = check(BINARY, yaml);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    for word in [
        "eu-west-1",
        "chat",
        "127.0.0.1:8080",
        "http://127.0.0.1:3000/default",
    ] {
        assert!(
            exit.stdout.contains(word),
            "{word} is not in: {}",
            exit.stdout
        );
    }
}

#[test]
fn a_secret_is_never_shown() {
    let yaml = "server:\n  credentials: [{ accessKeyId: AKIAEXAMPLE, secretAccessKey: canary-secret }]\n  tokens: [canary-token]\napis: { chat: { routes: {} } }\n";
    let good = check(BINARY, yaml);
    assert_eq!(good.code, Some(0), "{good:?}");
    let bad = check(BINARY, &yaml.replace("accessKeyId", "accessKeyID"));
    assert_eq!(bad.code, Some(64), "{bad:?}");
    for exit in [good, bad] {
        assert!(!exit.stdout.contains("canary"), "{}", exit.stdout);
        assert!(!exit.stderr.contains("canary"), "{}", exit.stderr);
    }
}

/// What is stored but not enforced yet must not open the door.
#[tokio::test]
async fn what_is_not_enforced_yet_is_refused() {
    let mut table = Table::about("settings that guard a $connect or a message");
    let url = "http://127.0.0.1:1/";
    for (name, api) in [
        (
            "AWS_IAM",
            format!("routes: {{ $connect: {{ authorizationType: AWS_IAM, integration: {url} }} }}"),
        ),
        (
            "an API key",
            format!("routes: {{ $connect: {{ apiKeyRequired: true, integration: {url} }} }}"),
        ),
        (
            "a model",
            format!(
                "routes: {{ $default: {{ modelSelectionExpression: \"$request.body.action\", integration: {url} }} }}"
            ),
        ),
        (
            "JWT",
            format!("routes: {{ $connect: {{ authorizationType: JWT, integration: {url} }} }}"),
        ),
    ] {
        let yaml = format!("apis: {{ chat: {{ {api} }} }}\n");
        if check(BINARY, &yaml).code == Some(64) {
            table.row(name, 64, 64);
            continue;
        }
        let gateway = app::start(&yaml).await;
        let status = gateway.handshake("/dev").status().await;
        table.holds(
            name,
            [401, 403, 500].contains(&status),
            &format!("handshake {status}"),
        );
    }
}

#[tokio::test]
async fn serve_refuses_a_bad_file_before_it_listens() {
    let yaml = "apis:\n  chat:\n    rootes: {}\n";
    let Err(exit) = GatewayCommand::new(BINARY, yaml).try_start().await else {
        panic!("it started");
    };
    assert_eq!(exit.code, Some(64), "{exit:?}");
    assert!(exit.stderr.contains("wiregate.yaml:3"), "{}", exit.stderr);
    assert!(exit.stderr.contains("routes"), "{}", exit.stderr);
    assert!(!exit.stdout.contains("ready"), "{}", exit.stdout);
}

#[tokio::test]
async fn the_environment_stands_over_the_file_and_flags_over_both() {
    let yaml = "server: { region: eu-west-1, defaultApi: one }\napis: { one: { routes: {} }, two: { routes: {} } }";
    let gateway = GatewayCommand::new(BINARY, yaml)
        .env("WIREGATE_DEFAULT_API", "two")
        .env("WIREGATE_LISTEN", "127.0.0.1:1")
        .start()
        .await;
    assert_ne!(
        gateway.public().port(),
        1,
        "the flag stands over the environment"
    );
    assert_eq!(gateway.handshake("/dev").status().await, 101);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let binary = std::env::var("WIREGATE_BIN").unwrap_or_else(|_| BINARY.to_owned());
    let output = std::process::Command::new(binary)
        .args(["check", "nowhere.yaml"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("nowhere.yaml"), "{stderr}");
}
