//! The control plane: AWS's `apigatewayv2` API on the operators' listener, from a gateway without any API to a message
//! through a socket.

mod authorized;
mod closed;
mod durable;
mod file;
mod nodes;
mod paths;
mod sdk;
mod signature;

use std::net::SocketAddr;

use harness::{Answer, Backend, Client, Gateway, GatewayCommand, Handshake, HttpAnswer, Request};
use serde_json::{Value, json};

use crate::app::{BINARY, text};

/// How a gateway is started that no file tells of any API.
pub(super) fn command() -> GatewayCommand {
    GatewayCommand::new(BINARY, "")
}

/// A gateway that knows no API yet, and a backend for those to come.
pub(super) struct Plane {
    pub(super) gateway: Gateway,
    pub(super) backend: Backend,
}

impl Plane {
    pub(super) async fn start() -> Self {
        Self::of(command()).await
    }

    pub(super) async fn of(command: GatewayCommand) -> Self {
        let gateway = command.start().await;
        let backend = backend().await;
        Self { gateway, backend }
    }

    /// Where it is configured.
    pub(super) fn at(&self) -> SocketAddr {
        self.gateway.management()
    }

    /// What stands in a list, whole.
    pub(super) async fn items(&self, path: &str) -> Vec<Value> {
        items(self.at(), path).await
    }
}

/// `/echo` answers the message, `/whoami` the connection's id, `/one` and `/two` their name.
pub(super) async fn backend() -> Backend {
    let backend = Backend::start().await;
    backend.on("/echo", |request| Answer::ok(request.body.clone()));
    backend.on("/whoami", |request| Answer::ok(request.connection_id()));
    backend.on("/one", |_| Answer::ok("one"));
    backend.on("/two", |_| Answer::ok("two"));
    backend
}

/// One request of the control plane; `Null` is no body.
pub(super) async fn ask(at: SocketAddr, method: &str, path: &str, body: Value) -> HttpAnswer {
    request(at, method, path, &body).send().await
}

/// The same before it is sent.
pub(super) fn request(at: SocketAddr, method: &str, path: &str, body: &Value) -> Request {
    let request = Request::new(at, method, path);
    if body.is_null() {
        request
    } else {
        // The harness tells a length only of what has one.
        request.json(body)
    }
}

/// What was asked for; fails the test where it is refused.
pub(super) async fn done(at: SocketAddr, method: &str, path: &str, body: Value) -> Value {
    let answer = ask(at, method, path, body.clone()).await;
    assert!(
        (200..300).contains(&answer.status),
        "{method} {path} {body}: {} {}",
        answer.status,
        answer.text()
    );
    answer.json()
}

pub(super) async fn made(at: SocketAddr, path: &str, body: Value) -> Value {
    done(at, "POST", path, body).await
}

pub(super) async fn items(at: SocketAddr, path: &str) -> Vec<Value> {
    let page = done(at, "GET", path, Value::Null).await;
    assert!(page.get("nextToken").is_none(), "{path} has further pages");
    page["items"].as_array().expect("a list").clone()
}

/// A refusal in AWS's form: status, type in the header, message in the body.
#[track_caller]
pub(super) fn refused(answer: &HttpAnswer, status: u16, shape: &str, words: &str) {
    let (found, kind) = (answer.status, answer.header("x-amzn-errortype"));
    assert_eq!((found, kind), (status, Some(shape)), "{}", answer.text());
    assert!(answer.message().contains(words), "{}", answer.text());
    assert!(answer.header("x-amzn-requestid").is_some());
}

/// An API of WebSockets with a stage `prod`, as a client of the control plane makes it.
pub(super) struct Chat {
    pub(super) id: String,
    /// The integration by the path of its backend.
    pub(super) integration: String,
    pub(super) deployment: String,
}

impl Chat {
    /// Routes `$connect` and the two-way `echo`, to `backend`.
    pub(super) async fn create(at: SocketAddr, backend: &Backend) -> Self {
        let id = api(at, "chat").await;
        let integration = integration(at, &id, &backend.url("/echo")).await;
        let connect = self::integration(at, &id, &backend.url("/connect")).await;
        route(at, &id, "$connect", &connect).await;
        two_way(at, &id, "echo", &integration).await;
        let deployment = deploy(at, &id).await;
        let stage = json!({"stageName": "prod", "deploymentId": deployment});
        made(at, &format!("/v2/apis/{id}/stages"), stage).await;
        Self {
            id,
            integration,
            deployment,
        }
    }

    /// `/v2/apis/{id}{rest}`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v2/apis/{}{rest}", self.id)
    }

    /// The way to its stage `prod` at a clients' listener.
    pub(super) fn handshake(&self, gateway: &Gateway) -> Handshake {
        handshake(gateway, &self.id, "prod")
    }

    /// A socket of it, on which `echo` has answered.
    pub(super) async fn open(&self, gateway: &Gateway) -> Client {
        let mut client = self.handshake(gateway).open().await;
        crate::app::only_the_echo_comes_back(&mut client, "first").await;
        client
    }
}

pub(super) fn handshake(gateway: &Gateway, api: &str, stage: &str) -> Handshake {
    gateway.handshake(&format!("/_aws/execute-api/{api}/{stage}"))
}

/// A WebSocket API that has nothing; its id.
pub(super) async fn api(at: SocketAddr, name: &str) -> String {
    let body = json!({"name": name, "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"});
    text(&made(at, "/v2/apis", body).await["apiId"])
}

pub(super) async fn integration(at: SocketAddr, api: &str, url: &str) -> String {
    let body = json!({"integrationType": "HTTP_PROXY", "integrationMethod": "POST", "integrationUri": url});
    text(&made(at, &format!("/v2/apis/{api}/integrations"), body).await["integrationId"])
}

pub(super) async fn route(at: SocketAddr, api: &str, key: &str, integration: &str) -> String {
    let body = json!({"routeKey": key, "target": format!("integrations/{integration}")});
    text(&made(at, &format!("/v2/apis/{api}/routes"), body).await["routeId"])
}

/// A route that answers.
pub(super) async fn two_way(at: SocketAddr, api: &str, key: &str, integration: &str) -> String {
    let route = route(at, api, key, integration).await;
    let path = format!("/v2/apis/{api}/routes/{route}/routeresponses");
    made(at, &path, json!({"routeResponseKey": "$default"})).await;
    route
}

pub(super) async fn deploy(at: SocketAddr, api: &str) -> String {
    text(&made(at, &format!("/v2/apis/{api}/deployments"), json!({})).await["deploymentId"])
}
