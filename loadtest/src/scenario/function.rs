//! `function`: a message to the gateway, by the gateway to a handler, its answer back on the same socket: the first call of a fresh
//! process, calls one at a time, and as many calls as can be done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{echo, open, share};
use crate::client::frame;
use crate::client::socket::{Socket, source};
use crate::error::LoadError;
use crate::measure::course::{Meter, Phase};
use crate::measure::crew::{Crew, Window};
use crate::measure::figure::{self, Figures, Metric};
use crate::measure::latency::Latencies;
use crate::measure::statistics::Spread;
use crate::plan::{Finding, Stage};
use crate::subject::{self, Handler, Runtime};

/// Bytes of a message.
const PAYLOAD: usize = 91;
/// Time for the very first call: a Python that lacks AWS's runtime client gets one made, with packages from PyPI.
const PREPARATION: Duration = Duration::from_mins(5);

const fn metric(key: &'static str, title: &'static str, decimals: usize) -> Metric {
    Metric {
        key,
        title,
        decimals,
    }
}

/// From the start of a process to its first answer on the socket: the middle of a trial's.
const COLD: Metric = metric("cold_start_ms", "cold start ms", 1);
/// The quickest.
const COLD_LEAST: Metric = metric("cold_start_min_ms", "", 1);
/// The slowest.
const COLD_MOST: Metric = metric("cold_start_max_ms", "slowest cold start ms", 1);
const WARM: figure::Distribution = [
    metric("warm_p50_us", "warm call p50 µs", 0),
    metric("warm_p99_us", "warm call p99 µs", 0),
    metric("warm_max_us", "", 0),
];
/// Cores that everybody else kept busy meanwhile.
const OTHERS: Metric = metric("other_cores", "cores busy with others", 2);

/// Figures of calls without a pause.
struct Names {
    rate: Metric,
    gateway: Metric,
    handlers: Metric,
}

const ONE_AT_A_TIME: Names = Names {
    rate: metric("warm_calls_per_second", "", 0),
    gateway: metric(
        "warm_gateway_cpu_us",
        "one at a time: gateway CPU µs/call",
        1,
    ),
    handlers: metric(
        "warm_handler_cpu_us",
        "one at a time: handler CPU µs/call",
        1,
    ),
};
const ONE: Names = Names {
    rate: metric("one_calls_per_second", "1 worker: calls/s", 0),
    gateway: metric("one_gateway_cpu_us", "1 worker: gateway CPU µs/call", 1),
    handlers: metric("one_handler_cpu_us", "1 worker: handler CPU µs/call", 1),
};
const MANY: Names = Names {
    rate: metric("many_calls_per_second", "default workers: calls/s", 0),
    gateway: metric(
        "many_gateway_cpu_us",
        "default workers: gateway CPU µs/call",
        1,
    ),
    handlers: metric(
        "many_handler_cpu_us",
        "default workers: handler CPU µs/call",
        1,
    ),
};

/// Settings of `function`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Function {
    /// What the handler is written in.
    #[arg(long, value_enum, default_value = "node")]
    pub(crate) runtime: Runtime,
    /// Connections, each with one call under way, where as much is done as can be.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Cold starts in each trial.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) cold: u8,
}

impl Function {
    pub(super) fn describe(&self) -> String {
        let runtime = match self.runtime {
            Runtime::Node => "node",
            Runtime::Python => "python",
            Runtime::Rust => "rust",
        };
        format!(
            "function: {runtime}, {} cold starts, then 1 connection, then {}",
            self.cold, self.connections
        )
    }

    pub(super) fn handler(&self) -> Handler {
        Handler {
            runtime: self.runtime,
            cold: usize::from(self.cold),
        }
    }

    pub(super) fn measure(&self, stage: &Stage<'_>) -> Result<Finding, LoadError> {
        let colds = open::runtime()?.block_on(self.start_cold(stage))?;
        let mut figures = of_colds(&colds);
        let middle = Spread::of(colds).map_or(0.0, |spread| spread.median);
        stage.say(&format!("cold start {middle:.0} ms"));
        let mut failures = (0, None);
        let phases = [
            (ONE_AT_A_TIME, subject::ONE, 1),
            (ONE, subject::ONE, self.connections),
            (MANY, subject::MANY, self.connections),
        ];
        let mut last = Window::default();
        for (number, (names, route, connections)) in phases.into_iter().enumerate() {
            let (window, crew) = load(stage, route, connections)?;
            if number == 0 {
                let meters = crew
                    .meters()
                    .iter()
                    .map(|meter: &Arc<Meter>| &meter.latency);
                figure::add_distribution(&mut figures, WARM, Latencies::summary(meters));
            }
            of_calls(&mut figures, &names, &window);
            let (more, text) = crew.failures();
            failures = (failures.0 + more, failures.1.or(text));
            stage.say(&format!(
                "{}: {:.0} calls/s",
                names.rate.key,
                window.answered as f64 / window.seconds
            ));
            last = window;
        }
        let ours = (last.server.nanoseconds + last.generator.nanoseconds) as f64 / 1e9;
        let others = (last.machine.busy_seconds - ours).max(0.0) / last.seconds;
        figures.push((OTHERS, others));
        Ok(Finding { figures, failures })
    }

