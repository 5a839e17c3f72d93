//! Charts of the results, as SVG that follows the reader's choice of a light or a dark page.

mod bars;
mod curves;
mod svg;

use serde_json::Value;

use bars::{Bars, Group};
use curves::{Curve, Curves};

use super::goals::values;
use crate::measure::statistics::Spread;

/// Who has which colour, in all charts.
const SUBJECTS: [&str; 5] = [
    "wiregate",
    "limit",
    "pushpin",
    "serverless-offline",
    "nginx",
];

/// Bars: file, title, metric, unit, digits, and the exhibits that make its groups with their names.
type BarChart = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    usize,
    &'static [(&'static str, &'static str)],
);

const BARS: [BarChart; 4] = [
    (
        "route-cpu.svg",
        "CPU time of the server for each routed message",
        "cpu_us_per_message",
        "µs",
        1,
        &[
            ("peers-route-64", "64 connections"),
            ("peers-route-256", "256 connections"),
        ],
    ),
    (
        "push-cpu.svg",
        "CPU time of the server for each push",
        "cpu_us_per_message",
        "µs",
        1,
        &[
            ("peers-push", "connections kept alive"),
            ("peers-push-new", "a new connection for each POST"),
        ],
    ),
    (
        "memory.svg",
        "Memory of the server for each idle connection",
        "rss_bytes_per_connection",
        "bytes",
        0,
        &[("peers-idle", "8000 connections")],
    ),
    (
        "connect-cpu.svg",
        "CPU time of the server for each new connection",
        "cpu_us_per_connect",
        "µs",
        1,
        &[
            ("peers-connect", "nobody is asked"),
            ("peers-connect-asked", "the backend is asked"),
        ],
    ),
];

/// Curves: file, title, exhibit, and what the keys of its latencies begin with.
const CURVES: [(&str, &str, &str, &str); 2] = [
    (
        "route-latency.svg",
        "Latency of routed messages, 20,000 a second",
        "route-20000",
        "",
    ),
    (
        "push-latency.svg",
        "From a POST to the message on the socket, 1000 a second",
        "peers-push-1000",
        "delivery_",
    ),
];
/// Shares of messages, and the keys of the latencies that they stay below.
const SHARES: [(f64, &str); 6] = [
    (0.5, "p50_us"),
    (0.75, "p75_us"),
    (0.9, "p90_us"),
    (0.99, "p99_us"),
    (0.999, "p999_us"),
    (0.9999, "p9999_us"),
];

/// All charts for which there are results: file name and SVG.
pub(super) fn all(results: &Value) -> Vec<(&'static str, String)> {
    let bars = BARS
        .iter()
        .filter_map(|chart| Some((chart.0, bar_chart(results, chart)?.draw())));
    let curves = CURVES
        .iter()
        .filter_map(|chart| Some((chart.0, curve_chart(results, chart)?.draw())));
    bars.chain(curves).collect()
}

/// Their file names and titles.
pub(super) fn names(results: &Value) -> Vec<(&'static str, &'static str)> {
    let bars = BARS
        .iter()
        .filter_map(|chart| bar_chart(results, chart).map(|_| (chart.0, chart.1)));
    let curves = CURVES
        .iter()
        .filter_map(|chart| curve_chart(results, chart).map(|_| (chart.0, chart.1)));
    bars.chain(curves).collect()
}

fn spread(results: &Value, exhibit: &str, subject: &str, metric: &str) -> Option<Spread> {
    Spread::of(
        values(results, exhibit, subject, metric)
            .into_iter()
            .flatten(),
    )
}

fn bar_chart(results: &Value, chart: &BarChart) -> Option<Bars> {
    let &(_, title, metric, unit, decimals, exhibits) = chart;
    let groups: Vec<Group> = exhibits
        .iter()
        .map(|&(exhibit, name)| Group {
            name,
            bars: SUBJECTS
                .iter()
                .enumerate()
                .filter_map(|(colour, subject)| {
                    Some((colour, *subject, spread(results, exhibit, subject, metric)?))
                })
                .collect(),
        })
        .filter(|group| !group.bars.is_empty())
        .collect();
    (!groups.is_empty()).then_some(Bars {
        title,
        unit,
        decimals,
        groups,
    })
}

fn curve_chart(results: &Value, chart: &(&str, &'static str, &str, &str)) -> Option<Curves> {
    let &(_, title, exhibit, prefix) = chart;
    let curves: Vec<Curve> = SUBJECTS
        .iter()
        .enumerate()
        .map(|(colour, name)| Curve {
            colour,
            name,
            points: SHARES
                .iter()
                .filter_map(|(share, key)| {
                    let spread = spread(results, exhibit, name, &format!("{prefix}{key}"))?;
                    Some((*share, spread.median))
                })
                .collect(),
        })
        .filter(|curve| curve.points.len() > 1)
        .collect();
    (!curves.is_empty()).then_some(Curves { title, curves })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_is_a_chart_for_what_was_measured_and_for_nothing_else() {
        let trial = |subject: &str, cpu: f64| json!({ "run": 1, "subject": subject, "figures": { "cpu_us_per_message": cpu } });
        let results = json!({ "exhibits": { "peers-push": { "trials": [trial("wiregate", 7.0), trial("pushpin", 93.0)] } } });
        let charts = all(&results);
        assert_eq!(charts.len(), 1);
        assert_eq!(names(&results), [("push-cpu.svg", BARS[1].1)]);
        let svg = &charts[0].1;
        assert!(svg.contains("93.0") && svg.contains(">wiregate<"), "{svg}");
        assert!(!svg.contains("a new connection"), "{svg}");
    }
}
