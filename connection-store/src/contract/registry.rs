//! What every [`ConnectionStore`] must do.

use std::collections::BTreeSet;

use gateway_core::id::{ConnectionId, NodeId};
use tokio::time::{Instant, sleep};

use super::{LEASE, MARGIN, NODE, SETTLED, drain, id_of, info, owed, record};
use crate::{
    Burial, ConnectionRecord, ConnectionStore, Fate, Fencing, Filter, Lease, Outbox, Page,
    Registration, StoreError,
};

/// Runs everything on a new, empty store, of which `other` is another client, and leaves it without connections. Every behaviour
/// has nodes of its own, since a fence lasts.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all<S: ConnectionStore + Outbox>(store: &S, other: &S) {
    a_stranger_is_absent_only_once_the_data_have_settled(store).await;
    a_registered_connection_is_listed_until_it_is_unregistered(store, other).await;
    unregistering_an_unknown_connection_is_no_error(store).await;
    nothing_at_all_can_be_registered_and_unregistered(store).await;
    pages_cover_everything_once_across_nodes(store).await;
    filters_choose_by_api_stage_and_node(store).await;
    a_lease_is_held_until_it_lapses(store).await;
    a_node_is_listed_with_what_it_told(store).await;
    only_a_node_whose_lease_lapsed_is_fenced(store, other).await;
    a_fenced_node_can_neither_register_nor_renew(store).await;
    only_a_fenced_node_is_buried(store).await;
    a_burial_moves_every_end_to_the_outbox(store).await;
    an_interrupted_burial_is_finished_by_another(store, other).await;
    two_burials_at_once_lose_nothing(store, other).await;
    a_retired_node_is_gone_for_certain(store, other).await;
    what_a_retired_node_left_is_buried(store).await;
    store.retire(&NODE).await.expect("retires");
}

async fn list(store: &impl ConnectionStore, filter: Filter) -> Vec<ConnectionRecord> {
    pages(store, filter, 1000).await
}

async fn pages(
    store: &impl ConnectionStore,
    filter: Filter,
    limit: usize,
) -> Vec<ConnectionRecord> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit };
        let listing = store.list(&filter, page).await.expect("lists");
        assert!(listing.records.len() <= limit);
        found.extend(listing.records);
        assert!(
            listing.next.is_none() || listing.next > after,
            "pages advance"
        );
        after = listing.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn unregister(store: &impl ConnectionStore, records: &[ConnectionRecord]) {
    let ids: Vec<_> = records.iter().map(id_of).collect();
    store.unregister(&ids).await.expect("unregisters");
}

/// A node that renewed and has these many connections.
async fn node_with(store: &impl ConnectionStore, node: NodeId, n: u8) -> Vec<ConnectionRecord> {
    store.renew(&info(node)).await.expect("renews");
    let records: Vec<_> = (0..n).map(|n| record(node, n, "chat", "dev")).collect();
    let registered = store.register(&records).await;
    assert_eq!(registered, Ok(Registration::Done));
    records
}

async fn lapse() {
    sleep(LEASE + MARGIN).await;
}

/// Buries all of a node, waiting while another has the right.
async fn bury(store: &impl ConnectionStore, node: NodeId, limit: usize) -> usize {
    let (mut moved, began) = (0, Instant::now());
    loop {
        let end = (1006, "its node is gone");
        match store.bury(&node, end, limit).await.expect("buries") {
            Burial::More(n) => {
                assert!(n <= limit);
                moved += n;
            }
            Burial::Done(n) => return moved + n,
            Burial::Taken => sleep(LEASE / 8).await,
        }
        assert!(began.elapsed() < LEASE * 10, "the burial does not end");
    }
}

async fn a_stranger_is_absent_only_once_the_data_have_settled(store: &impl ConnectionStore) {
    let stranger = NodeId([99; 6]);
    assert_eq!(store.fate(&stranger).await, Ok(Fate::Unknown));
    sleep(SETTLED + MARGIN).await;
    assert_eq!(store.fate(&stranger).await, Ok(Fate::Absent));
}

