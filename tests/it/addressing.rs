//! How a request finds its API and stage, and which name a backend is told.

use harness::{Backend, Opened, Request, Table};
use tokio_tungstenite::tungstenite::Message;

use crate::app;

/// Two APIs, one of which has two stages and a domain.
fn two_apis(backend: &Backend, server: &str) -> String {
    format!(
        r"
server:
  publicHost: public.example.com
  domains:
    - domainName: ws.example.com
      mappings:
        - {{ apiMappingKey: live, api: one, stage: prod }}
        - {{ apiMappingKey: prod, api: one, stage: dev }}
    - domainName: bare.example.com
      mappings: [{{ api: two, stage: dev }}]
{server}apis:
  one: {{ routes: {{ $connect: {url} }}, stages: {{ dev: {{}}, prod: {{}} }} }}
  two: {{ routes: {{ $connect: {url} }} }}
",
        url = backend.url("/connect"),
    )
}

/// Host and path, and the API and stage that they mean; `None` is 403.
const ROWS: [(&str, &str, Option<(&str, &str)>); 24] = [
    (
        "one.execute-api.us-east-1.amazonaws.com",
        "/dev",
        Some(("one", "dev")),
    ),
    (
        "one.execute-api.us-east-1.amazonaws.com",
        "/prod",
        Some(("one", "prod")),
    ),
    (
        "ONE.Execute-Api.eu-west-1.amazonaws.com",
        "/prod",
        Some(("one", "prod")),
    ),
    ("two.execute-api.localhost", "/dev", Some(("two", "dev"))),
    (
        "two.execute-api.localhost:8080",
        "/dev",
        Some(("two", "dev")),
    ),
    ("two.execute-api.us-east-1.amazonaws.com", "/prod", None),
    ("three.execute-api.us-east-1.amazonaws.com", "/dev", None),
    ("one.execute-api.us-east-1.amazonaws.com", "/", None),
    (
        "localhost",
        "/_aws/execute-api/one/dev",
        Some(("one", "dev")),
    ),
    (
        "localhost",
        "/_aws/execute-api/one/prod/",
        Some(("one", "prod")),
    ),
    (
        "anything.example",
        "/_aws/execute-api/two/dev",
        Some(("two", "dev")),
    ),
    ("localhost", "/_aws/execute-api/three/dev", None),
    ("localhost", "/_aws/execute-api/one", None),
    ("localhost", "/_aws/execute-api/one/dev/more", None),
    ("ws.example.com", "/live", Some(("one", "prod"))),
    ("WS.EXAMPLE.COM:443", "/live", Some(("one", "prod"))),
    ("ws.example.com", "/prod", Some(("one", "dev"))),
    ("ws.example.com", "/nothing", None),
    ("ws.example.com", "/live/more", None),
    ("ws.example.com", "/", None),
    ("bare.example.com", "/", Some(("two", "dev"))),
    ("bare.example.com", "/elsewhere", None),
    ("localhost", "/dev", None),
    ("localhost", "/", None),
];

#[tokio::test]
async fn host_and_path_name_the_api_and_its_stage() {
    let backend = Backend::start().await;
    let gateway = app::start(&two_apis(&backend, "")).await;
    let mut table = Table::about("Host and path, two APIs, none the default");
    for (host, path, expected) in ROWS {
        let name = format!("{host}{path}");
        let status = gateway.handshake(path).with("Host", host).status().await;
        table.row(&name, status, if expected.is_some() { 101 } else { 403 });
        if status == 101 {
            let seen = backend.next("/connect").await;
            let got = (seen.wiregate("api-id"), seen.wiregate("stage"));
            table.row(&name, Some(got), expected);
        }
    }
}

#[tokio::test]
async fn callbacks_follow_the_place_at_which_clients_connect() {
    let backend = Backend::start().await;
    let gateway = app::start(&two_apis(&backend, "")).await;
    let mut table = Table::about("@connections at the same places");
    for (host, path, expected) in ROWS {
        if expected.is_none() {
            continue;
        }
        let name = format!("{host}{path}");
        let Opened::Open(mut client) = gateway.handshake(path).with("Host", host).send().await
        else {
            table.holds(&name, false, "the handshake was refused");
            continue;
        };
        let id = backend.next("/connect").await.connection_id();
        let callback = format!("{}/@connections/{id}", path.trim_end_matches('/'));
        // The operators' listener answers to names that are ours only.
        if host == "anything.example" || host.contains("amazonaws") {
            continue;
        }
        let request = Request::post(gateway.management(), &callback, name.as_str());
        let answer = request.header("Host", host).send().await;
        table.row(&name, answer.status, 200);
        if answer.status == 200 {
            let got = client.next_within(harness::PATIENCE).await;
            table.row(&name, got, Some(Message::text(name.clone())));
        }
    }
}

#[tokio::test]
async fn on_a_custom_domain_callbacks_work_by_stage_too_and_the_mapping_wins() {
    let backend = Backend::start().await;
    let gateway = app::start(&two_apis(&backend, "")).await;
    let host = "ws.example.com";
    let _client = gateway.handshake("/live").with("Host", host).open().await;
    let id = backend.next("/connect").await.connection_id();
    let mut table = Table::about("a connection of stage prod, mapped as `live`");
    // `prod` is a mapping key of another stage here, so there the connection is gone.
    for (path, expected) in [
        ("/live", 200),
        ("/prod", 410),
        ("/dev", 410),
        ("/nothing", 403),
    ] {
        let request = Request::post(
            gateway.management(),
            &format!("{path}/@connections/{id}"),
            "x",
        );
        table.row(
            path,
            request.header("Host", host).send().await.status,
            expected,
        );
    }
}

