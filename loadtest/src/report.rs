//! What all runs say together: a table to read, JSON to keep.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::measure::figure::{Figures, Metric};
use crate::measure::statistics::{Spread, ratio};

/// One subject's part of one run.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Number of the run, from 1.
    pub(crate) run: u32,
    /// Who was measured.
    pub(crate) subject: String,
    /// What was found.
    pub(crate) figures: Figures,
    /// The first of its failures.
    pub(crate) first_failure: Option<String>,
}

/// All trials of one scenario.
#[derive(Debug)]
pub(crate) struct Report {
    /// What was done, in a line.
    pub(crate) title: String,
    /// The same for programs.
    pub(crate) settings: Value,
    /// In the order in which they were made.
    pub(crate) trials: Vec<Trial>,
}

impl Report {
    /// Rows are metrics, columns are subjects and the ratios of the first subject to each other one.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let subjects = self.subjects();
        let mut header = vec![String::new()];
        header.extend(subjects.iter().map(ToString::to_string));
        header.extend(others(&subjects).map(|(first, other)| format!("{first}/{other}")));
        let mut rows = vec![header];
        let shown = self
            .metrics()
            .into_iter()
            .filter(|metric| !metric.title.is_empty());
        for metric in shown {
            let mut row = vec![metric.title.to_owned()];
            row.extend(subjects.iter().map(|subject| {
                cell(
                    Spread::of(self.values(subject, metric).into_iter().flatten()),
                    metric.decimals,
                )
            }));
            row.extend(
                others(&subjects).map(|(first, other)| cell(self.ratio(first, other, metric), 2)),
            );
            rows.push(row);
        }
        rows
    }

    /// The same, to read in a terminal.
    pub(crate) fn table(&self) -> String {
        let rows = self.rows();
        let mut text = format!(
            "{}\nmedian [min-max] of {} runs\n\n{}",
            self.title,
            self.runs(),
            aligned(&rows)
        );
        for trial in &self.trials {
            if let Some(failure) = &trial.first_failure {
                let _ = writeln!(text, "run {}, {}: {failure}", trial.run, trial.subject);
            }
        }
        text
    }

    /// Everything, each run's figures included.
    pub(crate) fn json(&self) -> Value {
        let subjects = self.subjects();
        let summary = |of: &dyn Fn(Metric) -> Option<Spread>| -> Value {
            let entries = self
                .metrics()
                .into_iter()
                .filter_map(|metric| Some((metric.key.to_owned(), json!(of(metric)?))));
            Value::Object(entries.collect::<Map<_, _>>())
        };
        let medians = subjects.iter().map(|subject| {
            (
                subject.to_string(),
                summary(&|metric| Spread::of(self.values(subject, metric).into_iter().flatten())),
            )
        });
        let ratios = others(&subjects).map(|(first, other)| {
            (
                format!("{first}/{other}"),
                summary(&|metric| self.ratio(first, other, metric)),
            )
        });
        let trials = self.trials.iter().map(|trial| {
            let figures: Map<_, _> = trial.figures.iter().map(|(metric, value)| (metric.key.to_owned(), json!(value))).collect();
            json!({ "run": trial.run, "subject": trial.subject, "figures": figures, "firstFailure": trial.first_failure })
        });
        json!({
            "title": self.title,
            "settings": self.settings,
            "table": self.rows(),
            "subjects": medians.collect::<Map<_, _>>(),
            "ratios": ratios.collect::<Map<_, _>>(),
            "trials": trials.collect::<Vec<_>>(),
        })
    }

    /// True if nothing failed.
    pub(crate) fn clean(&self) -> bool {
        self.trials
            .iter()
            .all(|trial| trial.first_failure.is_none())
    }

    fn runs(&self) -> u32 {
        self.trials.iter().map(|trial| trial.run).max().unwrap_or(0)
    }

    fn subjects(&self) -> Vec<&str> {
        let mut subjects = Vec::new();
        for trial in &self.trials {
            if !subjects.contains(&trial.subject.as_str()) {
                subjects.push(trial.subject.as_str());
            }
        }
        // Runs change the order of subjects; the report has the one of the first run.
        subjects
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for (metric, _) in self.trials.iter().flat_map(|trial| &trial.figures) {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        metrics
    }

    /// One value for each run, in order.
    fn values(&self, subject: &str, metric: Metric) -> Vec<Option<f64>> {
        (1..=self.runs())
            .map(|run| {
                let trial = self
                    .trials
                    .iter()
                    .find(|trial| trial.run == run && trial.subject == subject)?;
                trial
                    .figures
                    .iter()
                    .find(|(of, _)| *of == metric)
                    .map(|(_, value)| *value)
            })
            .collect()
    }

    fn ratio(&self, first: &str, other: &str, metric: Metric) -> Option<Spread> {
        ratio(&self.values(first, metric), &self.values(other, metric))
    }
}

