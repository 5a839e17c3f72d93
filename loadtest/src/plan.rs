//! What was asked for on the command line, and the order in which it is done: each run measures each subject once, so that what
//! slows the machine for a while slows all of them.

use std::time::Duration;

use serde_json::json;

use crate::backend::Backend;
pub(crate) use crate::client::socket::Door;
use crate::error::LoadError;
use crate::measure::course::Phase;
use crate::measure::crew::Window;
use crate::measure::figure::{self, Figures};
use crate::report::{Report, Trial};
use crate::scenario::Scenario;
use crate::subject::{Launch, Need, Running, Subject};

/// One turn where subjects take turns.
const TURN: Duration = Duration::from_millis(200);

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
    /// All subjects of a run at once, working in short turns.
    pub(crate) turns: bool,
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

    /// Where clients connect, with which path, and whether over TLS.
    pub(crate) fn door(&self) -> Door {
        Door {
            public: self.running.public,
            path: self.running.path.as_str().into(),
            tls: self.running.tls.clone(),
        }
    }
}

/// Measures all subjects in all runs.
pub(crate) fn carry_out(plan: &Plan, scenario: &Scenario) -> Result<Report, LoadError> {
    let backend = Backend::start()?;
    let need = scenario.need(&backend);
    let mut trials = Vec::new();
    for run in 1..=plan.runs {
        let mut subjects = plan.subjects.clone();
        if run % 2 == 0 {
            subjects.reverse();
        }
        if plan.turns {
            trials.extend(in_turns(plan, scenario, &need, run, &subjects)?);
            continue;
        }
        for subject in subjects {
            let running = subject.start(&plan.launch, &need)?;
            let stage = stage(plan, scenario, run, subject, &running);
            let finding = scenario
                .measure(&stage)
                .map_err(|error| with_log(&error, &running))?;
            trials.push(trial(run, subject, finding));
        }
    }
    Ok(Report {
        title: title(plan, scenario),
        settings: settings(plan, scenario),
        trials,
    })
}

/// One run in which all subjects stand ready and work in short turns, so that noise of a second hits all of them alike.
fn in_turns(
    plan: &Plan,
    scenario: &Scenario,
    need: &Need,
    run: u32,
    subjects: &[Subject],
) -> Result<Vec<Trial>, LoadError> {
    let start = |subject: &Subject| subject.start(&plan.launch, need);
    let running = subjects.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let mut begun = Vec::new();
    for (subject, running) in subjects.iter().zip(&running) {
        let stage = stage(plan, scenario, run, *subject, running);
        let one = scenario
            .begin(&stage)
            .map_err(|error| with_log(&error, running))?;
        one.crew.await_turn(Phase::WarmUp);
        begun.push((stage, one, Window::default()));
    }
    let rounds = |length: Duration| length.as_millis().div_ceil(TURN.as_millis());
    for _ in 0..rounds(plan.warm_up) {
        for (_, one, _) in &begun {
            one.crew.take_turn(TURN, &one.pids);
        }
    }
    for (_, one, _) in &begun {
        one.crew.await_turn(Phase::Measure);
    }
    for _ in 0..rounds(plan.length) {
        for (_, one, window) in &mut begun {
            *window = *window + one.crew.take_turn(TURN, &one.pids);
        }
    }
    let mut trials = Vec::new();
    for ((stage, one, window), subject) in begun.into_iter().zip(subjects) {
        stage.say(&format!(
            "{:.0} messages/s",
            window.answered as f64 / window.seconds
        ));
        trials.push(trial(run, *subject, scenario.finish(one, &window)?));
    }
    Ok(trials)
}

fn stage<'a>(
    plan: &'a Plan,
    scenario: &Scenario,
    run: u32,
    subject: Subject,
    running: &'a Running,
) -> Stage<'a> {
    let label = format!("{} run {run}/{} {subject}", scenario.name(), plan.runs);
    Stage {
        plan,
        running,
        label,
    }
}

fn trial(run: u32, subject: Subject, finding: Finding) -> Trial {
    let (failures, first_failure) = finding.failures;
    let mut figures = finding.figures;
    figures.push((figure::FAILURES, failures as f64));
    Trial {
        run,
        subject: subject.to_string(),
        figures,
        first_failure,
    }
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
        "turns": plan.turns,
        "serverCores": plan.launch.cores,
        "machineCores": plan.machine_cores,
    })
}
