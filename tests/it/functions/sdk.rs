//! Python functions on `awslambdaric`, which `tests/run` installs; with `--quick` they are left out.

use std::time::Duration;

use harness::Table;
use serde_json::{Value, json};

use super::Bench;
use crate::sdk::tool;

/// A host whose Python is that of the tests, which has `awslambdaric`.
fn bench() -> Bench {
    Bench::with(|settings| settings.tools.python = tool(".tools/venv/bin/python"))
}

/// Without the members that are Python's own affair.
fn brief(mut outcome: Value) -> Value {
    if let Some(error) = outcome.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("requestId");
        error.remove("stackTrace");
    }
    outcome
}

#[tokio::test]
async fn python_handlers_run_and_fail_as_on_aws() {
    let bench = bench();
    let mut table = Table::about("Python functions");
    for (name, handler, code, expected) in [
        (
            "works",
            "app.handler",
            "def handler(event, context): return {'got': event}",
            json!({"got": 1}),
        ),
        (
            "nothing",
            "app.handler",
            "def handler(event, context): pass",
            Value::Null,
        ),
        (
            "raises",
            "app.handler",
            "def handler(event, context): raise ValueError('kaboom')",
            super::error("ValueError", "kaboom"),
        ),
        (
            "exits",
            "app.handler",
            "import sys\ndef handler(event, context): sys.exit(4)",
            super::error(
                "Runtime.ExitError",
                "RequestId: <id> Error: Runtime exited with error: exit status 4",
            ),
        ),
        (
            "no-handler",
            "app.other",
            "def handler(event, context): pass",
            super::error(
                "Runtime.HandlerNotFound",
                "Handler 'other' missing on module 'app'",
            ),
        ),
        (
            "no-module",
            "nowhere.handler",
            "",
            super::error(
                "Runtime.ImportModuleError",
                "Unable to import module 'nowhere': No module named 'nowhere'",
            ),
        ),
        (
            "no-syntax",
            "app.handler",
            "def handler(:",
            super::error(
                "Runtime.UserCodeSyntaxError",
                "Syntax error in module 'app': invalid syntax (app.py, line 1)",
            ),
        ),
        (
            "unreadable",
            "app.handler",
            "def handler(event, context): return {1, 2}",
            super::error(
                "Runtime.MarshalError",
                "Unable to marshal response: Object of type set is not JSON serializable",
            ),
        ),
    ] {
        bench
            .host
            .put(bench.function(name, "python3.12", handler, &[("app.py", code)]));
        table.row(name, brief(bench.outcome(name, json!(1)).await), expected);
    }
    let code = "import os, json, sdk_of_aws\ndef handler(event, context):\n    print('said')\n    return [context.function_name, context.memory_limit_in_mb, context.invoked_function_arn, context.get_remaining_time_in_millis() > 1000, os.getcwd() == os.environ['LAMBDA_TASK_ROOT']]";
    let files = [("src/app.py", code), ("sdk_of_aws.py", "import boto3")];
    bench
        .host
        .put(bench.function("context", "python3.12", "src/app.handler", &files));
    let invoked = bench.call("context", json!({})).await.unwrap();
    let expected = json!([
        "context",
        "128",
        "arn:aws:lambda:us-east-1:000000000000:function:context",
        true,
        true
    ]);
    table.row("context", super::shown(&invoked), expected);
    let tail = String::from_utf8_lossy(&invoked.log_tail);
    table.holds("its output", tail.contains("said\n"), &tail);
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn a_python_function_that_hangs_is_ended_and_the_next_call_is_served() {
    let bench = bench();
    let code = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'ok'";
    let mut function = bench.function("f", "python3.12", "app.handler", &[("app.py", code)]);
    function.timeout = Duration::from_secs(3);
    bench.host.put(function);
    let outcome = bench.outcome("f", json!(60)).await;
    let message = "RequestId: <id> Error: Task timed out after 3.00 seconds";
    assert_eq!(outcome, super::error("Sandbox.Timedout", message));
    assert_eq!(bench.outcome("f", json!(0)).await, json!("ok"));
    bench.end().await;
}