    /// Milliseconds of each cold start: one process after the other, while those before it rest or are gone.
    async fn start_cold(&self, stage: &Stage<'_>) -> Result<Vec<f64>, LoadError> {
        let mut socket = Socket::open(&stage.door(), source(0)).await?;
        // What is made once, and the files that all read, are no part of a cold start.
        let since = Instant::now();
        while let Err(error) = call(&mut socket, subject::ONE).await {
            if since.elapsed() > PREPARATION {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let mut all = Vec::new();
        for number in 0..usize::from(self.cold) {
            let since = Instant::now();
            let http = stage.running.http_handlers();
            let process = http.map(|http| http.start_cold(number)).transpose()?;
            call(&mut socket, &subject::cold(number)).await?;
            all.push(since.elapsed().as_secs_f64() * 1e3);
            drop(process);
        }
        Ok(all)
    }
}

/// One call; an error if the answer is not the message.
async fn call(socket: &mut Socket, route: &str) -> Result<(), LoadError> {
    let message = echo::message(route, PAYLOAD);
    socket.send(&frame::masked(frame::TEXT, &message)).await?;
    echo::same(socket.receive().await?, &message)
}

/// Calls without a pause on all connections; what happened once all workers ran.
fn load(stage: &Stage<'_>, route: &str, connections: usize) -> Result<(Window, Crew), LoadError> {
    let plan = stage.plan;
    let (door, lanes) = (stage.door(), plan.lanes);
    let message: Arc<[u8]> = echo::message(route, PAYLOAD).into();
    let mut crew = Crew::start(lanes, move |number, lane| {
        let (door, message) = (door.clone(), Arc::clone(&message));
        async move {
            let numbers = share(connections, number, lanes);
            echo::run(&door, numbers, None, message, lane).await
        }
    })?;
    crew.opened()?;
    crew.await_turn(Phase::WarmUp);
    crew.take_turn(plan.warm_up, &[]);
    // Only now do all the workers run that this load calls for.
    let (gateway, handlers) = stage.running.gateway_and_handlers()?;
    let pids = [gateway, handlers.clone()].concat();
    crew.keep_apart(handlers);
    crew.await_turn(Phase::Measure);
    let window = crew.take_turn(plan.length, &pids);
    crew.finish();
    Ok((window, crew))
}

fn of_colds(milliseconds: &[f64]) -> Figures {
    let Some(Spread { median, min, max }) = Spread::of(milliseconds.iter().copied()) else {
        return Figures::new();
    };
    vec![(COLD, median), (COLD_LEAST, min), (COLD_MOST, max)]
}

fn of_calls(figures: &mut Figures, names: &Names, window: &Window) {
    let calls = window.answered as f64;
    let handlers = window.apart.nanoseconds;
    let gateway = window.server.nanoseconds.saturating_sub(handlers);
    figures.push((names.rate, calls / window.seconds));
    figures.push((names.gateway, gateway as f64 / 1e3 / calls));
    figures.push((names.handlers, handlers as f64 / 1e3 / calls));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::processes::CpuTime;

    #[test]
    fn the_cpu_of_handlers_is_told_from_the_gateways() {
        let used = |nanoseconds| CpuTime {
            nanoseconds,
            ..CpuTime::default()
        };
        let window = Window {
            seconds: 2.0,
            answered: 100,
            server: used(5_000_000),
            apart: used(3_000_000),
            ..Window::default()
        };
        let mut figures = Figures::new();
        of_calls(&mut figures, &ONE, &window);
        assert_eq!(
            figures,
            [(ONE.rate, 50.0), (ONE.gateway, 20.0), (ONE.handlers, 30.0)]
        );
    }

    #[test]
    fn cold_starts_have_a_middle_and_two_ends() {
        let figures = of_colds(&[40.0, 90.0, 50.0]);
        assert_eq!(
            figures,
            [(COLD, 50.0), (COLD_LEAST, 40.0), (COLD_MOST, 90.0)]
        );
        assert_eq!(of_colds(&[]), []);
    }

    #[test]
    fn no_two_figures_have_one_name() {
        let all = [ONE_AT_A_TIME, ONE, MANY];
        let all = all
            .iter()
            .flat_map(|names| [names.rate, names.gateway, names.handlers]);
        let mut keys: Vec<&str> = all.chain(WARM).map(|metric| metric.key).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
