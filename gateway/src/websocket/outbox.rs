//! Tells backends of connections whose node died, or left before it could tell: from the outbox that all nodes share.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use connection_store::{Claimed, Outbox};
use gateway_core::failure::Failure;
use gateway_core::id::ConnectionId;
use tokio::sync::Semaphore;

use super::WebSocketDoor;
use crate::env;
use crate::node::Cluster;
use crate::observe::Handover;

/// How often the outbox is looked into.
const LOOK: Duration = Duration::from_millis(250);
/// How long an end is this node's to tell unless it says that it still does: what a node was telling when it died is taken on
/// by another one soon, and a backend may take as long as its integration lets it.
const HOLD: Duration = Duration::from_secs(10);
/// How often it says so.
const HOLD_ON: Duration = Duration::from_secs(3);
/// Calls for ends of lost nodes that may be under way: live traffic goes first.
const AT_ONCE: usize = 64;
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How the outbox is emptied.
#[derive(Debug, Clone, Copy)]
pub struct OutboxTerms {
    /// Ends that this node tells in a second, at most.
    pub rate: u32,
    /// An end that was not taken for so long becomes a dead letter.
    pub max_age: Duration,
}

impl WebSocketDoor {
    /// Empties the outbox for as long as it is polled.
    pub async fn empty_outbox(self: Arc<Self>, outbox: Arc<dyn Outbox>, terms: OutboxTerms) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        // A whole look's share at least, so that a low rate is not rounded to nothing.
        let share = (terms.rate as usize * LOOK.as_millis() as usize).div_ceil(1000);
        loop {
            tokio::time::sleep(LOOK.mul_f64(0.8 + env::chance() * 0.4)).await;
            let store_is_up = (self.node.cluster.as_ref()).is_some_and(Cluster::store_is_up);
            if !store_is_up || !self.node.is_acting() || self.drain.is_draining() {
                continue;
            }
            let limit = share.min(room.available_permits());
            if limit == 0 {
                continue;
            }
            let claimed = match outbox.claim(limit, HOLD).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::debug!("the outbox cannot be read: {error}");
                    continue;
                }
            };
            for one in claimed {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                    return;
                };
                let (door, outbox) = (Arc::clone(&self), Arc::clone(&outbox));
                env::spawn(async move {
                    door.tell_claimed(&*outbox, one, terms.max_age).await;
                    drop(permit);
                });
            }
        }
    }

    async fn tell_claimed(&self, outbox: &dyn Outbox, claimed: Claimed, max_age: Duration) {
        let Claimed {
            owed,
            attempts,
            age,
        } = claimed;
        let connection = &owed.record.connection;
        let id = connection.id;
        let served = self.stages.load();
        let told = match served.slot(&connection.api_id, &connection.stage) {
            Some(slot) => {
                let telling = self.tell(slot, connection, (owed.code, &owed.reason), owed.ended_at);
                let broken = Failure::Internal("telling it panicked".to_owned());
                let contained = self.contain(&id, telling);
                holding(outbox, &id, contained).await.unwrap_or(Err(broken))
            }
            // Another node may have it, or this one will.
            None => Err(Failure::Configuration(format!(
                "API {} has no stage {} here",
                connection.api_id, connection.stage
            ))),
        };
        let (outcome, done) = match told {
            Err(failure)
                if failure.is_transient() || matches!(failure, Failure::Configuration(_)) =>
            {
                if age >= max_age.as_millis() as u64 {
                    let why = failure.to_string();
                    tracing::error!(connection = %id, attempts, "a $disconnect becomes a dead letter: {why}");
                    (Handover::Dead, outbox.give_up(&id, &why).await)
                } else {
                    (
                        Handover::Postponed,
                        outbox.postpone(&id, pause(attempts, env::chance())).await,
                    )
                }
            }
            // What no repetition can mend counts as told, as for a connection of this node.
            Ok(()) | Err(_) => (Handover::Told, outbox.settle(&id).await),
        };
        self.observe.metrics.cluster.handed_over(outcome);
        if let Err(error) = done {
            // It is claimed again after a while: told twice, with the same event id.
            tracing::warn!(connection = %id, "the outbox could not be told what became of an end: {error}");
        }
    }
}

/// Waits for `work` about an end, and keeps others from it meanwhile.
async fn holding<T>(outbox: &dyn Outbox, id: &ConnectionId, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(HOLD_ON, work.as_mut()).await {
            return done;
        }
        if let Err(error) = outbox.postpone(id, HOLD).await {
            tracing::debug!(connection = %id, "another node may tell an end, too: {error}");
        }
    }
}

/// Before the next attempt, after `attempts` others; spread, so that what failed together is not tried together.
fn pause(attempts: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.min(10));
    doubled.min(LONGEST_PAUSE).mul_f64(0.75 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = |attempts| pause(attempts, 0.5).as_secs();
        let found = [0, 1, 2, 5, 6, 7, 40].map(seconds);
        assert_eq!(found, [1, 2, 4, 32, 60, 60, 60]);
        assert!(pause(0, 0.0) < pause(0, 0.9));
    }
}
