//! Latencies by the share of messages that were quicker: both axes are logarithmic, so that the slow few have room.

use super::svg::{Anchor, Svg};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
/// Least distance between two names at the right.
const APART: f64 = 16.0;

/// A chart.
#[derive(Debug)]
pub(super) struct Curves {
    pub(super) title: &'static str,
    pub(super) curves: Vec<Curve>,
}

/// One subject.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) colour: usize,
    pub(super) name: &'static str,
    /// Share of messages, and the microseconds that they stayed below.
    pub(super) points: Vec<(f64, f64)>,
}

impl Curves {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(self.title, WIDTH, HEIGHT);
        let latencies = || {
            let points = self.curves.iter().flat_map(|curve| &curve.points);
            points.map(|(_, latency)| latency.max(1.0).log10())
        };
        let low = latencies().fold(f64::INFINITY, f64::min).floor();
        let high = latencies().fold(low + 1.0, f64::max).ceil();
        // Half of the messages at the left, one of ten thousand at the right.
        let (first, last) = (0.5_f64.recip().log10(), 4.0);
        let x = |share: f64| {
            let nines = -(1.0 - share).log10();
            LEFT + (nines - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        };
        let y = |latency: f64| {
            let height = HEIGHT - TOP - BOTTOM;
            HEIGHT - BOTTOM - (latency.max(1.0).log10() - low) / (high - low) * height
        };
        let mut decade = low;
        while decade <= high {
            let latency = 10_f64.powf(decade);
            let level = y(latency);
            svg.line((LEFT, level), (WIDTH - RIGHT, level), "grid");
            svg.text(
                LEFT - 8.0,
                level + 4.0,
                Anchor::End,
                "faint",
                &label(latency),
            );
            decade += 1.0;
        }
        for (share, label) in [
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
        ] {
            svg.line((x(share), TOP), (x(share), HEIGHT - BOTTOM), "grid");
            svg.text(
                x(share),
                HEIGHT - BOTTOM + 18.0,
                Anchor::Middle,
                "faint",
                label,
            );
        }
        svg.text(
            LEFT,
            HEIGHT - 8.0,
            Anchor::Start,
            "faint",
            "share of messages that were quicker",
        );
        let mut ends = Vec::new();
        for curve in &self.curves {
            let points: Vec<(f64, f64)> = curve
                .points
                .iter()
                .map(|(share, latency)| (x(*share), y(*latency)))
                .collect();
            svg.curve(&points, curve.colour);
            ends.extend(points.last().map(|(x, y)| (*x, *y, curve.name)));
        }
        // From the top down, each name below the one before.
        ends.sort_by(|one, other| one.1.total_cmp(&other.1));
        let mut free = 0.0;
        for (x, y, name) in ends {
            let y = f64::max(y, free);
            svg.text(x + 10.0, y + 4.5, Anchor::Start, "name", name);
            free = y + APART;
        }
        svg.finish()
    }
}

/// A latency in the unit that makes it short.
fn label(microseconds: f64) -> String {
    match microseconds {
        few if few < 1e3 => format!("{few:.0} µs"),
        more if more < 1e6 => format!("{:.0} ms", more / 1e3),
        most => format!("{:.0} s", most / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_changes_its_unit() {
        assert_eq!(
            [100.0, 1e4, 1e6].map(label),
            ["100 µs", "10 ms", "1 s"].map(str::to_owned)
        );
    }

    #[test]
    fn names_do_not_lie_over_each_other() {
        let curve = |colour, name| Curve {
            colour,
            name,
            points: vec![(0.5, 40.0), (0.99, 100.0)],
        };
        let svg = Curves {
            title: "t",
            curves: vec![curve(0, "one"), curve(1, "two")],
        }
        .draw();
        let level = |name: &str| -> f64 {
            let line = svg
                .lines()
                .find(|line| line.ends_with(&format!(">{name}</text>")))
                .unwrap();
            let (_, rest) = line.split_once(" y=\"").unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        assert!((level("one") - level("two")).abs() >= APART);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
