//! The tables as Markdown, between two marks of a page that is otherwise written by hand.

use std::fmt::Write as _;

use serde_json::Value;

use super::beside;
use super::chart;
use super::goals::{self, Verdict};
use crate::measure::statistics::Spread;
use crate::report::cell;

pub(super) const BEGIN: &str = "<!-- loadtest report: begin -->";
pub(super) const END: &str = "<!-- loadtest report: end -->";

/// `page` with `block` between the marks; `None` if it lacks them.
pub(super) fn insert(page: &str, block: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        block.trim()
    ))
}

/// Everything that is generated: machine, goals, charts, tables.
pub(super) fn block(results: &Value, folder: &str) -> String {
    let mut text = format!("{}\n\n## Goals\n\n{}", machine(results), goals(results));
    let missed: Vec<Verdict> = goals::judge(results)
        .into_iter()
        .filter(|verdict| !verdict.met)
        .collect();
    if !missed.is_empty() {
        text.push_str("\nRows which fall short:\n\n");
        for verdict in missed {
            let _ = match verdict.measured {
                Some(_) => writeln!(
                    text,
                    "* {}: by {:.0} % of the goal.",
                    verdict.what,
                    verdict.short * 100.0
                ),
                None => writeln!(text, "* {}: not measured.", verdict.what),
            };
        }
    }
    text.push('\n');
    text.push_str(&saturation(results));
    text.push_str("\n## Charts\n");
    for (name, title) in chart::names(results) {
        let _ = write!(text, "\n![{title}]({folder}/{name})\n");
    }
    let beside = beside::tables(results);
    if !beside.is_empty() {
        let _ = write!(text, "\n## Without a goal\n{beside}");
    }
    text.push_str("\n## Tables\n");
    let shown: Vec<&str> = beside::exhibits()
        .iter()
        .map(|exhibit| exhibit.key)
        .collect();
    let exhibits = results["exhibits"].as_object().into_iter().flatten();
    for (key, exhibit) in exhibits {
        if shown.contains(&key.as_str()) && exhibit["error"].is_null() {
            continue;
        }
        let heading = exhibit["heading"].as_str().unwrap_or_default();
        let _ = write!(text, "\n### {heading}\n\n");
        if let Some(error) = exhibit["error"].as_str() {
            let first = error.lines().next().unwrap_or_default();
            let _ = writeln!(text, "Not measured: {first}");
            continue;
        }
        let title = exhibit["title"].as_str().unwrap_or_default();
        let runs = &exhibit["settings"]["runs"];
        let _ = write!(text, "{title}; median [min-max] of {runs} runs.\n\n");
        text.push_str(&table(&rows(&exhibit["table"])));
    }
    text
}

/// The goals, each with what was measured.
pub(super) fn goals(results: &Value) -> String {
    let mut rows = vec![
        ["", "goal", "measured", "met", "`report --only`"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(goals::judge(results).into_iter().map(|verdict| {
        vec![
            verdict.what.to_owned(),
            verdict.goal.clone(),
            with_unit(verdict.measured, verdict.decimals, verdict.unit),
            match (verdict.measured, verdict.met) {
                (None, _) => "not measured",
                (_, true) => "yes",
                (_, false) => "**no**",
            }
            .into(),
            verdict.exhibit.into(),
        ]
    }));
    table(&rows)
}

fn with_unit(spread: Option<Spread>, decimals: usize, unit: &str) -> String {
    match spread {
        None => "-".into(),
        some => cell(some, decimals) + unit,
    }
}

/// How even the answers are when there is more to do than can be done: told, not gated, since the machine has its part in it.
fn saturation(results: &Value) -> String {
    let best = |subject: &str, over: &str| {
        let values = |metric| goals::values(results, "route-1000", subject, metric);
        let ratios = values(over).into_iter().zip(values("p50_us"));
        let least = ratios
            .filter_map(|(over, p50)| Some(over? / p50?))
            .min_by(f64::total_cmp);
        least.map_or("-".into(), |least| format!("{least:.1}"))
    };
    let mut rows = vec![vec![
        "1000 connections at saturation, best run".to_owned(),
        "wiregate".into(),
        "limit".into(),
    ]];
    for (title, metric) in [("p99 by p50", "p99_us"), ("max by p50", "max_us")] {
        rows.push(vec![
            title.into(),
            best("wiregate", metric),
            best("limit", metric),
        ]);
    }
    table(&rows)
}

fn machine(results: &Value) -> String {
    let machine = &results["machine"];
    let versions = machine["versions"].as_object().into_iter().flatten();
    let versions: Vec<String> = versions
        .filter_map(|(name, version)| Some(format!("{name} {}", version.as_str()?)))
        .collect();
    let quick = if results["quick"] == true {
        " **A quick run, one short measurement of each: nothing to rely on.**"
    } else {
        ""
    };
    format!(
        "{} cores ({}), {:.0} GiB, Linux {}; {}.{quick}",
        machine["cores"],
        machine["processor"].as_str().unwrap_or("unknown"),
        machine["memoryGiB"].as_f64().unwrap_or_default(),
        machine["kernel"].as_str().unwrap_or("unknown"),
        versions.join(", ")
    )
}

pub(super) fn rows(table: &Value) -> Vec<Vec<String>> {
    let rows = table.as_array().into_iter().flatten();
    rows.map(|row| {
        let cells = row.as_array().into_iter().flatten();
        cells
            .map(|cell| cell.as_str().unwrap_or_default().to_owned())
            .collect()
    })
    .collect()
}

pub(super) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let expected = format!("# Title\n{BEGIN}\n\nnew\n\n{END}\nrest\n");
        assert_eq!(insert(&page, "new\n").as_deref(), Some(expected.as_str()));
        assert_eq!(insert(&expected, "new"), Some(expected));
        assert_eq!(insert("# Title\n", "new"), None);
    }

    #[test]
    fn a_table_has_a_rule_below_its_head() {
        let rows = [vec!["a".into(), "b|c".into()], vec!["1".into(), "2".into()]];
        assert_eq!(table(&rows), "| a | b\\|c |\n|---|---|\n| 1 | 2 |\n");
    }

    #[test]
    fn what_could_not_be_measured_says_why() {
        let results =
            json!({ "exhibits": { "hold": { "heading": "H", "error": "no memory\nmore" } } });
        let text = block(&results, "performance");
        assert!(
            text.contains("### H\n\nNot measured: no memory\n"),
            "{text}"
        );
        assert!(text.contains("| ≥ 100000 | - | not measured |"), "{text}");
    }
}
