//! The command line. Exit codes: 0 done, 1 something was left undone, 64 a mistake in the configuration or the
//! command, 69 the system, or a gateway that is asked, does not give what is needed, 77 that gateway does not let us in.

mod client;
mod connections;
mod dev;
mod export;
mod import;
mod nodes;
mod outbox;
mod print;
mod text;
mod trouble;
mod yaml;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gateway_core::control::Account;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::connections::Connections;
use self::dev::Dev;
use self::export::Export;
use self::import::Import;
use self::nodes::Nodes;
use self::outbox::Outbox;
use self::print::finish;
use crate::app::{self, EXIT_CONFIG, EXIT_UNAVAILABLE, Sources};
use crate::config::{self, ConfigErrors, Log, LogFormat, Overrides};
use crate::functions::keeper;

/// A self-hosted WebSocket API gateway that speaks Amazon API Gateway's model.
#[derive(Debug, Parser)]
#[command(name = "wiregate", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the APIs of a configuration file.
    Serve(Serve),
    /// Run an AWS WebSocket app on this machine, its functions too, from its template.
    Dev(Dev),
    /// Check a configuration file and print what is in force and where each value came from.
    Check {
        /// The file.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// List the nodes of a running gateway.
    Nodes(Nodes),
    /// List, show and close connections of a running gateway.
    Connections(Connections),
    /// Write what the control plane holds as a file.
    Export(Export),
    /// Write what a template declares as wiregate.yaml.
    Import(Import),
    /// Count, list and replay the $disconnects that lost nodes left untold.
    Outbox(Outbox),
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file; wiregate.yaml in this folder if there is one.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address of the public listener, such as 127.0.0.1:8080; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of the management listener, such as 127.0.0.1:8081.
    #[arg(long, value_name = "ADDR")]
    management_listen: Option<String>,
    /// Where nodes share what they know: memory, or the URL of a Redis.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Folder for what must outlive the process.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    #[command(flatten)]
    templates: Templates,
}

/// What templates need to be read.
#[derive(Debug, Args)]
struct Templates {
    /// A CloudFormation or SAM template, or a serverless.yml, whose WebSocket APIs are served too; may be given again.
    #[arg(long = "template", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A value for a parameter of a template, or for what it looks up elsewhere; may be given again.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Stage of a serverless.yml.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

const DEFAULT_FILE: &str = "wiregate.yaml";

/// Runs `wiregate` and returns its exit code.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == keeper::COMMAND)
    {
        return keeper::main(arguments);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(EXIT_CONFIG)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match cli.command {
        Command::Serve(serve) => serve_command(serve),
        Command::Dev(dev) => dev_command(dev),
        Command::Check { file } => check(&file),
        Command::Nodes(nodes) => finish(nodes.run()),
        Command::Connections(connections) => finish(connections.run()),
        Command::Export(export) => finish(export.run()),
        Command::Import(import) => match import.run() {
            Ok(text) => finish(Ok(text)),
            Err(errors) => refuse(&errors),
        },
        Command::Outbox(outbox) => finish(outbox.run()),
    }
}

fn serve_command(serve: Serve) -> ExitCode {
    let file = serve
        .config
        .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
    let sources = Sources {
        file,
        overrides: Overrides {
            listen: serve.listen,
            management_listen: serve.management_listen,
            store: serve.store,
            data_dir: serve.data_dir,
        },
        ..serve.templates.sources()
    };
    match sources.read() {
        Ok(read) => {
            start_log(read.loaded.config.server.log);
            app::run(read, sources)
        }
        Err(errors) => refuse(&errors),
    }
}

fn dev_command(dev: Dev) -> ExitCode {
    let found = match dev.find() {
        Ok(found) => found,
        Err(why) => {
            eprintln!("wiregate: {why}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    for note in found.notes.iter().filter(|_| !found.is_json()) {
        eprintln!("wiregate: {note}");
    }
    let sources = match found.open() {
        Ok(sources) => sources,
        Err(why) => {
            eprintln!("wiregate: {why}");
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    match sources.read() {
        Ok(read) => {
            // What functions write is shown, and need not be logged.
            start_log_with(read.loaded.config.server.log, LevelFilter::WARN);
            app::run(read, sources)
        }
        Err(errors) => refuse(&errors),
    }
}

impl Templates {
    fn sources(self) -> Sources {
        Sources {
            templates: self.files,
            parameters: self.parameters.into_iter().collect(),
            stage: self.stage,
            ..Sources::default()
        }
    }
}

fn check(file: &Path) -> ExitCode {
    let sources = Sources {
        file: Some(file.to_owned()),
        ..Sources::default()
    };
    let loaded = match sources.read() {
        Ok(read) => read.loaded,
        Err(errors) => return refuse(&errors),
    };
    let server = &loaded.config.server;
    let addresses = app::Addresses {
        public: server.listen,
        management: server.management_listen,
    };
    let deployment = match app::compile_all(&loaded, &Account::default(), addresses) {
        Ok(deployment) => deployment,
        Err(mistakes) => return refuse(&ConfigErrors::from(mistakes)),
    };
    for warning in loaded.warnings.iter().chain(&deployment.warnings) {
        eprintln!("warning: {warning}");
    }
    print!("{}", config::render_effective(&loaded));
    ExitCode::SUCCESS
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    eprintln!("{errors}");
    ExitCode::from(EXIT_CONFIG)
}

/// Logs go to stderr: stdout is for what a program may read, such as the line that begins with `ready`.
fn start_log(log: Log) {
    start_log_with(log, LevelFilter::TRACE);
}

/// The same, where of functions no more is logged than this.
fn start_log_with(log: Log, of_functions: LevelFilter) {
    let level = LevelFilter::from_level(log.level);
    // The access log is chosen by its own setting, whatever the level of the rest.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(level)
        .with_target("access", tracing::Level::INFO)
        .with_target("function", level.min(of_functions))
        // Libraries below us speak of bytes and headers at their finer levels; those must not reach a log.
        .with_target("hyper", tracing::Level::WARN)
        .with_target("h2", tracing::Level::WARN)
        .with_target("rustls", tracing::Level::WARN);
    let registry = tracing_subscriber::registry().with(filter);
    let done = match log.format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    if let Err(error) = done {
        eprintln!("wiregate: logging cannot start: {error}");
    }
}
