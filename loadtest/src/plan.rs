//! What was asked for on the command line, and the order in which it is done: each run measures each subject once, so that what
//! slows the machine for a while slows all of them.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::backend::Backend;
use crate::error::LoadError;
use crate::measure::figure::{self, Figures};
use crate::report::{Report, Trial};
use crate::scenario::Scenario;
use crate::subject::{Launch, Need, Running, Subject};

/// How a scenario is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Who is measured; ratios are those of the first to each other one.
    pub(crate) subjects: Vec<Subject>,
    /// How often.
    pub(crate) runs: u32,
    /// Load before the measurement.
    pub(crate) warm_up: Duration,
    /// The measurement.
    pub(crate) length: Duration,
    /// Threads of the generator.
    pub(crate) lanes: usize,
    /// Cores of this machine.
    pub(crate) machine_cores: usize,
    /// How servers are started.
    pub(crate) launch: Launch,
}

/// One trial under way.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// How it is measured.
    pub(crate) plan: &'a Plan,
    /// What is measured.
    pub(crate) running: &'a Running,
    /// How lines of progress begin.
    label: String,
}

/// What a trial gives.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What was measured.
    pub(crate) figures: Figures,
    /// How often something went wrong, and the first text of it.
    pub(crate) failures: (u64, Option<String>),
}

impl Stage<'_> {
    /// Tells the reader what is going on.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{}: {what}", self.label);
    }

    /// Where clients connect, and with which path.
    pub(crate) fn door(&self) -> Door {
        Door {
            public: self.running.public,
            path: self.running.path.as_str().into(),
        }
    }
}

/// Where clients connect.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Address.
    pub(crate) public: SocketAddr,
    /// Path of the upgrade.
    pub(crate) path: std::sync::Arc<str>,
}

/// Measures all subjects in all runs.
pub(crate) fn carry_out(plan: &Plan, scenario: &Scenario) -> Result<Report, LoadError> {
    let backend = Backend::start()?;
    let need = Need {
        minimal: scenario.minimal(),
        ask_at_connect: scenario.asks_at_connect(),
        backend: backend.address,
    };
    let mut trials = Vec::new();
    for run in 1..=plan.runs {
        let mut subjects = plan.subjects.clone();
        if run % 2 == 0 {
            subjects.reverse();
        }
        for subject in subjects {
            let running = subject.start(&plan.launch, &need)?;
            let label = format!("{} run {run}/{} {subject}", scenario.name(), plan.runs);
            let stage = Stage {
                plan,
                running: &running,
                label,
            };
            let finding = scenario
                .measure(&stage)
                .map_err(|error| with_log(&error, &running))?;
            let (failures, first_failure) = finding.failures;
            let mut figures = finding.figures;
            figures.push((figure::FAILURES, failures as f64));
            trials.push(Trial {
                run,
                subject: subject.to_string(),
                figures,
                first_failure,
            });
        }
    }
    Ok(Report {
        title: title(plan, scenario),
        settings: settings(plan, scenario),
        trials,
    })
}

fn with_log(error: &LoadError, running: &Running) -> LoadError {
    match running.last_words() {
        log if log.is_empty() => LoadError::Trial(error.to_string()),
        log => LoadError::Trial(format!("{error}\nThe server's log ends:\n{log}")),
    }
}

fn title(plan: &Plan, scenario: &Scenario) -> String {
    let pinned = if plan.launch.cores.is_empty() {
        "not pinned"
    } else {
        "pinned: the server has a core of its own"
    };
    format!(
        "{}, {} s after {} s of warm-up, {pinned}",
        scenario.describe(),
        plan.length.as_secs(),
        plan.warm_up.as_secs()
    )
}

fn settings(plan: &Plan, scenario: &Scenario) -> serde_json::Value {
    json!({
        "scenario": scenario.describe(),
        "seconds": plan.length.as_secs_f64(),
        "warmUpSeconds": plan.warm_up.as_secs_f64(),
        "runs": plan.runs,
        "generatorThreads": plan.lanes,
        "serverCores": plan.launch.cores,
        "machineCores": plan.machine_cores,
    })
}
