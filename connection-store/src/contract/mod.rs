//! The behaviours that every backend of a port must show; each backend's tests run them.
//!
//! A backend under test is made with the times below, so that the same waits do for all.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};

use crate::{ConnectionRecord, NodeInfo};

pub mod outbox;
pub mod registry;

/// How long a lease lasts in a store under test.
pub const LEASE: Duration = Duration::from_millis(400);
/// How old the data of a store under test must be before an unknown node counts as absent.
pub const SETTLED: Duration = Duration::from_millis(600);

const NODE: NodeId = NodeId([7; 6]);

fn info(id: NodeId) -> NodeInfo {
    NodeInfo {
        id,
        hostname: "host".to_owned(),
        version: "0.1.0".to_owned(),
        link: Some("127.0.0.1:8082".to_owned()),
        started_at: 1_700_000_000_000,
    }
}

fn record(node: NodeId, n: u8, api: &str, stage: &str) -> ConnectionRecord {
    ConnectionRecord {
        connection: Arc::new(Connection {
            id: ConnectionId::new(node, [n; 16]),
            api_id: api.into(),
            stage: stage.into(),
            connected_at: 1_700_000_000_000 + u64::from(n),
            source_ip: [127, 0, 0, 1].into(),
            user_agent: n.is_multiple_of(2).then(|| "agent/1.0 \"\r\n\0é".into()),
            domain_name: "localhost:8080".into(),
            authorizer: None,
        }),
    }
}
