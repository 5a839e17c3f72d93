//! What each side of a handshake learns of the other: headers, query, origin, address, subprotocol.

use harness::{Answer, Table};

use crate::app::{self, App};

#[tokio::test]
async fn a_subprotocol_is_answered_only_if_connect_chose_it() {
    let app = App::start().await;
    let offered = || {
        app.gateway
            .handshake("/dev")
            .header("Sec-WebSocket-Protocol", "a, b")
    };
    let client = offered().open().await;
    assert_eq!(client.handshake.header("sec-websocket-protocol"), None);
    let seen = app.backend.next("/connect").await;
    assert_eq!(seen.header("sec-websocket-protocol"), Some("a, b"));

    for chosen in ["b", "not-offered"] {
        app.backend.on("/connect", move |_| {
            Answer::status(200).header("Sec-WebSocket-Protocol", chosen)
        });
        let client = offered().open().await;
        assert_eq!(
            client.handshake.header("sec-websocket-protocol"),
            Some(chosen)
        );
    }
}

#[tokio::test]
async fn nothing_else_of_connects_answer_reaches_the_client() {
    let app = App::start().await;
    app.backend.on("/connect", |_| {
        Answer::ok("welcome")
            .header("Set-Cookie", "a=b")
            .header("X-Own", "1")
            .header("Connection", "close")
    });
    let mut client = app.gateway.connect("/dev").await;
    let names: Vec<String> = client
        .handshake
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| {
            !["date", "connection", "upgrade", "sec-websocket-accept"].contains(&name.as_str())
        })
        .collect();
    assert!(names.is_empty(), "{names:?}");
    app::only_the_echo_comes_back(&mut client, "first").await;
}

