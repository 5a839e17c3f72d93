//! `broadcast`: one message to every socket, as an application does it today: a POST for each.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::push::{self, Stamped, Targets};
use crate::client::poster::Poster;
use crate::client::socket::source;
use crate::error::LoadError;
use crate::measure::course::{Lane, Phase};
use crate::measure::crew::Crew;
use crate::measure::figure::{self, Distribution, Metric};
use crate::measure::latency::Latencies;
use crate::plan::{Finding, Stage};

/// From the first POST of a round to the last socket's message.
const ROUND: Distribution = [
    Metric {
        key: "last_socket_p50_us",
        title: "last socket p50 µs",
        decimals: 0,
    },
    Metric {
        key: "last_socket_p99_us",
        title: "last socket p99 µs",
        decimals: 0,
    },
    Metric {
        key: "last_socket_max_us",
        title: "last socket max µs",
        decimals: 0,
    },
];
/// Time for the last sockets of a round.
const GRACE: Duration = Duration::from_secs(5);

/// Settings of `broadcast`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Broadcast {
    /// Sockets that get each message.
    #[arg(long, default_value_t = 1000)]
    pub(crate) connections: usize,
    /// Posters that share the work, kept alive.
    #[arg(long, default_value_t = 16)]
    pub(crate) posters: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 91, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pub(crate) payload: u32,
}

impl Broadcast {
    pub(super) fn describe(&self) -> String {
        format!(
            "broadcast: {} sockets, {} posters, {} bytes",
            self.connections, self.posters, self.payload
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let (broadcast, targets) = (self.clone(), Targets::of(stage));
        // One lane: a round ends with its last socket, wherever that is.
        let mut crew = Crew::start(1, move |_, lane| {
            run(broadcast.clone(), targets.clone(), lane)
        })?;
        crew.opened()?;
        let window = crew.measure(stage.plan.warm_up, stage.plan.length, &pids, |rate| {
            stage.say(&format!("{rate:.0} deliveries/s"));
        });
        crew.finish();
        let mut figures = figure::of_window(&window, &[]);
        figure::add_distribution(
            &mut figures,
            ROUND,
            Latencies::summary(crew.meters().iter().map(|meter| &meter.latency)),
        );
        Ok(Finding {
            figures,
            failures: crew.failures(),
        })
    }
}

async fn run(broadcast: Broadcast, targets: Targets, mut lane: Lane) -> Result<(), LoadError> {
    let (sockets, letters) = targets.open(0..broadcast.connections).await?;
    lane.meter.ready.store(true, Ordering::Release);
    lane.reach(Phase::WarmUp).await;
    let _listeners = push::listen(sockets, &lane);
    let posters = broadcast.posters.clamp(1, letters.len());
    let mut posters: Vec<Poster> = (0..posters)
        .map(|number| Poster::new(targets.management, source(number), true))
        .collect();
    let mut body = Stamped::new(broadcast.payload as usize, targets.manner);
    while lane.phase() != Phase::Done {
        let since = Instant::now();
        body.stamp(since.duration_since(lane.epoch));
        let awaited = lane.meter.delivered.load(Ordering::Relaxed) + letters.len() as u64;
        let step = posters.len();
        let shares = posters.iter_mut().enumerate().map(|(first, poster)| {
            let (letters, body, lane) = (&letters, &body.bytes, &lane);
            async move {
                for letter in letters.iter().skip(first).step_by(step) {
                    match poster.post(letter, body).await? {
                        200 | 204 => lane.meter.answered.fetch_add(1, Ordering::Relaxed),
                        status => {
                            return Err(LoadError::protocol(format!(
                                "a push was answered with {status}"
                            )));
                        }
                    };
                }
                Ok(())
            }
        });
        try_join_all(shares).await?;
        let rest = async {
            while lane.meter.delivered.load(Ordering::Relaxed) < awaited {
                tokio::task::yield_now().await;
            }
        };
        if timeout(GRACE, rest).await.is_err() {
            return Err(LoadError::protocol(
                "pushes were answered with 200 and did not arrive",
            ));
        }
        if lane.phase() == Phase::Measure {
            lane.meter.latency.record(since.elapsed());
        }
    }
    Ok(())
}
