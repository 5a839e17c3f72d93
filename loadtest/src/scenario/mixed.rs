//! `mixed`: routing, pushing, and connections that come and go, all at steady rates over one server.

use std::sync::atomic::Ordering;

use clap::Args;
use tokio::task::JoinSet;

use super::pace::{self, Pace};
use super::push::{Push, Targets};
use super::{echo, open, push};
use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::measure::crew::Crew;
use crate::measure::figure::{self, Distribution, Metric};
use crate::measure::latency::Latencies;
use crate::measure::processes;
use crate::plan::{Door, Finding, Stage};

/// From an upgrade's moment to its 101.
const CONNECT: Distribution = [
    Metric {
        key: "connect_p50_us",
        title: "connect p50 µs",
        decimals: 0,
    },
    Metric {
        key: "connect_p99_us",
        title: "connect p99 µs",
        decimals: 0,
    },
    Metric {
        key: "connect_max_us",
        title: "connect max µs",
        decimals: 0,
    },
];
/// From a message's moment to its answer.
const ROUTE: Distribution = [
    Metric {
        key: "route_p50_us",
        title: "route p50 µs",
        decimals: 0,
    },
    Metric {
        key: "route_p99_us",
        title: "route p99 µs",
        decimals: 0,
    },
    Metric {
        key: "route_max_us",
        title: "route max µs",
        decimals: 0,
    },
];
/// Upgrades under way at once.
pub(super) const CONNECTING: usize = 64;

/// Settings of `mixed`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Mixed {
    /// Sockets that are pushed to.
    #[arg(long, default_value_t = 1000)]
    pub(crate) connections: usize,
    /// Connections that send messages.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) talkers: u16,
    /// Messages a second that are routed to the backend.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) route_rate: u32,
    /// Pushes a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) push_rate: u32,
    /// Connections a second that come and go.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connect_rate: u32,
}

impl Mixed {
    pub(super) fn describe(&self) -> String {
        format!(
            "mixed: {} messages/s from {} connections, {} pushes/s to {} sockets, {} new connections/s",
            self.route_rate, self.talkers, self.push_rate, self.connections, self.connect_rate
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let (mixed, targets) = (self.clone(), Targets::of(stage));
        // Three lanes, one for each kind of work, so that each counts by itself.
        let mut crew = Crew::start(3, move |number, lane| {
            let (mixed, targets) = (mixed.clone(), targets.clone());
            async move {
                match number {
                    0 => talk(&mixed, &targets.door, lane).await,
                    1 => push::run(mixed.push(), targets, 0, 1, lane).await,
                    _ => come_and_go(f64::from(mixed.connect_rate), &targets.door, lane).await,
                }
            }
        })?;
        crew.opened()?;
        let window = crew.measure(stage.plan.warm_up, stage.plan.length, &pids, |rate| {
            stage.say(&format!("{rate:.0} events/s"));
        });
        let resident = processes::resident_bytes(&pids);
        crew.finish();
        let mut figures = figure::of_window(&window, &[]);
        let latency = |lane: usize| Latencies::summary([&crew.meters()[lane].latency]);
        figure::add_distribution(&mut figures, ROUTE, latency(0));
        figure::add_distribution(
            &mut figures,
            figure::DELIVERY,
            Latencies::summary([&crew.meters()[1].delivery]),
        );
        figure::add_distribution(&mut figures, CONNECT, latency(2));
        figures.push((push::LOST, push::lost(crew.meters().get(1))));
        figures.push((figure::RESIDENT, resident as f64 / 1024.0 / 1024.0));
        Ok(Finding {
            figures,
            failures: crew.failures(),
        })
    }

    fn push(&self) -> Push {
        Push {
            connections: self.connections,
            posters: Some(16),
            connection_per_post: false,
            open_loop: Some(self.push_rate),
            payload: 91,
        }
    }
}

async fn talk(mixed: &Mixed, door: &Door, lane: Lane) -> Result<(), LoadError> {
    let rate = Some(f64::from(mixed.route_rate));
    let message = echo::message("echo", 91).into();
    echo::run(door, 0..usize::from(mixed.talkers), rate, message, lane).await
}

async fn come_and_go(rate: f64, door: &Door, mut lane: Lane) -> Result<(), LoadError> {
    lane.meter.ready.store(true, Ordering::Release);
    lane.reach(Phase::WarmUp).await;
    let (paces, schedule) = pace::open_loop(rate, CONNECTING);
    let mut tasks = JoinSet::new();
    tasks.spawn(schedule.keep(lane.clone()));
    for pace in paces {
        tasks.spawn(come(pace, door.clone(), lane.clone()));
    }
    open::end(&lane, tasks).await;
    Ok(())
}

async fn come(mut pace: Pace, door: Door, mut lane: Lane) -> Result<(), LoadError> {
    while let Some(since) = pace.next(&mut lane).await {
        Socket::open(&door, source(0)).await?;
        lane.answered(since);
    }
    Ok(())
}