#[tokio::test]
async fn compression_is_never_agreed_to() {
    let app = App::start().await;
    let offer = "permessage-deflate; client_max_window_bits";
    let client = app
        .gateway
        .handshake("/dev")
        .header("Sec-WebSocket-Extensions", offer)
        .open()
        .await;
    assert_eq!(client.handshake.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn connect_sees_the_clients_headers_but_not_those_of_the_hop() {
    let app = App::start().await;
    let client = app
        .gateway
        .handshake("/dev")
        .header("Authorization", "Bearer t")
        .header("Cookie", "a=1; b=2")
        .header("Origin", "https://app.example.com")
        .header("User-Agent", "spec/1")
        .header("X-Own", "first")
        .header("X-Own", "second")
        .header("TE", "trailers")
        .header("Via", "1.1 proxy")
        .header("Proxy-Authenticate", "Basic")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Proto", "gopher")
        .header("X-Amzn-Apigateway-Api-Id", "other")
        .open()
        .await;
    drop(client);
    let seen = app.backend.next("/connect").await;
    let mut table = Table::about("headers of the $connect request");
    for (name, expected) in [
        ("authorization", vec!["Bearer t"]),
        ("cookie", vec!["a=1; b=2"]),
        ("origin", vec!["https://app.example.com"]),
        ("x-own", vec!["first", "second"]),
        ("user-agent", vec!["AmazonAPIGateway_chat"]),
        ("x-amzn-apigateway-api-id", vec!["chat"]),
        ("x-forwarded-proto", vec!["http"]),
        ("x-forwarded-for", vec!["127.0.0.1"]),
        ("te", vec![]),
        ("via", vec![]),
        ("proxy-authenticate", vec![]),
        ("upgrade", vec![]),
    ] {
        table.row(name, seen.all(name), expected);
    }
    let port = app.gateway.public().port().to_string();
    table.row(
        "x-forwarded-port",
        seen.all("x-forwarded-port"),
        vec![port.as_str()],
    );
    let host = app.backend.address().to_string();
    table.row("host", seen.all("host"), vec![host.as_str()]);
    let trace = seen.header("x-amzn-trace-id").unwrap_or_default();
    let parts: Vec<usize> = trace.split('-').map(str::len).collect();
    table.holds(
        "x-amzn-trace-id",
        trace.starts_with("Root=1-") && parts == [6, 8, 24],
        trace,
    );
    table.holds(
        "connection",
        !seen
            .header("connection")
            .unwrap_or_default()
            .contains("pgrade"),
        "the client's Connection header was forwarded",
    );
    table.row("method", seen.method.as_str(), "POST");
    table.row("body", seen.text(), String::new());
}

#[tokio::test]
async fn a_client_cannot_speak_in_the_gateways_name() {
    let app = App::start().await;
    let client = app
        .gateway
        .handshake("/dev")
        .header("x-wiregate-connection-id", "forged")
        .header("X-Wiregate-Authorizer", "{\"principalId\":\"admin\"}")
        .header("x-wiregate-anything", "forged")
        .header("X_Wiregate_Connection_Id", "forged")
        .header("x-amzn_trace_id", "forged")
        .header("X-WIREGATE-Source-Ip", "203.0.113.1")
        .open()
        .await;
    drop(client);
    let seen = app.backend.next("/connect").await;
    let forged = seen.headers.iter().find(|(_, value)| {
        value.contains("forged") || value.contains("admin") || value.contains("203.0.113.1")
    });
    assert_eq!(forged, None);
    assert_eq!(seen.all("x-wiregate-connection-id").len(), 1);
}

#[tokio::test]
async fn the_websocket_headers_reach_a_backend_only_under_the_aws_preset() {
    let names = [
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
    ];
    let mut table = Table::about("Sec-WebSocket-* at the backend");
    for (preset, expected) in [("open", 0), ("aws", 1)] {
        let app = App::with(&format!("limits: {{ preset: {preset} }}")).await;
        let handshake = app.gateway.handshake("/dev");
        let client = handshake
            .header("Sec-WebSocket-Extensions", "permessage-deflate")
            .open()
            .await;
        let seen = app.backend.next("/connect").await;
        for name in names {
            table.row(&format!("{preset}: {name}"), seen.all(name).len(), expected);
        }
        drop(client);
    }
}

#[tokio::test]
async fn the_query_reaches_connect_as_it_was_written() {
    let app = App::start().await;
    let query = "room=a&room=b&empty=&flag&text=a%20b%2Fc%26d&%C3%BC=1";
    drop(app.gateway.connect(&format!("/dev?{query}")).await);
    assert_eq!(app.backend.next("/connect").await.query, query);
}

#[tokio::test]
async fn only_a_listed_origin_may_connect() {
    let app = App::with("allowedOrigins: [https://good.example]").await;
    let mut table = Table::about("Origin against [https://good.example]");
    for (origin, expected) in [
        (Some("https://good.example"), 101),
        (Some("http://good.example"), 403),
        (Some("https://good.example.evil"), 403),
        (Some("https://evilgood.example"), 403),
        (Some("https://sub.good.example"), 403),
        (Some("https://good.example:8443"), 403),
        (Some("https://good.example."), 403),
        (Some("https://user@good.example"), 403),
        (Some("https://good.example/"), 403),
        (Some("HTTPS://GOOD.EXAMPLE"), 403),
        (Some("null"), 403),
        (Some(""), 403),
        (Some("https://good.example, https://evil.example"), 403),
        (None, 403),
    ] {
        let handshake = app.gateway.handshake("/dev");
        let handshake = match origin {
            Some(origin) => handshake.header("Origin", origin),
            None => handshake,
        };
        table.row(&format!("{origin:?}"), handshake.status().await, expected);
    }
    let twice = app
        .gateway
        .handshake("/dev")
        .header("Origin", "https://good.example");
    let twice = twice.header("Origin", "https://evil.example");
    table.holds("two Origin headers", twice.status().await != 101, "let in");
    table.row(
        "calls of the backend",
        app.backend.requests("/connect").len(),
        1,
    );
}

#[tokio::test]
async fn the_source_address_is_a_proxys_word_only_if_the_proxy_is_trusted() {
    let mut table = Table::about("X-Forwarded-For and the source address");
    for (trusted, forwarded, source) in [
        ("[]", "203.0.113.7", "127.0.0.1"),
        ("[127.0.0.1]", "203.0.113.7", "203.0.113.7"),
        ("[127.0.0.0/8]", "203.0.113.7", "203.0.113.7"),
        ("[127.0.0.0/8]", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("[127.0.0.0/8]", "203.0.113.7, 127.0.0.9", "203.0.113.7"),
        ("[127.0.0.0/8]", "not an address", "127.0.0.1"),
        ("[10.0.0.0/8]", "203.0.113.7", "127.0.0.1"),
        ("[127.0.0.0/8]", "203.0.113.7:4711", "203.0.113.7"),
        ("[127.0.0.0/8]", "[2001:db8::7]:99", "2001:db8::7"),
        (
            "[127.0.0.0/8]",
            "203.0.113.7:4711, 127.0.0.9:80",
            "203.0.113.7",
        ),
    ] {
        let app = App::with_server(&format!("server: {{ trustedProxies: {trusted} }}"), "").await;
        let handshake = app
            .gateway
            .handshake("/dev")
            .header("X-Forwarded-For", forwarded);
        drop(handshake.open().await);
        let seen = app.backend.next("/connect").await;
        table.row(
            &format!("{trusted} {forwarded}"),
            seen.wiregate("source-ip"),
            source,
        );
    }
}

#[tokio::test]
async fn a_query_of_odd_characters_is_passed_on_or_refused_but_never_an_error_of_ours() {
    let app = App::start().await;
    let mut table = Table::about("characters in the query that should have been encoded");
    for query in [
        "q={\"a\":1}",
        "q=<x>",
        "q=a|b",
        "q=a\\b",
        "q=^`",
        "q=\u{fc}",
        "q=100%",
        "q=%zz",
        "a[]=1&b='x'",
    ] {
        let status = app
            .gateway
            .handshake(&format!("/dev?{query}"))
            .status()
            .await;
        table.holds(
            query,
            [101, 400].contains(&status),
            &format!("answered {status}"),
        );
        if status == 101 {
            let seen = app.backend.next("/connect").await;
            table.holds(query, !seen.query.is_empty(), "the query was dropped");
        }
    }
}
