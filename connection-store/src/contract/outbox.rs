//! What every [`Outbox`] must do.

use std::time::Duration;

use super::{NODE, record};
use crate::{Outbox, Owed};

/// Runs everything on an empty outbox and leaves it empty.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all(outbox: &dyn Outbox) {
    what_was_put_in_is_claimed_once_and_settled(outbox).await;
}

fn owed(n: u8) -> Owed {
    Owed {
        record: record(NODE, n, "chat", "dev"),
        code: 1006,
        reason: "gone".to_owned(),
        ended_at: 1_700_000_000_000,
    }
}

async fn what_was_put_in_is_claimed_once_and_settled(outbox: &dyn Outbox) {
    outbox.put(&[owed(1), owed(1)]).await.expect("puts");
    let hold = Duration::from_secs(10);
    let claimed = outbox.claim(10, hold).await.expect("claims");
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].owed, owed(1));
    assert_eq!(outbox.claim(10, hold).await, Ok(Vec::new()));
    let id = claimed[0].owed.record.connection.id;
    outbox.settle(&id).await.expect("settles");
    assert_eq!(outbox.backlog().await.expect("tells").waiting, 0);
}
