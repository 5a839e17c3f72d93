//! How an order for a connection reaches its socket.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gateway_core::call::Connection;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::session::CloseCause;

use super::{Cluster, LiveConnection, Once, Pushed, Registry, Retries, Sessions};
use crate::codec::{self, FrameKind};
use crate::env;

/// What one caller, here or on another node, asks of a connection.
#[derive(Debug, Clone)]
pub enum Order {
    /// Send a message.
    Send {
        /// The payload.
        payload: Bytes,
        /// Forced kind. `None` lets the API's preset decide between text and binary.
        kind: Option<FrameKind>,
        /// What makes another request the same push.
        once: Option<Once>,
    },
    /// Tell about it.
    Describe,
    /// Close it.
    Close {
        /// Code of the close frame.
        code: u16,
        /// Its reason.
        reason: String,
    },
}

/// "Connection Closed Normally", as a deleted connection reports it.
const DELETED: (u16, &str) = (1000, "Connection Closed Normally");

impl Order {
    /// A close as a query asks for it: a code that a server may send of its own accord, 1000 where none is named, and a
    /// reason that a close frame can hold.
    pub fn close(code: Option<&str>, reason: Option<String>) -> Result<Self, Failure> {
        let code = match code {
            None => DELETED.0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|code| may_close_with(*code))
                .ok_or_else(|| {
                    Failure::BadParameter(format!(
                        "code={text}: use 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999"
                    ))
                })?,
        };
        if reason.as_ref().is_some_and(|reason| reason.len() > 123) {
            return Err(Failure::BadParameter(
                "reason: a close frame holds 123 bytes at most".to_owned(),
            ));
        }
        let usual = if code == DELETED.0 { DELETED.1 } else { "" };
        Ok(Self::Close {
            code,
            reason: reason.unwrap_or_else(|| usual.to_owned()),
        })
    }
}

fn may_close_with(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1008 | 1011..=1013 | 3000..=4999)
}

/// Whose connections an order may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<Text> {
    /// Those of one stage, at whose address the caller asked: an id is bound to its API and stage, and at another address
    /// there is no such connection.
    Stage {
        /// The API.
        api_id: Text,
        /// Its stage.
        stage: Text,
    },
    /// Any: an operator asked, who names a connection by its id alone.
    Any,
}

impl Reach<&str> {
    fn admits(&self, connection: &Connection) -> bool {
        match self {
            Self::Stage { api_id, stage } => {
                *connection.api_id == **api_id && *connection.stage == **stage
            }
            Self::Any => true,
        }
    }
}

impl Reach<String> {
    /// The same, borrowed.
    pub fn as_ref(&self) -> Reach<&str> {
        match self {
            Self::Stage { api_id, stage } => Reach::Stage { api_id, stage },
            Self::Any => Reach::Any,
        }
    }
}

/// What came of an order.
#[derive(Debug, Clone)]
pub enum Delivered {
    /// The frame was written, or queued on the live socket.
    Sent,
    /// The handshake is under way; the frame is written right after the 101.
    Held,
    /// What is known.
    Description(Description),
    /// The close is ordered.
    Closing,
}

/// What its owner tells of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// When its handshake came, in milliseconds of the epoch.
    pub connected_at: u64,
    /// When the last message went in either direction, likewise.
    pub last_active_at: u64,
    /// The client's address.
    pub source_ip: IpAddr,
    /// The handshake's `User-Agent`.
    pub user_agent: Option<String>,
}

/// This node, by itself or among others.
#[derive(Debug)]
pub struct Node {
    /// This incarnation, the bytes of its id as a number. Another one after it was declared dead.
    id: AtomicU64,
    /// Until when it may act, by [`env::uptime`].
    acts_until: AtomicU64,
    /// Who is here.
    pub sessions: Sessions,
    /// Who is registered as being here.
    pub registry: Registry,
    /// The others; `None` where there never are any.
    pub cluster: Option<Cluster>,
    retries: Retries,
}

impl Node {
    /// A node by itself, or one of several, which may act once it is told so by [`may_act_until`](Self::may_act_until).
    pub fn new(id: NodeId, registry: Registry, cluster: Option<Cluster>) -> Self {
        let acts_until = if cluster.is_some() { 0 } else { u64::MAX };
        Self {
            id: AtomicU64::new(number(id)),
            acts_until: AtomicU64::new(acts_until),
            sessions: Sessions::default(),
            registry,
            cluster,
            retries: Retries::default(),
        }
    }

    /// This incarnation.
    pub fn id(&self) -> NodeId {
        let mut id = NodeId([0; NodeId::BYTES]);
        let bytes = self.id.load(Ordering::Acquire).to_be_bytes();
        id.0.copy_from_slice(&bytes[8 - NodeId::BYTES..]);
        id
    }

    /// From now on this is another incarnation: of the one before nothing may act any more.
    pub(super) fn become_node(&self, id: NodeId) {
        self.acts_until.store(0, Ordering::Release);
        self.id.store(number(id), Ordering::Release);
    }

