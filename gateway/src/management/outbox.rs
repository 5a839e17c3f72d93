//! Ends of connections that lost nodes left untold: how many wait, which were given up, and trying those again.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use connection_store::{Backlog, DeadLetter, MOST_DEAD, Outbox, StoreError};
use futures_util::future::try_join_all;
use gateway_core::context::iso_time;
use gateway_core::id::{EventId, EventKind};
use serde_json::{Value, json};

use super::Health;
use super::answer::{Named, Refusal, items, json_body};
use super::query::Query;
use crate::env;
use crate::node::{Cluster, Node};

/// Dead letters that are replayed at once.
const BATCH: usize = 100;
/// After so many milliseconds the caller hears how many are left, and asks again.
const REPLAY_LIMIT: u64 = 10_000;

/// `GET /wiregate/outbox`.
pub(super) async fn status(
    State(health): State<Health>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    Query::read(raw.as_deref(), &[])?;
    let cluster = cluster(&health.node)?;
    let backlog = cluster.outbox.backlog().await;
    let backlog = backlog.map_err(|error| Refusal::of_store(&error))?;
    Ok(json_body(&tell_backlog(&backlog, cluster.clock.now())))
}

/// `GET /wiregate/outbox/dead`.
pub(super) async fn dead(
    State(health): State<Health>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::read(raw.as_deref(), &["maxResults", "nextToken"])?;
    let limit = query.max_results()?;
    let expected = "the nextToken of the page before";
    let skip = query.parse::<usize>("nextToken", expected)?.unwrap_or(0);
    if skip > MOST_DEAD {
        let message = format!("nextToken={skip}: expected {expected}");
        return Err(Refusal::bad(message));
    }
    let outbox = &cluster(&health.node)?.outbox;
    // One more, to know whether there is one.
    let letters = outbox.dead(skip, limit + 1).await;
    let mut letters = letters.map_err(|error| Refusal::of_store(&error))?;
    let next = (letters.len() > limit).then(|| (skip + limit).to_string());
    letters.truncate(limit);
    Ok(items(letters.iter().map(tell_letter), next))
}

/// `POST /wiregate/outbox/dead/{connectionId}/replay`.
pub(super) async fn replay_one(
    State(health): State<Health>,
    Named(id): Named,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    Query::read(raw.as_deref(), &[])?;
    let outbox = &cluster(&health.node)?.outbox;
    match outbox.replay(&id).await {
        Ok(true) => {
            tracing::info!(connection = %id, "an operator replays a dead letter");
            Ok(json_body(&json!({ "replayed": 1 })))
        }
        Ok(false) => {
            let message = format!("There is no dead letter of {id}: it was replayed, or forgotten");
            Err(Refusal::new(StatusCode::NOT_FOUND, message))
        }
        Err(error) => Err(Refusal::of_store(&error)),
    }
}

/// `POST /wiregate/outbox/dead/replay`.
pub(super) async fn replay_all(
    State(health): State<Health>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    Query::read(raw.as_deref(), &[])?;
    let outbox = &*cluster(&health.node)?.outbox;
    let replayed = replay(outbox, REPLAY_LIMIT).await;
    let replayed = replayed.map_err(|error| Refusal::of_store(&error))?;
    tracing::info!(replayed, "an operator replays all dead letters");
    let left = outbox.backlog().await;
    let left = left.map_err(|error| Refusal::of_store(&error))?.dead;
    let body = json!({ "replayed": replayed, "deadLetters": left });
    Ok(json_body(&body))
}

/// As many as there are when it begins, or until `limit` milliseconds are over: what dies again meanwhile is not raised
/// for ever.
async fn replay(outbox: &dyn Outbox, limit: u64) -> Result<u64, StoreError> {
    let begun = env::now();
    let there = outbox.backlog().await?.dead;
    let mut replayed = 0;
    while replayed < there && env::now().saturating_sub(begun) < limit {
        let batch = BATCH.min((there - replayed) as usize);
        let letters = outbox.dead(0, batch).await?;
        let ids: Vec<_> = (letters.iter())
            .map(|letter| letter.owed.record.connection.id)
            .collect();
        let done = try_join_all(ids.iter().map(|id| outbox.replay(id))).await?;
        let count = done.iter().filter(|done| **done).count();
        if count == 0 {
            break;
        }
        replayed += count as u64;
    }
    Ok(replayed)
}

