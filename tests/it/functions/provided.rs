//! Functions that are executables: a script, and Rust on AWS's own runtime crate.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Bench, error};
use crate::app::BINARY;

/// The example in Rust, which `cargo test --workspace` builds; alone it is built here.
fn rust_function() -> PathBuf {
    let built = Path::new(BINARY).with_file_name("rust-function");
    if !built.exists() {
        let done = std::process::Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "-p",
                "examples",
                "--bin",
                "rust-function",
            ])
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "the example does not build"
        );
    }
    built
}

#[tokio::test]
async fn a_rust_function_on_awss_own_runtime_crate_runs_unchanged() {
    let bench = Bench::start();
    let function = bench.function("echo", "provided.al2023", "", &[]);
    fs::create_dir_all(&function.code).unwrap();
    std::os::unix::fs::symlink(rust_function(), function.code.join("bootstrap")).unwrap();
    bench.host.put(function);
    let event = |body: &str| json!({"requestContext": {"routeKey": "$default"}, "body": body});
    for n in 0..3 {
        let answer = bench
            .outcome("echo", event(&json!({"n": n}).to_string()))
            .await;
        let body = json!({"echo": {"n": n}, "function": "echo"}).to_string();
        assert_eq!(answer, json!({"statusCode": 200, "body": body}));
    }
    let failed = bench
        .call("echo", event(r#"{"fail": true}"#))
        .await
        .unwrap();
    let tail = String::from_utf8_lossy(&failed.log_tail);
    assert!(
        tail.contains(&format!("\"$default\" of {}", failed.request_id)),
        "{tail}"
    );
    assert_eq!(
        failed.outcome.unwrap_err().message().as_deref(),
        Some("asked to fail")
    );
    bench.end().await;
}

#[tokio::test]
async fn a_shell_script_is_a_function() {
    let bench = Bench::start();
    let script = r#"#!/usr/bin/env bash
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while :; do
  exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
  id=$(tr -d '\r' <&3 | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"ok"' "$id" >&3
  cat <&3 >/dev/null
done
"#;
    bench
        .host
        .put(bench.function("f", "provided", "", &[("bootstrap", script)]));
    for _ in 0..3 {
        assert_eq!(bench.outcome("f", json!({})).await, json!("ok"));
    }
    bench.end().await;
}

#[tokio::test]
async fn a_function_that_is_gone_or_never_was_is_not_found() {
    let bench = Bench::start();
    let code = "while True:\n    id, _, _ = next()\n    respond(id, 'ok')\n";
    assert_eq!(
        bench.call("f", json!({})).await,
        Err(gateway::functions::InvokeError::NotFound)
    );
    bench.host.put(bench.provided("f", code));
    assert_eq!(bench.outcome("f", json!({})).await, json!("ok"));
    bench.host.remove("f");
    assert_eq!(
        bench.call("f", json!({})).await,
        Err(gateway::functions::InvokeError::NotFound)
    );
    bench.processes_become(0).await;
    bench.host.put(bench.provided("f", "sys.exit(2)\n"));
    let outcome = bench.outcome("f", json!({})).await;
    assert_eq!(
        outcome["error"]["errorType"],
        error("Runtime.ExitError", "")["error"]["errorType"]
    );
    bench.end().await;
}
