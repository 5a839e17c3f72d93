//! What every [`Outbox`] must do.

use std::time::Duration;

use gateway_core::id::ConnectionId;
use tokio::time::sleep;

use super::{MARGIN, NODE, drain, id_of, owed, record};
use crate::{Backlog, Claimed, Outbox, Owed};

const HOLD: Duration = Duration::from_secs(30);

/// Runs everything on an empty outbox and leaves it without waiting ends.
///
/// # Panics
/// Where it breaks a promise.
pub async fn all(outbox: &impl Outbox) {
    what_was_put_in_is_claimed_once_and_settled(outbox).await;
    what_was_claimed_comes_again_once_the_hold_is_over(outbox).await;
    what_was_postponed_waits(outbox).await;
    what_is_not_there_is_no_error(outbox).await;
    the_first_due_is_claimed_first(outbox).await;
    what_is_given_up_becomes_a_dead_letter(outbox).await;
    dead_letters_are_listed_in_their_order(outbox).await;
    a_replayed_letter_is_as_new(outbox).await;
    the_backlog_counts_and_ages(outbox).await;
    many_ends_fit(outbox).await;
}

fn end(n: u8) -> Owed {
    owed(&record(NODE, n, "chat", "dev"))
}

fn id(n: u8) -> ConnectionId {
    id_of(&end(n).record)
}

async fn put(outbox: &impl Outbox, numbers: &[u8]) {
    let ends: Vec<_> = numbers.iter().map(|n| end(*n)).collect();
    outbox.put(&ends).await.expect("puts");
}

async fn claim(outbox: &impl Outbox, limit: usize, hold: Duration) -> Vec<Claimed> {
    outbox.claim(limit, hold).await.expect("claims")
}

async fn what_was_put_in_is_claimed_once_and_settled(outbox: &impl Outbox) {
    outbox.put(&[]).await.expect("puts nothing");
    put(outbox, &[1, 1]).await;
    let mut again = end(1);
    again.code = 1001;
    outbox.put(&[again]).await.expect("puts");
    let claimed = claim(outbox, 10, HOLD).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].owed, end(1), "the first to be put stays");
    assert_eq!(claimed[0].attempts, 0);
    assert_eq!(claim(outbox, 10, HOLD).await, []);
    // Put again while it is claimed, it is not to be had twice.
    put(outbox, &[1]).await;
    assert_eq!(claim(outbox, 10, HOLD).await, []);
    outbox.settle(&id(1)).await.expect("settles");
    assert_eq!(outbox.backlog().await.expect("tells").waiting, 0);
}

async fn what_was_claimed_comes_again_once_the_hold_is_over(outbox: &impl Outbox) {
    put(outbox, &[1]).await;
    for attempts in 0..3 {
        let claimed = claim(outbox, 10, MARGIN).await;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].attempts, attempts);
        let least = u128::from(attempts) * MARGIN.as_millis();
        assert!(u128::from(claimed[0].age) >= least, "{claimed:?}");
        sleep(MARGIN * 3 / 2).await;
    }
    outbox.settle(&id(1)).await.expect("settles");
}

async fn what_was_postponed_waits(outbox: &impl Outbox) {
    put(outbox, &[1]).await;
    assert_eq!(claim(outbox, 10, HOLD).await.len(), 1);
    outbox.postpone(&id(1), MARGIN).await.expect("postpones");
    assert_eq!(claim(outbox, 10, HOLD).await, []);
    sleep(MARGIN * 3 / 2).await;
    let claimed = claim(outbox, 10, HOLD).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempts, 1);
    outbox.settle(&id(1)).await.expect("settles");
    let none = Duration::ZERO;
    outbox.postpone(&id(1), none).await.expect("postpones");
    sleep(MARGIN / 2).await;
    assert_eq!(claim(outbox, 10, HOLD).await, [], "settled stays settled");
}

async fn what_is_not_there_is_no_error(outbox: &impl Outbox) {
    assert_eq!(outbox.settle(&id(77)).await, Ok(()));
    assert_eq!(outbox.postpone(&id(77), HOLD).await, Ok(()));
    assert_eq!(outbox.give_up(&id(77), "no").await, Ok(()));
    assert_eq!(outbox.replay(&id(77)).await, Ok(false));
    assert_eq!(outbox.dead(0, 10).await, Ok(Vec::new()));
    assert_eq!(outbox.backlog().await, Ok(Backlog::default()));
    assert_eq!(claim(outbox, 0, HOLD).await, []);
}

