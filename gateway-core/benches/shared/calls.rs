//! A connection, a stage and a call, for the benches and the counts of allocations.

use bytes::Bytes;
use gateway_core::auth::Secret;
use gateway_core::auth::sigv4::{Credentials, EXECUTE_API, Scope, SignedRequest, sign};
use gateway_core::call::{Call, Connection, Event};
use gateway_core::id::{ConnectionId, NodeId, RequestId};
use gateway_core::live::{LiveStage, compile};
use gateway_core::resource::{Api, Integration, IntegrationType, Preset, Route, Stage};

/// The three forms of expression that are looked at.
pub(crate) const EXPRESSIONS: [(&str, &str); 3] = [
    ("one name", "$request.body.action"),
    ("nested", "$request.body.data.kind"),
    (
        "concatenated",
        "${request.body.action}/${request.body.data.kind}",
    ),
];

/// Seconds since 1970.
pub(crate) const NOW: u64 = 1_731_332_746;

/// A chat message of `length` bytes.
pub(crate) fn message(length: usize) -> Bytes {
    let (start, end) = (
        r#"{"action":"sendmessage","data":{"kind":"text","text":""#,
        r#""}}"#,
    );
    let text = "x".repeat(length - start.len() - end.len());
    [start, &text, end].concat().into()
}

pub(crate) fn connection() -> Connection {
    Connection {
        id: ConnectionId::new(NodeId([1; 6]), [2; 16]),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: NOW * 1000,
        source_ip: [203, 0, 113, 7].into(),
        user_agent: Some("Mozilla/5.0".into()),
        domain_name: "ws.example.com".into(),
        authorizer: None,
    }
}

/// A stage whose routes all call one integration.
pub(crate) fn stage(expression: &str, integration: Integration) -> LiveStage {
    let mut api = Api::new("chat", Preset::Open);
    expression.clone_into(&mut api.route_selection_expression);
    api.routes = ["$default", "sendmessage", "text", "sendmessage/text"]
        .map(|key| Route {
            target: Some(format!("integrations/{}", integration.integration_id)),
            ..Route::new(key)
        })
        .into();
    api.integrations = vec![integration];
    let stage = Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    };
    compile(&api, &stage).expect("a good API")
}

pub(crate) fn http_proxy() -> Integration {
    Integration {
        integration_uri: Some("http://backend.example/in".to_owned()),
        ..Integration::new("i", IntegrationType::HttpProxy)
    }
}

/// With parameters of each kind.
pub(crate) fn mapped() -> Integration {
    let mut integration = http_proxy();
    integration.request_parameters = [
        ("header.kind", "route.request.body.data.kind"),
        ("header.action", "route.request.body.action"),
        ("querystring.id", "context.connectionId"),
        ("header.fixed", "'text'"),
    ]
    .map(|(target, source)| (format!("integration.request.{target}"), source.to_owned()))
    .into();
    integration
}

pub(crate) fn aws_proxy() -> Integration {
    let function = "arn:aws:lambda:us-east-1:123456789012:function:chat";
    Integration {
        integration_uri: Some(function.to_owned()),
        ..Integration::new("i", IntegrationType::AwsProxy)
    }
}

pub(crate) fn call<'a>(connection: &'a Connection, body: &'a Bytes) -> Call<'a> {
    Call {
        connection,
        event: Event::Message {
            id: RequestId::new([4; RequestId::BYTES]),
            body,
            text: std::str::from_utf8(body).ok(),
        },
        route_key: "sendmessage",
        request_id: RequestId::new([3; RequestId::BYTES]),
        time: NOW * 1000,
        trace: [0xab; 12],
    }
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        expires_at: None,
    }
}

/// The headers of a signed push of a body with this hash.
pub(crate) fn signed_headers(path: &str, payload_hash: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("host", "ws.example.com".to_owned())];
    let unsigned: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let request = SignedRequest {
        method: "POST",
        path,
        query: "",
        headers: &unsigned,
        payload_hash,
    };
    let scope = Scope {
        region: "us-east-1",
        service: EXECUTE_API,
    };
    let signature = sign(&request, &credentials(), scope, NOW).expect("a request with a host");
    headers.extend(signature);
    headers
}
