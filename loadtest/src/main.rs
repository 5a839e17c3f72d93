//! Load scenarios for Wiregate: everything is started, measured and compared inside one run on one machine, since only ratios mean
//! something there.

// Figures are f64; counts and nanoseconds of a trial stay far below 2^52.
#![allow(clippy::cast_precision_loss)]

mod backend;
mod cleanup;
mod cli;
mod client;
mod echo;
mod error;
mod hold;
mod http_head;
mod measure;
mod minimal;
mod plan;
mod record;
mod report;
mod scenario;
mod subject;
mod system;

fn main() -> std::process::ExitCode {
    cli::main()
}
