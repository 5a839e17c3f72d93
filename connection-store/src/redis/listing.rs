//! Reading the registry: which nodes there are, and pages of their connections.

use futures_util::future::try_join_all;
use gateway_core::id::{ConnectionId, NodeId};
use tokio::time::Instant;

use super::script::{Step, scripts};
use super::store::{MOST_IN_A_STEP, RedisStore};
use super::{keys, pack};
use crate::{ConnectionRecord, Filter, Listing, NodeEntry, Page, StoreError};

scripts! {
    NODES = "nodes.lua",
    LOOK = "look.lua",
}

/// So many records are read for a page, whatever its filter lets pass.
const MOST_READ_FOR_A_PAGE: usize = 10_000;

impl RedisStore {
    pub(super) async fn entries(&self) -> Result<Vec<NodeEntry>, StoreError> {
        let deadline = self.redis.deadline();
        let known = self.known_nodes(deadline).await?;
        try_join_all(known.into_iter().map(|node| self.look(node, deadline))).await
    }

    pub(super) async fn page(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        let deadline = self.redis.deadline();
        let nodes: Vec<NodeId> = if let Some(node) = filter.node {
            vec![node]
        } else {
            let known = self.known_nodes(deadline).await?;
            known.into_iter().map(|(id, _)| id).collect()
        };
        let first = page.after.map(|id| id.node());
        let mut reading = Reading {
            store: self,
            filter,
            limit: page.limit.max(1),
            deadline,
            records: Vec::new(),
            read: 0,
            last: page.after,
        };
        for node in nodes {
            let wanted = first.is_none_or(|first| node >= first);
            if wanted && reading.read_node(node).await? == Progress::Stopped {
                let next = reading.last;
                return Ok(Listing {
                    records: reading.records,
                    next,
                });
            }
        }
        Ok(Listing {
            records: reading.records,
            next: None,
        })
    }

    /// Who is there, and how long each has been silent.
    async fn known_nodes(&self, deadline: Instant) -> Result<Vec<(NodeId, u64)>, StoreError> {
        let step = Step::on([keys::NODES.to_owned()]);
        let found: Vec<Vec<u8>> = self.run(&NODES, step, deadline).await?;
        let number = |bytes: &[u8]| -> Option<u64> {
            let number: f64 = str::from_utf8(bytes).ok()?.parse().ok()?;
            #[allow(clippy::cast_sign_loss)] // Below zero is 0.
            Some(number as u64)
        };
        let (now, found) = (found.split_first())
            .and_then(|(now, found)| Some((number(now)?, found)))
            .ok_or_else(|| StoreError::Corrupt("no time with the nodes".to_owned()))?;
        let mut nodes = Vec::with_capacity(found.len() / 2);
        for pair in found.chunks(2) {
            let id = str::from_utf8(&pair[0]).ok().and_then(|id| id.parse().ok());
            match (id, pair.get(1).and_then(|score| number(score))) {
                (Some(id), Some(renewed)) => nodes.push((id, now.saturating_sub(renewed))),
                _ => self.pass_over(&pack::Poison::new("what is no node"), keys::NODES),
            }
        }
        nodes.sort_unstable();
        Ok(nodes)
    }

    async fn look(
        &self,
        (id, silent_for): (NodeId, u64),
        deadline: Instant,
    ) -> Result<NodeEntry, StoreError> {
        let step = Step::on([keys::lease(id), keys::connections(id)]);
        let (told, connections): (Option<Vec<u8>>, u64) = self.run(&LOOK, step, deadline).await?;
        let info = told.and_then(|told| {
            let info = pack::unpack_info(id, &told);
            info.inspect_err(|poison| self.pass_over(poison, &keys::lease(id)))
                .ok()
        });
        Ok(NodeEntry {
            id,
            info,
            silent_for,
            connections,
        })
    }

    /// Members of one node after an id, in their order.
    async fn members(
        &self,
        node: NodeId,
        after: Option<ConnectionId>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = match after {
            None => b"-".to_vec(),
            Some(id) => [b"(", &id.random()[..], b"\xff"].concat(),
        };
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(keys::connections(node)).arg(from).arg("+");
        command.arg("LIMIT").arg(0).arg(limit);
        self.redis
            .read(self.redis.call_by(&command, deadline).await?)
    }
}

#[derive(PartialEq)]
enum Progress {
    Stopped,
    NodeDone,
}

/// A page on its way.
struct Reading<'a> {
    store: &'a RedisStore,
    filter: &'a Filter,
    limit: usize,
    deadline: Instant,
    records: Vec<ConnectionRecord>,
    /// How many were looked at, and the last of them.
    read: usize,
    last: Option<ConnectionId>,
}

impl Reading<'_> {
    async fn read_node(&mut self, node: NodeId) -> Result<Progress, StoreError> {
        loop {
            // One more than fits says whether the page is the last.
            let chunk = (self.limit - self.records.len() + 1).min(MOST_IN_A_STEP);
            let after = self.last.filter(|last| last.node() == node);
            let members = self.store.members(node, after, chunk, self.deadline);
            let members = members.await?;
            for member in &members {
                let id = pack::member_id(node, member);
                match pack::unpack_member(node, member) {
                    Ok(record) if self.filter.admits(&record) => {
                        if self.records.len() == self.limit {
                            return Ok(Progress::Stopped);
                        }
                        self.records.push(record);
                    }
                    Ok(_) => {}
                    Err(poison) => self.store.pass_over(&poison, &keys::connections(node)),
                }
                self.last = id.or(self.last);
            }
            self.read += members.len();
            if members.len() < chunk {
                self.last = Some(ConnectionId::new(node, [0xff; 16]));
                // Half of the time is left for one more round trip.
                let half_over = self.deadline - Instant::now() < self.store.redis.limit() / 2;
                return Ok(if half_over {
                    Progress::Stopped
                } else {
                    Progress::NodeDone
                });
            }
            if self.read >= MOST_READ_FOR_A_PAGE {
                return Ok(Progress::Stopped);
            }
        }
    }
}