async fn the_first_due_is_claimed_first(outbox: &impl Outbox) {
    for n in [3, 1, 2] {
        put(outbox, &[n]).await;
        sleep(Duration::from_millis(5)).await;
    }
    for n in [3, 1, 2] {
        let claimed = claim(outbox, 1, HOLD).await;
        let found: Vec<_> = claimed.iter().map(|claimed| claimed.owed.clone()).collect();
        assert_eq!(found, [end(n)]);
        outbox.settle(&id(n)).await.expect("settles");
    }
}

async fn what_is_given_up_becomes_a_dead_letter(outbox: &impl Outbox) {
    put(outbox, &[1]).await;
    assert_eq!(claim(outbox, 10, HOLD).await.len(), 1);
    let why = "HTTP 500:\n\"no\" \u{1F980}\n\n";
    outbox.give_up(&id(1), why).await.expect("gives up");
    let dead = outbox.dead(0, 10).await.expect("lists");
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].attempts, dead[0].why.as_str()), (1, why));
    assert_eq!(dead[0].owed, end(1));
    assert!(
        dead[0].given_up_at > 1_600_000_000_000,
        "in milliseconds of the epoch"
    );
    let backlog = outbox.backlog().await.expect("tells");
    assert_eq!((backlog.waiting, backlog.dead), (0, 1));
    sleep(MARGIN / 2).await;
    assert_eq!(claim(outbox, 10, HOLD).await, []);
    assert_eq!(outbox.replay(&id(1)).await, Ok(true));
    assert_eq!(drain(outbox).await, [end(1)]);
}

async fn dead_letters_are_listed_in_their_order(outbox: &impl Outbox) {
    let order = [5, 2, 4, 1, 3];
    put(outbox, &order).await;
    for n in order {
        outbox.give_up(&id(n), "no").await.expect("gives up");
        sleep(Duration::from_millis(5)).await;
    }
    for (skip, limit) in [
        (0, 10),
        (0, 2),
        (2, 2),
        (4, 3),
        (5, 1),
        (0, 0),
        (usize::MAX, 1),
    ] {
        let dead = outbox.dead(skip, limit).await.expect("lists");
        let found: Vec<_> = dead.into_iter().map(|letter| letter.owed).collect();
        let expected: Vec<_> = order.into_iter().skip(skip).take(limit).map(end).collect();
        assert_eq!(found, expected, "{limit} after {skip}");
    }
    for n in order {
        assert_eq!(outbox.replay(&id(n)).await, Ok(true));
    }
    assert_eq!(drain(outbox).await.len(), order.len());
}

async fn a_replayed_letter_is_as_new(outbox: &impl Outbox) {
    put(outbox, &[1]).await;
    assert_eq!(claim(outbox, 10, HOLD).await.len(), 1);
    outbox.give_up(&id(1), "no").await.expect("gives up");
    sleep(MARGIN).await;
    assert_eq!(outbox.replay(&id(1)).await, Ok(true));
    assert_eq!(outbox.replay(&id(1)).await, Ok(false));
    let claimed = claim(outbox, 10, HOLD).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].owed, claimed[0].attempts), (&end(1), 0));
    assert!(u128::from(claimed[0].age) < MARGIN.as_millis());
    outbox.settle(&id(1)).await.expect("settles");
    assert_eq!(outbox.dead(0, 10).await, Ok(Vec::new()));
}

async fn the_backlog_counts_and_ages(outbox: &impl Outbox) {
    put(outbox, &[1]).await;
    sleep(MARGIN).await;
    put(outbox, &[2, 3]).await;
    assert_eq!(claim(outbox, 1, HOLD).await.len(), 1);
    let backlog = outbox.backlog().await.expect("tells");
    assert_eq!(
        (backlog.waiting, backlog.dead),
        (3, 0),
        "claimed ones included"
    );
    assert!(u128::from(backlog.oldest) >= MARGIN.as_millis());
    outbox.settle(&id(1)).await.expect("settles");
    let backlog = outbox.backlog().await.expect("tells");
    assert_eq!(backlog.waiting, 2);
    assert!(u128::from(backlog.oldest) < MARGIN.as_millis());
    assert_eq!(drain(outbox).await.len(), 2);
    assert_eq!(outbox.backlog().await, Ok(Backlog::default()));
}

async fn many_ends_fit(outbox: &impl Outbox) {
    let all: Vec<_> = (0..=255).collect();
    put(outbox, &all).await;
    let claimed = claim(outbox, 100, HOLD).await;
    assert_eq!(claimed.len(), 100);
    assert_eq!(drain(outbox).await.len(), 156);
    for claimed in claimed {
        let id = id_of(&claimed.owed.record);
        outbox.settle(&id).await.expect("settles");
    }
    assert_eq!(outbox.backlog().await, Ok(Backlog::default()));
}
