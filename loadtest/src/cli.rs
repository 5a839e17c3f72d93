//! The command line. Exit codes: 0 done, 1 something failed under load, 64 a mistake in the command, 69 a trial was not possible.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::cleanup;
use crate::error::LoadError;
use crate::hold;
use crate::minimal;
use crate::plan::{self, Plan};
use crate::record;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::subject::{Launch, Minimal, Subject};
use crate::system;

/// File descriptors that are no connections: the program's own, and the gateway's to its backend.
const SPARE_FILES: u64 = 1200;

/// Connections that one process can hold when `files` is its limit of open files. The gateway keeps a tenth (2048 at most) back and
/// leaves further clients in the kernel's queue, where they would wait for ever.
pub(crate) fn most_connections(files: u64) -> u64 {
    files.saturating_sub(SPARE_FILES.max((files / 10).min(2048)))
}

/// Measures Wiregate: its own server process, backend and clients, on this machine.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Scenario(Scenario),
    /// A scenario against Wiregate and against the minimal program for it, in turn: what the gateway adds to the work itself.
    Limit {
        #[command(subcommand)]
        scenario: Scenario,
    },
    /// A scenario against Wiregate, its minimal program and all peers that can do it: Pushpin, serverless-offline, nginx. Without a
    /// scenario: all that peers take part in. loadtest/peers/install fetches them.
    Peers {
        #[command(subcommand)]
        scenario: Option<Scenario>,
    },
    /// The whole table: every goal with what was measured, as JSON, Markdown and charts in docs/performance.
    Report(record::Settings),
    /// Serves a minimal program; called by this program itself.
    #[command(hide = true)]
    Minimal {
        program: Minimal,
        #[arg(long)]
        backend: SocketAddr,
        #[arg(long)]
        ask_at_connect: bool,
        #[arg(long)]
        identity: Option<PathBuf>,
    },
    /// Holds connections for `idle --processes`; called by this program itself.
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        path: String,
        #[arg(long)]
        share: usize,
    },
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every scenario")]
struct Common {
    /// The gateway's binary; `wiregate` beside this program if it is not named.
    #[arg(long, global = true, value_name = "PATH")]
    wiregate: Option<PathBuf>,
    /// Who is measured, in turn; ratios are those of the first to each other one.
    /// [default: wiregate; function,function-http with `function`]
    #[arg(long, global = true, value_enum, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// Measure each subject over TLS too, and it first: wiregate everywhere but with --processes, the limit for `route`. Clients speak
    /// TLS; pushes are posted to the management port as they are without it.
    #[arg(long, global = true)]
    tls: bool,
    /// Where loadtest/peers/install put the peers; `loadtest/.tools` of the source tree if it is not named.
    #[arg(long, global = true, value_name = "FOLDER")]
    tools: Option<PathBuf>,
    /// How often each is measured [default: 3; once with --processes].
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: Option<u32>,
    /// Seconds of each measurement.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before it.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up: u64,
    /// Keep all subjects of a run ready and let them work in turns of 200 ms, so that noise hits all alike: `route` and `push` in a
    /// closed loop. Best on a machine that others use too.
    #[arg(long, global = true)]
    turns: bool,
    /// Threads of the generator.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    generator_threads: u16,
    /// Keep the server to the first core, generator and backend to the others.
    #[arg(long, global = true)]
    pin: bool,
    /// Write all figures here, as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `loadtest` and returns its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(64)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(cli) {
        Ok(clean) => ExitCode::from(u8::from(!clean)),
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::from(if matches!(error, LoadError::Usage(_)) {
                64
            } else {
                69
            })
        }
    }
}

/// True if nothing failed.
fn run(cli: Cli) -> Result<bool, LoadError> {
    let mut common = cli.common;
    let peers = matches!(cli.command, Command::Peers { .. });
    let scenarios = match cli.command {
        Command::Minimal {
            program,
            backend,
            ask_at_connect,
            identity,
        } => {
            return minimal::serve(program, backend, ask_at_connect, identity.as_deref())
                .map(|()| true);
        }
        Command::Hold { to, path, share } => return hold::hold(to, &path, share).map(|()| true),
        Command::Report(settings) => return report(&settings, &common),
        Command::Scenario(scenario) => vec![scenario],
        Command::Limit { scenario } => {
            common.subjects = vec![Subject::Wiregate, Subject::Limit];
            vec![scenario]
        }
        Command::Peers { scenario } => {
            common.subjects = Subject::PEERS.to_vec();
            scenario.map_or_else(record::peers, |scenario| vec![scenario])
        }
    };
    let files = system::raise_open_files()
        .map_err(LoadError::system("cannot read the limit of open files"))?;
    let named = std::mem::take(&mut common.subjects);
    let plan = plan(&common)?;
    let mut steps = Vec::new();
    for scenario in scenarios {
        let mut plan = plan.clone();
        if scenario.spread().is_some() {
            plan.runs = common.runs.unwrap_or(1);
        }
        plan.subjects = if peers {
            named
                .iter()
                .copied()
                .filter(|subject| scenario.suits(*subject))
                .collect()
        } else if named.is_empty() {
            scenario.usual().to_vec()
        } else {
            named.clone()
        };
        if common.tls {
            plan.subjects = with_tls(&plan.subjects, &scenario)?;
        }
        check(&plan, &scenario, files)?;
        steps.push((plan, scenario));
    }
    cleanup::watch()?;
    let mut reports = Vec::new();
    for (plan, scenario) in &steps {
        let report = match scenario.spread() {
            Some(idle) => hold::carry_out(plan, idle, files)?,
            None => plan::carry_out(plan, scenario)?,
        };
        println!("\n{}", report.table());
        reports.push(report);
    }
    write(&reports, common.json)?;
    Ok(reports.iter().all(Report::clean))
}

