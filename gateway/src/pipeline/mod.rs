//! The walk of one call: its stations, in order.

mod authorize;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::call::{Call, Event};
use gateway_core::failure::Failure;
use gateway_core::live::{LiveIntegration, LiveRoute};
use gateway_core::mapping::{self, BackendAnswer, Outcome, Reply};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::integration::Integrations;
use crate::node::{Deployed, Node};
use crate::observe::{Observe, Record};

pub use self::authorize::Admitted;

/// What a backend may answer where the API sets no limit to a message.
const UNLIMITED_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// The stations with what they need; one for each worker thread.
#[derive(Debug)]
pub struct Pipeline {
    integrations: Integrations,
    observe: Arc<Observe>,
    node: Arc<Node>,
    owner: Owner,
}

/// Whose the APIs are, as ARNs name it.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    /// AWS region.
    pub region: String,
    /// AWS account, twelve digits.
    pub account_id: String,
}

impl Pipeline {
    /// Backend connections stay on the worker's thread.
    pub fn new(
        integrations: Integrations,
        observe: Arc<Observe>,
        node: Arc<Node>,
        owner: Owner,
    ) -> Self {
        Self {
            integrations,
            observe,
            node,
            owner,
        }
    }

    /// `$connect`: what becomes of the handshake.
    pub async fn connect(
        &self,
        stage: &Deployed,
        route: &LiveRoute,
        call: &Call<'_>,
    ) -> Result<Outcome, Failure> {
        let walked = self.walk(stage, route, call).await;
        let outcome = walked
            .result
            .and_then(|answer| mapping::connect(route, call, &answer));
        let status = match &outcome {
            Ok(Outcome::Accepted { .. }) => 101,
            Ok(Outcome::Refused { status, .. }) => *status,
            Err(failure) => failure.answer().status,
        };
        let end = End {
            latency: walked.latency,
            status,
            failure: outcome.as_ref().err(),
            retried: false,
        };
        self.record(stage, Some(route), call, &end);
        outcome
    }

    /// A message: what its client gets.
    pub async fn message(
        &self,
        stage: &Deployed,
        route: &LiveRoute,
        call: &Call<'_>,
    ) -> Result<Reply, Failure> {
        let walked = self.walk(stage, route, call).await;
        let reply = walked
            .result
            .and_then(|answer| mapping::message(route, call, &answer))
            .and_then(|reply| within_limit(stage, reply));
        let status = reply
            .as_ref()
            .map_or_else(|failure| failure.answer().status, |_| 200);
        let end = End {
            latency: walked.latency,
            status,
            failure: reply.as_ref().err(),
            retried: false,
        };
        self.record(stage, Some(route), call, &end);
        reply
    }

    /// `$disconnect`: whether the backend took it. Where trying again can help, the caller does.
    pub async fn disconnect(
        &self,
        stage: &Deployed,
        route: &LiveRoute,
        call: &Call<'_>,
    ) -> Result<(), Failure> {
        let walked = self.walk(stage, route, call).await;
        let taken = walked
            .result
            .and_then(|answer| mapping::disconnect(&answer));
        let status = taken
            .as_ref()
            .map_or_else(|failure| failure.answer().status, |()| 200);
        let end = End {
            latency: walked.latency,
            status,
            failure: taken.as_ref().err(),
            retried: taken.as_ref().is_err_and(Failure::is_transient),
        };
        self.record(stage, Some(route), call, &end);
        taken
    }

    /// A handshake that no `$connect` route judges: everyone is let in.
    pub fn let_in(&self, stage: &Deployed, call: &Call<'_>) {
        let end = End {
            latency: None,
            status: 101,
            failure: None,
            retried: false,
        };
        self.record(stage, None, call, &end);
    }

    /// A call that was refused before it had a route.
    pub fn refuse(&self, stage: &Deployed, call: &Call<'_>, failure: &Failure) {
        let end = End {
            latency: None,
            status: failure.answer().status,
            failure: Some(failure),
            retried: false,
        };
        self.record(stage, None, call, &end);
    }

