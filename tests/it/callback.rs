//! The `@connections` API (ApiGatewayManagementApi): look up, close, and every refusal.

use harness::{Backend, HttpAnswer, Request, Table, eventually};
use serde_json::Value;

use crate::app::{self, App, is_uuid, only_the_echo_comes_back};

/// An id of the right form that was never given out.
const NOBODY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhc=";

/// An id in AWS's own form.
const OF_AWS: &str = "BFaT_fALIAMCKug=";

#[tokio::test]
async fn looking_a_connection_up_tells_who_and_since_when() {
    let app = App::start().await;
    let handshake = app.gateway.handshake("/dev").header("User-Agent", "spec/1");
    let mut client = handshake.open().await;
    let connect = app.backend.next("/connect").await;
    let id = connect.connection_id();
    let answer = app.gateway.connection(&id).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let mut names: Vec<&String> = body.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["connectedAt", "identity", "lastActiveAt"]);
    assert_eq!(
        body["identity"],
        serde_json::json!({"sourceIp": "127.0.0.1", "userAgent": "spec/1"})
    );
    for name in ["connectedAt", "lastActiveAt"] {
        let time = app::text(&body[name]);
        assert!(is_iso_time(&time), "{name}: {time}");
    }
    let first = app::text(&body["lastActiveAt"]);
    let last_active = eventually("a later lastActiveAt after a message", async || {
        only_the_echo_comes_back(&mut client, "x").await;
        let now = app::text(&app.gateway.connection(&id).await.json()["lastActiveAt"]);
        (now > first).then_some(now)
    })
    .await;
    eventually("a later lastActiveAt after a push", async || {
        app.gateway.push(&id, "x").await;
        let now = app::text(&app.gateway.connection(&id).await.json()["lastActiveAt"]);
        (now > last_active).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_without_a_user_agent_is_shown_without_one() {
    let app = App::start().await;
    let (_client, id) = app.connect().await;
    let identity = app.gateway.connection(&id).await.json()["identity"].clone();
    assert_eq!(
        identity,
        serde_json::json!({"sourceIp": "127.0.0.1", "userAgent": Value::Null})
    );
}

/// `2020-04-30T20:10:33.236Z`.
fn is_iso_time(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[tokio::test]
async fn deleting_a_connection_closes_it_with_1000_once() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let answer = app.gateway.delete(&id).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert!(is_uuid(
        answer.header("x-amzn-requestid").unwrap_or_default()
    ));
    assert_eq!(client.closed().await, (1000, "Connection Closed Normally"));
    let disconnect = app.backend.next("/disconnect").await;
    assert_eq!(disconnect.connection_id(), id);
    assert_eq!(disconnect.wiregate("disconnect-code"), "1000");
    assert_eq!(disconnect.disconnect_reason(), "Connection Closed Normally");
    assert_eq!(app.gateway.delete(&id).await.status, 410);
    assert_eq!(app.gateway.push(&id, "x").await.status, 410);
    assert_eq!(app.gateway.connection(&id).await.status, 410);
    assert_eq!(app.backend.requests("/disconnect").len(), 1);
}

#[tokio::test]
async fn whoever_deletes_may_choose_code_and_reason() {
    let app = App::start().await;
    let mut table = Table::about("DELETE with code and reason");
    for (query, code, reason) in [
        ("code=4001&reason=bye", 4001, "bye"),
        ("code=4999&reason=se%C3%B1or%20%26%20co", 4999, "señor & co"),
        ("code=3000", 3000, ""),
        ("code=1000&reason=done", 1000, "done"),
        ("reason=only", 1000, "only"),
    ] {
        let (mut client, id) = app.connect().await;
        let path = format!("/dev/@connections/{id}?{query}");
        let answer = Request::delete(app.gateway.management(), &path)
            .send()
            .await;
        table.row(query, answer.status, 204);
        if answer.status == 204 {
            let closed = client.closed().await;
            table.row(query, closed.code, code);
            if query.contains("reason") {
                table.row(query, closed.reason, reason.to_owned());
            }
            let disconnect = app.backend.next("/disconnect").await;
            table.row(
                query,
                disconnect.wiregate("disconnect-code"),
                code.to_string().as_str(),
            );
        }
    }
    let long = "x".repeat(124);
    for query in [
        "code=1005",
        "code=1006",
        "code=999",
        "code=5000",
        "code=abc",
        "code=0",
        &format!("reason={long}"),
    ] {
        let (mut client, id) = app.connect().await;
        let path = format!("/dev/@connections/{id}?{query}");
        let answer = Request::delete(app.gateway.management(), &path)
            .send()
            .await;
        table.row(query, answer.status, 400);
        if answer.status == 400 {
            only_the_echo_comes_back(&mut client, query).await;
        }
    }
}

#[tokio::test]
async fn ids_that_are_not_there_are_answered_as_on_aws() {
    let app = App::start().await;
    let mut table = Table::about("ids that name no connection");
    let gone = |answer: &HttpAnswer| {
        let kind = answer
            .header("x-amzn-errortype")
            .unwrap_or_default()
            .to_owned();
        (answer.status, kind, answer.text())
    };
    for id in [NOBODY, OF_AWS] {
        for (method, answer) in [
            ("POST", app.gateway.push(id, "x").await),
            ("GET", app.gateway.connection(id).await),
            ("DELETE", app.gateway.delete(id).await),
        ] {
            let expected = (410, "GoneException".to_owned(), String::new());
            table.row(&format!("{method} {id}"), gone(&answer), expected);
        }
    }
    for (id, shown) in [
        ("abc", "abc"),
        ("not-an-id", "not-an-id"),
        ("a%20b", "a b"),
        ("AQIDBA%3D%3D%3D%3D", "AQIDBA===="),
        ("%22quoted%22", "\"quoted\""),
        ("..", ".."),
    ] {
        for method in ["POST", "GET", "DELETE"] {
            let path = format!("/dev/@connections/{id}");
            let answer = Request::new(app.gateway.management(), method, &path)
                .send()
                .await;
            let name = format!("{method} {id}");
            table.row(&name, answer.status, 400);
            table.row(
                &name,
                answer.header("x-amzn-errortype"),
                Some("BadRequestException"),
            );
            table.row(
                &name,
                answer.message(),
                format!("Invalid connectionId: {shown}"),
            );
        }
    }
}

#[tokio::test]
async fn every_way_of_writing_the_path_is_understood() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let encoded = id.replace('=', "%3D");
    let all_encoded = id
        .replace('=', "%3D")
        .replace('-', "%2D")
        .replace('_', "%5F");
    let mut table = Table::about("spellings of /dev/@connections/{id}");
    for path in [
        format!("/dev/@connections/{id}"),
        format!("/dev/@connections/{encoded}"),
        format!("/dev/@connections/{}", id.replace('=', "%3d")),
        format!("/dev/@connections/{all_encoded}"),
        format!("/dev/%40connections/{encoded}"),
        format!("/dev//@connections/{encoded}"),
        format!("/@connections/{encoded}"),
        format!("/_aws/execute-api/chat/dev/@connections/{encoded}"),
        format!("/_aws/execute-api/chat/dev//@connections/{encoded}"),
    ] {
        let answer = Request::post(app.gateway.management(), &path, path.as_str())
            .send()
            .await;
        table.row(&path, answer.status, 200);
        if answer.status == 200 {
            table.row(&path, client.next_text().await, path.clone());
        }
    }
}

#[tokio::test]
async fn places_and_methods_that_do_not_exist_are_forbidden() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    let mut table = Table::about("what is no callback");
    for (method, path, allowed) in [
        ("POST", format!("/prod/@connections/{id}"), &[403][..]),
        ("POST", format!("/dev/x/@connections/{id}"), &[403]),
        ("POST", format!("/dev/dev/@connections/{id}"), &[403]),
        (
            "POST",
            format!("/_aws/execute-api/other/dev/@connections/{id}"),
            &[403],
        ),
        ("POST", "/dev/@connections/".to_owned(), &[400, 403]),
        ("POST", "/dev/@connections".to_owned(), &[400, 403]),
        ("GET", "/dev/@connections/".to_owned(), &[400, 403]),
        ("POST", format!("/dev/@connections/{id}/x"), &[400, 403]),
        (
            "POST",
            format!("/dev/@connections/%2e%2e/{id}"),
            &[400, 403],
        ),
        (
            "POST",
            format!("/dev/../dev/@connections/{id}"),
            &[400, 403],
        ),
        (
            "POST",
            format!("/dev/@connections/{}", id.replace('=', "%253D")),
            &[400],
        ),
        ("PUT", format!("/dev/@connections/{id}"), &[403]),
        ("PATCH", format!("/dev/@connections/{id}"), &[403]),
        ("OPTIONS", format!("/dev/@connections/{id}"), &[403]),
    ] {
        let answer = Request::new(app.gateway.management(), method, &path)
            .body("x")
            .send()
            .await;
        table.holds(
            &format!("{method} {path}"),
            allowed.contains(&answer.status),
            &format!(
                "expected {allowed:?}, got {} {}",
                answer.status,
                answer.text()
            ),
        );
    }
    let unknown = Request::post(
        app.gateway.management(),
        &format!("/prod/@connections/{id}"),
        "x",
    );
    let unknown = unknown.send().await;
    table.row(
        "unknown stage",
        unknown.text(),
        r#"{"message":"Forbidden"}"#.to_owned(),
    );
    table.row(
        "unknown stage",
        unknown.header("x-amzn-errortype"),
        Some("ForbiddenException"),
    );
    only_the_echo_comes_back(&mut client, "nothing else was delivered").await;
}