fn report(settings: &record::Settings, common: &Common) -> Result<bool, LoadError> {
    let files = system::raise_open_files()
        .map_err(LoadError::system("cannot read the limit of open files"))?;
    // Before anything is pinned, since that is counted too.
    let all = all_cores();
    let plan = plan(common)?;
    for exhibit in settings.exhibits()? {
        let mut plan = exhibit.plan(&plan, settings.quick);
        plan.launch.cores = cores(exhibit.pinned(), all)?;
        check(&plan, &exhibit.scenario, files)?;
    }
    cleanup::watch()?;
    record::carry_out(settings, &plan, files, |pinned| cores(pinned, all))
}

/// `subjects`, each that can behind itself over TLS.
fn with_tls(subjects: &[Subject], scenario: &Scenario) -> Result<Vec<Subject>, LoadError> {
    let over_tls = |subject: Subject| subject.over_tls().filter(|tls| scenario.suits(*tls));
    if !subjects.iter().any(|subject| over_tls(*subject).is_some()) {
        return Err(LoadError::Usage(format!(
            "nobody can do this over TLS: {}",
            scenario.describe()
        )));
    }
    Ok(subjects
        .iter()
        .flat_map(|subject| [over_tls(*subject), Some(*subject)])
        .flatten()
        .collect())
}

/// Says what is not possible, before anything starts.
fn check(plan: &Plan, scenario: &Scenario, files: u64) -> Result<(), LoadError> {
    // Behind a proxy each connection has a second one, to the backend in this process.
    let ends = if plan.subjects.contains(&Subject::Nginx) {
        2
    } else {
        1
    };
    let connections = scenario.connections();
    let most = most_connections(files) / ends;
    let spread = scenario.spread().is_some();
    if connections == 0 || (connections as u64 > most && !spread) {
        return Err(LoadError::Usage(format!(
            "{connections} connections: between 1 and {most} are possible here, the limit of open files being {files}; \
             `idle --processes auto` takes more"
        )));
    }
    if plan.turns && !scenario.takes_turns() {
        return Err(LoadError::Usage(
            "--turns is for `route` and `push` without --open-loop".into(),
        ));
    }
    for &subject in &plan.subjects {
        if !scenario.suits(subject) {
            return Err(LoadError::Usage(match subject {
                Subject::Limit => {
                    "there is no minimal program for this scenario: leave `limit` out".into()
                }
                _ => format!("{subject} cannot do this: {}", scenario.describe()),
            }));
        }
        if subject == Subject::TwoWorkers && !plan.launch.cores.is_empty() {
            return Err(LoadError::Usage(
                "--pin leaves the server one core, which two workers would share: leave it out for two-workers".into(),
            ));
        }
        subject.check(&plan.launch)?;
    }
    Ok(())
}

fn plan(common: &Common) -> Result<Plan, LoadError> {
    let all = all_cores();
    let cores = if common.pin {
        cores(true, all)?
    } else {
        Vec::new()
    };
    Ok(Plan {
        subjects: common.subjects.clone(),
        runs: common.runs.unwrap_or(3),
        warm_up: Duration::from_secs(common.warm_up),
        length: Duration::from_secs(common.seconds),
        lanes: usize::from(common.generator_threads),
        turns: common.turns,
        machine_cores: all,
        launch: Launch {
            wiregate: common.wiregate.clone().unwrap_or_else(beside),
            tools: common.tools.clone().unwrap_or_else(tools),
            cores,
        },
    })
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The server's cores (none: anywhere) of `all`; keeps this process to the others, or to none in particular.
fn cores(pinned: bool, all: usize) -> Result<Vec<usize>, LoadError> {
    if pinned && all < 2 {
        return Err(LoadError::Usage(
            "--pin needs two cores: one for the server, one for the generator".into(),
        ));
    }
    let own: Vec<usize> = (usize::from(pinned)..all).collect();
    system::pin(&own).map_err(LoadError::system("cannot keep the generator to its cores"))?;
    Ok(if pinned { vec![0] } else { Vec::new() })
}

fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("wiregate")
}

/// Where the install script puts the peers.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools")
}

/// One scenario is one object, several are a list.
fn write(reports: &[Report], file: Option<PathBuf>) -> Result<(), LoadError> {
    let Some(file) = file else { return Ok(()) };
    let text = match reports {
        [report] => format!("{:#}\n", report.json()),
        _ => format!(
            "{:#}\n",
            reports
                .iter()
                .map(Report::json)
                .collect::<serde_json::Value>()
        ),
    };
    fs::write(&file, text).map_err(LoadError::system(format!(
        "cannot write {}",
        file.display()
    )))
}
