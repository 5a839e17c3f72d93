//! A function in Rust, on AWS's own runtime crate: answers each message with what it was, and tells its name to whoever connects.
//!
//! Unchanged it runs on AWS, as `bootstrap` of a `provided.al2023` function.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(call: LambdaEvent<Value>) -> Result<Value, Error> {
    let route = &call.payload["requestContext"]["routeKey"];
    println!("{route} of {}", call.context.request_id);
    let message: Value = call.payload["body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default();
    if message["fail"] == true {
        return Err("asked to fail".into());
    }
    let reply = json!({ "echo": message, "function": call.context.env_config.function_name });
    Ok(json!({ "statusCode": 200, "body": reply.to_string() }))
}
