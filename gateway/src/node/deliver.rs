//! How an order for a connection reaches its socket.

use std::sync::Arc;

use bytes::Bytes;
use connection_store::{ConnectionStore, Fate};
use gateway_core::call::Connection;
use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, NodeId};
use gateway_core::session::CloseCause;

use super::{Pushed, Sessions};
use crate::codec::{self, FrameKind};
use crate::env;

/// What one caller, here or on another node, asks of a connection.
#[derive(Debug, Clone)]
pub enum Order {
    /// Send a message. `None` lets the API's preset decide between text and binary.
    Send {
        /// The payload.
        payload: Bytes,
        /// Forced kind.
        kind: Option<FrameKind>,
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

/// What came of an order.
#[derive(Debug, Clone)]
pub enum Delivered {
    /// The frame was written, or queued on the live socket.
    Sent,
    /// The handshake is under way; the frame is written right after the 101.
    Held,
    /// What is known.
    Description {
        /// The fixed facts.
        connection: Arc<Connection>,
        /// Wall-clock milliseconds of the last message in either direction.
        last_active_at: u64,
    },
    /// The close is ordered.
    Closing,
}

/// This node's place among all.
#[derive(Debug)]
pub struct Node {
    /// This incarnation.
    pub id: NodeId,
    /// Who is here.
    pub sessions: Sessions,
    /// What all nodes share.
    pub store: Arc<dyn ConnectionStore>,
}

impl Node {
    /// Carries an order out for a connection of `api_id` and `stage`.
    ///
    /// A 200 made from [`Delivered::Sent`] promises that the frame is written, or stands in the live socket's bounded
    /// queue, which is written before any close that we start ourselves. It is lost only if the peer stops reading, its
    /// link fails, or this process is killed. [`Failure::Gone`] is answered only where the owner's own table says so.
    pub async fn send(
        &self,
        id: &ConnectionId,
        api_id: &str,
        stage: &str,
        order: &Order,
    ) -> Result<Delivered, Failure> {
        if id.node() != self.id {
            // Only a fence proves that the owner never acts again; anything else is not known.
            return Err(match self.store.fate(&id.node()).await {
                Ok(Fate::Fenced) => Failure::Gone,
                Ok(Fate::Live | Fate::Unknown) | Err(_) => Failure::Unknown,
            });
        }
        let live = self.sessions.find(id).ok_or(Failure::Gone)?;
        // Ids are bound to their API and stage: another address does not reach them.
        if *live.connection.api_id != *api_id || *live.connection.stage != *stage {
            return Err(Failure::Gone);
        }
        match order {
            Order::Send { payload, kind } => {
                let deployed = live.stage.load();
                let limits = &deployed.live.limits;
                if let Some(limit) = limits.max_message_bytes
                    && payload.len() > limit as usize
                {
                    return Err(Failure::PayloadTooLarge(u64::from(limit)));
                }
                match live.outlet.push(encode(limits, payload, *kind)) {
                    Pushed::Accepted => Ok(Delivered::Sent),
                    Pushed::Held => Ok(Delivered::Held),
                    Pushed::Full => Err(Failure::Busy),
                    Pushed::Gone => Err(Failure::Gone),
                }
            }
            Order::Describe if live.outlet.is_open() => {
                let ago = env::now().saturating_sub(live.outlet.last_message());
                Ok(Delivered::Description {
                    connection: Arc::clone(&live.connection),
                    last_active_at: env::wall()
                        .saturating_sub(ago)
                        .max(live.connection.connected_at),
                })
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
