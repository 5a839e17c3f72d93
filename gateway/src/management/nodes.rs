//! Which nodes there are.

use std::sync::OnceLock;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use connection_store::{NodeEntry, NodeInfo};
use gateway_core::context::iso_time;
use gateway_core::id::NodeId;
use serde_json::{Value, json};

use super::Health;
use super::answer::{Refusal, items};
use super::query::Query;
use crate::env;
use crate::node::Node;

/// `GET /wiregate/nodes`.
pub(super) async fn list(
    State(health): State<Health>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    Query::read(raw.as_deref(), &[])?;
    let node = &health.node;
    let me = node.id();
    let Some(cluster) = &node.cluster else {
        let alone = alone(node).await;
        return Ok(items([tell(&alone, me, env::wall())], None));
    };
    let nodes = cluster.store.nodes().await;
    let nodes = nodes.map_err(|error| Refusal::of_store(&error))?;
    let now = cluster.clock.now();
    let told = nodes.iter().map(|entry| tell(entry, me, now));
    Ok(items(told, None))
}

/// When this process began; the first worker asks as it starts.
pub(super) fn started_at() -> u64 {
    static STARTED: OnceLock<u64> = OnceLock::new();
    *STARTED.get_or_init(env::wall)
}

/// A node that has no others knows itself.
async fn alone(node: &Node) -> NodeEntry {
    let hostname = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await;
    let info = NodeInfo {
        id: node.id(),
        hostname: hostname.unwrap_or_default().trim().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        link: None,
        started_at: started_at(),
    };
    NodeEntry {
        id: info.id,
        info: Some(info),
        silent_for: 0,
        connections: node.registry.len() as u64,
    }
}

fn tell(entry: &NodeEntry, me: NodeId, now: u64) -> Value {
    let info = entry.info.as_ref();
    json!({
        "nodeId": entry.id.to_string(),
        "thisNode": entry.id == me,
        "state": if info.is_some() { "live" } else { "silent" },
        "hostname": info.map(|info| &info.hostname),
        "version": info.map(|info| &info.version),
        "link": info.and_then(|info| info.link.as_ref()),
        "startedAt": info.map(|info| iso_time(info.started_at)),
        // A node that never renewed has been silent since before the epoch.
        "heardAt": now.checked_sub(entry.silent_for).map(iso_time),
        "connections": entry.connections,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &NodeEntry, expected: &str) {
        let told = tell(entry, NodeId([1; 6]), 1_700_000_060_000);
        assert_eq!(told.to_string(), expected);
    }

    #[test]
    fn a_node_is_told_as_the_store_knows_it() {
        let info = NodeInfo {
            id: NodeId([1; 6]),
            hostname: "one".to_owned(),
            version: "0.1.0".to_owned(),
            link: Some("10.0.0.1:8082".to_owned()),
            started_at: 1_700_000_000_000,
        };
        let mut entry = NodeEntry {
            id: info.id,
            info: Some(info),
            silent_for: 1_500,
            connections: 7,
        };
        check(
            &entry,
            r#"{"nodeId":"010101010101","thisNode":true,"state":"live","hostname":"one","version":"0.1.0","link":"10.0.0.1:8082","startedAt":"2023-11-14T22:13:20.000Z","heardAt":"2023-11-14T22:14:18.500Z","connections":7}"#,
        );
        entry.id = NodeId([2; 6]);
        entry.info = None;
        entry.silent_for = u64::MAX;
        check(
            &entry,
            r#"{"nodeId":"020202020202","thisNode":false,"state":"silent","hostname":null,"version":null,"link":null,"startedAt":null,"heardAt":null,"connections":7}"#,
        );
    }
}
