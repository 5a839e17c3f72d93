//! The paths of operators on a node among others, whose store is in memory and whose neighbours never answer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use connection_store::{
    BusError, ConnectionRecord, ConnectionStore, MemoryStore, NodeBus, NodeInfo, Outbox, Owed,
    StoreClock,
};
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::node::{Registry, Roads};
use crate::observe::AccessLog;

const ME: NodeId = NodeId([1; 6]);
const OTHER: NodeId = NodeId([2; 6]);
const LOST: NodeId = NodeId([3; 6]);
const LEASE: Duration = Duration::from_secs(10);
const NOW: u64 = 1_700_000_000_000;

#[derive(Debug)]
struct Silence;

impl NodeBus for Silence {
    // As `async_trait` writes it.
    fn request<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _to: &'life1 NodeId,
        _order: Bytes,
        _limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, BusError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async { Err(BusError::Unanswered) })
    }

    fn deaf(&self) -> Option<String> {
        None
    }
}

impl Roads for Silence {
    fn meet(&self, _nodes: &[NodeInfo]) {}

    fn heard(&self, _node: &NodeId) -> Option<Duration> {
        None
    }

    fn rename(&self, _me: NodeId) {}
}

fn id(node: NodeId, n: u8) -> ConnectionId {
    ConnectionId::new(node, [n; 16])
}

fn record(node: NodeId, n: u8) -> ConnectionRecord {
    let connection = Arc::new(Connection {
        id: id(node, n),
        api_id: "chat".into(),
        stage: "dev".into(),
        connected_at: NOW,
        source_ip: [127, 0, 0, n].into(),
        user_agent: None,
        domain_name: "localhost".into(),
        authorizer: None,
    });
    ConnectionRecord { connection }
}

/// Two live nodes with two connections each, and a third that was declared dead.
async fn world() -> (Router, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(LEASE, LEASE, NOW));
    for (node, hostname) in [(ME, "one"), (OTHER, "two")] {
        let info = NodeInfo {
            id: node,
            hostname: hostname.to_owned(),
            version: "0.1.0".to_owned(),
            link: None,
            started_at: NOW,
        };
        store.renew(&info).await.unwrap();
        let records = [record(node, 1), record(node, 2)];
        store.register(&records).await.unwrap();
    }
    store.fence(&LOST).await.unwrap();
    let cluster = Cluster::new(
        Arc::clone(&store) as Arc<dyn ConnectionStore>,
        Arc::clone(&store) as Arc<dyn Outbox>,
        Arc::new(Silence),
        Arc::new(StoreClock::new(|| 0, NOW)),
    );
    let registry = Registry::shared(Arc::clone(&store) as Arc<dyn ConnectionStore>, false);
    let node = Arc::new(Node::new(ME, registry, Some(cluster)));
    let health = Health {
        observe: Arc::new(Observe::new(AccessLog::Off)),
        drain: Arc::default(),
        node,
    };
    (router(health), store)
}