async fn a_registered_connection_is_listed_until_it_is_unregistered(
    store: &impl ConnectionStore,
    other: &impl ConnectionStore,
) {
    store.renew(&info(NODE)).await.expect("renews");
    let one = record(NODE, 1, "chat", "dev");
    for _ in 0..2 {
        let registered = store.register(std::slice::from_ref(&one)).await;
        assert_eq!(registered, Ok(Registration::Done));
        let found = list(other, Filter::default()).await;
        assert_eq!(found, std::slice::from_ref(&one));
        let renewal = store.renew(&info(NODE)).await.expect("renews");
        assert_eq!(renewal.registered, 1);
    }
    unregister(store, &[one]).await;
    assert_eq!(list(other, Filter::default()).await, []);
}

async fn unregistering_an_unknown_connection_is_no_error(store: &impl ConnectionStore) {
    for node in [NODE, NodeId([98; 6])] {
        let unknown = id_of(&record(node, 99, "chat", "dev"));
        assert_eq!(store.unregister(&[unknown]).await, Ok(()));
    }
}

async fn nothing_at_all_can_be_registered_and_unregistered(store: &impl ConnectionStore) {
    assert_eq!(store.register(&[]).await, Ok(Registration::Done));
    assert_eq!(store.unregister(&[]).await, Ok(()));
}

async fn pages_cover_everything_once_across_nodes(store: &impl ConnectionStore) {
    let mut records = node_with(store, NodeId([2; 6]), 7).await;
    records.extend(node_with(store, NodeId([3; 6]), 5).await);
    for limit in [1, 2, 3, 5, 12, 13] {
        assert_eq!(
            pages(store, Filter::default(), limit).await,
            records,
            "{limit} a page"
        );
    }
    let after = Some(ConnectionId::new(NodeId([2; 6]), [0xff; 16]));
    let page = store
        .list(&Filter::default(), Page { after, limit: 2 })
        .await;
    assert_eq!(page.expect("lists").records, records[7..9]);
    unregister(store, &records[..7]).await;
    unregister(store, &records[7..]).await;
    for node in [[2; 6], [3; 6]] {
        store.retire(&NodeId(node)).await.expect("retires");
    }
}

async fn filters_choose_by_api_stage_and_node(store: &impl ConnectionStore) {
    let records = [
        record(NODE, 1, "chat", "dev"),
        record(NODE, 2, "chat", "prod"),
        record(NODE, 3, "game", "dev"),
    ];
    store.register(&records).await.expect("registers");
    let filter = |api: Option<&str>, stage: Option<&str>, node| Filter {
        api_id: api.map(Into::into),
        stage: stage.map(Into::into),
        node,
    };
    let some = Some(NODE);
    assert_eq!(
        list(store, filter(Some("chat"), None, some)).await,
        records[..2]
    );
    assert_eq!(list(store, filter(None, Some("dev"), None)).await.len(), 2);
    assert_eq!(
        list(store, filter(Some("game"), Some("prod"), some)).await,
        []
    );
    let elsewhere = Some(NodeId([97; 6]));
    assert_eq!(list(store, filter(None, None, elsewhere)).await, []);
    let wanted = filter(Some("game"), None, None);
    assert_eq!(pages(store, wanted, 1).await, records[2..]);
    unregister(store, &records).await;
}

async fn a_lease_is_held_until_it_lapses(store: &impl ConnectionStore) {
    let node = NodeId([10; 6]);
    let first = store.renew(&info(node)).await.expect("renews");
    assert_eq!((first.lease, first.registered), (Lease::Lapsed, 0));
    assert_eq!(store.fate(&node).await, Ok(Fate::Live));
    sleep(MARGIN).await;
    let second = store.renew(&info(node)).await.expect("renews");
    assert_eq!(second.lease, Lease::Held);
    assert!(second.time > first.time, "the store's clock goes on");
    lapse().await;
    assert_eq!(store.fate(&node).await, Ok(Fate::Unknown));
    let third = store.renew(&info(node)).await.expect("renews");
    assert_eq!(third.lease, Lease::Lapsed);
    assert_eq!(store.fate(&node).await, Ok(Fate::Live));
    store.retire(&node).await.expect("retires");
}

