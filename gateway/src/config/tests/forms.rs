//! The short and the long forms, and what they become.

use std::time::Duration;

use gateway_core::resource::{
    Api, ContentHandling, HttpVersion, Integration, IntegrationType, Limits, PassthroughBehavior,
    Preset,
};

use super::{LONG, SHORT, load_text};
use crate::config::{AccessLog, Config, LogFormat, Store};

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
    let secret = &server.credentials[0].secret_access_key;
    assert_eq!(secret.expose(), "wJalrXUtnFEMI");
    assert!(matches!(server.store, Store::Memory));
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

#[test]
fn a_route_may_be_a_url_an_arn_or_nothing() {
    let api =
        api("    routes: { a: 'https://h/a', b: 'arn:aws:lambda:us-east-1:1:function:f', c: }");
    let kinds: Vec<_> = api
        .integrations
        .iter()
        .map(|i| i.integration_type)
        .collect();
    assert_eq!(
        kinds,
        [IntegrationType::HttpProxy, IntegrationType::AwsProxy]
    );
    let targets: Vec<_> = api.routes.iter().map(|r| r.target.as_deref()).collect();
    assert_eq!(
        targets,
        [Some("integrations/a"), Some("integrations/b"), None]
    );
}

#[test]
fn integrations_written_in_routes_get_ids_of_their_own() {
    let api = api(
        "    integrations: { connect: http://h/0 }
    routes: { $connect: http://h/1, connect: http://h/2, a b: http://h/3, a-b: http://h/4, x: { target: integrations/connect } }",
    );
    let ids: Vec<&str> = api
        .integrations
        .iter()
        .map(|i| i.integration_id.as_str())
        .collect();
    assert_eq!(ids, ["connect", "connect-2", "connect-3", "a-b", "a-b-2"]);
    assert_eq!(
        api.routes[4].target.as_deref(),
        Some("integrations/connect")
    );
}

#[test]
fn collections_are_maps_or_lists() {
    let maps = api("    stages: { dev: , prod: { stageVariables: { a: 1 } } }
    routes: { x: http://h/x, y: { operationName: why } }");
    let lists = api(
        "    stages: [dev, { stageName: prod, stageVariables: { a: '1' } }]
    routes: [{ routeKey: x, integration: http://h/x }, { routeKey: y, operationName: why }]",
    );
    assert_eq!(maps, lists);
    assert_eq!(maps.stages[1].stage_variables["a"], "1");
}

#[test]
fn every_member_of_an_integration() {
    let api = api(
        "    routes:
      a:
        integration:
          integrationType: HTTP
          integrationUri: http://h
          integrationMethod: PUT
          timeoutInMillis: 250
          requestParameters: { integration.request.header.x: context.connectionId }
          requestTemplates: { $default: '{}' }
          templateSelectionExpression: $request.body.kind
          passthroughBehavior: WHEN_NO_TEMPLATES
          contentHandlingStrategy: CONVERT_TO_TEXT
          httpVersion: 1.1
          maxInFlight: 9
          integrationResponses:
            $default: { templateSelectionExpression: x, responseTemplates: { a: b }, contentHandlingStrategy: CONVERT_TO_BINARY }
            /2../: ",
    );
    let found = &api.integrations[0];
    assert_eq!(found.integration_type, IntegrationType::Http);
    assert_eq!(found.integration_method, "PUT");
    assert_eq!(found.timeout, Duration::from_millis(250));
    assert_eq!(
        found.request_parameters["integration.request.header.x"],
        "context.connectionId"
    );
    assert_eq!(found.request_templates["$default"], "{}");
    assert_eq!(
        found.template_selection_expression.as_deref(),
        Some("$request.body.kind")
    );
    assert_eq!(
        found.passthrough_behavior,
        PassthroughBehavior::WhenNoTemplates
    );
    assert_eq!(
        found.content_handling_strategy,
        Some(ContentHandling::ConvertToText)
    );
    assert_eq!(found.http_version, HttpVersion::Http1);
    assert_eq!(found.max_in_flight, 9);
    let response = &found.integration_responses[0];
    assert_eq!(response.response_templates["a"], "b");
    assert_eq!(
        response.content_handling_strategy,
        Some(ContentHandling::ConvertToBinary)
    );
    assert_eq!(
        found.integration_responses[1].integration_response_key,
        "/2../"
    );
}

#[test]
fn every_member_of_an_api_and_a_route() {
    let api = api(
        "    routeSelectionExpression: $request.body.type
    apiKeySelectionExpression: $context.authorizer.usageIdentifierKey
    disableExecuteApiEndpoint: true
    authorizers:
      short: arn:aws:lambda:us-east-1:1:function:f
      long: { authorizerUri: 'arn:aws:lambda:us-east-1:1:function:g', identitySource: route.request.header.Auth }
    routes:
      a:
        authorizationType: NONE
        authorizerId: long
        apiKeyRequired: false
        requestModels: { $default: M }
        requestParameters: { route.request.querystring.a: true, route.request.querystring.b: { required: true }, route.request.querystring.c: false }
        routeResponses: [$default]
        operationName: A
        concurrency: 2
      b: { routeResponses: [{ routeResponseKey: $default }] }
      c: { routeResponses: { $default: } }",
    );
    assert_eq!(api.route_selection_expression, "$request.body.type");
    assert_eq!(
        api.api_key_selection_expression,
        "$context.authorizer.usageIdentifierKey"
    );
    assert!(api.disable_execute_api_endpoint);
    assert_eq!(
        api.authorizers[1].identity_source,
        ["route.request.header.Auth"]
    );
    assert!(
        api.routes
            .iter()
            .all(|route| route.route_responses.len() == 1)
    );
    let route = &api.routes[0];
    assert_eq!(route.authorizer_id.as_deref(), Some("long"));
    assert_eq!(route.request_models["$default"], "M");
    let required: Vec<bool> = route
        .request_parameters
        .values()
        .map(|p| p.required)
        .collect();
    assert_eq!(required, [true, true, false]);
    assert_eq!(route.operation_name.as_deref(), Some("A"));
    assert_eq!(route.concurrency, Some(2));
}

#[test]
fn zero_turns_a_limit_off() {
    let api = api(
        "    limits: { preset: aws, maxMessageBytes: 0, maxFrameBytes: 0, sendFrameBytes: 0, idleTimeout: 0, maxAge: 0, pingInterval: 1m, messagesPerSecond: 0.5, connectsPerSecond: 0 }",
    );
    let expected = Limits {
        max_message_bytes: None,
        max_frame_bytes: None,
        send_frame_bytes: None,
        idle_timeout: None,
        max_age: None,
        ping_interval: Some(Duration::from_mins(1)),
        messages_per_second: Some(0.5),
        ..Limits::preset(Preset::Aws)
    };
    assert_eq!(api.limits, expected);
}

#[test]
fn the_rest_of_the_server() {
    let config = config(
        "server:
  managementListen: '[::]:8081'
  managementUrl: https://manage.example.com/base/
  tokens: [abc]
  trustedProxies: [10.0.0.0/8, '::1']
  hostnames: [WS.example.com]
  domains: [{ domainName: ws.example.com, mappings: [{ api: chat, stage: dev }, { apiMappingKey: v1, api: chat, stage: dev }] }]
  maxConnections: 10
  log: { level: debug, access: 'off' }
lambda:
  functions: { f: http://h, g: { endpoint: http://h, pathName: function, headers: { X-Key: k } } }
apis: { chat: }",
    );
    let server = &config.server;
    assert_eq!(
        server.management_url.as_deref(),
        Some("https://manage.example.com/base")
    );
    assert_eq!(server.hostnames, ["ws.example.com"]);
    let keys: Vec<&str> = server.domains[0]
        .mappings
        .iter()
        .map(|mapping| mapping.api_mapping_key.as_str())
        .collect();
    assert_eq!(keys, ["", "v1"]);
    assert_eq!(server.trusted_proxies.len(), 2);
    assert_eq!(server.log.level, tracing::Level::DEBUG);
    assert_eq!(server.log.access, AccessLog::Off);
    assert_eq!(server.log.format, LogFormat::Text);
    let g = &config.lambda.functions["g"];
    assert_eq!(g.path_name.as_deref(), Some("function"));
    assert_eq!(g.headers["x-key"].expose(), "k");
    assert!(
        !format!("{config:?}").contains("abc"),
        "secrets do not print"
    );
}

#[test]
fn a_file_of_nothing_is_the_defaults() {
    for text in [
        "",
        "\n# nothing\n",
        "---\n",
        "\u{feff}apis:\n",
        "server:\nlambda: ~\napis: null\n",
    ] {
        let config = config(text);
        assert!(config.apis.is_empty());
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    }
}
