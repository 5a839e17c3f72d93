//! The figures of a trial: each a metric and its value.

use super::course::Meter;
use super::crew::Window;
use super::latency::{CURVE, Latencies, Summary};
use std::sync::Arc;

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metric {
    /// Its name in JSON, unit included.
    pub(crate) key: &'static str,
    /// Its name in the table; without one it is in the JSON alone.
    pub(crate) title: &'static str,
    /// Digits after the point.
    pub(crate) decimals: usize,
}

const fn metric(key: &'static str, title: &'static str, decimals: usize) -> Metric {
    Metric {
        key,
        title,
        decimals,
    }
}

/// CPU time of the server for one unit of work, user and system.
pub(crate) const CPU: Metric = metric("cpu_us_per_message", "CPU µs/message", 2);
/// What of that was used by the Redis of several nodes.
pub(crate) const CPU_OF_REDIS: Metric =
    metric("redis_cpu_us_per_message", "of it Redis: CPU µs/message", 2);
/// Work done.
pub(crate) const RATE: Metric = metric("messages_per_second", "messages/s", 0);
/// Cores that the server kept busy: near 1 when pinned means that the server was the bottleneck.
pub(crate) const SERVER_CORES: Metric = metric("server_cores", "server cores busy", 2);
/// Cores that generator and backend kept busy.
pub(crate) const GENERATOR_CORES: Metric = metric("generator_cores", "generator cores busy", 2);
/// The kernel's share of the server's CPU time.
pub(crate) const KERNEL: Metric = metric("kernel_share", "kernel share of CPU", 2);
/// Cores that everybody else kept busy: what makes a run noisy.
pub(crate) const OTHER_CORES: Metric = metric("other_cores", "cores busy with others", 2);
/// Cores that the machine's host took away.
pub(crate) const STOLEN_CORES: Metric = metric("stolen_cores", "cores stolen by the host", 2);
/// What went wrong.
pub(crate) const FAILURES: Metric = metric("failures", "failures", 0);
/// Memory of the server at the end, all of it.
pub(crate) const RESIDENT: Metric = metric("rss_mib", "RSS MiB", 1);
/// Memory of the server for each connection, its base taken off.
pub(crate) const RESIDENT_EACH: Metric =
    metric("rss_bytes_per_connection", "RSS bytes/connection", 0);

/// Connections from which on the memory of each is told: below, it is the server's own warming up.
const ENOUGH: usize = 500;

/// Puts the server's memory among the figures: all of it, and what it grew by for each connection.
pub(crate) fn add_resident(figures: &mut Figures, base: u64, now: u64, connections: usize) {
    figures.push((RESIDENT, now as f64 / 1024.0 / 1024.0));
    if connections >= ENOUGH {
        figures.push((
            RESIDENT_EACH,
            now.saturating_sub(base) as f64 / connections as f64,
        ));
    }
}

/// Three metrics of one distribution.
pub(crate) type Distribution = [Metric; 3];

/// From a request to its answer.
pub(crate) const LATENCY: Distribution = [
    metric("p50_us", "p50 µs", 0),
    metric("p99_us", "p99 µs", 0),
    metric("max_us", "max µs", 0),
];
/// From a post to the arrival on the socket.
pub(crate) const DELIVERY: Distribution = [
    metric("delivery_p50_us", "delivery p50 µs", 0),
    metric("delivery_p99_us", "delivery p99 µs", 0),
    metric("delivery_max_us", "delivery max µs", 0),
];

/// Points of `LATENCY`'s curve.
const LATENCY_CURVE: [Metric; CURVE.len()] = [
    metric("p75_us", "", 0),
    metric("p90_us", "", 0),
    metric("p999_us", "", 0),
    metric("p9999_us", "", 0),
];
/// Points of `DELIVERY`'s curve.
const DELIVERY_CURVE: [Metric; CURVE.len()] = [
    metric("delivery_p75_us", "", 0),
    metric("delivery_p90_us", "", 0),
    metric("delivery_p999_us", "", 0),
    metric("delivery_p9999_us", "", 0),
];

/// What a trial found.
pub(crate) type Figures = Vec<(Metric, f64)>;

/// Puts a distribution among the figures, if there is one.
pub(crate) fn add_distribution(
    figures: &mut Figures,
    names: Distribution,
    summary: Option<Summary>,
) {
    if let Some(summary) = summary {
        figures.extend(
            names
                .into_iter()
                .zip([summary.p50, summary.p99, summary.max]),
        );
    }
}

/// The figures that a window always gives.
pub(crate) fn of_window(window: &Window, meters: &[Arc<Meter>]) -> Figures {
    let cpu = window.server.nanoseconds as f64;
    let mut figures = vec![
        (CPU, cpu / 1e3 / window.answered as f64),
        (RATE, window.answered as f64 / window.seconds),
    ];
    if window.apart.nanoseconds > 0 {
        let apart = window.apart.nanoseconds as f64;
        figures.insert(1, (CPU_OF_REDIS, apart / 1e3 / window.answered as f64));
    }
    let latency = Latencies::summary(meters.iter().map(|meter| &meter.latency));
    let delivery = Latencies::summary(meters.iter().map(|meter| &meter.delivery));
    for (summary, names, curve) in [
        (latency, LATENCY, LATENCY_CURVE),
        (delivery, DELIVERY, DELIVERY_CURVE),
    ] {
        add_distribution(&mut figures, names, summary);
        if let Some(summary) = summary {
            figures.extend(curve.into_iter().zip(summary.curve));
        }
    }
    figures.push((SERVER_CORES, cpu / 1e9 / window.seconds));
    figures.push((
        GENERATOR_CORES,
        window.generator.nanoseconds as f64 / 1e9 / window.seconds,
    ));
    let ours = (window.server.nanoseconds + window.generator.nanoseconds) as f64 / 1e9;
    figures.push((
        OTHER_CORES,
        (window.machine.busy_seconds - ours).max(0.0) / window.seconds,
    ));
    figures.push((STOLEN_CORES, window.machine.stolen_seconds / window.seconds));
    figures.extend(window.server.system_share().map(|share| (KERNEL, share)));
    figures
}