fn cluster(node: &Node) -> Result<&Cluster, Refusal> {
    let why = "There is no outbox: this node stands by itself, and what it owes to backends it keeps \
        (wiregate_disconnects_owed). Nodes that share a store (server.store) have one";
    let cluster = node.cluster.as_ref();
    cluster.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, why))
}

fn tell_backlog(backlog: &Backlog, now: u64) -> Value {
    let oldest = (backlog.waiting > 0).then(|| iso_time(now.saturating_sub(backlog.oldest)));
    json!({
        "waiting": backlog.waiting,
        "oldestSince": oldest,
        "deadLetters": backlog.dead,
    })
}

fn tell_letter(letter: &DeadLetter) -> Value {
    let owed = &letter.owed;
    let connection = &owed.record.connection;
    json!({
        "connectionId": connection.id.to_string(),
        "apiId": &*connection.api_id,
        "stage": &*connection.stage,
        "nodeId": connection.id.node().to_string(),
        "eventId": EventId::of(&connection.id, EventKind::Disconnect).to_string(),
        "connectedAt": iso_time(connection.connected_at),
        "sourceIp": connection.source_ip.to_string(),
        "endedAt": iso_time(owed.ended_at),
        "disconnectStatusCode": owed.code,
        "disconnectReason": owed.reason,
        "attempts": letter.attempts,
        "lastError": letter.why,
        "givenUpAt": iso_time(letter.given_up_at),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use connection_store::{ConnectionRecord, MemoryStore, Owed};
    use gateway_core::call::Connection;
    use gateway_core::id::{ConnectionId, NodeId};

    use super::*;

    async fn outbox_with_dead(count: u16) -> MemoryStore {
        let lease = Duration::from_secs(10);
        let store = MemoryStore::new(lease, lease, 1_700_000_000_000);
        for n in 0..count {
            let connection = Arc::new(Connection {
                id: ConnectionId::new(NodeId([1; 6]), u128::from(n).to_be_bytes()),
                api_id: "chat".into(),
                stage: "dev".into(),
                connected_at: 1_700_000_000_000,
                source_ip: [127, 0, 0, 1].into(),
                user_agent: None,
                domain_name: "localhost".into(),
                authorizer: None,
            });
            let id = connection.id;
            let owed = Owed {
                record: ConnectionRecord { connection },
                code: 1006,
                reason: "node lost".to_owned(),
                ended_at: 1_700_000_001_000,
            };
            store.put(&[owed]).await.unwrap();
            store
                .give_up(&id, "the backend answered 500")
                .await
                .unwrap();
        }
        store
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_replayed_once() {
        let outbox = outbox_with_dead(250).await;
        assert_eq!(replay(&outbox, REPLAY_LIMIT).await.unwrap(), 250);
        let backlog = outbox.backlog().await.unwrap();
        assert_eq!((backlog.waiting, backlog.dead), (250, 0));
        assert_eq!(replay(&outbox, REPLAY_LIMIT).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_time_leaves_the_rest() {
        let outbox = outbox_with_dead(3).await;
        assert_eq!(replay(&outbox, 0).await.unwrap(), 0);
        assert_eq!(outbox.backlog().await.unwrap().dead, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_letter_says_what_was_to_be_told_and_why_it_was_not() {
        let outbox = outbox_with_dead(1).await;
        let letters = outbox.dead(0, 1).await.unwrap();
        assert_eq!(
            tell_letter(&letters[0]).to_string(),
            r#"{"connectionId":"AQEBAQEBAQAAAAAAAAAAAAAAAAAAAAA=","apiId":"chat","stage":"dev","nodeId":"010101010101","eventId":"NbeyAY6f1gFLCkpobkr0gg","connectedAt":"2023-11-14T22:13:20.000Z","sourceIp":"127.0.0.1","endedAt":"2023-11-14T22:13:21.000Z","disconnectStatusCode":1006,"disconnectReason":"node lost","attempts":0,"lastError":"the backend answered 500","givenUpAt":"2023-11-14T22:13:20.000Z"}"#
        );
    }

    #[test]
    fn the_oldest_has_its_time_where_there_is_one() {
        let told = |waiting, oldest| {
            let backlog = Backlog {
                waiting,
                oldest,
                dead: 4,
            };
            tell_backlog(&backlog, 1_700_000_060_000).to_string()
        };
        assert_eq!(
            told(0, 0),
            r#"{"waiting":0,"oldestSince":null,"deadLetters":4}"#
        );
        assert_eq!(
            told(2, 60_000),
            r#"{"waiting":2,"oldestSince":"2023-11-14T22:13:20.000Z","deadLetters":4}"#
        );
    }
}