async fn a_node_is_listed_with_what_it_told(store: &impl ConnectionStore) {
    let (low, high) = (NodeId([11; 6]), NodeId([12; 6]));
    let records = node_with(store, high, 3).await;
    node_with(store, low, 0).await;
    let mut unlinked = info(low);
    unlinked.link = None;
    store.renew(&unlinked).await.expect("renews");
    let entries = async || {
        let mut nodes = store.nodes().await.expect("lists");
        nodes.retain(|entry| [low, high].contains(&entry.id));
        nodes
    };
    let nodes = entries().await;
    let told: Vec<_> = nodes.iter().map(|entry| entry.info.clone()).collect();
    assert_eq!(told, [Some(unlinked), Some(info(high))]);
    let counts: Vec<_> = nodes.iter().map(|entry| entry.connections).collect();
    assert_eq!(counts, [0, 3]);
    let lease = u64::try_from(LEASE.as_millis()).expect("it is short");
    assert!(
        nodes.iter().all(|entry| entry.silent_for < lease),
        "{nodes:?}"
    );
    lapse().await;
    let nodes = entries().await;
    assert!(
        nodes
            .iter()
            .all(|entry| entry.info.is_none() && entry.silent_for >= lease)
    );
    unregister(store, &records).await;
    for node in [low, high] {
        store.retire(&node).await.expect("retires");
    }
    assert_eq!(entries().await, []);
}

async fn only_a_node_whose_lease_lapsed_is_fenced(
    store: &impl ConnectionStore,
    other: &impl ConnectionStore,
) {
    let node = NodeId([13; 6]);
    node_with(store, node, 1).await;
    assert_eq!(other.fence(&node).await, Ok(Fencing::Alive));
    assert_eq!(store.fate(&node).await, Ok(Fate::Live));
    lapse().await;
    assert_eq!(store.fate(&node).await, Ok(Fate::Unknown));
    for _ in 0..2 {
        assert_eq!(other.fence(&node).await, Ok(Fencing::Fenced));
        assert_eq!(store.fate(&node).await, Ok(Fate::Fenced));
    }
}

/// Goes on with the node of the one before.
async fn a_fenced_node_can_neither_register_nor_renew<S: ConnectionStore + Outbox>(store: &S) {
    let node = NodeId([13; 6]);
    let (old, new) = (
        record(node, 0, "chat", "dev"),
        record(node, 9, "chat", "dev"),
    );
    let registered = store.register(&[old.clone(), new]).await;
    assert_eq!(registered, Ok(Registration::Fenced));
    let renewal = store.renew(&info(node)).await.expect("renews");
    assert_eq!(renewal.lease, Lease::Fenced);
    assert_eq!(
        list(store, Filter::default()).await,
        [old],
        "and nothing was written"
    );
    let nodes = store.nodes().await.expect("lists");
    assert!(nodes.iter().any(|entry| entry.id == node), "not buried yet");
    assert_eq!(bury(store, node, 10).await, 1);
    assert_eq!(drain(store).await.len(), 1);
}

async fn only_a_fenced_node_is_buried(store: &impl ConnectionStore) {
    let node = NodeId([14; 6]);
    let records = node_with(store, node, 2).await;
    let refused = store.bury(&node, (1006, "gone"), 10).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(list(store, Filter::default()).await, records);
    unregister(store, &records).await;
    store.retire(&node).await.expect("retires");
}

