//! Opening many sockets, and ending the tasks that hold them.

use std::ops::Range;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::plan::Door;

/// Upgrades under way at once.
const AT_ONCE: usize = 64;
/// Time for what is under way when the measurement ends.
const GRACE: Duration = Duration::from_secs(5);

/// A runtime for scenarios whose one thread is the conductor's own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, LoadError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::system("no runtime for the generator"))
}

/// Opens the sockets of one lane, in any order.
pub(super) async fn sockets(door: &Door, numbers: Range<usize>) -> Result<Vec<Socket>, LoadError> {
    stream::iter(numbers)
        .map(|number| Socket::open(door, source(number)))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Waits for the end of the trial, then for `tasks` to finish what is under way; what still waits then is a failure.
pub(super) async fn end(lane: &Lane, mut tasks: JoinSet<Result<(), LoadError>>) {
    let note = |ended: Result<Result<(), LoadError>, JoinError>| match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => lane.meter.fail(error),
        Err(error) => lane.meter.fail(error),
    };
    let mut phase = lane.clone();
    loop {
        tokio::select! {
            () = phase.reach(Phase::Done) => break,
            Some(ended) = tasks.join_next() => note(ended),
        }
    }
    let finished = timeout(GRACE, async {
        while let Some(ended) = tasks.join_next().await {
            note(ended);
        }
    });
    if finished.await.is_err() {
        for _ in 0..tasks.len() {
            lane.meter
                .fail(format!("no answer {GRACE:?} after the end"));
        }
    }
}
