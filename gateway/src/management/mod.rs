//! The management listener's own paths, and the rules of who may use the listener at all.

mod guard;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::node::Drain;
use crate::observe::Observe;

pub use guard::{Access, Guarded, bearer};

/// What the paths need.
#[derive(Debug, Clone)]
pub struct Health {
    /// What `/metrics` shows.
    pub observe: Arc<Observe>,
    /// Whether this node is leaving.
    pub drain: Arc<Drain>,
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

/// 503 from the first sign of leaving, so that load balancers look elsewhere before the sockets close.
async fn readyz(State(health): State<Health>) -> Response {
    if health.drain.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
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