async fn ask(router: &Router, method: &str, path: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let Ok(response) = router.clone().oneshot(request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["connectionId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn any_node_lists_all_nodes_and_all_connections() {
    let (router, _) = world().await;
    let (status, nodes) = ask(&router, "GET", "/wiregate/nodes").await;
    assert_eq!(status, 200);
    let told: Vec<Value> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            json!([
                node["hostname"],
                node["thisNode"],
                node["state"],
                node["connections"]
            ])
        })
        .collect();
    let expected = [
        json!(["one", true, "live", 2]),
        json!(["two", false, "live", 2]),
    ];
    assert_eq!(told, expected);

    let (_, list) = ask(&router, "GET", "/wiregate/connections?maxResults=3").await;
    let all = [id(ME, 1), id(ME, 2), id(OTHER, 1), id(OTHER, 2)].map(|id| id.to_string());
    assert_eq!(ids(&list), all[..3]);
    let next = list["nextToken"].as_str().unwrap().replace('=', "%3D");
    let path = format!("/wiregate/connections?maxResults=3&nextToken={next}");
    let (_, list) = ask(&router, "GET", &path).await;
    assert_eq!(
        (ids(&list), &list["nextToken"]),
        (all[3..].to_vec(), &Value::Null)
    );
    let path = format!("/wiregate/connections?nodeId={OTHER}");
    let (_, list) = ask(&router, "GET", &path).await;
    assert_eq!(ids(&list), all[2..]);

    tokio::time::advance(LEASE).await;
    let (_, nodes) = ask(&router, "GET", "/wiregate/nodes").await;
    assert_eq!(nodes["items"][1]["state"], "silent");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_not_called_gone() {
    let (router, store) = world().await;
    let here = id(OTHER, 1);
    let dead = id(LOST, 1);
    for method in ["GET", "DELETE"] {
        let (status, body) = ask(&router, method, &format!("/wiregate/connections/{here}")).await;
        assert_eq!(status, 503, "{method} {body}");
        let said = body["message"].as_str().unwrap();
        assert!(
            said.starts_with(&format!(
                "Node {OTHER}, which the id names, does not answer"
            )),
            "{said}"
        );
        let (status, _) = ask(&router, method, &format!("/wiregate/connections/{dead}")).await;
        assert_eq!(status, 410, "{method}");
    }
    // Its node is dead for good, and nobody has told of its end yet.
    tokio::time::advance(LEASE).await;
    store.fence(&OTHER).await.unwrap();
    let path = format!("/wiregate/connections/{here}");
    let (status, body) = ask(&router, "GET", &path).await;
    assert_eq!((status, &body["open"]), (200, &json!(false)), "{body}");
    let (status, _) = ask(&router, "DELETE", &path).await;
    assert_eq!(status, 409);
    store.bury(&OTHER, (1006, "lost"), 10).await.unwrap();
    assert_eq!(ask(&router, "GET", &path).await.0, 410);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_counted_listed_and_replayed() {
    let (router, store) = world().await;
    for n in 1..=3 {
        let owed = Owed {
            record: record(LOST, n),
            code: 1006,
            reason: "lost".to_owned(),
            ended_at: NOW,
        };
        store.put(&[owed]).await.unwrap();
        store
            .give_up(&id(LOST, n), "the backend answered 500")
            .await
            .unwrap();
    }
    let counts = async || {
        let (status, body) = ask(&router, "GET", "/wiregate/outbox").await;
        assert_eq!(status, 200);
        json!([body["waiting"], body["deadLetters"]])
    };
    assert_eq!(counts().await, json!([0, 3]));
    let dead = "/wiregate/outbox/dead";
    let (_, list) = ask(&router, "GET", &format!("{dead}?maxResults=2")).await;
    let three = [1, 2, 3].map(|n| id(LOST, n).to_string());
    assert_eq!(
        (ids(&list), &list["nextToken"]),
        (three[..2].to_vec(), &json!("2"))
    );
    let (_, list) = ask(&router, "GET", &format!("{dead}?maxResults=2&nextToken=2")).await;
    assert_eq!(
        (ids(&list), &list["nextToken"]),
        (three[2..].to_vec(), &Value::Null)
    );
    let (_, list) = ask(&router, "GET", &format!("{dead}?maxResults=3")).await;
    assert_eq!((ids(&list).len(), &list["nextToken"]), (3, &Value::Null));
    for wrong in ["-1", "x", "100001"] {
        let path = format!("{dead}?nextToken={wrong}");
        let (status, body) = ask(&router, "GET", &path).await;
        let said = format!("nextToken={wrong}: expected the nextToken of the page before");
        assert_eq!((status, body["message"].as_str()), (400, Some(&*said)));
    }

    let one = format!("{dead}/{}/replay", three[1]);
    assert_eq!(
        ask(&router, "POST", &one).await,
        (200, json!({"replayed": 1}))
    );
    assert_eq!(counts().await, json!([1, 2]));
    let (status, body) = ask(&router, "POST", &one).await;
    assert_eq!(status, 404);
    let said = body["message"].as_str().unwrap();
    assert!(said.starts_with("There is no dead letter of "), "{said}");
    let all = format!("{dead}/replay");
    let done = json!({"replayed": 2, "deadLetters": 0});
    assert_eq!(ask(&router, "POST", &all).await, (200, done));
    assert_eq!(counts().await, json!([3, 0]));
}
