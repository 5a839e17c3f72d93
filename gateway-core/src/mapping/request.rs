//! A call and its route's integration to the request that the backend gets.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::render;
use crate::call::{self, Call, Event};
use crate::event::websocket;
use crate::failure::Failure;
use crate::header_lines::HeaderLines;
use crate::lambda_arn::LambdaTarget;
use crate::live::{
    LiveBackend, LiveHttp, LiveIntegration, LiveStage, Parameters, Rendered, Target, mock_status,
};
use crate::resource::{HttpVersion, Preset};

pub(super) const API_ID: HeaderName = HeaderName::from_static("x-amzn-apigateway-api-id");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// Room for the headers of a plain message, in bytes. Below 1 KiB: allocators serve larger requests more slowly.
const USUAL_HEADER_BYTES: usize = 1000;

/// What is asked of a backend.
#[derive(Debug)]
pub enum IntegrationRequest<'a> {
    /// An HTTP request, complete but for its connection.
    Http {
        /// The verb.
        method: Method,
        /// Absolute.
        uri: Uri,
        /// The `Host` that a mapping asks for; else it is the URI's.
        host: Option<HeaderValue>,
        /// All headers but those of the connection and the length.
        headers: HeaderLines,
        /// The body.
        body: Bytes,
        /// Which HTTP.
        version: HttpVersion,
    },
    /// A function with its event.
    Lambda {
        /// Which function.
        target: &'a LambdaTarget,
        /// The event as JSON.
        event: Bytes,
        /// `X-Amzn-Trace-Id`.
        trace_id: String,
    },
    /// No call: the answer's status is known.
    Mock {
        /// Chooses the integration response.
        status: u16,
    },
}

/// Builds the request. `callback_url` is where the backend may post back.
pub fn build<'a>(
    stage: &LiveStage,
    integration: &'a LiveIntegration,
    call: &Call<'_>,
    callback_url: &str,
) -> Result<IntegrationRequest<'a>, Failure> {
    match &integration.backend {
        LiveBackend::Mock { request, .. } => {
            let status = match render(request, call, None)? {
                Rendered::Output(text) => mock_status(text).ok_or_else(|| {
                    Failure::Configuration("a MOCK template gave no statusCode".into())
                }),
                Rendered::Passthrough => Err(Failure::Configuration(
                    "no MOCK template takes this message, so it has no statusCode".into(),
                )),
            }?;
            Ok(IntegrationRequest::Mock { status })
        }
        LiveBackend::Lambda {
            target,
            encode_body,
        } => Ok(IntegrationRequest::Lambda {
            target,
            event: websocket::event(stage, call, *encode_body),
            trace_id: call.trace_id(),
        }),
        LiveBackend::Http(http) => {
            build_http(stage, http, &integration.parameters, call, callback_url)
        }
    }
}

fn build_http(
    stage: &LiveStage,
    http: &LiveHttp,
    parameters: &Parameters,
    call: &Call<'_>,
    callback_url: &str,
) -> Result<IntegrationRequest<'static>, Failure> {
    let proxy = http.mapping.is_none();
    let mut headers = HeaderLines::with_capacity(USUAL_HEADER_BYTES);
    let mut raw_query = Cow::Borrowed("");
    if let Event::Connect(handshake) = call.event {
        forward_headers(&mut headers, &handshake.headers, stage.limits.preset);
        if proxy {
            raw_query = without_mapped(&handshake.raw_query, parameters);
        }
        // What is mapped comes from the mapping or not at all: a client must not speak in its place.
        for parameter in parameters.iter() {
            if let Target::Header(name) = &parameter.target {
                headers.remove(name.as_str());
            }
        }
        headers.remove("content-type");
    }
    let (mut body, body_type) = body(http, call)?;
    if matches!(http.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        body = Bytes::new();
    } else {
        headers.push_text(&header::CONTENT_TYPE, body_type);
    }
    if !headers.contains("accept") {
        headers.push_text(&header::ACCEPT, "application/json");
    }
    headers.push_display(
        &header::USER_AGENT,
        format_args!("AmazonAPIGateway_{}", stage.api_id),
    );
    headers.push_text(&API_ID, &stage.api_id);
    headers.push_text(&TRACE_ID, &call.trace_id());

    let values = parameters.values(call)?;
    let (mut query, mut host) = (Vec::new(), None);
    for (target, values) in &values {
        match target {
            Target::Header(_) if values.is_empty() => {}
            Target::Header(name) if *name == header::HOST => {
                host = HeaderValue::from_str(&values.join(",")).ok();
            }
            Target::Header(name) => headers.set_text(name, &values.join(",")),
            Target::Query(name) => {
                query.extend(values.iter().map(|value| (name.as_str(), &**value)));
            }
            Target::Path(_) => {}
        }
    }
    add_own_headers(&mut headers, stage, call, callback_url);
    let path = |name: &str| {
        let found = values
            .iter()
            .find(|(target, _)| matches!(target, Target::Path(path) if path == name));
        found
            .and_then(|(_, values)| values.first())
            .map(|value| &**value)
    };
    let uri = http.uri.build(path, &raw_query, &query)?;
    Ok(IntegrationRequest::Http {
        method: http.method.clone(),
        uri,
        host,
        headers,
        body,
        version: http.version,
    })
}

