//! What `wiregate dev` adds to a gateway, so that an app of AWS runs on a laptop without a change: a local authority for TLS, the
//! environment of its functions, their packages, a watch over their code, and a line for each call.

pub mod authority;
pub mod discover;
pub mod dotenv;
pub mod env_files;
pub mod environment;
pub mod folders;
pub mod laptop;
pub mod packages;
pub mod print;
pub mod printer;
pub mod watch;

use std::path::PathBuf;

/// What the command line says beyond what `serve` knows.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The app's folder, where `.env` is looked for and relative paths of the app begin.
    pub folder: PathBuf,
    /// Files of variables, a later one standing over an earlier.
    pub env_files: Vec<PathBuf>,
    /// Calls and log lines are written as JSON.
    pub json: bool,
}
