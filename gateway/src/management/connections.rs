//! Who is connected, to any node: list, show, close.

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use connection_store::{ConnectionRecord, Filter, Page, StoreError};
use gateway_core::call::Connection;
use gateway_core::context::iso_time;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId};
use serde_json::{Value, json};

use super::Health;
use super::answer::{Named, Refusal, items, json_body};
use super::query::{MOST_RESULTS, Query};
use crate::node::{Delivered, Description, Node, Order, Reach};

/// Pages of the registry that are read for one of ours: where few pass the filter, it may end short.
const MOST_READS: usize = 16;

/// Which connections an operator looks for.
#[derive(Debug, Default)]
struct Wanted {
    filter: Filter,
    /// No filter of the registry: a store need not know addresses.
    source_ip: Option<IpAddr>,
}

impl Wanted {
    fn admits(&self, record: &ConnectionRecord) -> bool {
        let address = record.connection.source_ip.to_canonical();
        self.source_ip.is_none_or(|wanted| wanted == address)
    }
}

/// `GET /wiregate/connections`.
pub(super) async fn list(
    State(health): State<Health>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let known = [
        "apiId",
        "stage",
        "nodeId",
        "sourceIp",
        "maxResults",
        "nextToken",
    ];
    let query = Query::read(raw.as_deref(), &known)?;
    let node = query.parse("nodeId", "12 lower-case hexadecimal digits")?;
    let source_ip = query.parse::<IpAddr>("sourceIp", "an IP address such as 192.0.2.7")?;
    let wanted = Wanted {
        filter: Filter {
            api_id: query.text("apiId")?.map(str::to_owned),
            stage: query.text("stage")?.map(str::to_owned),
            node,
        },
        source_ip: source_ip.map(|address| address.to_canonical()),
    };
    let page = Page {
        after: query.parse("nextToken", "the nextToken of the page before")?,
        limit: query.max_results()?,
    };
    let (records, next) = read_page(&health.node, &wanted, page)
        .await
        .map_err(|error| Refusal::of_store(&error))?;
    let facts = records.iter().map(|record| facts(&record.connection));
    Ok(items(facts, next.map(|id| id.to_string())))
}

/// Reads on until the page is full, the registry ends, or enough was read; and says after whom the next page begins.
async fn read_page(
    node: &Node,
    wanted: &Wanted,
    page: Page,
) -> Result<(Vec<ConnectionRecord>, Option<ConnectionId>), StoreError> {
    let (mut found, mut after) = (Vec::new(), page.after);
    for _ in 0..MOST_READS {
        let limit = if wanted.source_ip.is_some() {
            MOST_RESULTS
        } else {
            page.limit - found.len()
        };
        let listing = node
            .registry
            .list(&wanted.filter, Page { after, limit })
            .await?;
        let mut records = listing.records.into_iter();
        while let Some(record) = records.next() {
            if !wanted.admits(&record) {
                continue;
            }
            let id = record.connection.id;
            found.push(record);
            if found.len() == page.limit {
                let more = records.len() > 0 || listing.next.is_some();
                return Ok((found, more.then_some(id)));
            }
        }
        after = listing.next;
        if after.is_none() {
            break;
        }
    }
    Ok((found, after))
}

/// `GET /wiregate/connections/{connectionId}`.
pub(super) async fn show(
    State(health): State<Health>,
    Named(id): Named,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    Query::read(raw.as_deref(), &[])?;
    let node = &health.node;
    let described = node.send(&id, Reach::Any, &Order::Describe).await;
    let known = find(node, &id).await;
    match (described, known) {
        (Ok(Delivered::Description(told)), known) => {
            let known = known.unwrap_or_else(|error| {
                tracing::warn!("the registry cannot be asked about {id}: {error}");
                None
            });
            Ok(json_body(&open(&id, known.as_ref(), &told)))
        }
        (Err(Failure::Gone), Ok(Some(record))) => {
            let mut body = facts(&record.connection);
            body["open"] = false.into();
            Ok(json_body(&body))
        }
        (Err(failure), _) => Err(unreached(&id, &failure)),
        (Ok(Delivered::Sent | Delivered::Held | Delivered::Closing), _) => {
            let message = "The node that holds the connection answered another question";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message))
        }
    }
}

