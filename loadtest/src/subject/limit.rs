//! The minimal programs as subjects: this very binary, called anew, so that they are measured the way all others are.

use std::process::Command;
use std::sync::Arc;

use clap::ValueEnum;
use rustls::ClientConfig;

use super::server::{Folder, Server};
use super::{Launch, Need, tls};
use crate::error::LoadError;

/// Starts the minimal program for the scenario; gives what its clients need for TLS, too.
pub(super) fn start(
    launch: &Launch,
    need: &Need,
    over_tls: bool,
) -> Result<(Server, Option<Arc<ClientConfig>>), LoadError> {
    let Some(minimal) = need.minimal.and_then(|minimal| minimal.to_possible_value()) else {
        return Err(LoadError::Usage(
            "there is no minimal program for this scenario: leave `limit` out".into(),
        ));
    };
    let binary = std::env::current_exe()
        .map_err(LoadError::system("cannot find this program's own binary"))?;
    let folder = Folder::new()?;
    let tls = over_tls.then(|| tls::issue(folder.path())).transpose()?;
    let mut command = Command::new(binary);
    command.env_clear();
    command
        .arg("minimal")
        .arg(minimal.get_name())
        .arg("--backend")
        .arg(need.backend.to_string());
    if need.ask_at_connect {
        command.arg("--ask-at-connect");
    }
    if over_tls {
        command.arg("--identity").arg(folder.path());
    }
    Ok((Server::start(command, &launch.cores, folder)?, tls))
}
