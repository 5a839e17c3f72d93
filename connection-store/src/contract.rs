//! The behaviours that every [`ConnectionStore`] must show; each backend's tests run them.

use std::sync::Arc;

use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, NodeId};

use crate::{ConnectionRecord, ConnectionStore, Filter, Lease, Page, Registration};

const NODE: NodeId = NodeId([7; 6]);

/// Runs everything on an empty store and leaves it empty.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn all(store: &dyn ConnectionStore) {
    a_registered_connection_is_listed_until_it_is_unregistered(store).await;
    registering_twice_changes_nothing(store).await;
    unregistering_an_unknown_connection_is_no_error(store).await;
    pages_cover_everything_once(store).await;
    filters_choose_by_api_and_stage(store).await;
    a_living_node_holds_its_lease(store).await;
}

fn record(n: u8, api: &str, stage: &str) -> ConnectionRecord {
    let connection = Connection {
        id: ConnectionId::new(NODE, [n; 16]),
        api_id: api.into(),
        stage: stage.into(),
        connected_at: 1_700_000_000_000 + u64::from(n),
        source_ip: [127, 0, 0, 1].into(),
        user_agent: None,
        domain_name: "localhost:8080".into(),
        authorizer: None,
    };
    ConnectionRecord {
        connection: Arc::new(connection),
        node: NODE,
    }
}

async fn list(store: &dyn ConnectionStore, filter: Filter) -> Vec<ConnectionRecord> {
    let page = Page {
        after: None,
        limit: 1000,
    };
    store.list(&filter, page).await.expect("lists").records
}

async fn a_registered_connection_is_listed_until_it_is_unregistered(store: &dyn ConnectionStore) {
    let one = record(1, "chat", "dev");
    assert_eq!(store.register(one.clone()).await, Ok(Registration::Done));
    assert_eq!(
        list(store, Filter::default()).await,
        std::slice::from_ref(&one)
    );
    store
        .unregister(&one.connection.id)
        .await
        .expect("unregisters");
    assert_eq!(list(store, Filter::default()).await, []);
}

async fn registering_twice_changes_nothing(store: &dyn ConnectionStore) {
    let one = record(1, "chat", "dev");
    store.register(one.clone()).await.expect("registers");
    store.register(one.clone()).await.expect("registers again");
    assert_eq!(list(store, Filter::default()).await.len(), 1);
    store
        .unregister(&one.connection.id)
        .await
        .expect("unregisters");
}

async fn unregistering_an_unknown_connection_is_no_error(store: &dyn ConnectionStore) {
    let id = ConnectionId::new(NODE, [99; 16]);
    assert_eq!(store.unregister(&id).await, Ok(()));
}

async fn pages_cover_everything_once(store: &dyn ConnectionStore) {
    for n in 0..10 {
        store
            .register(record(n, "chat", "dev"))
            .await
            .expect("registers");
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .list(&Filter::default(), Page { after, limit: 3 })
            .await
            .expect("lists");
        assert!(page.records.len() <= 3);
        seen.extend(page.records.iter().map(|record| record.connection.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 10);
    assert!(seen.is_sorted());
    for id in seen {
        store.unregister(&id).await.expect("unregisters");
    }
}

async fn filters_choose_by_api_and_stage(store: &dyn ConnectionStore) {
    let records = [
        record(1, "chat", "dev"),
        record(2, "chat", "prod"),
        record(3, "game", "dev"),
    ];
    for record in &records {
        store.register(record.clone()).await.expect("registers");
    }
    let filter = |api: Option<&str>, stage: Option<&str>| Filter {
        api_id: api.map(Into::into),
        stage: stage.map(Into::into),
    };
    assert_eq!(list(store, filter(Some("chat"), None)).await, records[..2]);
    assert_eq!(list(store, filter(None, Some("dev"))).await.len(), 2);
    assert_eq!(list(store, filter(Some("game"), Some("prod"))).await, []);
    for record in &records {
        store
            .unregister(&record.connection.id)
            .await
            .expect("unregisters");
    }
}

async fn a_living_node_holds_its_lease(store: &dyn ConnectionStore) {
    store.renew(&NODE).await.expect("renews");
    assert_eq!(store.renew(&NODE).await, Ok(Lease::Held));
}
