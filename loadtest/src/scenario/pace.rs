//! When a worker sends: as soon as it has its answer (closed loop), or when it is due (open loop).
//!
//! In an open loop a latency counts from the moment at which the message was due. A server that stalls for a second so has a second
//! held against every message that was due meanwhile, not against one alone: no coordinated omission.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::system::Alarm;

/// Messages that may be overdue for one worker before the trial counts as failed.
const BACKLOG: usize = 4096;

/// A worker's clock.
#[derive(Debug)]
pub(super) enum Pace {
    /// Send when the answer before is there.
    Closed,
    /// Send at the moments that come through the channel.
    Open(mpsc::Receiver<Instant>),
}

impl Pace {
    /// Waits for the next message's turn and gives the moment from which its latency counts; `None` at the end of the trial.
    pub(super) async fn next(&mut self, lane: &mut Lane) -> Option<Instant> {
        if lane.phase() == Phase::Done {
            return None;
        }
        match self {
            Self::Closed => {
                lane.take_turn().await;
                (lane.phase() != Phase::Done).then(Instant::now)
            }
            Self::Open(due) => due.recv().await,
        }
    }
}

/// Moments for `workers` workers in turn, `rate` a second together, until the trial ends.
pub(super) fn open_loop(rate: f64, workers: usize) -> (Vec<Pace>, Schedule) {
    let (senders, paces) = (0..workers)
        .map(|_| {
            let (due, dues) = mpsc::channel(BACKLOG);
            (due, Pace::Open(dues))
        })
        .unzip();
    (
        paces,
        Schedule {
            interval: Duration::from_secs_f64(1.0 / rate),
            workers: senders,
        },
    )
}

/// Tells workers their moments.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    workers: Vec<mpsc::Sender<Instant>>,
}

impl Schedule {
    /// Runs until the trial ends; dropping the channels then ends the workers.
    pub(super) async fn keep(self, lane: Lane) -> Result<(), LoadError> {
        let alarm = Alarm::new().map_err(LoadError::system("no timer"))?;
        let start = Instant::now();
        for number in 0u32.. {
            let due = start + self.interval.mul_f64(f64::from(number));
            if let Some(wait) = due
                .checked_duration_since(Instant::now())
                .filter(|wait| !wait.is_zero())
            {
                alarm
                    .set(wait)
                    .map_err(LoadError::system("the timer was not set"))?;
                alarm
                    .ring()
                    .await
                    .map_err(LoadError::system("the timer broke"))?;
            } else {
                // Behind: the workers have to get their turn all the same.
                tokio::task::yield_now().await;
            }
            if lane.phase() == Phase::Done {
                break;
            }
            if self.workers[number as usize % self.workers.len()]
                .try_send(due)
                .is_err()
            {
                lane.meter.fail(format!(
                    "{BACKLOG} messages overdue on one connection: this rate is too high"
                ));
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::measure::course::Meter;

    #[tokio::test]
    async fn a_stall_is_held_against_every_message_that_was_due_meanwhile() {
        let (phase, watched) = watch::channel(Phase::Measure);
        let (_turn, turns) = watch::channel(true);
        let mut lane = Lane::new(Meter::new(), Instant::now(), watched, turns);
        let (mut paces, schedule) = open_loop(1000.0, 1);
        let keeper = tokio::spawn(schedule.keep(lane.clone()));
        let mut pace = paces.pop().unwrap();
        let first = pace.next(&mut lane).await.unwrap();
        // A server that answers the first message after 50 ms.
        tokio::time::sleep(Duration::from_millis(50)).await;
        for number in 1..=40u32 {
            let due = pace.next(&mut lane).await.unwrap();
            assert_eq!(due, first + Duration::from_millis(1) * number);
            assert!(due.elapsed() + Duration::from_millis(1) * number >= Duration::from_millis(50));
        }
        phase.send(Phase::Done).unwrap();
        assert!(pace.next(&mut lane).await.is_none());
        keeper.await.unwrap().unwrap();
        assert_eq!(lane.meter.failures(), (0, None));
    }

    #[tokio::test]
    async fn a_worker_in_a_closed_loop_waits_for_its_turn() {
        let (phase, watched) = watch::channel(Phase::Measure);
        let (turn, turns) = watch::channel(false);
        let mut lane = Lane::new(Meter::new(), Instant::now(), watched, turns);
        let mut pace = Pace::Closed;
        let early = tokio::time::timeout(Duration::from_millis(20), pace.next(&mut lane)).await;
        assert!(early.is_err(), "it was not its turn");
        turn.send_replace(true);
        assert!(pace.next(&mut lane).await.is_some());
        turn.send_replace(false);
        phase.send_replace(Phase::Done);
        turn.send_replace(true);
        assert!(pace.next(&mut lane).await.is_none());
    }

    #[tokio::test]
    async fn a_rate_that_cannot_be_held_is_a_failure() {
        let (_phase, watched) = watch::channel(Phase::Measure);
        let (_turn, turns) = watch::channel(true);
        let lane = Lane::new(Meter::new(), Instant::now(), watched, turns);
        let (_never_asked, schedule) = open_loop(1e6, 1);
        schedule.keep(lane.clone()).await.unwrap();
        assert!(
            lane.meter
                .failures()
                .1
                .unwrap()
                .contains("this rate is too high")
        );
    }
}
