//! The management listener's own paths, and the rules of who may use the listener at all.

mod answer;
mod connections;
mod guard;
mod nodes;
mod outbox;
mod query;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use self::answer::Refusal;
use crate::node::{Cluster, Drain, Node};
use crate::observe::Observe;

pub use guard::{Access, Guarded, bearer};

/// What the paths need.
#[derive(Debug, Clone)]
pub struct Health {
    /// What `/metrics` shows.
    pub observe: Arc<Observe>,
    /// Whether this node is leaving.
    pub drain: Arc<Drain>,
    /// Whether it may act and hears the others, and who is connected.
    pub node: Arc<Node>,
}

/// Every path of this listener but `@connections`.
pub fn router(health: Health) -> Router {
    nodes::started_at();
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/wiregate/nodes", get(nodes::list))
        .route("/wiregate/connections", get(connections::list))
        .route(
            "/wiregate/connections/{connection_id}",
            get(connections::show).delete(connections::close),
        )
        .route("/wiregate/outbox", get(outbox::status))
        .route("/wiregate/outbox/dead", get(outbox::dead))
        .route("/wiregate/outbox/dead/replay", post(outbox::replay_all))
        .route(
            "/wiregate/outbox/dead/{connection_id}/replay",
            post(outbox::replay_one),
        )
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(health)
}

/// 503 while this node cannot be counted on, and from the first sign of leaving, so that load balancers look elsewhere before the sockets close.
async fn readyz(State(health): State<Health>) -> Response {
    if health.drain.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    if !health.node.is_acting() {
        let why = "this node may have been declared dead and waits to learn so\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    }
    if let Some(why) = health.node.cluster.as_ref().and_then(Cluster::trouble) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    "ready\n".into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    let text = health.observe.metrics.render(health.drain.undelivered());
    (
        [(
            CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

async fn not_found() -> Refusal {
    let paths = "/{stage}/@connections/{connectionId}, /v2/apis and the rest of apigatewayv2, /2015-03-31/functions of the Lambda API, /livez, /readyz, /metrics, \
        /wiregate/nodes, /wiregate/connections, /wiregate/outbox and /wiregate/account";
    let message = format!("Not found: this listener serves {paths}");
    Refusal::new(StatusCode::NOT_FOUND, message)
}

async fn method_not_allowed() -> Refusal {
    let message = "This path knows other methods; the header Allow names them";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
