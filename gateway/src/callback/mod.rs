//! The front door of backends: `@connections`.
//!
//! Source: the `ApiGatewayManagementApi` 2018-11-29 service model and what SDKs make of its answers.

mod request;

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::address::Rest;
use gateway_core::auth::sigv4::{self, Credentials, SignedRequest};
use gateway_core::context::iso_time;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, ParsedId};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Response};

use crate::env;
use crate::node::{Delivered, Node, Reach, Stages};
use crate::observe::{Observe, Push};
use crate::respond;

pub use request::CallbackRequest;

/// What the door needs.
#[derive(Debug)]
pub struct CallbackDoor {
    /// Finds the connection.
    pub node: Arc<Node>,
    /// Finds the stage.
    pub stages: Arc<Stages>,
    /// What is written down.
    pub observe: Arc<Observe>,
    /// Whose signatures are known.
    pub credentials: Arc<[Credentials]>,
}

impl CallbackDoor {
    /// Answers one request. `signed` demands a valid signature; without it the caller has been let in already.
    pub async fn answer(&self, request: &CallbackRequest<'_>, signed: bool) -> Response<Bytes> {
        let outcome = self.run(request, signed).await;
        if request.method == Method::POST {
            self.observe.metrics.pushed(match &outcome {
                Ok(response) if response.headers().contains_key(DELIVERY) => Push::Held,
                Ok(_) => Push::Sent,
                Err(Failure::Gone) => Push::Gone,
                Err(Failure::Busy) => Push::Busy,
                Err(Failure::PayloadTooLarge(_)) => Push::TooLarge,
                Err(_) => Push::Refused,
            });
        }
        match outcome {
            Ok(mut response) => {
                respond::identify(&mut response);
                response
            }
            Err(failure) => {
                tracing::debug!(method = %request.method, "@connections: {failure}");
                respond::refusal(&failure)
            }
        }
    }

    /// What is wrong with a request whatever its body: no signature, an unknown key, a wrong time.
    pub fn precheck(&self, request: &CallbackRequest<'_>) -> Result<(), Failure> {
        match verify(request, &self.credentials, sigv4::EXECUTE_API) {
            // The signature covers the body, which is not read yet.
            Err(Failure::Signature {
                error_type: "InvalidSignatureException",
                ..
            }) => Ok(()),
            checked => checked,
        }
    }

    async fn run(
        &self,
        request: &CallbackRequest<'_>,
        signed: bool,
    ) -> Result<Response<Bytes>, Failure> {
        if signed {
            verify(request, &self.credentials, sigv4::EXECUTE_API)?;
        }
        let served = self.stages.load();
        let found = served.directory.resolve(request.host, request.path);
        let found = found.ok_or(Failure::Forbidden("no API and stage at this address"))?;
        let Rest::Connection(encoded) = found.rest else {
            return Err(Failure::Forbidden("not a path of @connections"));
        };
        let order = request.order()?;
        let id = connection_id(encoded)?;
        let reach = Reach::Stage {
            api_id: &*found.api_id,
            stage: &*found.stage,
        };
        match self.node.send(&id, reach, &order).await? {
            Delivered::Sent => Ok(respond::response(200, Bytes::new())),
            Delivered::Held => {
                let mut response = respond::response(200, Bytes::new());
                response
                    .headers_mut()
                    .insert(DELIVERY, HeaderValue::from_static("held"));
                Ok(response)
            }
            Delivered::Closing => Ok(respond::response(204, Bytes::new())),
            Delivered::Description(found) => {
                let body = serde_json::json!({
                    "connectedAt": iso_time(found.connected_at),
                    "identity": {
                        "sourceIp": found.source_ip.to_string(),
                        "userAgent": found.user_agent,
                    },
                    "lastActiveAt": iso_time(found.last_active_at),
                });
                Ok(respond::response(200, body.to_string().into()))
            }
        }
    }
}

/// Says that a push waits for the end of its connection's handshake.
const DELIVERY: HeaderName = HeaderName::from_static("x-wiregate-delivery");

/// Decoded exactly once. AWS's own ids, as they stand in migrated tables, are gone; what is no id at all is an error.
fn connection_id(encoded: &str) -> Result<ConnectionId, Failure> {
    let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    match ConnectionId::parse(&decoded) {
        Ok(ParsedId::Ours(id)) => Ok(id),
        Ok(ParsedId::Foreign) => Err(Failure::Gone),
        Err(error) => Err(Failure::InvalidConnectionId(error.text)),
    }
}

/// Checks the signature of a request to a service against the configured credentials, whatever region its scope names.
pub fn verify(
    request: &CallbackRequest<'_>,
    credentials: &[Credentials],
    service: &str,
) -> Result<(), Failure> {
    let find = |key: &str| {
        credentials
            .iter()
            .find(|known| known.access_key_id == key)
            .cloned()
    };
    let headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let hash = sigv4::payload_hash(&request.body);
    let signed = SignedRequest {
        method: request.method.as_str(),
        path: request.path,
        query: request.query,
        headers: &headers,
        payload_hash: &hash,
    };
    sigv4::verify(&signed, &find, env::wall() / 1000, service)
        .map(drop)
        .map_err(|error| Failure::Signature {
            error_type: error.error_type(),
            message: error.message(),
        })
}
