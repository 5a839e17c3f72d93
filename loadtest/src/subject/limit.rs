//! The minimal programs as subjects: this very binary, called anew, so that they are measured the way all others are.

use std::process::Command;

use clap::ValueEnum;

use super::server::{Folder, Server};
use super::{Launch, Need};
use crate::error::LoadError;

/// Starts the minimal program for the scenario.
pub(crate) fn start(launch: &Launch, need: &Need) -> Result<Server, LoadError> {
    let Some(minimal) = need.minimal.and_then(|minimal| minimal.to_possible_value()) else {
        return Err(LoadError::Usage(
            "there is no minimal program for this scenario: leave `limit` out".into(),
        ));
    };
    let binary = std::env::current_exe()
        .map_err(LoadError::system("cannot find this program's own binary"))?;
    let mut command = Command::new(binary);
    command
        .arg("minimal")
        .arg(minimal.get_name())
        .arg("--backend")
        .arg(need.backend.to_string());
    if need.ask_at_connect {
        command.arg("--ask-at-connect");
    }
    Server::start(command, &launch.cores, Folder::new()?)
}
