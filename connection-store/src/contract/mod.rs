//! The behaviours that every backend of a port must show; each backend's tests run them.
//!
//! A backend under test is made with the times below, so that the same waits do for all.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::call::{AuthorizerContext, Connection};
use gateway_core::id::{ConnectionId, NodeId};

use crate::{ConnectionRecord, NodeInfo, Outbox, Owed};

pub mod bus;
pub mod documents;
pub mod outbox;
pub mod registry;

/// How long a lease lasts in a store under test.
pub const LEASE: Duration = Duration::from_millis(800);
/// How old the data of a store under test must be before an unknown node counts as absent.
pub const SETTLED: Duration = Duration::from_millis(1200);

const NODE: NodeId = NodeId([7; 6]);
/// So much longer than a time limit is certainly after it, and so much shorter before it.
const MARGIN: Duration = Duration::from_millis(200);

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
            authorizer: n.is_multiple_of(3).then(|| {
                let context = vec![("key".to_owned(), "\u{2028}{}\n".to_owned())];
                let principal_id = "me".to_owned();
                Box::new(AuthorizerContext {
                    principal_id,
                    context,
                })
            }),
        }),
    }
}

fn id_of(record: &ConnectionRecord) -> ConnectionId {
    record.connection.id
}

fn owed(record: &ConnectionRecord) -> Owed {
    Owed {
        record: record.clone(),
        code: 1006,
        reason: "gone".to_owned(),
        ended_at: 1_700_000_000_000,
    }
}

/// Settles all that may be claimed now.
async fn drain(outbox: &impl Outbox) -> Vec<Owed> {
    let mut ends = Vec::new();
    loop {
        let claimed = outbox.claim(100, Duration::from_secs(30)).await;
        let claimed = claimed.expect("claims");
        if claimed.is_empty() {
            return ends;
        }
        for claimed in claimed {
            let id = id_of(&claimed.owed.record);
            outbox.settle(&id).await.expect("settles");
            ends.push(claimed.owed);
        }
    }
}
