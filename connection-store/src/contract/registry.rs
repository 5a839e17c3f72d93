//! What every [`ConnectionStore`] must do.

use super::{NODE, info, record};
use crate::{ConnectionRecord, ConnectionStore, Filter, Lease, Page, Registration};

/// Runs everything on an empty store and leaves it empty.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all(store: &dyn ConnectionStore) {
    a_registered_connection_is_listed_until_it_is_unregistered(store).await;
    unregistering_an_unknown_connection_is_no_error(store).await;
    pages_cover_everything_once(store).await;
    filters_choose_by_api_stage_and_node(store).await;
    a_node_that_renews_in_time_holds_its_lease(store).await;
}

async fn list(store: &dyn ConnectionStore, filter: Filter) -> Vec<ConnectionRecord> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit: 1000 };
        let listing = store.list(&filter, page).await.expect("lists");
        found.extend(listing.records);
        after = listing.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn a_registered_connection_is_listed_until_it_is_unregistered(store: &dyn ConnectionStore) {
    store.renew(&info(NODE)).await.expect("renews");
    let one = record(NODE, 1, "chat", "dev");
    for _ in 0..2 {
        assert_eq!(
            store.register(std::slice::from_ref(&one)).await,
            Ok(Registration::Done)
        );
        assert_eq!(
            list(store, Filter::default()).await,
            std::slice::from_ref(&one)
        );
    }
    let ids = [one.connection.id];
    store.unregister(&ids).await.expect("unregisters");
    assert_eq!(list(store, Filter::default()).await, []);
}

async fn unregistering_an_unknown_connection_is_no_error(store: &dyn ConnectionStore) {
    let unknown = record(NODE, 99, "chat", "dev").connection.id;
    assert_eq!(store.unregister(&[unknown]).await, Ok(()));
}

async fn pages_cover_everything_once(store: &dyn ConnectionStore) {
    let records: Vec<_> = (0..10).map(|n| record(NODE, n, "chat", "dev")).collect();
    store.register(&records).await.expect("registers");
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
    store.unregister(&seen).await.expect("unregisters");
}

async fn filters_choose_by_api_stage_and_node(store: &dyn ConnectionStore) {
    let records = [
        record(NODE, 1, "chat", "dev"),
        record(NODE, 2, "chat", "prod"),
        record(NODE, 3, "game", "dev"),
    ];
    store.register(&records).await.expect("registers");
    let filter = |api: Option<&str>, stage: Option<&str>| Filter {
        api_id: api.map(Into::into),
        stage: stage.map(Into::into),
        node: Some(NODE),
    };
    assert_eq!(list(store, filter(Some("chat"), None)).await, records[..2]);
    assert_eq!(list(store, filter(None, Some("dev"))).await.len(), 2);
    assert_eq!(list(store, filter(Some("game"), Some("prod"))).await, []);
    let ids: Vec<_> = records.iter().map(|record| record.connection.id).collect();
    store.unregister(&ids).await.expect("unregisters");
}

async fn a_node_that_renews_in_time_holds_its_lease(store: &dyn ConnectionStore) {
    store.renew(&info(NODE)).await.expect("renews");
    let renewal = store.renew(&info(NODE)).await.expect("renews");
    assert_eq!(renewal.lease, Lease::Held);
}
