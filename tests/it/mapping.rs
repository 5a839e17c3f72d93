//! Request parameters, stage variables, and integrations that are not proxies.

use harness::{Answer, Backend, Table};
use serde_json::json;

use crate::app::{self, error_frame, text};

#[tokio::test]
async fn parameters_of_the_handshake_are_mapped() {
    let backend = Backend::start().await;
    let yaml = format!(
        r#"
apis:
  chat:
    limits: {{ preset: aws }}
    routes:
      $connect:
        requestParameters:
          route.request.header.X-One: false
          route.request.querystring.room: {{ required: false }}
          route.request.multivaluequerystring.room: false
          route.request.multivalueheader.X-One: false
          route.request.querystring.absent: false
        integration:
          integrationType: HTTP_PROXY
          integrationUri: "{}/connect/{{place}}"
          requestParameters:
            integration.request.header.connectionId: context.connectionId
            integration.request.header.Sec-WebSocket-Version: "'0'"
            integration.request.header.X-Static: "'fixed text'"
            integration.request.header.X-Copy: route.request.header.X-One
            integration.request.header.X-All: route.request.multivalueheader.X-One
            integration.request.header.X-Absent: route.request.querystring.absent
            integration.request.header.X-Stage: stageVariables.color
            integration.request.header.X-Ip: context.identity.sourceIp
            integration.request.header.X-Overridden: "'mapped'"
            integration.request.querystring.r: route.request.multivaluequerystring.room
            integration.request.querystring.last: route.request.querystring.room
            integration.request.path.place: context.stage
    stages:
      dev: {{ stageVariables: {{ color: green }} }}
"#,
        backend.url("")
    );
    let gateway = app::start(&yaml).await;
    let handshake = gateway.handshake("/dev?room=a&room=b%20c&x=1");
    let handshake = handshake
        .header("X-One", "1")
        .header("X-One", "2")
        .header("X-Overridden", "client's");
    drop(handshake.open().await);
    let seen = backend.next("/connect/dev").await;
    let mut table = Table::about("mapped parameters of $connect");
    for (name, expected) in [
        ("sec-websocket-version", vec!["0"]),
        ("x-static", vec!["fixed text"]),
        ("x-copy", vec!["2"]),
        ("x-all", vec!["1,2"]),
        ("x-absent", vec![]),
        ("x-stage", vec!["green"]),
        ("x-ip", vec!["127.0.0.1"]),
        ("x-overridden", vec!["mapped"]),
    ] {
        let got: Vec<String> = seen
            .all(name)
            .iter()
            .map(|value| value.replace(", ", ","))
            .collect();
        table.row(name, got, expected);
    }
    table.row(
        "connectionId",
        seen.header("connectionid"),
        Some(seen.wiregate("connection-id")),
    );
    for part in ["r=a", "r=b%20c", "last=b%20c"] {
        let found = seen
            .query
            .replace('+', "%20")
            .split('&')
            .any(|pair| pair == part);
        table.holds(part, found, &seen.query);
    }
}

