//! Packages that AWS's Node.js runtimes have and a function does not bring.

use gateway_core::resource::Function;
use harness::Table;
use serde_json::json;

use super::node::brief;
use super::{Bench, write_code};

#[tokio::test]
async fn packages_that_a_function_lacks_are_found_where_the_environment_says() {
    let bench = Bench::start();
    let fallback = bench.folder.path().join("fallback");
    write_code(
        &fallback,
        &[
            (
                "node_modules/@aws-sdk/client-x/package.json",
                r#"{"name": "@aws-sdk/client-x", "version": "3.0.0", "main": "index.js"}"#,
            ),
            (
                "node_modules/@aws-sdk/client-x/index.js",
                "exports.from = 'fallback: ' + require('inner').inner;",
            ),
            ("node_modules/inner/index.js", "exports.inner = 'inner';"),
        ],
    );
    let own = [(
        "node_modules/@aws-sdk/client-x/index.js",
        "exports.from = 'own';",
    )];
    let cjs = "const { from } = require('@aws-sdk/client-x'); exports.handler = async () => from;";
    let esm = "import { from } from '@aws-sdk/client-x'; export const handler = async () => from;";
    let dynamic = "exports.handler = async () => (await import('@aws-sdk/client-x')).from;";
    let with = |mut function: Function| {
        let folder = fallback.display().to_string();
        function
            .environment
            .insert("WIREGATE_NODE_FALLBACK".to_owned(), folder);
        bench.host.put(function);
    };
    with(bench.function("cjs", "nodejs20.x", "app.handler", &[("app.js", cjs)]));
    with(bench.function("esm", "nodejs20.x", "app.handler", &[("app.mjs", esm)]));
    with(bench.function(
        "dynamic",
        "nodejs20.x",
        "app.handler",
        &[("app.js", dynamic)],
    ));
    with(bench.function(
        "own-cjs",
        "nodejs20.x",
        "app.handler",
        &[("app.js", cjs), own[0]],
    ));
    with(bench.function(
        "own-esm",
        "nodejs20.x",
        "app.handler",
        &[("app.mjs", esm), own[0]],
    ));
    bench
        .host
        .put(bench.function("without", "nodejs20.x", "app.handler", &[("app.js", cjs)]));
    let mut table = Table::about("the fallback");
    for (name, expected) in [
        ("cjs", "fallback: inner"),
        ("esm", "fallback: inner"),
        ("dynamic", "fallback: inner"),
        ("own-cjs", "own"),
        ("own-esm", "own"),
    ] {
        table.row(name, bench.outcome(name, json!({})).await, json!(expected));
    }
    table.row(
        "without",
        &brief(bench.outcome("without", json!({})).await)[0],
        &json!("Runtime.ImportModuleError"),
    );
    drop(table);
    bench.end().await;
}
