//! Node.js functions: what a handler may be, what it sees, and how its failures read.

use std::time::Duration;

use harness::Table;
use serde_json::{Value, json};

use super::Bench;

/// The type and the message of an error; its trace is Node's own.
pub(super) fn brief(mut outcome: Value) -> Value {
    if let Some(error) = outcome.get_mut("error").and_then(Value::as_object_mut)
        && error.remove("trace").is_some_and(|trace| trace.is_array())
    {
        return json!([
            error["errorType"],
            error["errorMessage"].as_str().map(first_line)
        ]);
    }
    outcome
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[tokio::test]
async fn handlers_of_every_form_are_found_and_run() {
    let bench = Bench::start();
    let mut table = Table::about("Node.js handlers");
    let cjs = "exports.handler = async (event) => ({ got: event });";
    let esm = "export const handler = async (event) => ({ got: event });";
    let module = r#"{"type": "module"}"#;
    let got = json!({"got": 1});
    for (name, handler, files, expected) in [
        ("cjs", "app.handler", &[("app.js", cjs)][..], &got),
        ("cjs-ext", "app.handler", &[("app.cjs", cjs)], &got),
        ("mjs", "app.handler", &[("app.mjs", esm)], &got),
        (
            "esm",
            "app.handler",
            &[("app.js", esm), ("package.json", module)],
            &got,
        ),
        (
            "esm-above",
            "src/app.handler",
            &[("src/app.js", esm), ("package.json", module)],
            &got,
        ),
        ("deep", "src/a/app.handler", &[("src/a/app.js", cjs)], &got),
        (
            "nested",
            "app.a.b.c",
            &[("app.js", "exports.a = { b: { c: async () => 7 } };")],
            &json!(7),
        ),
        (
            "default",
            "app.handler",
            &[("app.mjs", "export default { handler: async () => 7 };")],
            &json!(7),
        ),
        (
            "top-await",
            "app.handler",
            &[(
                "app.mjs",
                "const n = await Promise.resolve(7); export const handler = async () => n;",
            )],
            &json!(7),
        ),
        (
            "callback",
            "app.handler",
            &[(
                "app.js",
                "exports.handler = (event, context, callback) => callback(null, 7);",
            )],
            &json!(7),
        ),
        (
            "later",
            "app.handler",
            &[(
                "app.js",
                "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, 7), 20); };",
            )],
            &json!(7),
        ),
        (
            "done",
            "app.handler",
            &[(
                "app.js",
                "exports.handler = (event, context) => context.done(null, 7);",
            )],
            &json!(7),
        ),
        (
            "succeed",
            "app.handler",
            &[(
                "app.js",
                "exports.handler = (event, context) => context.succeed(7);",
            )],
            &json!(7),
        ),
        (
            "nothing",
            "app.handler",
            &[("app.js", "exports.handler = async () => {};")],
            &Value::Null,
        ),
        (
            "plain",
            "app.handler",
            &[("app.js", "exports.handler = () => 7;")],
            &Value::Null,
        ),
        (
            "never",
            "app.handler",
            &[("app.js", "exports.handler = () => new Promise(() => {});")],
            &Value::Null,
        ),
        (
            "relative",
            "app.handler",
            &[
                (
                    "app.js",
                    "const { n } = require('./lib/n'); exports.handler = async () => n;",
                ),
                ("lib/n.js", "exports.n = 7;"),
            ],
            &json!(7),
        ),
        (
            "modules",
            "app.handler",
            &[
                ("app.js", "exports.handler = async () => require('seven');"),
                ("node_modules/seven/index.js", "module.exports = 7;"),
            ],
            &json!(7),
        ),
    ] {
        bench
            .host
            .put(bench.function(name, "nodejs20.x", handler, files));
        table.row(name, &bench.outcome(name, json!(1)).await, expected);
        table.row(
            &format!("{name} again"),
            &bench.outcome(name, json!(1)).await,
            expected,
        );
    }
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn the_callback_waits_for_an_empty_event_loop_unless_told_otherwise() {
    let bench = Bench::start();
    bench.host.put(bench.node(
        "f",
        "exports.handler = (event, context, callback) => {
           const state = { fired: false };
           setTimeout(() => { state.fired = true; }, 300);
           context.callbackWaitsForEmptyEventLoop = event.waits;
           callback(null, state);
         };",
    ));
    assert_eq!(
        bench.outcome("f", json!({"waits": true})).await,
        json!({"fired": true})
    );
    assert_eq!(
        bench.outcome("f", json!({"waits": false})).await,
        json!({"fired": false})
    );
    bench.end().await;
}

#[tokio::test]
async fn failures_read_as_on_aws() {
    let bench = Bench::start();
    let mut table = Table::about("failures of Node.js functions");
    for (name, code, expected) in [
        (
            "throws",
            "exports.handler = async () => { throw new TypeError('kaboom'); };",
            json!(["TypeError", "kaboom"]),
        ),
        (
            "throws-at-once",
            "exports.handler = () => { throw new RangeError('kaboom'); };",
            json!(["RangeError", "kaboom"]),
        ),
        (
            "throws-own",
            "class Mine extends Error { constructor() { super('m'); this.name = 'Mine'; } } exports.handler = async () => { throw new Mine(); };",
            json!(["Mine", "m"]),
        ),
        (
            "throws-text",
            "exports.handler = async () => { throw 'text'; };",
            json!(["string", "text"]),
        ),
        (
            "throws-nothing",
            "exports.handler = async () => { throw undefined; };",
            json!(["string", "undefined"]),
        ),
        (
            "calls-back",
            "exports.handler = (e, c, callback) => callback(new Error('kaboom'));",
            json!(["Error", "kaboom"]),
        ),
        (
            "fails",
            "exports.handler = (e, context) => context.fail(new Error('kaboom'));",
            json!(["Error", "kaboom"]),
        ),
        (
            "unreadable",
            "exports.handler = async () => { const a = {}; a.a = a; return a; };",
            json!([
                "Runtime.MarshalError",
                "Unable to stringify response body: Converting circular structure to JSON"
            ]),
        ),
        (
            "uncaught",
            "exports.handler = () => new Promise(() => setTimeout(() => { throw new Error('kaboom'); }, 10));",
            json!(["Error", "kaboom"]),
        ),
        (
            "unhandled",
            "exports.handler = () => new Promise(() => { Promise.reject(new Error('kaboom')); setTimeout(() => {}, 5000); });",
            json!(["Runtime.UnhandledPromiseRejection", "Error: kaboom"]),
        ),
        (
            "no-handler",
            "exports.other = 1;",
            json!([
                "Runtime.HandlerNotFound",
                "app.handler is undefined or not exported"
            ]),
        ),
        (
            "no-function",
            "exports.handler = 1;",
            json!(["Runtime.HandlerNotFound", "app.handler is not a function"]),
        ),
        (
            "no-syntax",
            "exports.handler = async () => {;",
            json!([
                "Runtime.UserCodeSyntaxError",
                "SyntaxError: Unexpected end of input"
            ]),
        ),
        (
            "no-module",
            "require('nowhere');",
            json!([
                "Runtime.ImportModuleError",
                "Error: Cannot find module 'nowhere'"
            ]),
        ),
        (
            "bad-load",
            "throw new RangeError('at load');",
            json!(["RangeError", "at load"]),
        ),
    ] {
        bench.host.put(bench.node(name, code));
        table.row(name, brief(bench.outcome(name, json!(1)).await), expected);
    }
    let file = [("app.mjs", "import 'nowhere';")];
    bench
        .host
        .put(bench.function("no-import", "nodejs20.x", "app.handler", &file));
    let outcome = brief(bench.outcome("no-import", json!(1)).await);
    let expected = "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'nowhere' imported from";
    let fits = outcome[0] == "Runtime.ImportModuleError"
        && outcome[1]
            .as_str()
            .is_some_and(|text| text.contains("Cannot find package 'nowhere'"));
    table.holds("no-import", fits, &format!("{outcome} for {expected}"));
    for (name, handler, expected) in [
        ("no-file", "other.handler", "Runtime.ImportModuleError"),
        ("no-dot", "app", "Runtime.MalformedHandlerName"),
        ("upward", "../app.handler", "Runtime.MalformedHandlerName"),
    ] {
        bench
            .host
            .put(bench.function(name, "nodejs20.x", handler, &[("app.js", "")]));
        table.row(
            name,
            &brief(bench.outcome(name, json!(1)).await)[0],
            &json!(expected),
        );
    }
    bench
        .host
        .put(bench.node("exits", "exports.handler = () => process.exit(4);"));
    table.row(
        "exits",
        bench.outcome("exits", json!(1)).await,
        super::error(
            "Runtime.ExitError",
            "RequestId: <id> Error: Runtime exited with error: exit status 4",
        ),
    );
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn a_handler_sees_its_context() {
    let bench = Bench::start();
    let mut function = bench.node(
        "f",
        "exports.handler = async (event, context) => ({
           ...context, left: context.getRemainingTimeInMillis(), env: process.env, cwd: process.cwd(), args: process.argv.length,
         });",
    );
    function.timeout = Duration::from_secs(10);
    function.memory_mib = 256;
    function
        .environment
        .insert("TABLE".to_owned(), "connections".to_owned());
    let code = function.code.canonicalize().unwrap();
    bench.host.put(function);
    let seen = bench.outcome("f", json!({})).await;
    for (name, expected) in [
        ("awsRequestId", json!("<id>")),
        ("functionName", json!("f")),
        ("functionVersion", json!("$LATEST")),
        ("memoryLimitInMB", json!("256")),
        (
            "invokedFunctionArn",
            json!("arn:aws:lambda:us-east-1:000000000000:function:f"),
        ),
        ("logGroupName", json!("/aws/lambda/f")),
        ("callbackWaitsForEmptyEventLoop", json!(true)),
        ("cwd", json!(code.display().to_string())),
    ] {
        assert_eq!(seen[name], expected, "{name}");
    }
    assert!(
        seen["logStreamName"]
            .as_str()
            .unwrap()
            .contains("/[$LATEST]")
    );
    let left = seen["left"].as_f64().unwrap();
    assert!((5000.0..=10_000.0).contains(&left), "{left}");
    let env = &seen["env"];
    assert_eq!(env["TABLE"], "connections");
    assert_eq!(
        env["_X_AMZN_TRACE_ID"],
        "Root=1-6b015cd0-e97beceb97dcb033baf84e5e"
    );
    assert_eq!(env["LAMBDA_TASK_ROOT"], code.display().to_string());
    // Of the variables of the process that started it almost nothing is left.
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    assert_eq!(env["CARGO_MANIFEST_DIR"], Value::Null);
    bench.end().await;
}
