//! Tells backends which connections are over, for as long as it takes; [`Owed`](crate::node::Owed) says when.

use std::sync::Arc;

use gateway_core::call::{Call, Connection, Event};
use gateway_core::failure::Failure;
use gateway_core::id::RequestId;

use super::WebSocketDoor;
use super::contain::Panicked;
use crate::env;
use crate::node::{Attempt, End, Next, StageSlot};

impl WebSocketDoor {
    /// Keeps an end until its stage's backend took it: told at once, unless that backend is known to fail.
    pub(super) async fn owe(self: &Arc<Self>, slot: &Arc<StageSlot>, end: End) {
        let lost = self.owed.add(slot, end);
        self.tell_owed(slot);
        self.give_up(lost).await;
    }

    /// Starts what may start now. Any worker's turn is as good as another's: whoever sees room uses it.
    fn tell_owed(self: &Arc<Self>, slot: &Arc<StageSlot>) {
        loop {
            let (door, place) = (Arc::clone(self), Arc::clone(slot));
            match self.owed.next(slot) {
                Next::Tell(attempt) => {
                    env::spawn(async move { door.deliver(&place, attempt).await });
                }
                Next::Sleep(until) => {
                    env::spawn(async move {
                        tokio::time::sleep_until(env::instant_at(until)).await;
                        door.owed.awake(&place);
                        door.tell_owed(&place);
                    });
                    return;
                }
                Next::Nothing => return,
            }
        }
    }

    async fn deliver(self: &Arc<Self>, slot: &Arc<StageSlot>, attempt: Attempt) {
        if attempt.end.connection.id.node() != self.node.id() {
            // This node was declared dead since, and whoever did so tells its ends.
            self.owed.told(slot, attempt);
            return self.tell_owed(slot);
        }
        let end = &attempt.end;
        let cause = (end.cause.code(), end.cause.reason());
        let telling = self.tell(slot, &end.connection, cause, end.ended_at);
        match self.contain(&attempt.end.connection.id, telling).await {
            Ok(Err(failure)) if failure.is_transient() => {
                let lost = self.owed.failed(slot, attempt, &failure);
                self.give_up(lost).await;
            }
            Ok(_) => {
                let end = self.owed.told(slot, attempt);
                self.forget(&end).await;
            }
            Err(Panicked) => {
                let lost = self.owed.panicked(slot, attempt);
                self.give_up(lost).await;
            }
        }
        self.tell_owed(slot);
    }

    /// Runs `$disconnect` once, by what is deployed now; where its route is gone, nothing is owed any more.
    pub(super) async fn tell(
        &self,
        slot: &StageSlot,
        connection: &Connection,
        (code, reason): (u16, &str),
        ended_at: u64,
    ) -> Result<(), Failure> {
        let deployed = slot.load();
        let Some(route) = deployed.live.disconnect_route() else {
            return Ok(());
        };
        let call = Call {
            connection,
            event: Event::Disconnect { code, reason },
            route_key: &route.route_key,
            request_id: RequestId::new(env::random()),
            time: ended_at,
            trace: env::random(),
        };
        self.pipeline.disconnect(&deployed, route, &call).await
    }

    /// This node will not tell it any more: there is no room for it. Where there are other nodes, it goes to the outbox.
    async fn give_up(&self, lost: Option<End>) {
        let Some(end) = lost else {
            return;
        };
        if let Some(cluster) = &self.node.cluster
            && cluster.outbox.put(&[end.owed()]).await.is_ok()
        {
            return self.forget(&end).await;
        }
        self.observe.metrics.gave_up();
        self.forget(&end).await;
        end.guard.give_up();
    }

    async fn forget(&self, end: &End) {
        self.node.registry.unregister(&end.connection.id).await;
    }
}
