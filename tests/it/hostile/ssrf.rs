//! Requests that clients would like the gateway to make for them (SSRF). T17.
//!
//! All of it happens in a network where every address is at home, so that whoever is called at all is heard: a stub
//! stands where clouds hand out their credentials, and counts.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Answer, Backend, Client, Gateway, Handshake, Namespace, Table};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::{self, text};

/// What clients send in every place that reaches a request to a backend.
const PAYLOADS: [&str; 44] = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "//169.254.169.254/latest/meta-data/",
    "///169.254.169.254/",
    "////169.254.169.254/",
    "/\\169.254.169.254/",
    "\\\\169.254.169.254\\latest",
    "\\/\\/169.254.169.254/",
    "@169.254.169.254/",
    ":80@169.254.169.254/",
    "a:b@169.254.169.254:80/",
    "http://127.0.0.1:80@169.254.169.254/",
    "http://169.254.169.254#@127.0.0.1/",
    "http://169.254.169.254%2f@127.0.0.1/",
    ".169.254.169.254.nip.io/",
    "169.254.169.254",
    "169.254.169.254:80",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/latest/",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
    "..",
    "../../../../169.254.169.254/",
    "..%2f..%2f..%2f@169.254.169.254/",
    "%2e%2e/%2e%2e//169.254.169.254",
    "%2f%2f169.254.169.254/",
    "%252f%252f169.254.169.254/",
    ";@169.254.169.254/",
    "?@169.254.169.254/",
    "#@169.254.169.254/",
    "x\r\nHost: 169.254.169.254\r\n\r\nGET http://169.254.169.254/ HTTP/1.1\r\n\r\n",
    "x%0d%0aHost:%20169.254.169.254%0d%0a%0d%0a",
    "x\nLocation: http://169.254.169.254/",
    "x\0@169.254.169.254/",
    "gopher://169.254.169.254:80/_GET%20/",
    "file:///proc/self/net/tcp",
    "unix:///run/docker.sock",
    "dict://169.254.169.254:80/info",
    "${stageVariables.host}",
    "{v}$request.body.v${context.domainName}",
];

/// Spellings of link-local addresses that an integration URI may hold.
const LINK_LOCAL: [&str; 8] = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
];

/// Answers on port 80 of every address and counts who comes.
struct Metadata(Arc<AtomicUsize>);

