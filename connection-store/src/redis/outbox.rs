//! The outbox on Redis.
//!
//! No stream: an entry for each connection makes a second end of the same connection harmless, each entry has its own
//! back-off, and nothing depends on consumers that died.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::ConnectionId;
use redis::Value;

use super::script::{Step, scripts};
use super::store::{MOST_IN_A_STEP, RedisStore, millis};
use super::{keys, pack};
use crate::{Backlog, Claimed, DeadLetter, MOST_DEAD, Outbox, Owed, StoreError};

scripts! {
    PUT = "put.lua",
    CLAIM = "claim.lua",
    SETTLE = "settle.lua",
    POSTPONE = "postpone.lua",
    GIVE_UP = "give_up.lua",
    BACKLOG = "backlog.lua",
    DEAD = "dead.lua",
    REPLAY = "replay.lua",
}

fn on<const N: usize>(keys: [&str; N]) -> Step {
    Step::on(keys.map(str::to_owned))
}

#[async_trait]
impl Outbox for RedisStore {
    async fn put(&self, owed: &[Owed]) -> Result<(), StoreError> {
        let deadline = self.redis.deadline();
        for owed in owed.chunks(MOST_IN_A_STEP) {
            let pair = |owed: &Owed| {
                let id = owed.record.connection.id.encode().to_vec();
                [id, pack::pack_owed(owed)]
            };
            let step =
                on([keys::ITEM, keys::DUE, keys::SINCE]).with_all(owed.iter().flat_map(pair));
            let _: Value = self.run(&PUT, step, deadline).await?;
        }
        Ok(())
    }

    async fn claim(&self, limit: usize, hold: Duration) -> Result<Vec<Claimed>, StoreError> {
        let step = on([keys::ITEM, keys::DUE, keys::SINCE, keys::TRIES])
            .with_number(limit.min(MOST_IN_A_STEP) as u64)
            .with_number(millis(hold));
        let found: Vec<(Vec<u8>, Vec<u8>, u32, u64)> =
            self.run(&CLAIM, step, self.redis.deadline()).await?;
        let mut claimed = Vec::with_capacity(found.len());
        for (id, item, attempts, age) in found {
            match pack::unpack_owed(&id, &item) {
                Ok(owed) => claimed.push(Claimed {
                    owed,
                    attempts,
                    age,
                }),
                // Left where it is: a newer version may be able to read it.
                Err(poison) => self.pass_over(&poison, keys::ITEM),
            }
        }
        Ok(claimed)
    }

    async fn settle(&self, id: &ConnectionId) -> Result<(), StoreError> {
        let step = on([keys::ITEM, keys::DUE, keys::SINCE, keys::TRIES]).with(id.encode());
        let _: Value = self.run(&SETTLE, step, self.redis.deadline()).await?;
        Ok(())
    }

    async fn postpone(&self, id: &ConnectionId, pause: Duration) -> Result<(), StoreError> {
        let step = on([keys::DUE]).with(id.encode()).with_number(millis(pause));
        let _: Value = self.run(&POSTPONE, step, self.redis.deadline()).await?;
        Ok(())
    }

    async fn give_up(&self, id: &ConnectionId, why: &str) -> Result<(), StoreError> {
        let keys = [
            keys::ITEM,
            keys::DUE,
            keys::SINCE,
            keys::TRIES,
            keys::DEAD,
            keys::GRAVES,
        ];
        let step = on(keys)
            .with(id.encode())
            .with(pack::pack_reason(why))
            .with_number(MOST_DEAD as u64);
        let _: Value = self.run(&GIVE_UP, step, self.redis.deadline()).await?;
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let step = on([keys::ITEM, keys::SINCE, keys::GRAVES]);
        let (waiting, oldest, dead) = self.run(&BACKLOG, step, self.redis.deadline()).await?;
        Ok(Backlog {
            waiting,
            oldest,
            dead,
        })
    }

    async fn dead(&self, skip: usize, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        if limit == 0 || skip >= MOST_DEAD {
            return Ok(Vec::new());
        }
        let last = skip + limit.min(MOST_IN_A_STEP) - 1;
        let step = on([keys::DEAD, keys::GRAVES])
            .with_number(skip as u64)
            .with_number(last as u64);
        let found: Vec<(Vec<u8>, f64, Option<Vec<u8>>)> =
            self.run(&DEAD, step, self.redis.deadline()).await?;
        let mut letters = Vec::with_capacity(found.len());
        for (id, given_up_at, letter) in found {
            let letter = letter.unwrap_or_default();
            #[allow(clippy::cast_sign_loss)] // Below zero is 0.
            match pack::unpack_dead(&id, given_up_at as u64, &letter) {
                Ok(letter) => letters.push(letter),
                Err(poison) => self.pass_over(&poison, keys::DEAD),
            }
        }
        Ok(letters)
    }

    async fn replay(&self, id: &ConnectionId) -> Result<bool, StoreError> {
        let keys = [keys::ITEM, keys::DUE, keys::SINCE, keys::DEAD, keys::GRAVES];
        let step = on(keys).with(id.encode());
        let found: i64 = self.run(&REPLAY, step, self.redis.deadline()).await?;
        if found < 0 {
            return Err(pack::Poison::new("a dead letter without its lines").into());
        }
        Ok(found == 1)
    }
}
