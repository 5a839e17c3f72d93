//! By the management API.

use harness::{Gate, GatewayCommand, Request, Table, eventually};
use serde_json::{Value, json};

use super::{NOBODY, OF_AWS, connect, get, ids};
use crate::app::{App, BINARY, only_the_echo_comes_back, text};

#[tokio::test]
async fn connections_are_listed_in_pages_without_gap_or_overlap() {
    let app = App::start().await;
    let (clients, all) = connect(&app, 25).await;
    for (size, pages) in [(1, 25), (10, 3), (24, 2), (25, 1), (1000, 1)] {
        let (mut seen, mut token, mut count) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/wiregate/connections?maxResults={size}{token}");
            let (status, list) = get(&app.gateway, &path).await;
            assert_eq!(status, 200, "{list}");
            let page = ids(&list);
            assert!(page.len() <= size, "{list}");
            seen.extend(page);
            count += 1;
            let Some(next) = list["nextToken"].as_str() else {
                break;
            };
            token = format!("&nextToken={}", next.replace('=', "%3D"));
        }
        assert_eq!(seen, all, "in pages of {size}");
        assert_eq!(count, pages, "in pages of {size}");
    }
    drop(clients);
    eventually("nobody is listed", async || {
        let (_, list) = get(&app.gateway, "/wiregate/connections").await;
        ids(&list).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_listed_with_its_facts_and_found_by_them() {
    let backend = App::backend().await;
    let two = "    stages: { dev: {}, prod: {} }\n  other:\n    routes: { $default: \"http://127.0.0.1:9/\" }\n";
    let yaml = App::yaml(&backend, "server: { defaultApi: chat }", "") + two;
    let gateway = GatewayCommand::new(BINARY, &yaml).start().await;
    let handshake = gateway.handshake("/dev").header("User-Agent", "tester/1");
    let dev = handshake.open().await;
    let id = backend.next("/connect").await.connection_id();
    let prod = gateway
        .handshake("/prod")
        .source([127, 0, 0, 2])
        .open()
        .await;
    let other = gateway.connect("/_aws/execute-api/other/dev").await;

    let (_, nodes) = get(&gateway, "/wiregate/nodes").await;
    let node = text(&nodes["items"][0]["nodeId"]);
    let (status, list) = get(
        &gateway,
        "/wiregate/connections?sourceIp=127.0.0.1&apiId=chat",
    )
    .await;
    assert_eq!(status, 200);
    let mut found = list["items"][0].clone();
    let connected = text(&found["connectedAt"].take());
    assert!(
        connected.starts_with("20") && connected.ends_with('Z'),
        "{connected}"
    );
    assert_eq!(
        found,
        json!({"connectionId": id, "apiId": "chat", "stage": "dev", "nodeId": node, "connectedAt": null,
            "sourceIp": "127.0.0.1", "userAgent": "tester/1", "domainName": found["domainName"],
            "principalId": null})
    );

    let mut table = Table::about("filters");
    for (query, expected) in [
        (String::new(), 3),
        ("apiId=chat".to_owned(), 2),
        ("apiId=other".to_owned(), 1),
        ("stage=dev".to_owned(), 2),
        ("apiId=chat&stage=prod".to_owned(), 1),
        ("apiId=nowhere".to_owned(), 0),
        (format!("nodeId={node}"), 3),
        ("nodeId=000000000000".to_owned(), 0),
        ("sourceIp=127.0.0.2".to_owned(), 1),
        ("sourceIp=%3A%3Affff%3A127.0.0.2".to_owned(), 1),
        ("sourceIp=10.0.0.1".to_owned(), 0),
        ("sourceIp=127.0.0.1&maxResults=1".to_owned(), 1),
    ] {
        let (status, list) = get(&gateway, &format!("/wiregate/connections?{query}")).await;
        table.row(&query, (status, ids(&list).len()), (200, expected));
    }
    drop((dev, prod, other));
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named_with_what_would_be_right() {
    let app = App::start().await;
    let mut table = Table::about("bad parameters");
    for (method, target, said) in [
        (
            "GET",
            "connections?api=chat",
            "Unknown parameter 'api': use apiId, stage, nodeId, sourceIp, maxResults or nextToken",
        ),
        (
            "GET",
            "connections?maxResults=0",
            "maxResults=0: expected a number from 1 to 1000",
        ),
        (
            "GET",
            "connections?maxResults=1001",
            "maxResults=1001: expected a number from 1 to 1000",
        ),
        (
            "GET",
            "connections?apiId=",
            "apiId is empty; give it a value or leave it out",
        ),
        (
            "GET",
            "connections?stage=a&stage=b",
            "stage stands twice; give it once",
        ),
        (
            "GET",
            "connections?nodeId=one",
            "nodeId=one: expected 12 lower-case hexadecimal digits",
        ),
        (
            "GET",
            "connections?sourceIp=here",
            "sourceIp=here: expected an IP address such as 192.0.2.7",
        ),
        (
            "GET",
            "connections?nextToken=1",
            "nextToken=1: expected the nextToken of the page before",
        ),
        (
            "GET",
            "nodes?all=1",
            "Unknown parameter 'all': this path takes none with this method",
        ),
        (
            "GET",
            "connections/x",
            "Invalid connectionId: x: an id has 32 characters of base64url, the last of them =",
        ),
        ("GET", "connections/%ff", "The connection id is not UTF-8"),
        (
            "DELETE",
            &format!("connections/{NOBODY}?code=1006"),
            "code=1006: use 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999",
        ),
        (
            "DELETE",
            &format!("connections/{NOBODY}?cod=1000"),
            "Unknown parameter 'cod': use code or reason",
        ),
    ] {
        let path = format!("/wiregate/{target}");
        let answer = Request::new(app.gateway.management(), method, &path)
            .send()
            .await;
        table.row(
            target,
            (answer.status, answer.message().as_str()),
            (400, said),
        );
    }
}

#[tokio::test]
async fn one_connection_is_shown_with_its_last_activity_and_closed_with_code_and_reason() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let path = format!("/wiregate/connections/{id}");
    let (status, before) = get(&app.gateway, &path).await;
    assert_eq!((status, &before["open"]), (200, &json!(true)), "{before}");
    assert_eq!(before["apiId"], "chat");
    eventually("a message is seen in lastActiveAt", async || {
        only_the_echo_comes_back(&mut client, "alive").await;
        let (_, after) = get(&app.gateway, &path).await;
        (text(&after["lastActiveAt"]) > text(&before["lastActiveAt"])).then_some(())
    })
    .await;

    let close = format!("{path}?code=4001&reason=bye%20bye");
    let delete = || Request::delete(app.gateway.management(), &close).send();
    let answer = delete().await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let closed = client.closed().await;
    assert_eq!(closed, (4001, "bye bye"));
    let told = app.backend.next("/disconnect").await;
    assert_eq!(told.header("x-wiregate-disconnect-code"), Some("4001"));
    for answer in [
        eventually("its end is told", async || {
            let answer = delete().await;
            (answer.status != 409).then_some(answer)
        })
        .await,
        Request::get(app.gateway.management(), &path).send().await,
    ] {
        let said = "The connection is gone: it has ended, or there never was one of this id";
        assert_eq!((answer.status, answer.message().as_str()), (410, said));
    }
}

/// Held back in `$connect`, and again in `$disconnect`, a connection is registered without an open socket.
#[tokio::test]
async fn a_connection_without_an_open_socket_is_shown_as_such() {
    let app = App::start().await;
    let gate = Gate::shut();
    app.backend.hold("/connect", &gate);
    let handshake = tokio::spawn(app.gateway.handshake("/dev").open());
    let id = app.backend.next("/connect").await.connection_id();
    let path = format!("/wiregate/connections/{id}");
    let (status, shown) = get(&app.gateway, &path).await;
    assert_eq!((status, &shown["open"]), (200, &json!(false)), "{shown}");
    assert_eq!(shown["lastActiveAt"], Value::Null);
    let answer = Request::delete(app.gateway.management(), &path)
        .send()
        .await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(answer.message().contains("$connect"), "{}", answer.text());
    gate.open();
    let client = handshake.await.unwrap();
    let gate = Gate::shut();
    app.backend.hold("/disconnect", &gate);
    drop(client);
    app.backend.next("/disconnect").await;
    let (status, shown) = get(&app.gateway, &path).await;
    assert_eq!((status, &shown["open"]), (200, &json!(false)), "{shown}");
    gate.open();
    eventually("it is gone", async || {
        let (status, _) = get(&app.gateway, &path).await;
        (status == 410).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_is_not_here_is_told_apart() {
    let app = App::start().await;
    let mut table = Table::about("ids of nobody");
    for method in ["GET", "DELETE"] {
        for (id, expected) in [(NOBODY, 410), (OF_AWS, 404), ("nobody", 400)] {
            let path = format!("/wiregate/connections/{id}");
            let answer = Request::new(app.gateway.management(), method, &path)
                .send()
                .await;
            table.row(&format!("{method} {id}"), answer.status, expected);
            table.holds(id, !answer.message().is_empty(), "nothing is said");
        }
    }
}

#[tokio::test]
async fn a_node_by_itself_is_the_only_one_and_has_no_outbox() {
    let app = App::start().await;
    let (client, id) = app.connect().await;
    let (status, nodes) = get(&app.gateway, "/wiregate/nodes").await;
    assert_eq!(status, 200);
    assert_eq!(nodes["items"].as_array().map(Vec::len), Some(1), "{nodes}");
    let node = &nodes["items"][0];
    assert_eq!(node["thisNode"], true);
    assert_eq!(node["state"], "live");
    assert_eq!(node["connections"], 1);
    assert_eq!(node["link"], Value::Null);
    let (_, shown) = get(&app.gateway, &format!("/wiregate/connections/{id}")).await;
    assert_eq!(shown["nodeId"], node["nodeId"]);
    for (method, path) in [
        ("GET", "/wiregate/outbox".to_owned()),
        ("GET", "/wiregate/outbox/dead".to_owned()),
        ("POST", "/wiregate/outbox/dead/replay".to_owned()),
        ("POST", format!("/wiregate/outbox/dead/{id}/replay")),
    ] {
        let answer = Request::new(app.gateway.management(), method, &path)
            .send()
            .await;
        assert_eq!(answer.status, 404, "{method} {path}");
        let said = answer.message();
        assert!(
            said.starts_with("There is no outbox: this node stands by itself"),
            "{said}"
        );
    }
    drop(client);
}

#[tokio::test]
async fn another_method_or_path_is_refused_in_json() {
    let app = App::start().await;
    for (method, path, status, allow) in [
        ("PUT", "/wiregate/nodes", 405, Some("GET,HEAD")),
        ("POST", "/wiregate/connections", 405, Some("GET,HEAD")),
        ("GET", "/wiregate/outbox/dead/replay", 405, Some("POST")),
        ("GET", "/wiregate", 404, None),
        ("GET", "/wiregate/connections/", 404, None),
    ] {
        let answer = Request::new(app.gateway.management(), method, path)
            .send()
            .await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(!answer.message().is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_web_page_cannot_read_or_close_connections() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let mut table = Table::about("Origin and Host on the paths of operators");
    for (method, path) in [
        ("GET", "/wiregate/nodes".to_owned()),
        ("GET", "/wiregate/connections".to_owned()),
        ("GET", format!("/wiregate/connections/{id}")),
        ("DELETE", format!("/wiregate/connections/{id}")),
        ("POST", "/wiregate/outbox/dead/replay".to_owned()),
    ] {
        for (header, value) in [("Origin", "https://evil.example"), ("Host", "evil.example")] {
            let request = Request::new(app.gateway.management(), method, &path);
            let answer = request.header(header, value).send().await;
            table.row(&format!("{method} {path} {header}"), answer.status, 403);
        }
        let public = Request::new(app.gateway.public(), method, &path)
            .send()
            .await;
        table.holds(&path, public.status >= 400, "the clients' listener answers");
    }
    only_the_echo_comes_back(&mut client, "still open").await;
}
