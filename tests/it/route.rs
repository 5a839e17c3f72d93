//! Which route a message takes (data plane §4).

use harness::{Answer, Backend, Gateway, Table};
use serde_json::json;

use crate::app::{self, App, error_frame};

/// An API with that expression whose every route has its own path at the backend.
async fn routes(expression: &str, keys: &[&str], backend: &Backend) -> Gateway {
    let mut yaml =
        format!("apis:\n  chat:\n    routeSelectionExpression: '{expression}'\n    routes:\n");
    for (number, key) in keys.iter().enumerate() {
        let url = backend.url(&format!("/{number}"));
        backend.on(&format!("/{number}"), move |request| {
            Answer::ok(format!("{number}:{}", request.wiregate("route-key")))
        });
        yaml += &format!(
            "      '{key}': {{ integration: {{ integrationType: HTTP_PROXY, integrationUri: '{url}' }}, routeResponseSelectionExpression: $default }}\n"
        );
    }
    app::start(&yaml).await
}

/// Sends each message and checks by which route it came back; `None` is the `Forbidden` frame.
async fn check(expression: &str, keys: &[&str], rows: &[(&str, Option<&str>)]) {
    let backend = Backend::start().await;
    let gateway = routes(expression, keys, &backend).await;
    let mut client = gateway.connect("/dev").await;
    let mut table = Table::about(expression);
    for (message, expected) in rows {
        client.send_text(message).await;
        let reply = client.next_text().await;
        let expected = expected.map(|key| {
            let number = keys.iter().position(|known| *known == key).unwrap();
            format!("{number}:{key}")
        });
        match expected {
            Some(expected) => table.row(message, reply, expected),
            None => table.holds(
                message,
                reply.starts_with(r#"{"message": "Forbidden", "connectionId":""#),
                &format!("expected Forbidden, got {reply}"),
            ),
        }
    }
}

#[tokio::test]
async fn a_message_goes_to_the_route_that_its_action_names() {
    let keys = [
        "$default",
        "join",
        "Join",
        "7",
        "2.5",
        "true",
        "chat/join",
        "with space",
        "a.b",
        "[x, y]",
        "ü",
        "1e3",
    ];
    let rows = [
        (r#"{"action":"join"}"#, Some("join")),
        (r#"{"action":"Join"}"#, Some("Join")),
        (r#"{"action":"JOIN"}"#, Some("$default")),
        (r#"{"action":"join "}"#, Some("$default")),
        (r#"{"action":7}"#, Some("7")),
        (r#"{"action":2.5}"#, Some("2.5")),
        (r#"{"action":true}"#, Some("true")),
        (r#"{"action":"chat/join"}"#, Some("chat/join")),
        (r#"{"action":"with space"}"#, Some("with space")),
        (r#"{"action":"a.b"}"#, Some("a.b")),
        (r#"{"action":["x","y"]}"#, Some("[x, y]")),
        (r#"{"action":"ü"}"#, Some("ü")),
        (r#"{"action":"\u00fc"}"#, Some("ü")),
        (r#"  {"x":{"action":"no"},"action":"join"}  "#, Some("join")),
        (r#"{"action":"nobody"}"#, Some("$default")),
        (r#"{"action":null}"#, Some("$default")),
        (r#"{"action":""}"#, Some("$default")),
        (r#"{"action":{"a":1}}"#, Some("$default")),
        (r#"{"other":"join"}"#, Some("$default")),
        ("{}", Some("$default")),
        ("[1]", Some("$default")),
        ("5", Some("$default")),
        (r#""join""#, Some("$default")),
        ("null", Some("$default")),
        ("hello", Some("$default")),
        (r#"{"action":"join""#, Some("$default")),
        (r#"{"action":"join"} x"#, Some("$default")),
        ("", Some("$default")),
        (" ", Some("$default")),
        (r#"{"action":"$default"}"#, Some("$default")),
    ];
    check("$request.body.action", &keys, &rows).await;
}

#[tokio::test]
async fn without_a_default_route_an_unknown_action_is_forbidden() {
    let rows = [
        (r#"{"action":"join"}"#, Some("join")),
        (r#"{"action":"nobody"}"#, None),
        ("hello", None),
        ("", None),
        ("{}", None),
        (r#"{"action":"$default"}"#, None),
        (r#"{"action":"join"}"#, Some("join")),
    ];
    check("$request.body.action", &["join"], &rows).await;
}

#[tokio::test]
async fn an_expression_may_be_composed() {
    let keys = ["$default", "x.", ".y", "x.y", "."];
    let rows = [
        (r#"{"a":"x"}"#, Some("x.")),
        (r#"{"b":"y"}"#, Some(".y")),
        (r#"{"a":"x","b":"y"}"#, Some("x.y")),
        ("{}", Some(".")),
        ("hello", Some("$default")),
    ];
    check("${request.body.a}.${request.body.b}", &keys, &rows).await;
}

#[tokio::test]
async fn an_expression_may_reach_into_the_message() {
    let rows = [
        (r#"{"data":{"room":"r1"}}"#, Some("r1")),
        (r#"{"data":{"room":"r2"}}"#, Some("$default")),
        (r#"{"data":"r1"}"#, Some("$default")),
    ];
    check("$request.body.data.room", &["$default", "r1"], &rows).await;
    let rows = [
        (r#"{"list":["a","b"]}"#, Some("b")),
        (r#"{"list":["a"]}"#, Some("$default")),
    ];
    check("$request.body.list[1]", &["$default", "b"], &rows).await;
}

#[tokio::test]
async fn a_message_never_runs_connect_or_disconnect() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    for action in ["$connect", "$disconnect"] {
        client.send_json(&json!({"action": action})).await;
        let seen = app.backend.next("/default").await;
        assert_eq!(seen.wiregate("route-key"), "$default");
        assert_eq!(seen.wiregate("event-type"), "MESSAGE");
    }
    assert_eq!(app.backend.requests("/connect").len(), 1);
    assert_eq!(app.backend.requests("/disconnect").len(), 0);
    assert_eq!(app.gateway.push(&id, "still here").await.status, 200);
    assert_eq!(client.next_text().await, "still here");
}

#[tokio::test]
async fn without_a_default_route_a_message_named_connect_is_forbidden() {
    let backend = Backend::start().await;
    let yaml = format!(
        "apis: {{ chat: {{ routes: {{ $connect: {0}, $disconnect: {0} }} }} }}",
        backend.url("/hook")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/dev").await;
    let id = backend.next("/hook").await.connection_id();
    for action in ["$connect", "$disconnect", "$default", "other"] {
        client.send_json(&json!({"action": action})).await;
        let text = client.next_text().await;
        let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
        let request = app::text(&frame["requestId"]);
        assert_eq!(text, error_frame("Forbidden", &id, &request), "{action}");
    }
    assert_eq!(backend.everything().len(), 1);
}

#[tokio::test]
async fn the_backend_gets_the_message_as_it_was_written() {
    let app = App::start().await;
    let (mut client, _) = app.connect().await;
    for message in [
        r#"{ "action" : "sendmessage" ,  "n": 1.50, "u": "\u00fc", "n": 2 }"#,
        "{\"action\":\"sendmessage\",\"text\":\"line\\nline \u{1F600}\"}\n",
    ] {
        client.send_text(message).await;
        let seen = app.backend.next("/sendmessage").await;
        assert_eq!(seen.text(), message);
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.query, "");
    }
}
