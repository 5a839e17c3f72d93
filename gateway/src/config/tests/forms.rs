//! The short and the long forms, and what they become.

use std::time::Duration;

use gateway_core::resource::{Api, Integration, IntegrationType, Limits, Preset};

use super::{LONG, SHORT, load_text};
use crate::config::{Config, Secret, Store};

fn config(text: &str) -> Config {
    load_text(text)
        .unwrap_or_else(|errors| panic!("{errors}"))
        .config
}

fn api(body: &str) -> Api {
    config(&format!("apis:\n  chat:\n{body}")).apis.remove(0)
}

#[test]
fn the_short_form() {
    let api = config(SHORT).apis.remove(0);
    assert_eq!(api.api_id, "chat");
    assert_eq!(api.route_selection_expression, "$request.body.action");
    assert_eq!(api.limits, Limits::preset(Preset::Open));
    let keys: Vec<&str> = api.routes.iter().map(|r| r.route_key.as_str()).collect();
    assert_eq!(keys, ["$connect", "$disconnect", "sendmessage", "$default"]);
    let stages: Vec<&str> = api.stages.iter().map(|s| s.stage_name.as_str()).collect();
    assert_eq!(stages, ["dev"]);
    let expected = Integration {
        integration_uri: Some("http://127.0.0.1:3000/connect".to_owned()),
        ..Integration::new("connect", IntegrationType::HttpProxy)
    };
    assert_eq!(api.integrations[0], expected);
    assert_eq!(
        api.routes[0].target.as_deref(),
        Some("integrations/connect")
    );
}

#[test]
fn the_long_form() {
    let config = config(LONG);
    let server = &config.server;
    assert_eq!(server.account_id, "123456789012");
    assert_eq!(server.default_api.as_deref(), Some("chat"));
    assert_eq!(
        server.credentials[0].secret_access_key,
        Secret::new("wJalrXUtnFEMI")
    );
    assert_eq!(server.store, Store::Memory);
    assert_eq!(server.drain_timeout, Duration::from_secs(25));
    assert_eq!(
        config.lambda.endpoint.as_deref(),
        Some("http://127.0.0.1:9001")
    );
    let api = &config.apis[0];
    let limits = Limits {
        idle_timeout: Some(Duration::from_mins(5)),
        max_message_bytes: Some(65_536),
        ..Limits::preset(Preset::Aws)
    };
    assert_eq!(api.limits, limits);
    assert_eq!(
        api.allowed_origins,
        Some(vec!["https://app.example.com".to_owned()])
    );
    let echo = &api.routes[1];
    assert_eq!(
        echo.route_responses.len(),
        1,
        "the expression makes it two-way"
    );
    assert_eq!(echo.concurrency, Some(4));
    assert_eq!(api.integrations[1].timeout, Duration::from_secs(2));
    assert_eq!(api.stages[0].stage_variables["host"], "127.0.0.1:3000");
}