    async fn walk(&self, stage: &Deployed, route: &LiveRoute, call: &Call<'_>) -> Walked {
        let refused = |failure| Walked {
            result: Err(failure),
            latency: None,
        };
        // What is stored but not built must not open the door.
        if let Some(why) = &route.closed {
            let route = &route.route_key;
            return refused(Failure::Configuration(format!(
                "route {route} is closed: {why}"
            )));
        }
        // The end of a connection is told whatever the rates say: AWS loses throttled $disconnects, we do not.
        if !matches!(call.event, Event::Disconnect { .. }) && !stage.admit(route) {
            return refused(Failure::Throttled);
        }
        if matches!(call.event, Event::Connect(_)) {
            let absent = route
                .required
                .iter()
                .filter(|(source, _)| source.values(call).is_empty());
            let missing: Vec<String> = absent.map(|(_, name)| name.clone()).collect();
            if !missing.is_empty() {
                return refused(Failure::MissingParameters(missing));
            }
        }
        let Some(integration) = &route.integration else {
            return Walked {
                result: Ok(BackendAnswer::None),
                latency: None,
            };
        };
        let began = Instant::now();
        let result = self.call_backend(stage, integration, call, began).await;
        Walked {
            result,
            latency: Some(began.elapsed()),
        }
    }

    /// The time limit begins here and includes waiting for a place among the calls in flight.
    async fn call_backend(
        &self,
        stage: &Deployed,
        integration: &LiveIntegration,
        call: &Call<'_>,
        began: Instant,
    ) -> Result<BackendAnswer, Failure> {
        let request = mapping::build(&stage.live, integration, call, &stage.callback_url)?;
        let deadline = began + integration.timeout;
        let _place = place(stage.in_flight(integration.index), deadline).await?;
        let max_reply = stage.live.limits.max_message_bytes;
        let max_reply = max_reply.map_or(UNLIMITED_REPLY_BYTES, |bytes| bytes as usize);
        // Waiting for a place or a connection takes time, and a stopped process does not notice it: of a node that was declared
        // dead meanwhile the backend has heard the end. That itself may be told at any time.
        let is_end = matches!(call.event, Event::Disconnect { .. });
        let may_go = || is_end || self.node.acts_for(&call.connection.id);
        let integrations = &self.integrations;
        integrations
            .invoke(request, max_reply, deadline, &may_go)
            .await
    }

    fn record(&self, stage: &Deployed, route: Option<&LiveRoute>, call: &Call<'_>, end: &End<'_>) {
        self.observe.record(&Record {
            stage: &stage.live,
            call,
            meter: stage.meters.of(route),
            backend: route.and_then(|route| Some(&route.integration.as_ref()?.backend)),
            latency: end.latency,
            status: end.status,
            failure: end.failure,
            retried: end.retried,
        });
    }
}

/// A place among the calls in flight, as soon as there is one.
async fn place(places: &Semaphore, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
    if let Ok(place) = places.try_acquire() {
        return Ok(place);
    }
    tokio::time::timeout_at(deadline, places.acquire())
        .await
        .map_err(|_| Failure::IntegrationTimeout)?
        .map_err(|_| Failure::Internal("the integration's permits were closed".to_owned()))
}

/// A reply obeys the limit of a message, as a push does.
fn within_limit(stage: &Deployed, reply: Reply) -> Result<Reply, Failure> {
    match (&reply, stage.live.limits.max_message_bytes) {
        (Reply::Body(body), Some(limit)) if body.len() > limit as usize => {
            let bytes = body.len();
            Err(Failure::MalformedResult(format!(
                "the reply has {bytes} bytes, the limit is {limit}"
            )))
        }
        _ => Ok(reply),
    }
}

/// How a call ended.
struct End<'a> {
    latency: Option<Duration>,
    status: u16,
    failure: Option<&'a Failure>,
    retried: bool,
}

struct Walked {
    result: Result<BackendAnswer, Failure>,
    latency: Option<Duration>,
}
