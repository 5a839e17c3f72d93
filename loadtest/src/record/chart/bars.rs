//! Horizontal bars in groups, on a scale that begins at zero, each with its value and the spread of its runs.

use super::svg::{Anchor, Svg, grouped};
use crate::measure::statistics::Spread;

const WIDTH: f64 = 720.0;
/// Where bars begin: names stand left of it.
const LEFT: f64 = 150.0;
/// The longest bar's room; its value stands right of it.
const ROOM: f64 = 430.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const TOP: f64 = 52.0;
/// A group's own name.
const HEADING: f64 = 26.0;
const GAP: f64 = 14.0;

/// A chart.
#[derive(Debug)]
pub(super) struct Bars {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) decimals: usize,
    pub(super) groups: Vec<Group>,
}

/// Bars that belong together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Colour, name, value.
    pub(super) bars: Vec<(usize, &'static str, Spread)>,
}

impl Bars {
    pub(super) fn draw(&self) -> String {
        let all = self.groups.iter().flat_map(|group| &group.bars);
        let most = all
            .map(|(_, _, spread)| spread.max)
            .fold(f64::MIN_POSITIVE, f64::max);
        let rows: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = TOP + rows as f64 * STEP + self.groups.len() as f64 * (HEADING + GAP);
        let mut svg = Svg::new(self.title, WIDTH, height);
        let at = |value: f64| LEFT + value / most * ROOM;
        let mut y = TOP;
        for group in &self.groups {
            svg.text(16.0, y + 14.0, Anchor::Start, "faint", group.name);
            y += HEADING;
            for &(colour, name, spread) in &group.bars {
                let middle = y + BAR / 2.0;
                svg.text(LEFT - 10.0, middle + 4.5, Anchor::End, "name", name);
                // A bar that is too short to see is still a bar.
                svg.bar(LEFT, y, (at(spread.median) - LEFT).max(1.5), BAR, colour);
                if spread.max > spread.min {
                    svg.line(
                        (at(spread.min), middle),
                        (at(spread.max), middle),
                        "whisker",
                    );
                }
                let value = format!("{} {}", grouped(spread.median, self.decimals), self.unit);
                svg.text(
                    at(spread.max) + 8.0,
                    middle + 4.5,
                    Anchor::Start,
                    "value",
                    &value,
                );
                y += STEP;
            }
            y += GAP;
        }
        svg.finish()
    }
}
