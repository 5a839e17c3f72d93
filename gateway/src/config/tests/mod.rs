//! What loads, what does not, and what is said about it.

mod bad;
mod certificates;
mod forms;
mod fuzz;
mod layering;

use std::path::Path;

use gateway_core::resource::Preset;

use super::*;

/// The long form that the documentation shows, without what is not built yet.
const LONG: &str = r#"server:
  listen: 127.0.0.1:8080
  managementListen: 127.0.0.1:8081
  publicHost: localhost:8080
  region: us-east-1
  accountId: "123456789012"
  credentials: [{ accessKeyId: AKIAEXAMPLE, secretAccessKey: wJalrXUtnFEMI }]
  tokens: []
  trustedProxies: []
  defaultApi: chat
  store: memory
  dataDir: ./data
lambda: { endpoint: http://127.0.0.1:9001, functions: {} }
apis:
  chat:
    routeSelectionExpression: $request.body.action
    limits: { preset: aws, idleTimeout: 5m, maxMessageBytes: 64KiB }
    allowedOrigins: [https://app.example.com]
    routes:
      $connect: { integration: { integrationType: HTTP_PROXY, integrationUri: "http://${stageVariables.host}/connect" } }
      echo:
        integration: { integrationType: HTTP_PROXY, integrationUri: http://127.0.0.1:3000/echo, timeoutInMillis: 2000 }
        routeResponseSelectionExpression: $default   # makes it two-way: the backend's body goes back on the socket
        concurrency: 4
    stages:
      dev: { stageVariables: { host: 127.0.0.1:3000 } }
"#;

const SHORT: &str = "\
apis:
  chat:
    routes:
      $connect: http://127.0.0.1:3000/connect
      $disconnect: http://127.0.0.1:3000/disconnect
      sendmessage: http://127.0.0.1:3000/sendmessage
      $default: http://127.0.0.1:3000/default
";

/// Loads a text as if it stood in `wiregate.yaml`, without environment and flags.
fn load_text(text: &str) -> Result<Loaded, ConfigErrors> {
    load_with(text, &[], Overrides::default())
}

fn load_with(
    text: &str,
    env: &[(&str, &str)],
    overrides: Overrides,
) -> Result<Loaded, ConfigErrors> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let request = Request {
        file: None,
        env,
        overrides,
        default_preset: Preset::Open,
    };
    let sink = Sink::new("wiregate.yaml", Path::new(""));
    super::load_text(Some(Ok(text.to_owned())), request, sink)
}

/// One mistake a line, as people see them.
fn complaints(text: &str) -> String {
    match load_text(text) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}
