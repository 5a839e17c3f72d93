//! What `/metrics` shows of the functions that run here.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Function {
    function: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    function: String,
    outcome: &'static str,
}

/// How a call of a function ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionOutcome {
    /// It returned something.
    Ok,
    /// It reported an error.
    Error,
    /// It took longer than its `Timeout`.
    Timeout,
    /// Its process ended.
    Exit,
    /// It did not load.
    Init,
    /// It returned too much.
    TooLarge,
    /// No worker was free in time.
    NoWorker,
    /// Too many calls waited.
    Busy,
    /// It was stopped first.
    Stopped,
}

impl FunctionOutcome {
    /// The outcome of a call that failed with this error type.
    pub fn of(error_type: &str) -> Self {
        match error_type {
            "Sandbox.Timedout" => Self::Timeout,
            "Runtime.ExitError" => Self::Exit,
            "Function.ResponseSizeTooLarge" => Self::TooLarge,
            _ => Self::Error,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Exit => "exit",
            Self::Init => "init",
            Self::TooLarge => "too_large",
            Self::NoWorker => "no_worker",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
        }
    }
}

/// Counters of functions. Copies count on the same.
#[derive(Debug, Clone)]
pub struct FunctionMetrics {
    workers: Family<Function, Gauge>,
    waiting: Family<Function, Gauge>,
    starts: Family<Function, Counter>,
    init_failures: Family<Function, Counter>,
    calls: Family<Ended, Counter>,
    seconds: Family<Function, Histogram>,
}

impl Default for FunctionMetrics {
    fn default() -> Self {
        fn histogram() -> Histogram {
            // 0.5 ms to 32 s.
            Histogram::new(exponential_buckets(0.0005, 2.0, 17))
        }
        Self {
            workers: Family::default(),
            waiting: Family::default(),
            starts: Family::default(),
            init_failures: Family::default(),
            calls: Family::default(),
            seconds: Family::new_with_constructor(histogram),
        }
    }
}

impl FunctionMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "function_workers",
            "Processes of functions",
            metrics.workers.clone(),
        );
        registry.register(
            "function_waiting",
            "Calls that wait for a worker",
            metrics.waiting.clone(),
        );
        registry.register(
            "function_starts",
            "Started processes of functions",
            metrics.starts.clone(),
        );
        registry.register(
            "function_init_failures",
            "Workers that did not load their code",
            metrics.init_failures.clone(),
        );
        registry.register(
            "function_calls",
            "Calls of functions by outcome",
            metrics.calls.clone(),
        );
        registry.register(
            "function_duration_seconds",
            "Time from handing a call to a worker to its answer",
            metrics.seconds.clone(),
        );
        metrics
    }

    /// A process was started.
    pub fn worker_started(&self, function: &str) {
        self.starts.get_or_create(&named(function)).inc();
        self.workers.get_or_create(&named(function)).inc();
    }

    /// A process is gone.
    pub fn worker_ended(&self, function: &str) {
        self.workers.get_or_create(&named(function)).dec();
    }

    /// A worker did not load its code.
    pub fn init_failed(&self, function: &str) {
        self.init_failures.get_or_create(&named(function)).inc();
    }

    /// So many calls wait now.
    pub fn waiting(&self, function: &str, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.waiting.get_or_create(&named(function)).set(calls);
    }

    /// A call ended; `duration` where a worker had it.
    pub fn called(&self, function: &str, outcome: FunctionOutcome, duration: Option<Duration>) {
        let ended = Ended {
            function: function.to_owned(),
            outcome: outcome.name(),
        };
        self.calls.get_or_create(&ended).inc();
        if let Some(duration) = duration {
            self.seconds
                .get_or_create(&named(function))
                .observe(duration.as_secs_f64());
        }
    }
}

fn named(function: &str) -> Function {
    Function {
        function: function.to_owned(),
    }
}