/// A client's query string without the parameters that a mapping sets.
fn without_mapped<'q>(raw: &'q str, parameters: &Parameters) -> Cow<'q, str> {
    let is_mapped = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name = percent_decode_str(&name).decode_utf8_lossy();
        let mut targets = parameters.iter().map(|parameter| &parameter.target);
        targets.any(|target| matches!(target, Target::Query(query) if *query == name))
    };
    if !raw.split('&').any(is_mapped) {
        return raw.into();
    }
    let kept: Vec<&str> = raw.split('&').filter(|pair| !is_mapped(pair)).collect();
    kept.join("&").into()
}

fn body(http: &LiveHttp, call: &Call<'_>) -> Result<(Bytes, &'static str), Failure> {
    const JSON: &str = "application/json";
    if let Some(mapping) = &http.mapping
        && let Rendered::Output(text) = render(&mapping.request, call, None)?
    {
        return Ok((Bytes::copy_from_slice(text.as_bytes()), JSON));
    }
    let Event::Message { body, text, .. } = call.event else {
        return Ok((Bytes::new(), JSON));
    };
    match text {
        None => Ok((body.clone(), "application/octet-stream")),
        Some(text) if http.decode_body => {
            let bytes = STANDARD.decode(text.trim()).map_err(|_| {
                Failure::Configuration("CONVERT_TO_BINARY: the message is not valid base64".into())
            })?;
            Ok((bytes.into(), "application/octet-stream"))
        }
        Some(_) => Ok((body.clone(), JSON)),
    }
}

/// Removed from a client's handshake before it goes on ("important notes" of the AWS guide, and RFC 9110 §7.6.1).
const DROPPED: [&str; 15] = [
    "connection",
    "upgrade",
    "host",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "via",
    "expect",
    "te",
    "trailer",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "user-agent",
];

/// Backends that see these on a plain request answer 400; AWS forwards them all the same.
const SOCKET_ONLY: [&str; 3] = [
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
];

fn forward_headers(headers: &mut HeaderLines, from: &[(String, String)], preset: Preset) {
    let hop_by_hop: Vec<String> = from
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| {
            value
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
        })
        .collect();
    for (name, value) in from {
        let name = name.to_ascii_lowercase();
        let read = call::header_as_read(&name);
        // Those of the gateway itself stay, whatever a client's `Connection` names.
        let is_ours = name.starts_with("x-forwarded-");
        let dropped = DROPPED.contains(&&*read)
            || hop_by_hop.contains(&name) && !is_ours
            || read.starts_with("x-wiregate-")
            || read.starts_with("x-amzn-")
            || preset == Preset::Open && SOCKET_ONLY.contains(&&*read);
        if dropped {
            continue;
        }
        let parsed = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        );
        if let (Ok(name), Ok(value)) = parsed {
            headers.push(&name, &value);
        }
    }
}

/// What a backend learns in any case, so that the plain case needs no mapping.
fn add_own_headers(
    headers: &mut HeaderLines,
    stage: &LiveStage,
    call: &Call<'_>,
    callback_url: &str,
) {
    let connection = call.connection;
    let mut add = |name, value: &str| headers.push_text(&HeaderName::from_static(name), value);
    add("x-wiregate-event-type", call.event.event_type());
    add("x-wiregate-route-key", call.route_key);
    add("x-wiregate-api-id", &stage.api_id);
    add("x-wiregate-stage", &stage.stage_name);
    add("x-wiregate-event-id", &call.event_id());
    add("x-wiregate-domain-name", &connection.domain_name);
    add("x-wiregate-callback-url", callback_url);
    if let Some(authorizer) = &connection.authorizer {
        let mut map = serde_json::Map::new();
        map.insert("principalId".into(), authorizer.principal_id.clone().into());
        for (key, value) in &authorizer.context {
            if key != "principalId" {
                map.insert(key.clone(), value.clone().into());
            }
        }
        let json = ascii_json(&serde_json::Value::Object(map));
        add("x-wiregate-authorizer", &json);
    }
    if let Event::Disconnect { reason, .. } = call.event {
        add("x-wiregate-disconnect-reason", &escape(reason));
    }
    let mut add = |name, value: &dyn fmt::Display| {
        headers.push_display(&HeaderName::from_static(name), value);
    };
    add("x-wiregate-connection-id", &connection.id);
    add("x-wiregate-request-id", &call.request_id);
    add("x-wiregate-connected-at", &connection.connected_at);
    add("x-wiregate-source-ip", &connection.source_ip);
    match call.event {
        Event::Message { id, .. } => add("x-wiregate-message-id", &id),
        Event::Disconnect { code, .. } => add("x-wiregate-disconnect-code", &code),
        Event::Connect(_) => {}
    }
}

/// Percent-encoded, whatever it holds: a reader need not guess whether it is.
fn escape(text: &str) -> String {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(text, UNSAFE).to_string()
}

/// JSON whose characters beyond printable ASCII are `\u` escapes, so that it fits a header.
fn ascii_json(value: &serde_json::Value) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for unit in value.to_string().chars() {
        // JSON itself escapes every other control character.
        if unit.is_ascii() && unit != '\x7f' {
            out.push(unit);
            continue;
        }
        for code in unit.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{code:04x}").expect("writing to a String cannot fail");
        }
    }
    out
}
