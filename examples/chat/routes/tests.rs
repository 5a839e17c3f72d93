//! The backend as the gateway sees it: calls over HTTP, pushes caught by a stand-in for `@connections`.

use axum::extract::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What was pushed: the connection and the JSON, in order of arrival.
type Pushed = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

struct World {
    backend: u16,
    callback: u16,
    pushed: Pushed,
}

/// Answers 410 for ids that begin with `gone`.
async fn catch(State(pushed): State<Pushed>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    if id.starts_with("gone") {
        return StatusCode::GONE;
    }
    pushed
        .lock()
        .unwrap()
        .push((id, serde_json::from_slice(&body).unwrap()));
    StatusCode::OK
}

async fn listen(app: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

impl World {
    async fn new() -> Self {
        let pushed = Pushed::default();
        let callback = Router::new()
            .route("/dev/@connections/{id}", post(catch))
            .with_state(Arc::clone(&pushed));
        Self {
            backend: listen(router()).await,
            callback: listen(callback).await,
            pushed,
        }
    }

    /// The status and the body of the answer.
    async fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.backend))
            .await
            .unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: backend\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// A call as the gateway makes it for the connection `id`.
    async fn call(&self, id: &str, path: &str, body: &str) -> (u16, String) {
        let headers = format!(
            "x-wiregate-connection-id: {id}\r\nx-wiregate-callback-url: http://127.0.0.1:{}/dev\r\n",
            self.callback
        );
        self.post(path, &headers, body).await
    }

    async fn join(&self, id: &str, name: &str) -> serde_json::Value {
        let body =
            format!(r#"{{"action":"join","name":"{name}","room":"lobby","key":"k-{name}"}}"#);
        let (status, body) = self.call(id, "/join", &body).await;
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    /// What was pushed since the last time, as `connection type`, sorted.
    fn pushed(&self) -> Vec<String> {
        let mut pushed = self.pushed.lock().unwrap();
        let mut brief: Vec<_> = pushed
            .drain(..)
            .map(|(id, json)| format!("{id} {}", json["type"].as_str().unwrap()))
            .collect();
        brief.sort();
        brief
    }

    /// Calling `path` is answered with `status` and leads to `pushes`.
    async fn check(&self, id: &str, path: &str, body: &str, status: u16, pushes: &[&str]) {
        assert_eq!(self.call(id, path, body).await.0, status, "{path} {body}");
        assert_eq!(self.pushed(), pushes, "{path} {body}");
    }
}

#[tokio::test]
async fn connect_refuses_bad_names_and_strangers() {
    let world = World::new().await;
    world
        .check("a", "/connect?name=Ada&room=lobby", "", 200, &[])
        .await;
    world.check("a", "/connect?name=Ada", "", 400, &[]).await;
    world
        .check("a", "/connect?name=%20&room=lobby", "", 400, &[])
        .await;
    world
        .check("a", "/connect?name=Ada&room=a%2Fb", "", 400, &[])
        .await;
    let (status, why) = world.post("/connect?name=Ada&room=lobby", "", "").await;
    assert_eq!(status, 400);
    assert!(
        why.starts_with("x-wiregate-connection-id is missing"),
        "{why}"
    );
}

#[tokio::test]
async fn a_conversation() {
    let world = World::new().await;
    let ada = world.join("a", "Ada").await;
    assert_eq!(
        (&ada["type"], &ada["members"][0]["name"]),
        (&"joined".into(), &"Ada".into())
    );
    assert!(world.pushed().is_empty());
    world.join("b", "Bob").await;
    assert_eq!(world.pushed(), ["a arrived"]);

    world
        .check("a", "/typing", r#"{"on":true}"#, 200, &["b typing"])
        .await;
    world
        .check(
            "a",
            "/sendmessage",
            r#"{"text":"hi","ref":"r1"}"#,
            200,
            &["a message", "b message"],
        )
        .await;
    world
        .check(
            "a",
            "/sendmessage",
            r#"{"text":"hi","ref":"r1"}"#,
            200,
            &["a message"],
        )
        .await;
    let (_, here) = world.call("b", "/here", r#"{"action":"here"}"#).await;
    assert!(
        here.starts_with(r#"{"type":"here","#) && here.ends_with(r#""seq":3}"#),
        "{here}"
    );

    // The same key and name after a reload is the same person, and sees what was said.
    let again = world.join("a2", "Ada").await;
    assert_eq!(
        (&again["you"], &again["history"][0]["text"]),
        (&ada["you"], &"hi".into())
    );
    world.check("a", "/disconnect", "", 200, &[]).await;
    world.check("a2", "/disconnect", "", 200, &["b left"]).await;
    world.check("a2", "/disconnect", "", 200, &[]).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said_to_the_sender_alone() {
    let world = World::new().await;
    world
        .check(
            "a",
            "/sendmessage",
            r#"{"text":"hi","ref":"r1"}"#,
            200,
            &["a rejoin"],
        )
        .await;
    world
        .check("a", "/typing", r#"{"on":true}"#, 200, &["a rejoin"])
        .await;
    assert_eq!(world.call("a", "/here", "").await.1, r#"{"type":"rejoin"}"#);
    world.join("a", "Ada").await;
    world.join("b", "Bob").await;
    world.pushed();
    let long = format!(r#"{{"text":"{}","ref":"r1"}}"#, "x".repeat(2_001));
    let huge = format!(r#"{{"text":"{}","ref":"r1"}}"#, "x".repeat(MESSAGE_BYTES));
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"text":" ","ref":"r1"}"#,
        r#"{"text":"hi"}"#,
        r#"{"text":7}"#,
        &long,
        &huge,
    ] {
        world
            .check("a", "/sendmessage", body, 200, &["a error"])
            .await;
    }
    world.check("a", "/typing", "7", 200, &["a error"]).await;
    world
        .check("a", "/default", "hello?", 200, &["a error"])
        .await;
    for body in [
        "",
        "7",
        r#"{"name":"","room":"lobby"}"#,
        r#"{"name":"Ada","room":"/"}"#,
    ] {
        let (status, answer) = world.call("a", "/join", body).await;
        assert!(
            status == 200 && answer.starts_with(r#"{"type":"error","action":"join""#),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn who_is_gone_is_forgotten() {
    let world = World::new().await;
    for (id, name) in [("a", "Ada"), ("gone-1", "Bob"), ("gone-2", "Cy")] {
        world.join(id, name).await;
    }
    // Bob's end shows when Cy's arrival is pushed to him; Cy's when that is.
    assert_eq!(
        world.pushed(),
        ["a arrived", "a arrived", "a left", "a left"]
    );
    let members = world.join("a", "Ada").await["members"]
        .as_array()
        .map(Vec::len);
    assert_eq!(members, Some(1));
}
