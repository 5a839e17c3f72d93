//! APIs, connections and calls for the tests of this crate, also read from case files.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{LiveStage, Mistake, compile};
use crate::call::{AuthorizerContext, Call, Connection, Event, Handshake};
use crate::id::{ConnectionId, NodeId, RequestId};
use crate::resource::{Api, Integration, IntegrationType, Preset, Route, RouteResponse, Stage};

/// When every call of the tests arrives.
pub(crate) const TIME: u64 = 1_731_332_746_514;

/// The stage `dev` of an API.
pub(crate) fn stage() -> Stage {
    Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    }
}

/// A proxy of `http://backend/in`.
pub(crate) fn proxy() -> Integration {
    Integration {
        integration_uri: Some("http://backend/in".to_owned()),
        ..Integration::new("i", IntegrationType::HttpProxy)
    }
}

/// The API `chat` whose routes all call the integration.
pub(crate) fn api(preset: Preset, keys: &[&str], integration: Integration) -> Api {
    let mut api = Api::new("chat", preset);
    api.routes = keys
        .iter()
        .map(|&key| Route {
            target: Some(format!("integrations/{}", integration.integration_id)),
            ..Route::new(key)
        })
        .collect();
    api.integrations = vec![integration];
    api
}

/// Makes every route two-way.
pub(crate) fn two_way(mut api: Api) -> Api {
    for route in &mut api.routes {
        route.route_responses = vec![RouteResponse {
            route_response_key: "$default".to_owned(),
        }];
    }
    api
}

/// The live stage of a good API.
pub(crate) fn live(api: &Api, stage: &Stage) -> LiveStage {
    compile(api, stage).unwrap_or_else(|mistakes: Vec<Mistake>| panic!("{mistakes:#?}"))
}

/// A connection without authorizer.
pub(crate) fn connection() -> Connection {
    Connection {
        id: ConnectionId::new(NodeId([1; 6]), [2; 16]),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: 1_731_332_732_513,
        source_ip: [203, 0, 113, 7].into(),
        user_agent: Some("Mozilla/5.0".into()),
        domain_name: "ws.example.com".into(),
        authorizer: None,
    }
}

/// A handshake of these headers and this query.
pub(crate) fn handshake(headers: &[(&str, &str)], query: &[(&str, &str)]) -> Handshake {
    let owned = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs.map(|&(n, v)| (n.to_owned(), v.to_owned())).collect()
    };
    let raw: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    Handshake {
        headers: owned(headers),
        raw_query: raw.join("&"),
        query: owned(query),
        authorizer_latency: None,
    }
}

/// A call of the route that its event belongs to; `key` is that of a message.
pub(crate) fn call<'a>(connection: &'a Connection, event: Event<'a>, key: &'a str) -> Call<'a> {
    Call {
        connection,
        event,
        route_key: match event {
            Event::Connect(_) => "$connect",
            Event::Message { .. } => key,
            Event::Disconnect { .. } => "$disconnect",
        },
        request_id: RequestId::new([3; 11]),
        time: TIME,
        trace: [0xab; 12],
    }
}

/// A text message.
pub(crate) fn message(body: &Bytes) -> Event<'_> {
    Event::Message {
        id: RequestId::new([4; 11]),
        body,
        text: std::str::from_utf8(body).ok(),
    }
}

/// What a case file says happened.
#[derive(Debug)]
pub(crate) enum Given {
    Connect(Handshake),
    Message { body: Bytes, binary: bool },
    Disconnect { code: u16, reason: String },
}

impl Given {
    pub(crate) fn event(&self) -> Event<'_> {
        match self {
            Self::Connect(handshake) => Event::Connect(handshake),
            Self::Message { body, binary } => Event::Message {
                id: RequestId::new([4; 11]),
                body,
                text: (!binary).then(|| std::str::from_utf8(body).unwrap()),
            },
            Self::Disconnect { code, reason } => Event::Disconnect {
                code: *code,
                reason,
            },
        }
    }
}

/// The case files of a folder below `tests/cases`, with their contents; at least `least` of them.
pub(crate) fn cases(folder: &str, least: usize) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/cases")
        .join(folder);
    let mut files: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= least, "only {} cases", files.len());
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let case = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file, case)
    };
    files.into_iter().map(read).collect()
}

/// Pairs of strings: `[["name", "value"]]`.
pub(crate) fn pairs(value: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| (text(&pair[0]), text(&pair[1]));
    value
        .as_array()
        .map(|pairs| pairs.iter().map(pair).collect())
        .unwrap_or_default()
}

pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} should be a string"))
        .to_owned()
}

/// A map of strings.
pub(crate) fn map<M: FromIterator<(String, String)>>(value: &Value) -> M {
    let none = Map::new();
    let members = value.as_object().unwrap_or(&none).iter();
    members
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// `connection` of a case: what differs from [`connection`].
pub(crate) fn read_connection(case: &Value) -> Connection {
    let given = &case["connection"];
    let mut connection = connection();
    if given["userAgent"] == Value::Null && given.get("userAgent").is_some() {
        connection.user_agent = None;
    }
    if let Some(ip) = given["sourceIp"].as_str() {
        connection.source_ip = ip.parse().unwrap();
    }
    if let Some(name) = given["domainName"].as_str() {
        connection.domain_name = name.into();
    }
    if let Some(authorizer) = given["authorizer"].as_object() {
        let context: Vec<(String, String)> = map(&authorizer["context"]);
        connection.authorizer = Some(Box::new(AuthorizerContext {
            principal_id: text(&authorizer["principalId"]),
            context,
        }));
    }
    connection
}

/// `connect`, `message`, `binary` or `disconnect` of a case.
pub(crate) fn read_given(case: &Value) -> Given {
    if let Some(connect) = case.get("connect") {
        return Given::Connect(Handshake {
            headers: pairs(&connect["headers"]),
            raw_query: connect["rawQuery"].as_str().unwrap_or_default().to_owned(),
            query: pairs(&connect["query"]),
            authorizer_latency: connect["authorizerLatency"].as_u64(),
        });
    }
    if let Some(disconnect) = case.get("disconnect") {
        return Given::Disconnect {
            code: u16::try_from(disconnect["code"].as_u64().unwrap()).unwrap(),
            reason: text(&disconnect["reason"]),
        };
    }
    match case.get("binary") {
        Some(binary) => Given::Message {
            body: STANDARD.decode(text(binary)).unwrap().into(),
            binary: true,
        },
        None => Given::Message {
            body: text(&case["message"]).into(),
            binary: false,
        },
    }
}
