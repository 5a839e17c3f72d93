//! What `/metrics` shows, in Prometheus' text format.

use gateway_core::call::Event;
use gateway_core::failure::{Failure, Fault};
use gateway_core::live::{LiveRoute, LiveStage};
use gateway_core::session::CloseCause;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{ClusterMetrics, FunctionMetrics, Record};

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Connect {
    api: String,
    stage: String,
    status: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    api: String,
    stage: String,
    route: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Error {
    kind: &'static str,
    fault: &'static str,
}

impl Error {
    fn of(failure: &Failure) -> Self {
        let fault = match failure.fault() {
            Fault::Caller => "caller",
            Fault::Backend => "backend",
            Fault::Configuration => "configuration",
            Fault::Gateway => "gateway",
        };
        Self {
            kind: failure.response_type(),
            fault,
        }
    }
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// What became of a push, as the `result` label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Written or queued.
    Sent,
    /// Kept for the end of the handshake.
    Held,
    /// 410.
    Gone,
    /// 429.
    Busy,
    /// 413.
    TooLarge,
    /// Any other refusal.
    Refused,
}

impl Push {
    const ALL: [Self; 6] = [
        Self::Sent,
        Self::Held,
        Self::Gone,
        Self::Busy,
        Self::TooLarge,
        Self::Refused,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Held => "held",
            Self::Gone => "gone",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
        }
    }
}

/// The meters of one stage, ready to be counted on.
#[derive(Debug)]
pub struct StageMeters {
    routes: Vec<RouteMeter>,
    none: RouteMeter,
}

/// The meters of one route.
#[derive(Debug)]
pub struct RouteMeter {
    messages: Counter,
    latency: Histogram,
}

impl StageMeters {
    /// Those of a route, or of the messages that found none.
    pub fn of(&self, route: Option<&LiveRoute>) -> &RouteMeter {
        route
            .and_then(|route| self.routes.get(route.index))
            .unwrap_or(&self.none)
    }
}

/// Every counter, gauge and histogram.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: Gauge,
    connects: Family<Connect, Counter>,
    refused_handshakes: Family<Error, Counter>,
    closes: Family<Cause, Counter>,
    received: Counter,
    sent: Counter,
    routed: Family<RouteLabels, Counter>,
    latency: Family<RouteLabels, Histogram>,
    errors: Family<Error, Counter>,
    /// By [`Push`], in its order: found once, since looking a label up costs more than counting.
    pushes: [Counter; Push::ALL.len()],
    slow_consumers: Counter,
    held_dropped: Counter,
    owed: Gauge,
    given_up: Counter,
    panics: Counter,
    accept_pauses: Counter,
    /// Of a node among others.
    pub cluster: ClusterMetrics,
    /// Of the functions that run here.
    pub functions: FunctionMetrics,
}

impl Metrics {
    /// All at zero.
    pub(super) fn new() -> Self {
        fn histogram() -> Histogram {
            // 0.5 ms to 32 s.
            Histogram::new(exponential_buckets(0.0005, 2.0, 17))
        }
        let messages: Family<Direction, Counter> = Family::default();
        let pushes: Family<Outcome, Counter> = Family::default();
        let result = |push: Push| {
            let result = push.name();
            pushes.get_or_create(&Outcome { result }).clone()
        };
        let direction = |direction| messages.get_or_create(&Direction { direction }).clone();
        let mut registry = Registry::with_prefix("wiregate");
        let mut metrics = Self {
            cluster: ClusterMetrics::new(&mut registry),
            functions: FunctionMetrics::new(&mut registry),
            registry,
            connections: Gauge::default(),
            connects: Family::default(),
            refused_handshakes: Family::default(),
            closes: Family::default(),
            received: direction("in"),
            sent: direction("out"),
            routed: Family::default(),
            latency: Family::new_with_constructor(histogram),
            errors: Family::default(),
            pushes: Push::ALL.map(result),
            slow_consumers: Counter::default(),
            held_dropped: Counter::default(),
            owed: Gauge::default(),
            given_up: Counter::default(),
            panics: Counter::default(),
            accept_pauses: Counter::default(),
        };
        let r = &mut metrics.registry;
        r.register(
            "connections",
            "Open WebSocket connections",
            metrics.connections.clone(),
        );
        r.register(
            "connects",
            "Answered handshakes by status",
            metrics.connects.clone(),
        );
        r.register(
            "refused_handshakes",
            "Handshakes refused before $connect",
            metrics.refused_handshakes.clone(),
        );
        r.register(
            "closes",
            "Ended connections by cause",
            metrics.closes.clone(),
        );
        r.register("messages", "Messages by direction", messages);
        r.register(
            "routed_messages",
            "Client messages by route",
            metrics.routed.clone(),
        );
        r.register(
            "integration_latency_seconds",
            "Time from dispatch to answer",
            metrics.latency.clone(),
        );
        r.register(
            "errors",
            "Refused calls by kind and by who is at fault",
            metrics.errors.clone(),
        );
        r.register("pushes", "Posts to @connections by result", pushes);
        r.register(
            "slow_consumers",
            "Connections closed for not reading",
            metrics.slow_consumers.clone(),
        );
        r.register(
            "held_pushes_dropped",
            "Pushes held for a refused $connect",
            metrics.held_dropped.clone(),
        );
        r.register(
            "disconnects_owed",
            "$disconnects not delivered yet",
            metrics.owed.clone(),
        );
        r.register(
            "disconnects_given_up",
            "$disconnects that found no room to wait for their backend",
            metrics.given_up.clone(),
        );
        r.register(
            "panics",
            "Panics that ended one connection, message or delivery",
            metrics.panics.clone(),
        );
        r.register(
            "accept_pauses",
            "Pauses for want of descriptors",
            metrics.accept_pauses.clone(),
        );
        metrics
    }

