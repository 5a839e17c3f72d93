//! The event of a WebSocket API, payload format 1.0, members in the order in which AWS emits them.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::call::{AuthorizerContext, Call, Event};
use crate::context::request_time;
use crate::live::LiveStage;

/// Header names of a DISCONNECT event; all but `Host` are empty. AWS sends them so.
const DISCONNECT_HEADERS: [&str; 4] = ["Host", "x-api-key", "X-Forwarded-For", "x-restapi"];

/// Headers that a CONNECT event does not show.
const HIDDEN: [&str; 3] = ["connection", "upgrade", "content-length"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebSocketEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Pairs<'a, Last>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<Pairs<'a, All>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<Pairs<'a, Last>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_query_string_parameters: Option<Pairs<'a, All>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stage_variables: &'a BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestContext<'a> {
    route_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_status_code: Option<u16>,
    event_type: &'static str,
    extended_request_id: &'a str,
    request_time: String,
    message_direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'a str>,
    stage: &'a str,
    connected_at: u64,
    request_time_epoch: u64,
    identity: Identity<'a>,
    request_id: &'a str,
    domain_name: &'a str,
    connection_id: String,
    api_id: &'a str,
    /// Ours: the same for every delivery of one DISCONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    source_ip: String,
}

struct Authorizer<'a> {
    context: &'a AuthorizerContext,
    /// On CONNECT, in milliseconds.
    latency: Option<u64>,
}

impl Serialize for Authorizer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("principalId", &self.context.principal_id)?;
        for (key, value) in &self.context.context {
            if key != "principalId" {
                map.serialize_entry(key, value)?;
            }
        }
        if let Some(latency) = self.latency {
            map.serialize_entry("integrationLatency", &latency)?;
        }
        map.end()
    }
}

pub(super) struct Last;
pub(super) struct All;

/// Name and value pairs as a map, grouped by name without regard to case, spelled as it first came.
pub(super) struct Pairs<'a, Kind> {
    groups: Vec<(&'a str, Vec<&'a str>)>,
    kind: std::marker::PhantomData<Kind>,
}

impl<'a, Kind> Pairs<'a, Kind> {
    /// `None` where there are none.
    fn new(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        same: fn(&str, &str) -> bool,
    ) -> Option<Self> {
        let all = Self::of(pairs, same);
        (!all.groups.is_empty()).then_some(all)
    }

    pub(super) fn of(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        same: fn(&str, &str) -> bool,
    ) -> Self {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in pairs {
            match groups.iter_mut().find(|(known, _)| same(known, name)) {
                Some((_, values)) => values.push(value),
                None => groups.push((name, vec![value])),
            }
        }
        Self {
            groups,
            kind: std::marker::PhantomData,
        }
    }
}

impl<'a> RequestContext<'a> {
    /// Of a call, whose request id is handed in as a text.
    pub(super) fn of(call: &'a Call<'a>, request_id: &'a str) -> Self {
        let connection = call.connection;
        let (disconnect_status_code, disconnect_reason) = match call.event {
            Event::Disconnect { code, reason } => (Some(code), Some(reason)),
            _ => (None, None),
        };
        let latency = call
            .event
            .handshake()
            .and_then(|handshake| handshake.authorizer_latency);
        let authorizer = |context| Authorizer { context, latency };
        Self {
            route_key: call.route_key,
            authorizer: connection.authorizer.as_deref().map(authorizer),
            message_id: match call.event {
                Event::Message { id, .. } => Some(id.to_string()),
                _ => None,
            },
            disconnect_status_code,
            event_type: call.event.event_type(),
            extended_request_id: request_id,
            request_time: request_time(call.time),
            message_direction: "IN",
            disconnect_reason,
            stage: &connection.stage,
            connected_at: connection.connected_at,
            request_time_epoch: call.time,
            identity: Identity {
                user_agent: connection.user_agent.as_deref(),
                source_ip: connection.source_ip.to_string(),
            },
            request_id,
            domain_name: &connection.domain_name,
            connection_id: connection.id.to_string(),
            api_id: &connection.api_id,
            event_id: disconnect_status_code.map(|_| call.event_id()),
        }
    }
}

impl Serialize for Pairs<'_, Last> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.groups
                .iter()
                .map(|(name, values)| (name, values.last())),
        )
    }
}

impl Serialize for Pairs<'_, All> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.groups.iter().map(|(name, values)| (name, values)))
    }
}

/// The event as JSON. `encode_body` base64-encodes the message; a binary one always is.
pub fn event(stage: &LiveStage, call: &Call<'_>, encode_body: bool) -> Bytes {
    let connection = call.connection;
    let mut headers: Vec<(&str, &str)> = Vec::new();
    let mut query: &[(String, String)] = &[];
    match call.event {
        Event::Connect(handshake) => {
            let shown = |(name, _): &'_ (String, String)| {
                !HIDDEN.contains(&name.to_ascii_lowercase().as_str())
            };
            headers.extend(
                handshake
                    .headers
                    .iter()
                    .filter(|pair| shown(pair))
                    .map(|(n, v)| (n.as_str(), v.as_str())),
            );
            query = &handshake.query;
        }
        Event::Disconnect { .. } => {
            headers.extend(DISCONNECT_HEADERS.map(|name| (name, "")));
            headers[0].1 = &connection.domain_name;
        }
        Event::Message { .. } => {}
    }
    let header_pairs = || headers.iter().copied();
    let query_pairs = || {
        query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    };
    let (body, encoded) = match call.event {
        Event::Message {
            body, text: None, ..
        } => (Some(STANDARD.encode(body)), true),
        Event::Message { body, .. } if encode_body => (Some(STANDARD.encode(body)), true),
        _ => (None, false),
    };
    let plain = match call.event {
        Event::Message { text, .. } => text,
        _ => None,
    };
    let request_id = call.request_id.to_string();
    let event = WebSocketEvent {
        headers: Pairs::new(header_pairs(), str::eq_ignore_ascii_case),
        multi_value_headers: Pairs::new(header_pairs(), str::eq_ignore_ascii_case),
        query_string_parameters: Pairs::new(query_pairs(), str::eq),
        multi_value_query_string_parameters: Pairs::new(query_pairs(), str::eq),
        stage_variables: &stage.stage_variables,
        request_context: RequestContext::of(call, &request_id),
        body: body.as_deref().or(plain),
        is_base64_encoded: encoded,
    };
    // Room for the usual context, and for the quotes of a JSON body to be escaped.
    let body = event.body.map_or(0, str::len);
    let mut out = Vec::with_capacity(1024 + body + body / 4);
    serde_json::to_writer(&mut out, &event).expect("strings and numbers always serialise");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::fixture::{
        api, call, cases, live, map, proxy, read_connection, read_given, stage,
    };
    use crate::resource::Preset;

    #[test]
    fn events_are_those_of_the_case_files_to_the_byte() {
        for (file, case) in cases("events", 16) {
            let mut stage = stage();
            stage.stage_variables = map(&case["stageVariables"]);
            let stage = live(&api(Preset::Open, &[], proxy()), &stage);
            let (connection, given) = (read_connection(&case), read_given(&case));
            let key = case["routeKey"].as_str().unwrap_or("$default");
            let call = call(&connection, given.event(), key);
            let event = event(&stage, &call, case["convertToBinary"] == true);
            assert_eq!(
                String::from_utf8_lossy(&event),
                case["expected"].to_string(),
                "{}: {}",
                file.display(),
                case["about"]
            );
        }
    }
}
