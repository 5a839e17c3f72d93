//! Which route takes a message.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::{LiveRoute, LiveStage};
use crate::call::{Call, Connection, Event};
use crate::context;
use crate::expression::{Evaluation, Scope};
use crate::failure::Failure;
use crate::id::RequestId;

const CONNECT: &str = "$connect";
const DISCONNECT: &str = "$disconnect";
const DEFAULT: &str = "$default";

/// Variables of the call that a route is still being chosen for: they have no value yet.
const NOT_YET_KNOWN: [&str; 7] = [
    "eventId",
    "extendedRequestId",
    "messageId",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "routeKey",
];

impl LiveStage {
    /// The route of a message: [`LiveStage::select`] with all that an expression may see before the message has ids
    /// and a time of its own: the text, the stage variables and the connection's `$context`. `None` is a binary
    /// message, which is not JSON.
    pub fn select_message(
        &self,
        connection: &Connection,
        text: Option<&str>,
    ) -> Result<&Arc<LiveRoute>, Failure> {
        let body = Bytes::new();
        let id = RequestId::new([0; RequestId::BYTES]);
        let call = Call {
            connection,
            event: Event::Message {
                id,
                body: &body,
                text,
            },
            route_key: "",
            request_id: id,
            time: 0,
            trace: [0; 12],
        };
        let known = |name: &str| {
            let known = !NOT_YET_KNOWN.contains(&name);
            known.then(|| context::lookup(&call, name)).flatten()
        };
        let stage_variable = |name: &str| {
            let value = self.stage_variables.get(name);
            value.map(|value| Cow::Borrowed(value.as_str()))
        };
        self.select(&Scope {
            context: Some(&known),
            stage_variable: Some(&stage_variable),
            ..Scope::of_message(text.unwrap_or_default())
        })
    }

    /// The route whose key equals what the selection expression yields, byte for byte, else `$default`.
    ///
    /// A message that is not JSON is never evaluated and goes to `$default`. No message reaches
    /// `$connect` or `$disconnect`: those speak for the gateway, and a client must not. One on which the expression
    /// costs too much has no route at all.
    pub fn select(&self, scope: &Scope<'_>) -> Result<&Arc<LiveRoute>, Failure> {
        let chosen = match self.route_selection.evaluate(scope) {
            Evaluation::Key(key) if !key.is_empty() && !key.starts_with('$') => {
                self.by_key.get(&*key)
            }
            Evaluation::Key(_) | Evaluation::NotJson => None,
            // Which route it would have been is not known, so it must not be another one.
            Evaluation::OutOfFuel => return Err(Failure::MessageTooComplex),
        };
        chosen
            .or_else(|| self.by_key.get(DEFAULT))
            .ok_or(Failure::NoRoute)
    }

    /// The `$connect` route, if there is one.
    pub fn connect_route(&self) -> Option<&Arc<LiveRoute>> {
        self.by_key.get(CONNECT)
    }

    /// The `$disconnect` route, if there is one.
    pub fn disconnect_route(&self) -> Option<&Arc<LiveRoute>> {
        self.by_key.get(DISCONNECT)
    }
}
