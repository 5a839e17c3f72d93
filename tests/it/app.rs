//! The chat API that most tests run, over HTTP and as Lambda functions.

use harness::{Answer, Backend, Client, Gateway, GatewayCommand, Lambda};
use serde_json::{Value, json};

/// The binary that Cargo built for these tests.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_wiregate-under-test");

/// A gateway with that configuration file.
pub(crate) async fn start(yaml: &str) -> Gateway {
    GatewayCommand::new(BINARY, yaml).start_all().await
}

/// The same, never among other nodes: for what one process does by itself.
pub(crate) async fn start_alone(yaml: &str) -> Gateway {
    GatewayCommand::new(BINARY, yaml).start().await
}

/// Every line of `text`, `by` spaces further to the right.
pub(crate) fn indent(by: usize, text: &str) -> String {
    let pad = " ".repeat(by);
    text.lines().fold(String::new(), |indented, line| {
        indented + &pad + line.trim_end() + "\n"
    })
}

/// API `chat` with stage `dev` and one HTTP backend: `sendmessage` one-way, `echo` two-way, the three `$` routes.
pub(crate) struct App {
    pub(crate) gateway: Gateway,
    pub(crate) backend: Backend,
}

impl App {
    /// With the defaults of `wiregate serve`.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With AWS's own limits.
    pub(crate) async fn aws() -> Self {
        Self::with("limits: { preset: aws }").await
    }

    /// With further members of the API.
    pub(crate) async fn with(api: &str) -> Self {
        Self::with_server("", api).await
    }

    /// With further top-level sections, and never among other nodes, which would tell what it leaves untold.
    pub(crate) async fn alone(top: &str) -> Self {
        let backend = Self::backend().await;
        let yaml = Self::yaml(&backend, top, "");
        let gateway = start_alone(&yaml).await;
        Self { gateway, backend }
    }

    /// With further top-level sections and members of the API.
    pub(crate) async fn with_server(top: &str, api: &str) -> Self {
        let backend = Self::backend().await;
        let gateway = start(&Self::yaml(&backend, top, api)).await;
        Self { gateway, backend }
    }

    /// A backend whose `/echo` answers the message.
    pub(crate) async fn backend() -> Backend {
        let backend = Backend::start().await;
        backend.on("/echo", |request| Answer::ok(request.body.clone()));
        backend
    }

    /// The configuration file.
    pub(crate) fn yaml(backend: &Backend, top: &str, api: &str) -> String {
        let url = backend.url("");
        format!(
            r#"{top}
apis:
  chat:
{api}    routes:
      $connect: {url}/connect
      $disconnect: {url}/disconnect
      sendmessage: {url}/sendmessage
      echo:
        integration: {{ integrationType: HTTP_PROXY, integrationUri: "{url}/echo" }}
        routeResponseSelectionExpression: $default
      $default: {url}/default
"#,
            api = indent(4, api),
        )
    }

    /// A socket that is open, and its connection id.
    pub(crate) async fn connect(&self) -> (Client, String) {
        let client = self.gateway.connect("/dev").await;
        let id = self.backend.next("/connect").await.connection_id();
        (client, id)
    }
}

/// Sends an `echo` and checks that its reply is the next thing to arrive: so nothing else came before it.
pub(crate) async fn only_the_echo_comes_back(client: &mut Client, mark: &str) {
    let echo = json!({"action": "echo", "mark": mark});
    client.send_json(&echo).await;
    assert_eq!(client.next_json().await, echo, "before the echo {mark}");
}

/// API `chat` with stage `dev` whose routes are the functions `connect`, `disconnect`, `oneway`, `twoway`, `default`.
pub(crate) struct LambdaApp {
    pub(crate) gateway: Gateway,
    pub(crate) lambda: Lambda,
}

impl LambdaApp {
    /// With the defaults of `wiregate serve`.
    pub(crate) async fn start() -> Self {
        Self::with("", "").await
    }

    /// With further members of the API, and of each integration (`, name: value`).
    pub(crate) async fn with(api: &str, integration: &str) -> Self {
        let lambda = Lambda::start().await;
        for function in ["connect", "disconnect", "oneway", "twoway", "default"] {
            lambda.returns(function, json!({"statusCode": 200}));
        }
        let gateway = start(&Self::yaml(&lambda, api, integration)).await;
        Self { gateway, lambda }
    }

    /// The configuration file.
    pub(crate) fn yaml(lambda: &Lambda, api: &str, integration: &str) -> String {
        let target = |function: &str| {
            format!(
                "integration: {{ integrationType: AWS_PROXY, integrationUri: \"{}\"{integration} }}",
                Lambda::uri(function)
            )
        };
        format!(
            r"
lambda: {{ endpoint: {endpoint} }}
apis:
  chat:
{api}    routes:
      $connect: {{ {connect} }}
      $disconnect: {{ {disconnect} }}
      oneway: {{ {oneway} }}
      twoway: {{ {twoway}, routeResponseSelectionExpression: $default }}
      $default: {{ {default} }}
",
            endpoint = lambda.endpoint(),
            api = indent(4, api),
            connect = target("connect"),
            disconnect = target("disconnect"),
            oneway = target("oneway"),
            twoway = target("twoway"),
            default = target("default"),
        )
    }

    /// A socket that is open, and its connection id.
    pub(crate) async fn connect(&self) -> (Client, String) {
        let client = self.gateway.connect("/dev").await;
        let event = self.lambda.next("connect").await.event;
        let id = text(&event["requestContext"]["connectionId"]);
        (client, id)
    }
}

/// A JSON string's text; the empty string for anything else.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// True for the 16 characters of AWS's request, extended request and message ids.
pub(crate) fn is_request_id(id: &str) -> bool {
    id.len() == 16 && id.ends_with('=') && is_base64url(&id[..15])
}

/// True for the 32 characters of a connection id.
pub(crate) fn is_connection_id(id: &str) -> bool {
    id.len() == 32 && id.ends_with('=') && is_base64url(&id[..31])
}

/// True for a UUID in its usual spelling.
pub(crate) fn is_uuid(id: &str) -> bool {
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn is_base64url(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The error frame of AWS, byte for byte.
pub(crate) fn error_frame(message: &str, connection: &str, request: &str) -> String {
    format!(r#"{{"message": "{message}", "connectionId":"{connection}", "requestId":"{request}"}}"#)
}