#[tokio::test]
async fn parameters_of_a_message_are_mapped() {
    let backend = Backend::start().await;
    let yaml = format!(
        r#"
apis:
  chat:
    routes:
      send:
        integration:
          integrationType: HTTP_PROXY
          integrationMethod: PUT
          integrationUri: "{}/${{stageVariables.place}}"
          requestParameters:
            integration.request.header.X-Room: route.request.body.data.room
            integration.request.header.X-Number: route.request.body.n
            integration.request.header.X-Missing: route.request.body.nowhere
            integration.request.header.X-Key: context.routeKey
            integration.request.header.X-Evil: route.request.body.evil
            integration.request.querystring.q: route.request.body.q
    stages:
      dev: {{ stageVariables: {{ place: rooms }} }}
"#,
        backend.url("")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let message = json!({"action": "send", "data": {"room": "r1"}, "n": 7, "q": "a&b=c d/#", "evil": "x\r\nX-Injected: 1"});
    client.send_json(&message).await;
    let mut table = Table::about("mapped parameters of a message");
    // What cannot stand in a header either leaves the header out or refuses the message, but never splits it.
    let seen = match backend.requests("/rooms").first() {
        Some(seen) => seen.clone(),
        None => backend.next("/rooms").await,
    };
    table.row("method", seen.method.as_str(), "PUT");
    table.row("x-room", seen.header("x-room"), Some("r1"));
    table.row("x-number", seen.header("x-number"), Some("7"));
    table.row("x-missing", seen.header("x-missing"), None);
    table.row("x-key", seen.header("x-key"), Some("send"));
    table.row("x-injected", seen.header("x-injected"), None);
    table.row(
        "query",
        seen.query.replace('+', "%20"),
        "q=a%26b%3Dc%20d%2F%23".to_owned(),
    );
    table.row("body", seen.json(), message);
}

#[tokio::test]
async fn a_stage_variable_names_the_backend_of_its_stage() {
    let (blue, green) = (Backend::start().await, Backend::start().await);
    let yaml = format!(
        r#"
apis:
  chat:
    routes:
      $connect: "http://${{stageVariables.host}}/connect"
    stages:
      blue: {{ stageVariables: {{ host: "{}" }} }}
      green: {{ stageVariables: {{ host: "{}" }} }}
"#,
        blue.address(),
        green.address()
    );
    let gateway = app::start(&yaml).await;
    drop(gateway.connect("/blue").await);
    assert_eq!(blue.next("/connect").await.wiregate("stage"), "blue");
    drop(gateway.connect("/green").await);
    assert_eq!(green.next("/connect").await.wiregate("stage"), "green");
    let bare = yaml.replace("    stages:", "    stages:\n      bare: {}");
    let exit = harness::check(app::BINARY, &bare);
    assert_eq!(
        exit.code,
        Some(64),
        "a stage without the variable: {exit:?}"
    );
}

#[tokio::test]
async fn a_mock_answers_without_a_backend() {
    let mock = |status: u16, responses: &str| {
        format!(
            "apis: {{ chat: {{ routes: {{ $connect: {{ integration: {{ integrationType: MOCK, requestTemplates: {{ application/json: '{{\"statusCode\": {status}}}' }}{responses} }} }} }} }} }}"
        )
    };
    let mut table = Table::about("MOCK on $connect");
    for responses in ["", ", integrationResponses: { $default: {} }"] {
        for (status, expected) in [(200, 101), (204, 101), (403, 403), (500, 500)] {
            let gateway = app::start(&mock(status, responses)).await;
            let got = gateway.handshake("/dev").status().await;
            table.row(&format!("{status}{responses}"), got, expected);
        }
    }
    let bare =
        "apis: { chat: { routes: { $connect: { integration: { integrationType: MOCK } } } } }";
    table.row(
        "no template",
        harness::check(app::BINARY, bare).code,
        Some(64),
    );
}

#[tokio::test]
async fn the_integration_response_of_a_mock_makes_the_reply() {
    let yaml = r#"
apis:
  chat:
    routes:
      ok: &route
        routeResponseSelectionExpression: $default
        integration:
          integrationType: MOCK
          requestTemplates: { application/json: '{"statusCode": 200}' }
          integrationResponses:
            /200/: { responseTemplates: { application/json: '{"from":"the 200"}' } }
            /4\d\d/: { responseTemplates: { application/json: '{"from":"the 4xx"}' } }
            $default: { responseTemplates: { application/json: '{"from":"default"}' } }
"#;
    let routes = [
        ("ok", 200, "the 200"),
        ("missing", 404, "the 4xx"),
        ("broken", 503, "default"),
    ];
    let mut whole = "apis:\n  chat:\n    routes:\n".to_owned();
    let body = yaml.split_once("ok: &route\n").unwrap().1;
    for (key, status, _) in routes {
        whole += &format!(
            "      {key}:\n{}",
            body.replace("\"statusCode\": 200", &format!("\"statusCode\": {status}"))
        );
    }
    let gateway = app::start(&whole).await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about("integration responses of MOCK");
    for (key, _, from) in routes {
        client.send_json(&json!({"action": key})).await;
        table.row(
            key,
            client.next_text().await,
            format!("{{\"from\":\"{from}\"}}"),
        );
    }
}

#[tokio::test]
async fn an_http_integration_answers_through_its_integration_responses() {
    let backend = Backend::start().await;
    let route = |key: &str, responses: &str| {
        format!(
            r#"      {key}:
        routeResponseSelectionExpression: $default
        integration:
          integrationType: HTTP
          integrationUri: "{}"
          requestTemplates: {{ application/json: '{{"fixed":"body"}}' }}
{responses}"#,
            backend.url("/http")
        )
    };
    let templates = r"          integrationResponses:
            /2\d\d/: {}
            /.*3/: { responseTemplates: { application/json: 'ends with 3' } }
            $default: { responseTemplates: { application/json: 'anything else' } }
";
    let yaml = format!(
        "apis:\n  chat:\n    routes:\n{}",
        route("mapped", templates)
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about("integration responses of HTTP");
    for (status, expected) in [
        (200, "as it is"),
        (204, ""),
        (403, "ends with 3"),
        (500, "anything else"),
    ] {
        let body = if status == 204 { "" } else { "as it is" };
        backend.on("/http", move |_| Answer::status(status).body(body));
        client.send_json(&json!({"action": "mapped", "n": 1})).await;
        table.row(
            &status.to_string(),
            client.next_text().await,
            expected.to_owned(),
        );
        let seen = backend.next("/http").await;
        table.row(
            "the request's body",
            seen.text(),
            r#"{"fixed":"body"}"#.to_owned(),
        );
    }
}

#[tokio::test]
async fn a_body_that_no_template_takes_passes_or_is_refused() {
    let backend = Backend::start().await;
    backend.on("/http", |request| Answer::ok(request.body.clone()));
    let route = |key: &str, templates: &str, behavior: &str| {
        format!(
            "      {key}: {{ routeResponseSelectionExpression: $default, integration: {{ integrationType: HTTP, integrationUri: \"{}\", passthroughBehavior: {behavior}, requestTemplates: {templates}, templateSelectionExpression: none, integrationResponses: {{ $default: {{}} }} }} }}\n",
            backend.url("/http")
        )
    };
    let some = "{ other: x }";
    let cases = [
        ("match-none", "{}", "WHEN_NO_MATCH", true),
        ("match-some", some, "WHEN_NO_MATCH", true),
        ("templates-none", "{}", "WHEN_NO_TEMPLATES", true),
        ("templates-some", some, "WHEN_NO_TEMPLATES", false),
        ("never-none", "{}", "NEVER", false),
        ("never-some", some, "NEVER", false),
    ];
    let routes = cases.map(|(key, templates, behavior, _)| route(key, templates, behavior));
    let connect = route("$connect", "{}", "NEVER");
    let refusing = format!("  refusing:\n    routes:\n{connect}");
    let yaml = format!(
        "server: {{ defaultApi: chat }}\napis:\n{refusing}  chat:\n    routes:\n{}",
        routes.concat()
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about("passthroughBehavior");
    for (key, _, _, passes) in cases {
        let message = json!({"action": key});
        client.send_json(&message).await;
        let got = client.next_json().await;
        if passes {
            table.row(key, got, message);
        } else {
            let expected = error_frame(
                "Unsupported Media Type",
                &text(&got["connectionId"]),
                &text(&got["requestId"]),
            );
            let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
            table.row(key, got, expected);
        }
    }
    let refused = gateway
        .handshake("/_aws/execute-api/refusing/dev")
        .refused()
        .await;
    table.row("$connect", refused.status, 415);
    table.row(
        "$connect",
        refused.message(),
        "Unsupported Media Type".to_owned(),
    );
}