async fn a_burial_moves_every_end_to_the_outbox<S: ConnectionStore + Outbox>(store: &S) {
    let node = NodeId([15; 6]);
    let records = node_with(store, node, 7).await;
    lapse().await;
    assert_eq!(store.fence(&node).await, Ok(Fencing::Fenced));
    assert_eq!(bury(store, node, 3).await, 7);
    assert_eq!(list(store, Filter::default()).await, []);
    let nodes = store.nodes().await.expect("lists");
    assert!(
        nodes.iter().all(|entry| entry.id != node),
        "it is forgotten"
    );
    assert_eq!(
        store.fate(&node).await,
        Ok(Fate::Fenced),
        "but for its fence"
    );
    assert_eq!(bury(store, node, 3).await, 0);
    let ends = drain(store).await;
    let found: BTreeSet<_> = ends.iter().map(|end| id_of(&end.record)).collect();
    assert_eq!(found, records.iter().map(id_of).collect());
    for end in ends {
        assert_eq!((end.code, end.reason.as_str()), (1006, "its node is gone"));
        assert!(
            end.ended_at > 1_600_000_000_000,
            "in milliseconds of the epoch"
        );
        assert!(records.contains(&end.record));
    }
}

async fn an_interrupted_burial_is_finished_by_another<S: ConnectionStore + Outbox>(
    store: &S,
    other: &S,
) {
    let node = NodeId([16; 6]);
    let records = node_with(store, node, 6).await;
    // As if the first had died between the outbox and the registry.
    store.put(&[owed(&records[5])]).await.expect("puts");
    lapse().await;
    assert_eq!(store.fence(&node).await, Ok(Fencing::Fenced));
    let first = store.bury(&node, (1006, "its node is gone"), 2).await;
    assert_eq!(first, Ok(Burial::More(2)));
    assert_eq!(bury(other, node, 2).await, 4);
    let ends = drain(store).await;
    let found: BTreeSet<_> = ends.iter().map(|end| id_of(&end.record)).collect();
    assert_eq!((ends.len(), found.len()), (6, 6), "each once");
    assert!(
        ends.contains(&owed(&records[5])),
        "the first to be put stays"
    );
}

async fn two_burials_at_once_lose_nothing<S: ConnectionStore + Outbox>(store: &S, other: &S) {
    let node = NodeId([17; 6]);
    node_with(store, node, 40).await;
    lapse().await;
    assert_eq!(store.fence(&node).await, Ok(Fencing::Fenced));
    tokio::join!(bury(store, node, 3), bury(other, node, 3));
    assert_eq!(list(store, Filter::default()).await, []);
    assert_eq!(drain(store).await.len(), 40);
}

async fn a_retired_node_is_gone_for_certain(
    store: &impl ConnectionStore,
    other: &impl ConnectionStore,
) {
    let node = NodeId([18; 6]);
    node_with(store, node, 0).await;
    store.retire(&node).await.expect("retires");
    assert_eq!(other.fate(&node).await, Ok(Fate::Fenced));
    let nodes = other.nodes().await.expect("lists");
    assert!(nodes.iter().all(|entry| entry.id != node));
    let registered = store.register(&[record(node, 1, "chat", "dev")]).await;
    assert_eq!(registered, Ok(Registration::Fenced));
    let renewal = store.renew(&info(node)).await.expect("renews");
    assert_eq!(renewal.lease, Lease::Fenced);
    store.retire(&node).await.expect("retires again");
}

async fn what_a_retired_node_left_is_buried<S: ConnectionStore + Outbox>(store: &S) {
    let node = NodeId([19; 6]);
    node_with(store, node, 2).await;
    store.retire(&node).await.expect("retires");
    let nodes = store.nodes().await.expect("lists");
    assert!(
        nodes
            .iter()
            .any(|entry| entry.id == node && entry.connections == 2)
    );
    assert_eq!(store.fence(&node).await, Ok(Fencing::Fenced));
    assert_eq!(bury(store, node, 10).await, 2);
    assert_eq!(drain(store).await.len(), 2);
}