    /// The meters of a stage's routes. Found once for each deployment: looking labels up for every message would cost
    /// more than counting.
    pub fn meters(&self, stage: &LiveStage) -> StageMeters {
        let meter = |route: &str| {
            let labels = RouteLabels {
                api: stage.api_id.to_string(),
                stage: stage.stage_name.to_string(),
                route: route.to_owned(),
            };
            RouteMeter {
                messages: self.routed.get_or_create(&labels).clone(),
                latency: self.latency.get_or_create(&labels).clone(),
            }
        };
        StageMeters {
            routes: stage
                .routes
                .iter()
                .map(|route| meter(&route.route_key))
                .collect(),
            none: meter(""),
        }
    }

    pub(super) fn record(&self, record: &Record<'_>) {
        if let Some(latency) = record.latency {
            record.meter.latency.observe(latency.as_secs_f64());
        }
        match record.call.event {
            Event::Connect(_) => {
                let (api, stage) = (
                    record.stage.api_id.to_string(),
                    record.stage.stage_name.to_string(),
                );
                let status = record.status;
                self.connects
                    .get_or_create(&Connect { api, stage, status })
                    .inc();
            }
            Event::Message { .. } => {
                record.meter.messages.inc();
                self.received.inc();
            }
            Event::Disconnect { .. } => {}
        }
        if let Some(failure) = record.failure {
            self.errors.get_or_create(&Error::of(failure)).inc();
        }
    }

    /// A connection opened.
    pub fn opened(&self) {
        self.connections.inc();
    }

    /// A connection ended.
    pub fn closed(&self, cause: &CloseCause) {
        self.connections.dec();
        self.closes
            .get_or_create(&Cause {
                cause: cause.name(),
            })
            .inc();
        if *cause == CloseCause::Stalled {
            self.slow_consumers.inc();
        }
    }

    /// A reply or an error frame went out.
    pub fn sent(&self) {
        self.sent.inc();
    }

    /// A push was answered.
    pub fn pushed(&self, push: Push) {
        self.pushes[push as usize].inc();
        if push == Push::Sent {
            self.sent();
        }
    }

    /// Held pushes whose `$connect` refused.
    pub fn dropped_held(&self, frames: usize) {
        self.held_dropped.inc_by(frames as u64);
    }

    /// A handshake was refused before its `$connect`.
    pub fn refused_handshake(&self, failure: &Failure) {
        self.refused_handshakes
            .get_or_create(&Error::of(failure))
            .inc();
    }

    /// A `$disconnect` was given up: too many waited.
    pub fn gave_up(&self) {
        self.given_up.inc();
    }

    /// Something panicked and was contained.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Accepting paused.
    pub fn accept_paused(&self) {
        self.accept_pauses.inc();
    }

    /// The text of `/metrics`; `owed` is how many `$disconnect`s wait now.
    pub fn render(&self, owed: usize) -> String {
        self.owed.set(i64::try_from(owed).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}