fn others<'a>(subjects: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    subjects.iter().skip(1).map(|other| (subjects[0], *other))
}

pub(crate) fn cell(spread: Option<Spread>, decimals: usize) -> String {
    match spread {
        None => "-".into(),
        // One run, or the same in all.
        Some(Spread { median, min, max }) if min >= max => format!("{median:.decimals$}"),
        Some(Spread { median, min, max }) => {
            format!("{median:.decimals$} [{min:.decimals$}-{max:.decimals$}]")
        }
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::figure::{CPU, RATE};

    fn report() -> Report {
        let trial = |run, subject: &str, cpu| Trial {
            run,
            subject: subject.into(),
            figures: vec![(CPU, cpu), (RATE, 1000.0 * cpu)],
            first_failure: (cpu > 20.0).then(|| "a socket broke".into()),
        };
        let trials = vec![
            trial(1, "wiregate", 12.0),
            trial(1, "limit", 8.0),
            trial(2, "limit", 20.0),
            trial(2, "wiregate", 24.0),
            trial(3, "wiregate", 13.0),
            trial(3, "limit", 10.0),
        ];
        Report {
            title: "route".into(),
            settings: json!({ "connections": 64 }),
            trials,
        }
    }

    #[test]
    fn the_table_shows_medians_spreads_and_ratios_within_runs() {
        let expected = "route\nmedian [min-max] of 3 runs\n\n                \
                        wiregate                    limit                     wiregate/limit\n\
                        CPU µs/message  13.00 [12.00-24.00]         10.00 [8.00-20.00]        1.30 [1.20-1.50]\n\
                        messages/s      13000 [12000-24000]         10000 [8000-20000]        1.30 [1.20-1.50]\n\
                        run 2, wiregate: a socket broke\n";
        let squeeze = |text: &str| {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(squeeze(&report().table()), squeeze(expected));
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            vec![String::new(), "b".into()],
            vec!["µµ".into(), "c".into()],
        ];
        assert_eq!(aligned(&rows), "    b\nµµ  c\n");
    }

    #[test]
    fn json_keeps_every_run() {
        let json = report().json();
        assert_eq!(
            json["ratios"]["wiregate/limit"]["cpu_us_per_message"],
            json!({ "median": 1.3, "min": 1.2, "max": 1.5 })
        );
        assert_eq!(
            json["subjects"]["limit"]["messages_per_second"]["median"],
            json!(10_000.0)
        );
        assert_eq!(json["trials"].as_array().unwrap().len(), 6);
        assert_eq!(json["trials"][3]["firstFailure"], json!("a socket broke"));
    }

    #[test]
    fn one_subject_has_no_ratio() {
        let mut report = report();
        report.trials.retain(|trial| trial.subject == "limit");
        assert_eq!(report.json()["ratios"], json!({}));
        assert!(!report.table().contains('/') || !report.table().contains("wiregate"));
    }
}
