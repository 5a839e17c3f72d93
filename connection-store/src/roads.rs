//! Both roads as one: the link to nodes that have an address, Redis to all others and where the link fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::NodeId;
use tokio::time::Instant;

use crate::{BusError, LinkBus, NodeBus};

/// Takes the link where it can. The other road only follows where the first one surely carried nothing, so that
/// no order is acted upon twice.
#[derive(Debug)]
pub struct Roads {
    link: Option<Arc<LinkBus>>,
    other: Arc<dyn NodeBus>,
}

impl Roads {
    /// `link` is `None` where this node has none.
    pub fn new(link: Option<Arc<LinkBus>>, other: Arc<dyn NodeBus>) -> Self {
        Self { link, other }
    }
}

#[async_trait]
impl NodeBus for Roads {
    async fn request(&self, to: &NodeId, order: Bytes, limit: Duration) -> Result<Bytes, BusError> {
        let Some(link) = self.link.as_ref().filter(|link| link.knows(to)) else {
            return self.other.request(to, order, limit).await;
        };
        let started = Instant::now();
        let answer = link.request(to, order.clone(), limit).await;
        let Err(BusError::Unreachable(why)) = answer else {
            return answer;
        };
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(BusError::Unreachable(why));
        }
        match self.other.request(to, order, left).await {
            Err(BusError::Unreachable(other)) => {
                let both = format!("over the link: {why}; else: {other}");
                Err(BusError::Unreachable(both))
            }
            answer => answer,
        }
    }

    /// What is wrong with either road.
    fn deaf(&self) -> Option<String> {
        let link = self.link.as_ref().and_then(|link| link.deaf());
        link.or_else(|| self.other.deaf())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{ClusterKey, Inbox, LinkSettings, StoreClock};

    const OWNER: NodeId = NodeId([2; 6]);

    /// Answers all the same; remembers the time limits that it was given.
    #[derive(Debug)]
    struct Other(Result<Bytes, BusError>, Mutex<Vec<Duration>>);

    #[async_trait]
    impl NodeBus for Other {
        async fn request(&self, _: &NodeId, _: Bytes, limit: Duration) -> Result<Bytes, BusError> {
            self.1.lock().unwrap().push(limit);
            self.0.clone()
        }

        fn deaf(&self) -> Option<String> {
            Some("it hears nothing".to_owned())
        }
    }

    #[derive(Debug)]
    struct Echo;

    impl Inbox for Echo {
        fn receive(&self, _: NodeId, order: Bytes) -> Option<Bytes> {
            (order != "silence").then(|| Bytes::from_static(b"by link"))
        }
    }

    fn link(node: NodeId) -> Arc<LinkBus> {
        let key = ClusterKey::new(&"k".repeat(32)).unwrap();
        let clock = Arc::new(StoreClock::new(|| 0, 0));
        Arc::new(LinkBus::new(LinkSettings {
            connect: Duration::from_secs(2),
            ..LinkSettings::new(node, key, clock, || [7; 32])
        }))
    }

    const BY_OTHER: Result<Bytes, BusError> = Ok(Bytes::from_static(b"by other"));

    /// What is answered within a second, and how many orders went the other way.
    async fn ask(
        link: Option<Arc<LinkBus>>,
        other: Result<Bytes, BusError>,
        order: &'static [u8],
    ) -> (Result<Bytes, BusError>, usize) {
        let other = Arc::new(Other(other, Mutex::default()));
        let roads = Roads::new(link, other.clone());
        let limit = Duration::from_secs(1);
        let order = Bytes::from_static(order);
        let answer = roads.request(&OWNER, order, limit).await;
        let limits = other.1.lock().unwrap();
        assert!(limits.iter().all(|given| *given <= limit));
        (answer, limits.len())
    }

    async fn owner() -> (Arc<LinkBus>, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let owner = link(OWNER);
        owner.serve(listener, Arc::new(Echo));
        (owner, address)
    }

    #[tokio::test]
    async fn a_node_without_an_address_is_reached_the_other_way() {
        assert_eq!(ask(None, BY_OTHER, b"x").await, (BY_OTHER, 1));
        let link = link(NodeId([1; 6]));
        assert_eq!(ask(Some(link), BY_OTHER, b"x").await, (BY_OTHER, 1));
    }

    #[tokio::test]
    async fn the_link_comes_first_and_silence_on_it_is_never_asked_again() {
        let (_owner, address) = owner().await;
        let link = link(NodeId([1; 6]));
        link.set_peers([(OWNER, address)]);
        let by_link = Ok(Bytes::from_static(b"by link"));
        let link = Some(link);
        assert_eq!(ask(link.clone(), BY_OTHER, b"x").await, (by_link, 0));
        let silence = ask(link.clone(), BY_OTHER, b"silence").await;
        assert_eq!(silence, (Err(BusError::Unanswered), 0));
    }

    #[tokio::test]
    async fn where_the_link_fails_the_other_road_has_the_time_that_is_left() {
        let (owner, address) = owner().await;
        owner.stop().await;
        let link = link(NodeId([1; 6]));
        link.set_peers([(OWNER, address)]);
        assert_eq!(ask(Some(link.clone()), BY_OTHER, b"x").await, (BY_OTHER, 1));
        let neither = Err(BusError::Unreachable("no road".to_owned()));
        let (answer, asked) = ask(Some(link.clone()), neither, b"x").await;
        let why = answer.unwrap_err().to_string();
        assert!(
            why.contains("no road") && why.contains("a moment ago"),
            "{why}"
        );
        assert_eq!(asked, 1);
        let roads = Roads::new(Some(link), Arc::new(Other(BY_OTHER, Mutex::default())));
        assert_eq!(roads.deaf().as_deref(), Some("it hears nothing"));
    }
}
