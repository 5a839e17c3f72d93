//! One message of a client: from its route to its reply.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::call::{Call, Event};
use gateway_core::failure::Failure;
use gateway_core::id::RequestId;
use gateway_core::live::LiveRoute;
use gateway_core::mapping::Reply;
use gateway_core::resource::Limits;

use super::WebSocketDoor;
use crate::codec::{self, Utf8Bytes};
use crate::env;
use crate::node::{self, Deployed, LiveConnection, Pushed};

/// One message of the client that has not started yet.
#[derive(Debug)]
pub(super) enum Message {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Message {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::from(text.clone()),
            Self::Binary(bytes) => bytes.clone(),
        }
    }
}

impl WebSocketDoor {
    /// One message from its route to its reply.
    pub(super) async fn run_message(
        &self,
        live: &LiveConnection,
        deployed: &Deployed,
        route: Result<Arc<LiveRoute>, Failure>,
        message: Message,
    ) {
        let body = message.bytes();
        let route_key = route.as_ref().map_or("$default", |route| &route.route_key);
        let call = message_call(live, &body, message.text(), route_key);
        let reply = match &route {
            Ok(route) => self.pipeline.message(deployed, route, &call).await,
            Err(failure) => {
                self.pipeline.refuse(deployed, &call, failure);
                Err(failure.clone())
            }
        };
        let limits = &deployed.live.limits;
        let frame = match reply {
            Ok(Reply::Silent) => return,
            Ok(Reply::Body(body)) => node::encode(limits, &body, None),
            Err(failure) => error_frame(limits, &call, &failure),
        };
        if live.outlet.reply(frame).await == Pushed::Accepted {
            self.observe.metrics.sent();
        }
    }

    /// The error frame of a message that came too fast from its address.
    pub(super) fn refuse_message(
        &self,
        live: &LiveConnection,
        deployed: &Deployed,
        message: &Message,
    ) -> Bytes {
        let body = message.bytes();
        let call = message_call(live, &body, message.text(), "$default");
        self.pipeline.refuse(deployed, &call, &Failure::Throttled);
        error_frame(&deployed.live.limits, &call, &Failure::Throttled)
    }
}

fn message_call<'a>(
    live: &'a LiveConnection,
    body: &'a Bytes,
    text: Option<&'a str>,
    route_key: &'a str,
) -> Call<'a> {
    Call {
        connection: &live.connection,
        event: Event::Message {
            id: RequestId::new(env::random()),
            body,
            text,
        },
        route_key,
        request_id: RequestId::new(env::random()),
        time: env::wall(),
        trace: env::random(),
    }
}

fn error_frame(limits: &Limits, call: &Call<'_>, failure: &Failure) -> Bytes {
    let (connection_id, request_id) = (call.connection.id.to_string(), call.request_id.to_string());
    let text = failure.frame(&connection_id, &request_id);
    node::encode(limits, text.as_bytes(), Some(codec::FrameKind::Text))
}
