//! The operators' listener: who may use it, and what it tells.

use harness::{GatewayCommand, Request, Table};

use crate::app::{App, BINARY, only_the_echo_comes_back};

#[tokio::test]
async fn health_and_metrics_answer_on_the_operators_listener_only() {
    let app = App::start().await;
    let (mut client, _) = app.connect().await;
    only_the_echo_comes_back(&mut client, "some traffic").await;
    let mut table = Table::about("health and metrics");
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = Request::get(app.gateway.management(), path).send().await;
        table.row(path, answer.status, 200);
        let public = Request::get(app.gateway.public(), path).send().await;
        table.holds(
            path,
            public.status >= 400,
            &format!("the clients' listener answers {}", public.status),
        );
    }
    let metrics = Request::get(app.gateway.management(), "/metrics")
        .send()
        .await;
    let page = metrics.text();
    table.holds("/metrics", page.contains("# TYPE "), "no metric has a type");
    table.holds(
        "/metrics",
        page.contains("wiregate_"),
        "no metric is named wiregate_*",
    );
    for line in page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let value = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        table.holds("/metrics", value.is_some(), line);
    }
    let kind = metrics.header("content-type").unwrap_or_default();
    table.holds(
        "/metrics",
        kind.starts_with("text/plain") || kind.contains("openmetrics"),
        kind,
    );
}

#[tokio::test]
async fn the_operators_listener_opens_no_sockets() {
    let app = App::start().await;
    let status = harness::Handshake::to(app.gateway.management(), "/dev")
        .status()
        .await;
    assert!(status >= 400, "{status}");
    assert!(app.backend.everything().is_empty());
}

/// A web page that a developer visits must not drive the gateway: by Origin, and by a name rebound to loopback.
#[tokio::test]
async fn a_web_page_cannot_use_the_operators_listener() {
    let app = App::with_server("server: { hostnames: [ops.example.com] }", "").await;
    let (mut client, id) = app.connect().await;
    let path = format!("/dev/@connections/{id}");
    let port = app.gateway.management().port();
    let own = app.gateway.management().to_string();
    let localhost = format!("localhost:{port}");
    let mut table = Table::about("Origin and Host on the operators' listener");
    for (host, origin, expected) in [
        (own.as_str(), None, 200),
        (localhost.as_str(), None, 200),
        ("localhost", None, 200),
        ("[::1]:8081", None, 200),
        ("ops.example.com", None, 200),
        (own.as_str(), Some("https://evil.example"), 403),
        (own.as_str(), Some("http://evil.example:8081"), 403),
        (own.as_str(), Some("null"), 403),
        (own.as_str(), Some(""), 403),
        (own.as_str(), Some("http://localhost:3000"), 403),
        (own.as_str(), Some("file://"), 403),
        ("evil.example", None, 403),
        ("evil.example:8081", None, 403),
        ("localhost.evil.example", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("evil.example", Some("http://evil.example"), 403),
        ("", None, 403),
    ] {
        let name = format!("Host {host:?}, Origin {origin:?}");
        let mut request =
            Request::post(app.gateway.management(), &path, name.as_str()).header("Host", host);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let answer = request.send().await;
        let status = if host.is_empty() && answer.status == 400 {
            403
        } else {
            answer.status
        };
        table.row(&name, status, expected);
        if answer.status == 200 {
            table.row(&name, client.next_text().await, name.clone());
        }
    }
    for (method, target) in [
        ("DELETE", path.as_str()),
        ("GET", &path),
        ("GET", "/metrics"),
        ("OPTIONS", &path),
    ] {
        let request = Request::new(app.gateway.management(), method, target);
        let answer = request
            .header("Origin", "https://evil.example")
            .send()
            .await;
        table.row(&format!("{method} {target}"), answer.status, 403);
        let cors = answer.header("access-control-allow-origin");
        table.row(&format!("{method} {target}"), cors, None);
    }
    only_the_echo_comes_back(&mut client, "nothing else happened").await;
}

#[tokio::test]
async fn it_refuses_to_listen_to_others_without_credentials_and_says_what_is_missing() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let yaml = format!(
            "server: {{ managementListen: \"{address}\" }}\napis: {{ chat: {{ routes: {{}} }} }}"
        );
        let started = GatewayCommand::new(BINARY, &yaml)
            .management_listen(address)
            .try_start()
            .await;
        let Err(exit) = started else {
            panic!("it listens on {address} without credentials");
        };
        assert_eq!(exit.code, Some(64), "{exit:?}");
        assert!(exit.stderr.contains("credentials"), "{}", exit.stderr);
        assert!(exit.stderr.contains("tokens"), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn open_to_others_only_bearers_of_a_token_may_use_the_operators_listener() {
    let backend = App::backend().await;
    let yaml = App::yaml(&backend, "server: { tokens: [opensesame] }", "");
    let gateway = GatewayCommand::new(BINARY, &yaml)
        .management_listen("0.0.0.0:0")
        .start()
        .await;
    let mut client = gateway.connect("/dev").await;
    let id = backend.next("/connect").await.connection_id();
    let path = format!("/dev/@connections/{id}");
    let mut table = Table::about("bearer tokens");
    for (authorization, expected) in [
        (Some("Bearer opensesame"), 200),
        (Some("bearer opensesame"), 200),
        (Some("Bearer wrong"), 403),
        (Some("Bearer "), 403),
        (Some("Bearer"), 403),
        (Some("Bearer opensesame2"), 403),
        (Some("Bearer opensesam"), 403),
        (Some("Basic opensesame"), 403),
        (Some(""), 403),
        (None, 403),
    ] {
        let name = format!("{authorization:?}");
        for (method, target) in [("POST", path.as_str()), ("GET", "/metrics")] {
            let mut request = Request::new(gateway.management(), method, target).body(&name);
            if let Some(authorization) = authorization {
                request = request.header("Authorization", authorization);
            }
            let status = request.send().await.status;
            // What is no credential at all may also be called a bad request.
            let status = if [400, 401].contains(&status) {
                403
            } else {
                status
            };
            table.row(&format!("{method} {name}"), status, expected);
            if method == "POST" && status == 200 {
                table.row(&name, client.next_text().await, name.clone());
            }
        }
    }
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}

#[tokio::test]
async fn unknown_paths_of_the_operators_listener_are_not_found() {
    let app = App::start().await;
    for path in ["/", "/nowhere", "/v1/apis", "/.env", "/../etc/passwd"] {
        let status = Request::get(app.gateway.management(), path)
            .send()
            .await
            .status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}