    /// Whether frames may be handed to backends and orders be acted upon.
    pub fn is_acting(&self) -> bool {
        let until = self.acts_until.load(Ordering::Acquire);
        // A node by itself does not even look at the clock.
        until == u64::MAX || env::uptime() <= until
    }

    /// Whether it acts, and as the incarnation that the connection belongs to.
    pub fn acts_for(&self, id: &ConnectionId) -> bool {
        self.is_acting() && id.node() == self.id()
    }

    /// The node may act until then, by [`env::uptime`].
    pub(super) fn may_act_until(&self, until: u64) {
        self.acts_until.store(until, Ordering::Release);
    }

    /// Carries an order out for a connection within `reach`, wherever it is.
    ///
    /// A 200 made from [`Delivered::Sent`] promises that the frame is written, or stands in the live socket's bounded
    /// queue, which is written before any close that its node starts itself. It is lost only if the peer stops reading, its
    /// link fails, or the node is killed. [`Failure::Gone`] is answered only where the owner's own table says so, or
    /// where the owner is proven dead; silence is [`Failure::Unknown`].
    pub async fn send(
        &self,
        id: &ConnectionId,
        reach: Reach<&str>,
        order: &Order,
    ) -> Result<Delivered, Failure> {
        if id.node() == self.id() {
            return self.deliver(id, reach, order);
        }
        match &self.cluster {
            Some(cluster) => cluster.send(self.id(), id, reach, order).await,
            // Store and node are one process: another node is an earlier life of it and never acts again.
            None => Err(Failure::Gone),
        }
    }

    /// Carries an order out for a connection of this node.
    pub fn deliver(
        &self,
        id: &ConnectionId,
        reach: Reach<&str>,
        order: &Order,
    ) -> Result<Delivered, Failure> {
        if !self.is_acting() {
            return Err(Failure::Unknown);
        }
        let live = self.sessions.find(id).ok_or(Failure::Gone)?;
        if !reach.admits(&live.connection) {
            return Err(Failure::Gone);
        }
        match order {
            Order::Send {
                payload,
                kind,
                once,
            } => {
                let push = || push(&live, payload, *kind);
                match once {
                    Some(once) => self.retries.once(id, *once, push),
                    None => push(),
                }
            }
            Order::Describe if live.outlet.is_open() => {
                let ago = env::now().saturating_sub(live.outlet.last_message());
                let connection = &live.connection;
                Ok(Delivered::Description(Description {
                    connected_at: connection.connected_at,
                    last_active_at: env::wall().saturating_sub(ago).max(connection.connected_at),
                    source_ip: connection.source_ip,
                    user_agent: connection.user_agent.as_deref().map(str::to_owned),
                }))
            }
            Order::Close { code, reason } if live.outlet.is_open() => {
                live.outlet.close(CloseCause::Deleted {
                    code: *code,
                    reason: reason.clone(),
                });
                self.sessions.remove(id);
                Ok(Delivered::Closing)
            }
            Order::Describe | Order::Close { .. } => Err(Failure::Gone),
        }
    }
}

fn number(id: NodeId) -> u64 {
    let mut bytes = [0; 8];
    bytes[8 - NodeId::BYTES..].copy_from_slice(&id.0);
    u64::from_be_bytes(bytes)
}

fn push(
    live: &LiveConnection,
    payload: &Bytes,
    kind: Option<FrameKind>,
) -> Result<Delivered, Failure> {
    let deployed = live.stage.load();
    let limits = &deployed.live.limits;
    if let Some(limit) = limits.max_message_bytes
        && payload.len() > limit as usize
    {
        return Err(Failure::PayloadTooLarge(u64::from(limit)));
    }
    match live.outlet.push(encode(limits, payload, kind)) {
        Pushed::Accepted => Ok(Delivered::Sent),
        Pushed::Held => Ok(Delivered::Held),
        Pushed::Full => Err(Failure::Busy),
        Pushed::Gone => Err(Failure::Gone),
    }
}

/// A message as frames. AWS sends text whatever the bytes; we send binary where they are not UTF-8.
pub fn encode(
    limits: &gateway_core::resource::Limits,
    payload: &[u8],
    kind: Option<FrameKind>,
) -> Bytes {
    let fragment = limits
        .send_frame_bytes
        .map_or(usize::MAX, |bytes| bytes as usize);
    let text = std::str::from_utf8(payload);
    match (kind, text) {
        (Some(FrameKind::Binary), _) => codec::encode(FrameKind::Binary, payload, fragment),
        (None, Err(_)) if !limits.always_text => {
            codec::encode(FrameKind::Binary, payload, fragment)
        }
        (_, Ok(text)) => codec::encode(FrameKind::Text, text.as_bytes(), fragment),
        // A text frame must be UTF-8; what is not becomes U+FFFD, as on AWS.
        (_, Err(_)) => codec::encode(
            FrameKind::Text,
            String::from_utf8_lossy(payload).as_bytes(),
            fragment,
        ),
    }
}