#[tokio::test]
async fn a_default_api_needs_no_name() {
    let backend = Backend::start().await;
    let gateway = app::start(&two_apis(&backend, "  defaultApi: one\n")).await;
    let mut table = Table::about("Host and path where `one` is the default");
    for (host, path, expected) in [
        ("localhost", "/dev", Some(("one", "dev"))),
        ("127.0.0.1", "/prod", Some(("one", "prod"))),
        ("anything.example", "/dev", Some(("one", "dev"))),
        ("localhost", "/", None),
        (
            "localhost",
            "/_aws/execute-api/two/dev",
            Some(("two", "dev")),
        ),
    ] {
        let name = format!("{host}{path}");
        let status = gateway.handshake(path).with("Host", host).status().await;
        table.row(&name, status, if expected.is_some() { 101 } else { 403 });
        if status == 101 {
            let seen = backend.next("/connect").await;
            table.row(
                &name,
                Some((seen.wiregate("api-id"), seen.wiregate("stage"))),
                expected,
            );
        }
    }
}

#[tokio::test]
async fn a_single_api_with_a_single_stage_answers_at_the_root() {
    let backend = Backend::start().await;
    let url = backend.url("/connect");
    let gateway = app::start(&format!(
        "apis: {{ chat: {{ routes: {{ $connect: {url} }} }} }}"
    ))
    .await;
    let mut table = Table::about("one API, one stage");
    for (path, expected) in [
        ("/", 101),
        ("/dev", 101),
        ("/?token=t", 101),
        ("/dev?token=t", 101),
        ("/other", 403),
    ] {
        table.row(path, gateway.handshake(path).status().await, expected);
    }
}

#[tokio::test]
async fn a_stage_may_be_named_default_as_in_the_field() {
    let backend = Backend::start().await;
    let url = backend.url("/connect");
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {url} }}, stages: {{ $default: {{}}, dev: {{}} }} }} }}"
    );
    let gateway = app::start(&yaml).await;
    for path in ["/$default", "/%24default"] {
        let mut client = gateway.connect(path).await;
        let id = backend.next("/connect").await.connection_id();
        let callback = format!("{path}/@connections/{id}");
        let answer = Request::post(gateway.management(), &callback, path)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{callback}");
        assert_eq!(client.next_text().await, path);
    }
}

#[tokio::test]
async fn an_api_without_its_default_endpoint_answers_at_its_domain_only() {
    let backend = Backend::start().await;
    let yaml = format!(
        "server: {{ domains: [{{ domainName: ws.example.com, mappings: [{{ api: chat, stage: dev }}] }}] }}\napis: {{ chat: {{ disableExecuteApiEndpoint: true, routes: {{ $connect: {} }} }} }}",
        backend.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    let status = |host: &str, path: &str| gateway.handshake(path).with("Host", host).status();
    assert_eq!(status("ws.example.com", "/").await, 101);
    assert_eq!(
        status("chat.execute-api.us-east-1.amazonaws.com", "/dev").await,
        403
    );
}

/// A client's `Host` is told to backends only if it is a name of ours: they post replies to it.
#[tokio::test]
async fn a_client_cannot_choose_the_name_that_backends_post_to() {
    let backend = Backend::start().await;
    let yaml = format!(
        r"
server:
  publicHost: public.example.com:8443
  baseDomain: gw.example.com
  hostnames: [alias.example.com]
  domains: [{{ domainName: ws.example.com, mappings: [{{ api: chat, stage: dev, apiMappingKey: dev }}] }}]
apis: {{ chat: {{ routes: {{ $connect: {} }} }} }}
",
        backend.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    let own = gateway.public().to_string();
    let localhost = format!("localhost:{}", gateway.public().port());
    let based = format!(
        "chat.execute-api.gw.example.com:{}",
        gateway.public().port()
    );
    let public = "public.example.com:8443";
    let mut table = Table::about("Host and domainName");
    for (host, expected) in [
        (own.as_str(), own.as_str()),
        (localhost.as_str(), localhost.as_str()),
        (public, public),
        ("PUBLIC.example.com:8443", public),
        ("ws.example.com", "ws.example.com"),
        ("alias.example.com", "alias.example.com"),
        (based.as_str(), based.as_str()),
        // The operator's own name, behind a proxy at its scheme's port.
        (
            "chat.execute-api.gw.example.com",
            "chat.execute-api.gw.example.com",
        ),
        ("evil.example", public),
        ("evil.example:8443", public),
        ("public.example.com.evil.example", public),
        ("evilpublic.example.com:8443", public),
        ("chat.execute-api.evil.example", public),
        ("other.execute-api.gw.example.com", public),
        ("169.254.169.254", public),
        ("user@public.example.com", public),
    ] {
        match gateway.handshake("/dev").with("Host", host).status().await {
            101 => {
                let seen = backend.next("/connect").await;
                table.row(host, seen.wiregate("domain-name"), expected);
                let callback = seen.wiregate("callback-url");
                table.holds(host, !callback.contains("evil"), callback);
            }
            // Refusing such a name is as good as not repeating it.
            status => table.holds(
                host,
                expected == public && host != public && status >= 400,
                "refused",
            ),
        }
    }
}