impl Metadata {
    async fn start() -> Self {
        let listener = TcpListener::bind("[::]:80").await.expect("port 80");
        let hits = Arc::new(AtomicUsize::new(0));
        let count = hits.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // Unread bytes would turn the end into a reset.
                    let _ = stream.read(&mut [0; 4096]).await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\ncredentials";
                    let _ = stream.write_all(answer).await;
                });
            }
        });
        Self(hits)
    }

    fn hits(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs a scenario in a network of its own with the stub at every address, port 80; the stub is seen to answer first.
fn beside_metadata(test: &str, scenario: impl AsyncFnOnce(&Metadata) + Send) {
    let Some([network]) = Namespace::several(test) else {
        return;
    };
    network.answer_everywhere();
    network.run(async || {
        let metadata = Metadata::start().await;
        for address in ["169.254.169.254:80", "[fd00:ec2::254]:80", "192.0.2.1:80"] {
            let address: SocketAddr = address.parse().unwrap();
            let before = metadata.hits();
            drop(TcpStream::connect(address).await.expect("it is reachable"));
            harness::eventually("the direct connection is counted", async || {
                (metadata.hits() > before).then_some(())
            })
            .await;
        }
        scenario(&metadata).await;
    });
}

/// A two-way route for each place of a request to a backend that a message can fill.
fn message_routes(url: &str) -> String {
    let mut routes = String::new();
    for (name, uri, more) in [
        ("path", "/seen/{v}", "integration.request.path.v"),
        ("root", "/{v}", "integration.request.path.v"),
        ("inner", "/seen/a{v}b/c", "integration.request.path.v"),
        ("place", "/seen?u={v}", "integration.request.path.v"),
        ("query", "/seen?z=0", "integration.request.querystring.u"),
        ("host", "/seen", "integration.request.header.Host"),
        ("header", "/seen", "integration.request.header.Location"),
        (
            "forwarded",
            "/seen",
            "integration.request.header.X-Forwarded-Host",
        ),
        ("redirect", "/redirect", "integration.request.header.X-V"),
    ] {
        let _ = writeln!(
            routes,
            "      {name}: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}{uri}\", requestParameters: {{ {more}: route.request.body.v }} }}, routeResponseSelectionExpression: $default }}"
        );
    }
    let _ = writeln!(
        routes,
        "      template: {{ integration: {{ integrationType: HTTP, integrationUri: \"{url}/seen\", templateSelectionExpression: \"${{request.body.v}}\", requestTemplates: {{ application/json: \"{{}}\" }}, integrationResponses: {{ $default: {{}} }} }}, routeResponseSelectionExpression: $default }}"
    );
    let _ = writeln!(
        routes,
        "      $default: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"{url}/seen\" }}, routeResponseSelectionExpression: $default }}"
    );
    routes
}

/// `$connect` and `$disconnect` that carry every place of the handshake, and of the end, into the backend's URL.
fn handshake_routes(url: &str) -> String {
    format!(
        r#"      $connect:
        integration:
          integrationType: HTTP_PROXY
          integrationUri: "{url}/seen/{{query}}/{{header}}/{{agent}}/{{domain}}?u={{query}}"
          requestParameters:
            integration.request.path.query: route.request.querystring.v
            integration.request.path.header: route.request.header.X-V
            integration.request.path.agent: context.identity.userAgent
            integration.request.path.domain: context.domainName
            integration.request.querystring.q: route.request.multivaluequerystring.v
            integration.request.header.Host: route.request.header.X-V
            integration.request.header.Location: route.request.querystring.v
      $disconnect:
        integration:
          integrationType: HTTP_PROXY
          integrationUri: "{url}/end/{{reason}}"
          requestParameters:
            integration.request.path.reason: context.disconnectReason
"#
    )
}

/// A backend that answers `mine`, and redirects wherever it is told to.
async fn backend() -> Backend {
    let backend = Backend::start().await;
    backend.otherwise(|_| Answer::ok("mine"));
    backend.on("/redirect", |request| {
        let to = request.header("x-v").unwrap_or_default();
        let legal = to.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let status = 300 + [1, 2, 3, 7, 8][request.number % 5];
        let to = if legal { to } else { "http://169.254.169.254/" };
        Answer::status(status).header("location", to).body("mine")
    });
    backend
}

fn encoded(payload: &str) -> String {
    payload.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn nothing_that_a_client_sends_chooses_whom_the_gateway_calls() {
    let test = "nothing_that_a_client_sends_chooses_whom_the_gateway_calls";
    beside_metadata(test, async |metadata| {
        let backend = backend().await;
        let routes = message_routes(&backend.url("")) + &handshake_routes(&backend.url(""));
        let gateway = app::start(&format!("apis:\n  chat:\n    routes:\n{routes}")).await;
        let reachable = metadata.hits();
        let mut table = Table::about("what clients send");
        let mut client = gateway.connect("/dev?v=a").await;
        for payload in PAYLOADS {
            say_in_messages(&mut client, payload, &mut table).await;
            let shook = shake_hands_with(&gateway, payload).await;
            // `..` is refused wherever a path would end up with it.
            let let_in = shook > 0 || payload == "..";
            table.holds(payload, let_in, "no handshake was let in");
        }
        let routed = backend.everything();
        for request in &routed {
            let known = ["/seen", "/redirect", "/end/"];
            let known = known.iter().any(|start| request.path.starts_with(start));
            // The route `root` puts the payload into the path's only segment.
            let inside = request.path.starts_with('/') && !request.path[1..].contains('/');
            table.holds(
                &request.path,
                known || inside,
                "another path than the routes'",
            );
            let callback = request.wiregate("callback-url").to_owned();
            let ours = format!("http://{}/", gateway.management());
            table.holds(&callback, callback.starts_with(&ours), "another callback");
        }
        table.holds(
            "requests at the backend",
            routed.len() > PAYLOADS.len() * 10,
            &format!("only {}", routed.len()),
        );
        table.row(
            "connections to anybody else",
            metadata.hits() - reachable,
            0,
        );
    });
}

/// Each route answers with the backend's body, or with an error frame.
async fn say_in_messages(client: &mut Client, payload: &str, table: &mut Table) {
    for route in [
        "path",
        "root",
        "inner",
        "place",
        "query",
        "host",
        "header",
        "forwarded",
        "redirect",
        "template",
        payload,
    ] {
        client
            .send_json(&json!({"action": route, "v": payload}))
            .await;
        let reply = client.next_text().await;
        let refused = reply.starts_with(r#"{"message": ""#);
        table.holds(
            &format!("{route}: {payload}"),
            reply == "mine" || refused,
            &reply,
        );
    }
}

/// The payload in every place of a handshake and of a close; says how many handshakes were let in.
async fn shake_hands_with(gateway: &Gateway, payload: &str) -> usize {
    // What breaks a line of the request is the client's own request, and not the gateway's.
    let line: String = payload.chars().filter(|c| !c.is_control()).collect();
    let plain = || gateway.handshake(&format!("/dev?v={}", encoded(payload)));
    let handshakes = [
        plain()
            .header("X-V", &line)
            .header("User-Agent", &line)
            .header("Origin", &line)
            .header("Forwarded", &format!("host={line}"))
            .header("X-Forwarded-Host", &line)
            .header("X-Original-URL", &line)
            .header("x-wiregate-callback-url", &line),
        plain().with("Host", &line),
        gateway.handshake(&format!("/dev?v={}", line.replace(' ', "%20"))),
        Handshake::to(gateway.public(), &line.replace(' ', "%20")),
    ];
    let mut opened = 0;
    for handshake in handshakes {
        if let harness::Opened::Open(mut client) = handshake.send().await {
            opened += 1;
            client.close(Some((4000, &line))).await;
            client.closed_within(Duration::from_secs(5)).await;
        }
    }
    opened
}

#[test]
fn link_local_addresses_are_called_only_where_the_operator_allows_it() {
    let test = "link_local_addresses_are_called_only_where_the_operator_allows_it";
    beside_metadata(test, async |metadata| {
        let mut routes = String::new();
        for (n, host) in LINK_LOCAL.iter().enumerate() {
            let _ = writeln!(
                routes,
                "      r{n}: {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: \"http://{host}/latest/meta-data/\", timeoutInMillis: 3000 }}, routeResponseSelectionExpression: $default }}"
            );
        }
        let mut table = Table::about("link-local backends");
        for allowed in [false, true] {
            let before = metadata.hits();
            let yaml = format!(
                "server: {{ allowLinkLocalBackends: {allowed} }}\napis:\n  chat:\n    routes:\n{routes}"
            );
            let gateway = app::start(&yaml).await;
            let mut client = gateway.connect("/dev").await;
            for (n, host) in LINK_LOCAL.iter().enumerate() {
                client.send_json(&json!({"action": format!("r{n}")})).await;
                let reply = client.next_text().await;
                let name = format!("{host}, allowed: {allowed}");
                if allowed {
                    table.row(&name, reply.as_str(), "credentials");
                } else {
                    let refused = serde_json::from_str::<serde_json::Value>(&reply);
                    let message = refused.map(|frame| text(&frame["message"]));
                    table.row(&name, message.unwrap_or(reply), "Internal server error");
                }
            }
            let expected = if allowed { LINK_LOCAL.len() } else { 0 };
            let name = format!("connections, allowed: {allowed}");
            table.row(&name, metadata.hits() - before, expected);
        }
        let before = metadata.hits();
        let yaml = "apis: { chat: { routes: { $connect: http://169.254.169.254/connect } } }";
        let gateway = app::start(yaml).await;
        table.row("$connect", gateway.handshake("/dev").status().await, 500);
        table.row("$connect: connections", metadata.hits() - before, 0);
    });
}