#[tokio::test]
async fn a_connection_of_another_api_or_stage_is_gone() {
    let backend = Backend::start().await;
    let yaml = format!(
        "apis:\n  one: {{ routes: {{ $connect: {0} }}, stages: {{ dev: {{}}, prod: {{}} }} }}\n  two: {{ routes: {{ $connect: {0} }}, stages: {{ dev: {{}} }} }}\n",
        backend.url("/connect")
    );
    let gateway = app::start(&yaml).await;
    let mut client = gateway.connect("/_aws/execute-api/one/dev").await;
    let id = backend.next("/connect").await.connection_id();
    let mut table = Table::about("the same id elsewhere");
    for (place, expected) in [("one/prod", 410), ("two/dev", 410), ("one/dev", 200)] {
        let path = format!("/_aws/execute-api/{place}/@connections/{id}");
        let answer = Request::post(gateway.management(), &path, place)
            .send()
            .await;
        table.row(place, answer.status, expected);
    }
    table.row(
        "what arrived",
        client.next_text().await,
        "one/dev".to_owned(),
    );
}

#[tokio::test]
async fn the_callback_url_that_a_backend_gets_works_as_it_is() {
    let app = App::start().await;
    let mut client = app.gateway.connect("/dev").await;
    let connect = app.backend.next("/connect").await;
    let url = connect.wiregate("callback-url").to_owned();
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("{url}"));
    let (address, path) = rest.split_at(rest.find('/').unwrap());
    let address = address.replace("localhost", "127.0.0.1").parse().unwrap();
    let path = if path.contains("@connections") {
        path.to_owned()
    } else {
        format!("{path}/@connections/{}", connect.connection_id())
    };
    assert_eq!(
        Request::post(address, &path, "hi").send().await.status,
        200,
        "{url}"
    );
    assert_eq!(client.next_text().await, "hi");
}

#[tokio::test]
async fn a_connection_is_gone_as_soon_as_its_disconnect_is_told() {
    let app = App::start().await;
    let (mut client, id) = app.connect().await;
    client.close(Some((1000, ""))).await;
    app.backend.next("/disconnect").await;
    for answer in [
        app.gateway.push(&id, "x").await,
        app.gateway.connection(&id).await,
        app.gateway.delete(&id).await,
    ] {
        assert_eq!(answer.status, 410);
    }
}
