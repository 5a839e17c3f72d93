//! What the measurements are held against: each goal is a ratio inside one run, or a figure of the server that moves little from
//! machine to machine.

use serde_json::Value;

use crate::measure::statistics::{Spread, ratio};

/// One line of the table.
#[derive(Debug, Clone, Copy)]
struct Goal {
    what: &'static str,
    exhibit: &'static str,
    measured: Measured,
    bound: Bound,
}

#[derive(Debug, Clone, Copy)]
enum Measured {
    /// The metric of the first subject by that of the second, run by run.
    Ratio(&'static str, &'static str, &'static str),
    /// The metric of the subject.
    Figure(&'static str, &'static str),
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What became of one goal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// What was measured.
    pub(super) what: &'static str,
    /// The exhibit that it was measured by.
    pub(super) exhibit: &'static str,
    /// The goal, as text.
    pub(super) goal: String,
    /// Its spread over the runs; `None` if it was not measured.
    pub(super) measured: Option<Spread>,
    /// Unit and digits of it.
    pub(super) unit: &'static str,
    /// Digits after the point.
    pub(super) decimals: usize,
    /// True if the median meets the goal.
    pub(super) met: bool,
    /// How far the median is on the wrong side, as a share of the goal; 0 where it is met.
    pub(super) short: f64,
}

const CPU: &str = "cpu_us_per_message";
const CONNECT_CPU: &str = "cpu_us_per_connect";
const P50: &str = "p50_us";
const DELIVERY: &str = "delivery_p50_us";
const RSS: &str = "rss_bytes_per_connection";
const WIREGATE: &str = "wiregate";

const fn at_most(
    what: &'static str,
    exhibit: &'static str,
    metric: &'static str,
    most: f64,
) -> Goal {
    Goal {
        what,
        exhibit,
        measured: Measured::Ratio(WIREGATE, "limit", metric),
        bound: Bound::AtMost(most),
    }
}

const fn below(
    what: &'static str,
    exhibit: &'static str,
    peer: &'static str,
    metric: &'static str,
    least: f64,
) -> Goal {
    Goal {
        what,
        exhibit,
        measured: Measured::Ratio(peer, WIREGATE, metric),
        bound: Bound::AtLeast(least),
    }
}

const fn figure(
    what: &'static str,
    exhibit: &'static str,
    metric: &'static str,
    most: f64,
) -> Goal {
    Goal {
        what,
        exhibit,
        measured: Measured::Figure(WIREGATE, metric),
        bound: Bound::AtMost(most),
    }
}

const PUSHPIN: &str = "pushpin";
const SERVERLESS: &str = "serverless-offline";

const GOALS: [Goal; 22] = [
    at_most(
        "Routed message, 64 connections: CPU, by the limit",
        "route-64",
        CPU,
        1.35,
    ),
    at_most(
        "Routed message, 256 connections: CPU, by the limit",
        "route-256",
        CPU,
        1.35,
    ),
    below(
        "Routed message, 64 connections: CPU of Pushpin, by ours",
        "peers-route-64",
        PUSHPIN,
        CPU,
        30.0,
    ),
    below(
        "Routed message, 256 connections: CPU of Pushpin, by ours",
        "peers-route-256",
        PUSHPIN,
        CPU,
        30.0,
    ),
    below(
        "Routed message, 64 connections: CPU of serverless-offline, by ours",
        "peers-route-64",
        SERVERLESS,
        CPU,
        4.0,
    ),
    below(
        "Routed message, 256 connections: CPU of serverless-offline, by ours",
        "peers-route-256",
        SERVERLESS,
        CPU,
        4.0,
    ),
    at_most(
        "Routed message, 1000 connections at saturation: p50, by the limit",
        "route-1000",
        P50,
        1.5,
    ),
    at_most(
        "Routed message, 20,000/s: p50, by the limit",
        "route-20000",
        P50,
        1.5,
    ),
    at_most(
        "Push, connections kept alive: CPU, by the limit",
        "push",
        CPU,
        1.3,
    ),
    below(
        "Push, connections kept alive: CPU of Pushpin, by ours",
        "peers-push",
        PUSHPIN,
        CPU,
        10.0,
    ),
    below(
        "Push, a connection for each POST: CPU of Pushpin, by ours",
        "peers-push-new",
        PUSHPIN,
        CPU,
        4.5,
    ),
    at_most(
        "Push, 1000/s: delivery p50, by the limit",
        "peers-push-1000",
        DELIVERY,
        1.6,
    ),
    below(
        "Push, 1000/s: delivery p50 of Pushpin, by ours",
        "peers-push-1000",
        PUSHPIN,
        DELIVERY,
        3.5,
    ),
    figure("Memory of an idle connection", "idle", RSS, 4096.0),
    figure(
        "… after a message",
        "idle",
        "rss_bytes_per_connection_after_message",
        4096.0,
    ),
    figure(
        "… after a message of 128 KiB",
        "idle",
        "rss_bytes_per_connection_after_large",
        4096.0,
    ),
    figure("Connecting: CPU", "peers-connect", CONNECT_CPU, 25.0),
    figure(
        "Connecting, the backend asked: CPU",
        "peers-connect-asked",
        CONNECT_CPU,
        45.0,
    ),
    Goal {
        what: "Idle connections held at once",
        exhibit: "hold",
        measured: Measured::Figure(WIREGATE, "connections_alive"),
        bound: Bound::AtLeast(100_000.0),
    },
    figure(
        "… memory of each",
        "hold",
        "rss_bytes_per_connection_after_check",
        4096.0,
    ),
    figure("… CPU of connecting", "hold", CONNECT_CPU, 25.0),
    Goal {
        what: "Two threads: CPU for each message, by one thread",
        exhibit: "workers",
        measured: Measured::Ratio("two-workers", "one-worker", CPU),
        bound: Bound::AtMost(1.1),
    },
];

/// Holds `results` against all goals.
pub(super) fn judge(results: &Value) -> Vec<Verdict> {
    GOALS.iter().map(|goal| goal.judge(results)).collect()
}

impl Goal {
    fn judge(&self, results: &Value) -> Verdict {
        let values = |subject, metric| values(results, self.exhibit, subject, metric);
        let (measured, unit, decimals) = match self.measured {
            Measured::Ratio(over, under, metric) => {
                (ratio(&values(over, metric), &values(under, metric)), "×", 2)
            }
            Measured::Figure(subject, metric) => {
                let (unit, decimals) = match metric {
                    CONNECT_CPU => (" µs", 1),
                    "connections_alive" => ("", 0),
                    _ => (" bytes", 0),
                };
                let spread = Spread::of(values(subject, metric).into_iter().flatten());
                (spread, unit, decimals)
            }
        };
        let (sign, bound) = match self.bound {
            Bound::AtMost(most) => ("≤", most),
            Bound::AtLeast(least) => ("≥", least),
        };
        let short = measured.map_or(0.0, |spread| match self.bound {
            Bound::AtMost(most) => spread.median / most - 1.0,
            Bound::AtLeast(least) => 1.0 - spread.median / least,
        });
        Verdict {
            what: self.what,
            exhibit: self.exhibit,
            goal: format!("{sign} {bound}{unit}"),
            measured,
            unit,
            decimals,
            met: measured.is_some() && short <= 0.0,
            short: short.max(0.0),
        }
    }
}

/// One value for each run, in order.
pub(super) fn values(
    results: &Value,
    exhibit: &str,
    subject: &str,
    metric: &str,
) -> Vec<Option<f64>> {
    let trials = results["exhibits"][exhibit]["trials"].as_array();
    let trials = trials.map_or(&[][..], Vec::as_slice);
    let runs = trials
        .iter()
        .filter_map(|trial| trial["run"].as_u64())
        .max();
    (1..=runs.unwrap_or(0))
        .map(|run| {
            trials
                .iter()
                .find(|trial| trial["run"] == run && trial["subject"] == subject)?["figures"]
                [metric]
                .as_f64()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::exhibit;

    fn results(ours: [f64; 3]) -> Value {
        let trials: Vec<Value> = (1..=3)
            .flat_map(|run| {
                let trial = |subject: &str, cpu: f64| json!({ "run": run, "subject": subject, "figures": { CPU: cpu } });
                [trial(WIREGATE, ours[run - 1]), trial("limit", 10.0)]
            })
            .collect();
        json!({ "exhibits": { "route-64": { "trials": trials } } })
    }

    #[test]
    fn the_median_decides() {
        let verdicts = judge(&results([12.0, 13.0, 20.0]));
        assert!(verdicts[0].met, "{:?}", verdicts[0]);
        let verdicts = judge(&results([12.0, 27.0, 27.0]));
        assert!(!verdicts[0].met);
        assert!((verdicts[0].short - 1.0).abs() < 1e-9, "{:?}", verdicts[0]);
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        assert_eq!(
            (judge(&json!({}))[0].measured, judge(&json!({}))[0].met),
            (None, false)
        );
    }

    #[test]
    fn each_goal_is_about_something_that_is_measured() {
        for goal in GOALS {
            let exhibits = exhibit::all();
            let exhibit = exhibits.iter().find(|exhibit| exhibit.key == goal.exhibit);
            let subjects: Vec<String> = exhibit
                .unwrap_or_else(|| panic!("{} is no exhibit", goal.exhibit))
                .subjects
                .iter()
                .map(ToString::to_string)
                .collect();
            let named = match goal.measured {
                Measured::Ratio(over, under, _) => vec![over, under],
                Measured::Figure(subject, _) => vec![subject],
            };
            for name in named {
                assert!(
                    subjects.iter().any(|subject| subject == name),
                    "{}: {name}",
                    goal.what
                );
            }
        }
    }
}
