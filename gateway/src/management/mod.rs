//! The management listener's own paths, and the rules of who may use the listener at all.

mod guard;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

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
    /// Whether it may act, and hears the others.
    pub node: Arc<Node>,
}

/// `/livez`, `/readyz`, `/metrics`.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
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

async fn not_found() -> Response {
    let body = serde_json::json!({
        "message": "Not found: this listener serves /{stage}/@connections/{connectionId}, /livez, /readyz and /metrics"
    });
    (
        StatusCode::NOT_FOUND,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
