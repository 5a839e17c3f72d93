//! `slow-reader`: sockets that never read are pushed to until the server says stop; the others must not feel it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::push::{self, Push, Stamped, Targets};
use crate::client::poster::Poster;
use crate::client::socket::source;
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::measure::crew::Crew;
use crate::measure::figure::{self, Metric};
use crate::measure::processes;
use crate::plan::{Finding, Stage};

/// What a stalled socket was sent, with 200, before the first other answer.
const ACCEPTED: Metric = Metric {
    key: "accepted_kib_per_stalled",
    title: "KiB accepted for each stalled socket",
    decimals: 0,
};
/// Memory that each stalled socket holds at the end.
const HELD: Metric = Metric {
    key: "rss_kib_per_stalled",
    title: "RSS KiB/stalled socket",
    decimals: 0,
};
/// From the first push at a stalled socket to the first 410.
const GONE_AFTER: Metric = Metric {
    key: "first_410_seconds",
    title: "stalled: first 410 after s",
    decimals: 1,
};
/// Answers to the pushes at stalled sockets.
const STATUSES: [(u16, Metric); 4] = [
    (
        200,
        Metric {
            key: "stalled_200",
            title: "stalled: answered 200",
            decimals: 0,
        },
    ),
    (
        429,
        Metric {
            key: "stalled_429",
            title: "stalled: answered 429",
            decimals: 0,
        },
    ),
    (
        410,
        Metric {
            key: "stalled_410",
            title: "stalled: answered 410",
            decimals: 0,
        },
    ),
    (
        0,
        Metric {
            key: "stalled_other",
            title: "stalled: answered otherwise",
            decimals: 0,
        },
    ),
];
/// Bytes of a push at a stalled socket.
const BULK: usize = 16 * 1024;
/// Pause after a round in which every stalled socket refused.
const PAUSE: Duration = Duration::from_millis(10);

/// Settings of `slow-reader`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SlowReader {
    /// Sockets that read, and get pushes at a steady rate.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Sockets that do not read; none shows what the others get without them.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) stalled: u16,
    /// Pushes a second at those that read.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
}

/// What came of pushing at stalled sockets.
#[derive(Debug, Default)]
struct Stuffed {
    statuses: BTreeMap<u16, u64>,
    accepted: u64,
    first_gone: Option<Duration>,
}

impl SlowReader {
    pub(super) fn describe(&self) -> String {
        format!(
            "slow-reader: {} stalled sockets beside {} that get {} pushes/s",
            self.stalled, self.connections, self.rate
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let base = processes::resident_bytes(&pids);
        let stuffed = Arc::new(Mutex::new(Stuffed::default()));
        let (push, targets, stalled, found) = (
            self.push(),
            Targets::of(stage),
            usize::from(self.stalled),
            Arc::clone(&stuffed),
        );
        let mut crew = Crew::start(2, move |number, lane| {
            let (push, targets, found) = (push.clone(), targets.clone(), Arc::clone(&found));
            async move {
                match number {
                    0 => push::run(push, targets, 0, 1, lane).await,
                    _ => stuff(stalled, &targets, &found, lane).await,
                }
            }
        })?;
        crew.opened()?;
        let window = crew.measure(stage.plan.warm_up, stage.plan.length, &pids, |rate| {
            stage.say(&format!("{rate:.0} pushes/s at sockets that read"));
        });
        let resident = processes::resident_bytes(&pids);
        crew.finish();
        let mut figures = figure::of_window(&window, crew.meters());
        figures.push((push::LOST, push::lost(crew.meters().first())));
        if self.stalled == 0 {
            return Ok(Finding {
                figures,
                failures: crew.failures(),
            });
        }
        let stuffed = stuffed.lock().unwrap_or_else(PoisonError::into_inner);
        let each = |bytes: u64| bytes as f64 / 1024.0 / f64::from(self.stalled);
        figures.push((ACCEPTED, each(stuffed.accepted)));
        figures.push((HELD, each(resident.saturating_sub(base))));
        figures.extend(
            stuffed
                .first_gone
                .map(|after| (GONE_AFTER, after.as_secs_f64())),
        );
        figures.extend(STATUSES.map(|(status, metric)| {
            (
                metric,
                stuffed.statuses.get(&status).copied().unwrap_or(0) as f64,
            )
        }));
        Ok(Finding {
            figures,
            failures: crew.failures(),
        })
    }

    fn push(&self) -> Push {
        Push {
            connections: self.connections,
            posters: Some(4),
            connection_per_post: false,
            open_loop: Some(self.rate),
            payload: 91,
        }
    }
}

async fn stuff(
    stalled: usize,
    targets: &Targets,
    found: &Mutex<Stuffed>,
    mut lane: Lane,
) -> Result<(), LoadError> {
    // Held, not read.
    let (_sockets, letters) = targets.open(0..stalled).await?;
    lane.meter.ready.store(true, Ordering::Release);
    lane.reach(Phase::WarmUp).await;
    let mut poster = Poster::new(targets.management, source(0), true);
    let body = Stamped::new(BULK, targets.manner);
    let start = Instant::now();
    let mut refused = vec![false; letters.len()];
    while lane.phase() != Phase::Done {
        for (letter, refused) in letters.iter().zip(&mut refused) {
            let status = poster.post(letter, &body.bytes).await?;
            let known = STATUSES.iter().any(|(of, _)| *of == status);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            *found
                .statuses
                .entry(if known { status } else { 0 })
                .or_default() += 1;
            if status == 410 {
                found.first_gone.get_or_insert_with(|| start.elapsed());
            }
            *refused |= status != 200;
            if !*refused {
                found.accepted += body.bytes.len() as u64;
            }
        }
        if refused.iter().all(|refused| *refused) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