/// `DELETE /wiregate/connections/{connectionId}`.
pub(super) async fn close(
    State(health): State<Health>,
    Named(id): Named,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::read(raw.as_deref(), &["code", "reason"])?;
    let node = &health.node;
    let order = Order::close(query.raw("code"), query.raw("reason").map(str::to_owned))
        .map_err(|failure| Refusal::of(&failure))?;
    match node.send(&id, Reach::Any, &order).await {
        Ok(_) => {
            tracing::info!(connection = %id, "an operator closes a connection");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(Failure::Gone) if matches!(find(node, &id).await, Ok(Some(_))) => {
            let why = "The connection has no open socket: its $connect has not answered yet, or its $disconnect is not delivered yet";
            Err(Refusal::new(StatusCode::CONFLICT, why))
        }
        Err(failure) => Err(unreached(&id, &failure)),
    }
}

/// What the registry has of a connection. One of this node is not searched for among all.
async fn find(node: &Node, id: &ConnectionId) -> Result<Option<ConnectionRecord>, StoreError> {
    if let Some(live) = node.sessions.find(id) {
        let connection = live.connection.clone();
        return Ok(Some(ConnectionRecord { connection }));
    }
    let filter = Filter {
        node: Some(id.node()),
        ..Filter::default()
    };
    let page = Page {
        after: before(id),
        limit: 1,
    };
    let listing = node.registry.list(&filter, page).await?;
    let mut records = listing.records.into_iter();
    Ok(records.find(|record| record.connection.id == *id))
}

/// The id right before another one of the same node; `None` for its first, before which a listing of the node begins anyway.
fn before(id: &ConnectionId) -> Option<ConnectionId> {
    let bytes = URL_SAFE.decode(id.encode()).ok()?;
    let random = u128::from_be_bytes(*bytes.last_chunk()?);
    let before = random.checked_sub(1)?;
    Some(ConnectionId::new(id.node(), before.to_be_bytes()))
}

fn facts(connection: &Connection) -> Value {
    json!({
        "connectionId": connection.id.to_string(),
        "apiId": &*connection.api_id,
        "stage": &*connection.stage,
        "nodeId": connection.id.node().to_string(),
        "connectedAt": iso_time(connection.connected_at),
        "sourceIp": connection.source_ip.to_string(),
        "userAgent": connection.user_agent.as_deref(),
        "domainName": &*connection.domain_name,
        "principalId": connection.authorizer.as_deref().map(|said| said.principal_id.as_str()),
    })
}

/// What the registry has, and the owner's word on the rest. A store that is away, or was emptied, does not hide a
/// connection that its owner holds.
fn open(id: &ConnectionId, known: Option<&ConnectionRecord>, told: &Description) -> Value {
    let mut body = match known {
        Some(record) => facts(&record.connection),
        None => json!({
            "connectionId": id.to_string(),
            "apiId": null,
            "stage": null,
            "nodeId": id.node().to_string(),
            "connectedAt": iso_time(told.connected_at),
            "sourceIp": told.source_ip.to_string(),
            "userAgent": told.user_agent,
            "domainName": null,
            "principalId": null,
        }),
    };
    body["open"] = true.into();
    body["lastActiveAt"] = iso_time(told.last_active_at).into();
    body
}

fn unreached(id: &ConnectionId, failure: &Failure) -> Refusal {
    let node: NodeId = id.node();
    match failure {
        Failure::Gone => Refusal::new(
            StatusCode::GONE,
            "The connection is gone: it has ended, or there never was one of this id",
        ),
        Failure::Unknown => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "Node {node}, which the id names, does not answer: whether the connection is open is not known. Ask again"
            ),
        ),
        other => Refusal::of(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use connection_store::{ConnectionStore, MemoryStore};

    use super::*;
    use crate::node::Registry;

    const NODE: NodeId = NodeId([7; 6]);

    fn id(n: u32) -> ConnectionId {
        ConnectionId::new(NODE, u128::from(n).to_be_bytes())
    }

    /// A node of several, among `count` connections of which every thousandth is of 10.0.0.1.
    async fn node(count: u32) -> Node {
        let lease = Duration::from_secs(10);
        let store = Arc::new(MemoryStore::new(lease, lease, 0));
        let records: Vec<ConnectionRecord> = (0..count)
            .map(|n| {
                let last = u8::from(n % 1000 == 999);
                let connection = Arc::new(Connection {
                    id: id(n),
                    api_id: if n % 2 == 0 { "even" } else { "odd" }.into(),
                    stage: "dev".into(),
                    connected_at: 0,
                    source_ip: [10, 0, 0, last].into(),
                    user_agent: None,
                    domain_name: "localhost".into(),
                    authorizer: None,
                });
                ConnectionRecord { connection }
            })
            .collect();
        store.register(&records).await.unwrap();
        Node::new(NodeId([1; 6]), Registry::shared(store, false), None)
    }

    fn numbers(records: &[ConnectionRecord]) -> Vec<u32> {
        let ids = records.iter().map(|record| record.connection.id);
        ids.map(|id| {
            let bytes = URL_SAFE.decode(id.encode()).unwrap();
            u32::from_be_bytes(*bytes.last_chunk().unwrap())
        })
        .collect()
    }

    #[track_caller]
    fn check(
        (records, next): (Vec<ConnectionRecord>, Option<ConnectionId>),
        expected: &[u32],
        then: Option<u32>,
    ) {
        assert_eq!(numbers(&records), expected);
        assert_eq!(next, then.map(id));
    }

    #[tokio::test]
    async fn a_page_that_few_pass_is_filled_by_further_reads_within_a_bound() {
        let node = node(17_500).await;
        let wanted = Wanted {
            source_ip: Some([10, 0, 0, 1].into()),
            ..Wanted::default()
        };
        let read = async |after: Option<u32>, limit| {
            let after = after.map(id);
            let page = Page { after, limit };
            read_page(&node, &wanted, page).await.unwrap()
        };
        check(read(None, 3).await, &[999, 1999, 2999], Some(2999));
        check(read(Some(2999), 2).await, &[3999, 4999], Some(4999));
        // 16 reads of 1,000, and no more.
        let sixteen: Vec<u32> = (0..16).map(|n| n * 1000 + 999).collect();
        check(read(None, 100).await, &sixteen, Some(15_999));
        check(read(Some(15_999), 100).await, &[16_999], None);
        check(read(Some(16_998), 1).await, &[16_999], Some(16_999));
        check(read(Some(16_999), 1).await, &[], None);
    }

    #[tokio::test]
    async fn the_last_page_says_that_it_is_the_last() {
        let node = node(10).await;
        let filter = Filter {
            api_id: Some("odd".to_owned()),
            ..Filter::default()
        };
        let wanted = Wanted {
            filter,
            source_ip: None,
        };
        let read = async |after: Option<u32>, limit| {
            let after = after.map(id);
            let page = Page { after, limit };
            read_page(&node, &wanted, page).await.unwrap()
        };
        check(read(None, 2).await, &[1, 3], Some(3));
        check(read(Some(3), 3).await, &[5, 7, 9], None);
        check(read(None, 100).await, &[1, 3, 5, 7, 9], None);
    }

    #[tokio::test]
    async fn one_record_is_found_by_its_id() {
        let node = node(10).await;
        for n in [0, 1, 9] {
            let found = find(&node, &id(n)).await.unwrap();
            assert_eq!(found.map(|record| record.connection.id), Some(id(n)));
        }
        assert_eq!(find(&node, &id(10)).await.unwrap(), None);
        let elsewhere = ConnectionId::new(NodeId([6; 6]), [0; 16]);
        assert_eq!(find(&node, &elsewhere).await.unwrap(), None);
        assert_eq!(before(&id(0)), None);
        assert_eq!(before(&id(256)), Some(id(255)));
    }
}
