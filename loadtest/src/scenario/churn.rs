//! `churn`: connections that come, send a message, and go, over and over: what a long life of that leaves behind.

use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use tokio::task::JoinSet;

use super::{echo, open, share};
use crate::client::frame;
use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::measure::crew::Crew;
use crate::measure::figure::{self, Metric};
use crate::measure::processes;
use crate::plan::{Door, Finding, Stage};

/// Lives from the upgrade to the end.
const LIVES: Metric = Metric {
    key: "lives",
    title: "connections that came and went",
    decimals: 0,
};
/// Memory once the warm-up is over.
const BEFORE: Metric = Metric {
    key: "rss_mib_before",
    title: "RSS MiB after the warm-up",
    decimals: 1,
};
/// Memory at the end, when nobody is connected.
const AFTER: Metric = Metric {
    key: "rss_mib_after",
    title: "RSS MiB at the end",
    decimals: 1,
};
/// What each life left behind.
const LEFT: Metric = Metric {
    key: "rss_bytes_left_per_life",
    title: "RSS bytes left by each connection",
    decimals: 2,
};

/// Settings of `churn`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Churn {
    /// Connections at once.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Messages that each sends before it goes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) messages: u32,
    /// Bytes of a message.
    #[arg(long, default_value_t = 91, value_parser = clap::value_parser!(u32).range(32..=1_000_000))]
    pub(crate) payload: u32,
}

impl Churn {
    pub(super) fn describe(&self) -> String {
        format!(
            "churn: {} connections at once, {} messages of {} bytes in each",
            self.connections, self.messages, self.payload
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let (churn, door, lanes) = (self.clone(), stage.door(), stage.plan.lanes);
        // The warm-up is a trial of its own, so that nobody is connected when memory is read.
        let crew = |length| -> Result<_, LoadError> {
            let (churn, door) = (churn.clone(), door.clone());
            let mut crew = Crew::start(lanes, move |number, lane| {
                run(churn.clone(), door.clone(), number, lanes, lane)
            })?;
            crew.opened()?;
            let window = crew.measure(std::time::Duration::ZERO, length, &pids, |rate| {
                stage.say(&format!("{rate:.0} lives/s"));
            });
            crew.finish();
            open::runtime()?.block_on(super::connect::quiet(&pids));
            Ok((crew, window))
        };
        crew(stage.plan.warm_up)?;
        let before = processes::resident_bytes(&pids);
        let (crew, window) = crew(stage.plan.length)?;
        let after = processes::resident_bytes(&pids);
        let mut figures = figure::of_window(&window, crew.meters());
        let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        figures.push((LIVES, window.answered as f64));
        figures.push((BEFORE, mebibytes(before)));
        figures.push((AFTER, mebibytes(after)));
        let lives = (window.answered as f64).max(1.0);
        figures.push((LEFT, after.saturating_sub(before) as f64 / lives));
        Ok(Finding {
            figures,
            failures: crew.failures(),
        })
    }
}

async fn run(
    churn: Churn,
    door: Door,
    number: usize,
    lanes: usize,
    mut lane: Lane,
) -> Result<(), LoadError> {
    lane.meter.ready.store(true, Ordering::Release);
    lane.reach(Phase::WarmUp).await;
    let mut tasks = JoinSet::new();
    for index in share(churn.connections, number, lanes) {
        tasks.spawn(live(churn.clone(), door.clone(), index, lane.clone()));
    }
    open::end(&lane, tasks).await;
    Ok(())
}

/// One life after the other; a message for the table is a whole life.
async fn live(churn: Churn, door: Door, index: usize, lane: Lane) -> Result<(), LoadError> {
    let message = echo::message("echo", churn.payload as usize);
    let frame = frame::masked(frame::TEXT, &message);
    let close = frame::masked(frame::CLOSE, &1000_u16.to_be_bytes());
    for life in 0_usize.. {
        if lane.phase() == Phase::Done {
            break;
        }
        let since = Instant::now();
        // Another address each time: a port that was used just now is not free yet.
        let from = source((index + life * churn.connections) % 1_000_000);
        let mut socket = Socket::open(&door, from).await?;
        for _ in 0..churn.messages {
            socket.send(&frame).await?;
            if socket.receive().await? != message {
                return Err(LoadError::protocol("not the message that was sent"));
            }
        }
        socket.send(&close).await?;
        socket.closed().await?;
        lane.answered(since);
    }
    Ok(())
}
