//! `connect`: a burst of upgrades, with or without a `$connect` that asks the backend, then the end of all of them at once.

use std::time::{Duration, Instant};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::open;
use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::figure::{self, Metric};
use crate::measure::latency::Latencies;
use crate::measure::processes::{self, CpuTime};
use crate::plan::{Finding, Stage};

/// CPU time of the server from accept to 101.
const CPU: Metric = Metric {
    key: "cpu_us_per_connect",
    title: "CPU µs/connect",
    decimals: 2,
};
/// What of that was used by the Redis of several nodes.
const CPU_OF_REDIS: Metric = Metric {
    key: "redis_cpu_us_per_connect",
    title: "of it Redis: CPU µs/connect",
    decimals: 2,
};
/// Upgrades.
const RATE: Metric = Metric {
    key: "connects_per_second",
    title: "connects/s",
    decimals: 0,
};
/// CPU time of the server from a client's FIN to the end.
const CLOSE: Metric = Metric {
    key: "cpu_us_per_close",
    title: "CPU µs/close",
    decimals: 2,
};

/// Settings of `connect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// Connections of the burst; all stay open until its end.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Upgrades under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) in_flight: u16,
    /// Ask the backend before each 101: a $connect route.
    #[arg(long)]
    pub(crate) backend: bool,
}

impl Connect {
    pub(super) fn describe(&self) -> String {
        let manner = if self.backend {
            "the backend is asked at $connect"
        } else {
            "no $connect route"
        };
        format!(
            "connect: {} connections, {} at once, {manner}",
            self.connections, self.in_flight
        )
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let pids = stage.running.pids()?;
        let shared = stage.running.shared_pids()?;
        let base = processes::resident_bytes(&pids);
        let door = stage.door();
        let latencies = Latencies::new();
        open::runtime()?.block_on(async {
            let (before, start) = (CpuTime::of(&pids), Instant::now());
            let before_shared = CpuTime::of(&shared);
            let sockets: Vec<Socket> = stream::iter(0..self.connections)
                .map(|number| {
                    let (door, latencies) = (&door, &latencies);
                    async move {
                        let since = Instant::now();
                        let socket = Socket::open(door, source(number)).await;
                        latencies.record(since.elapsed());
                        socket
                    }
                })
                .buffer_unordered(usize::from(self.in_flight))
                .try_collect()
                .await?;
            let seconds = start.elapsed().as_secs_f64();
            stage.say(&format!("{} connections in {seconds:.2} s", sockets.len()));
            quiet(&pids).await;
            let opened = CpuTime::of(&pids);
            let opened_shared = CpuTime::of(&shared);
            let resident = processes::resident_bytes(&pids);
            drop(sockets);
            quiet(&pids).await;
            let closed = CpuTime::of(&pids);

            let count = self.connections as f64;
            let each = |used: CpuTime| used.nanoseconds as f64 / 1e3 / count;
            let mut figures = vec![(CPU, each(opened - before))];
            if !shared.is_empty() {
                figures.push((CPU_OF_REDIS, each(opened_shared - before_shared)));
            }
            figures.push((RATE, count / seconds));
            figure::add_distribution(
                &mut figures,
                figure::LATENCY,
                Latencies::summary([&latencies]),
            );
            figures.push((CLOSE, each(closed - opened)));
            figures.push((
                figure::RESIDENT_EACH,
                resident.saturating_sub(base) as f64 / count,
            ));
            Ok(Finding {
                figures,
                failures: (0, None),
            })
        })
    }
}

/// Waits until the server has nothing left to do, or for some seconds if it always has.
pub(super) async fn quiet(pids: &[u32]) {
    let mut before = CpuTime::of(pids);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = CpuTime::of(pids);
        // A millisecond of a tenth of a second: timers, no work.
        if (now - before).nanoseconds < 1_000_000 {
            return;
        }
        before = now;
    }
}
