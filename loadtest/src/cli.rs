//! The command line. Exit codes: 0 done, 1 something failed under load, 64 a mistake in the command, 69 a trial was not possible.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::error::LoadError;
use crate::minimal;
use crate::plan::{self, Plan};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::subject::{Launch, Minimal, Subject};
use crate::system;

/// File descriptors that are no connections: the program's own, and the gateway's to its backend.
const SPARE_FILES: u64 = 1200;

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
    /// Serves a minimal program; called by this program itself.
    #[command(hide = true)]
    Minimal {
        program: Minimal,
        #[arg(long)]
        backend: SocketAddr,
        #[arg(long)]
        ask_at_connect: bool,
    },
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every scenario")]
struct Common {
    /// The gateway's binary; `wiregate` beside this program if it is not named.
    #[arg(long, global = true, value_name = "PATH")]
    wiregate: Option<PathBuf>,
    /// Who is measured, in turn; ratios are those of the first to each other one.
    #[arg(
        long,
        global = true,
        value_enum,
        value_delimiter = ',',
        default_value = "wiregate"
    )]
    subjects: Vec<Subject>,
    /// How often each is measured.
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
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
    let scenario = match cli.command {
        Command::Minimal {
            program,
            backend,
            ask_at_connect,
        } => {
            return minimal::serve(program, backend, ask_at_connect).map(|()| true);
        }
        Command::Scenario(scenario) => scenario,
        Command::Limit { scenario } => {
            common.subjects = vec![Subject::Wiregate, Subject::Limit];
            scenario
        }
    };
    let files = system::raise_open_files()
        .map_err(LoadError::system("cannot read the limit of open files"))?;
    let connections = scenario.connections();
    if connections == 0 || connections as u64 + SPARE_FILES > files {
        return Err(LoadError::Usage(format!(
            "{connections} connections: between 1 and {} are possible here, the limit of open files being {files}",
            files.saturating_sub(SPARE_FILES)
        )));
    }
    if common.turns && !scenario.takes_turns() {
        return Err(LoadError::Usage(
            "--turns is for `route` and `push` without --open-loop".into(),
        ));
    }
    let plan = plan(&common)?;
    let report = plan::carry_out(&plan, &scenario)?;
    print!("\n{}", report.table());
    write(&report, common.json)?;
    Ok(report
        .trials
        .iter()
        .all(|trial| trial.first_failure.is_none()))
}

fn plan(common: &Common) -> Result<Plan, LoadError> {
    let all_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut cores = Vec::new();
    if common.pin {
        if all_cores < 2 {
            return Err(LoadError::Usage(
                "--pin needs two cores: one for the server, one for the generator".into(),
            ));
        }
        cores.push(0);
        let others: Vec<usize> = (1..all_cores).collect();
        system::pin(&others)
            .map_err(LoadError::system("cannot keep the generator to its cores"))?;
    }
    Ok(Plan {
        subjects: common.subjects.clone(),
        runs: common.runs,
        warm_up: Duration::from_secs(common.warm_up),
        length: Duration::from_secs(common.seconds),
        lanes: usize::from(common.generator_threads),
        turns: common.turns,
        machine_cores: all_cores,
        launch: Launch {
            wiregate: common.wiregate.clone().unwrap_or_else(beside),
            cores,
        },
    })
}

fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("wiregate")
}

fn write(report: &Report, file: Option<PathBuf>) -> Result<(), LoadError> {
    let Some(file) = file else { return Ok(()) };
    let text = format!("{:#}\n", report.json());
    fs::write(&file, text).map_err(LoadError::system(format!(
        "cannot write {}",
        file.display()
    )))
}
