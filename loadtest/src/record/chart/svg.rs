//! The few elements of SVG that charts are made of.

use std::fmt::Write as _;

/// Colours of the subjects, on a light page and on a dark one: told apart by people who do not see all colours too (Okabe and Ito).
const LIGHT: [&str; 5] = ["#0072b2", "#7a8794", "#d55e00", "#cc79a7", "#009e73"];
const DARK: [&str; 5] = ["#56b4e9", "#9aa7b4", "#f0883e", "#e29bc4", "#3fc79a"];

/// A drawing under way.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
    title: &'static str,
}

/// Which end of a text stands at its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty drawing with its title at the top.
    pub(super) fn new(title: &'static str, width: f64, height: f64) -> Self {
        let mut svg = Self {
            body: String::new(),
            width,
            height,
            title,
        };
        svg.text(16.0, 28.0, Anchor::Start, "title", title);
        svg
    }

    /// A text; `class` is `title`, `name`, `value` or `faint`.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        );
    }

    /// A bar in the colour of a subject.
    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: usize) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="f{colour}"/>"#
        );
    }

    /// A straight line; `class` is `grid` or `whisker`.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="{class}"/>"#,
            from.0, from.1, to.0, to.1
        );
    }

    /// A line through points, with a dot at each, in the colour of a subject.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], colour: usize) {
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" class="s{colour}"/>"#,
            path.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(
                self.body,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" class="f{colour}"/>"#
            );
        }
    }

    /// The whole file.
    pub(super) fn finish(self) -> String {
        let colours = |colours: [&str; 5]| {
            colours
                .iter()
                .enumerate()
                .fold(String::new(), |mut rules, (number, colour)| {
                    let _ = write!(
                        rules,
                        ".f{number}{{fill:{colour}}}.s{number}{{stroke:{colour}}}"
                    );
                    rules
                })
        };
        let (width, height, title) = (self.width, self.height, self.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
             role=\"img\" aria-label=\"{title}\">\n<style>\n\
             svg{{color:#1f2328}}\n\
             text{{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:currentColor}}\n\
             .title{{font-size:15px;font-weight:600}}\n.value{{font-variant-numeric:tabular-nums}}\n.faint{{opacity:.65;font-size:12px}}\n\
             line{{stroke:currentColor}}\n.grid{{opacity:.15}}\n.whisker{{opacity:.6;stroke-width:1.5}}\n\
             polyline{{fill:none;stroke-width:2;stroke-linejoin:round}}\n{}\n\
             @media (prefers-color-scheme:dark){{svg{{color:#e6edf3}}{}}}\n</style>\n{}</svg>\n",
            colours(LIGHT),
            colours(DARK),
            self.body
        )
    }
}

/// A number with a comma before each three digits.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(grouped(0.5, 1), "0.5");
        assert_eq!(grouped(999.0, 0), "999");
        assert_eq!(grouped(1000.0, 0), "1,000");
        assert_eq!(grouped(1_234_567.89, 1), "1,234,567.9");
    }

    #[test]
    fn a_text_cannot_become_markup() {
        let mut svg = Svg::new("title", 10.0, 10.0);
        svg.text(0.0, 0.0, Anchor::Start, "name", "a < b & c");
        let text = svg.finish();
        assert!(text.contains("a &lt; b &amp; c"));
        assert!(text.contains("prefers-color-scheme:dark"));
    }
}
