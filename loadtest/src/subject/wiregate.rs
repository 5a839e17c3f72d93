//! Wiregate as a subject: its settings for a scenario, and the command that serves them.

use std::fs;
use std::process::Command;

use super::server::{Folder, Server};
use super::{Launch, Need};
use crate::error::LoadError;

/// Starts the gateway with one API whose stage is `dev`.
pub(crate) fn start(launch: &Launch, need: &Need) -> Result<Server, LoadError> {
    if !launch.wiregate.is_file() {
        return Err(LoadError::Usage(format!(
            "there is no {}: build it with `cargo build --release -p wiregate`, or name it with --wiregate",
            launch.wiregate.display()
        )));
    }
    let binary = launch
        .wiregate
        .canonicalize()
        .map_err(LoadError::system("cannot find the gateway"))?;
    let folder = Folder::new()?;
    let file = folder.path().join("wiregate.yaml");
    fs::write(&file, settings(need)).map_err(LoadError::system("cannot write wiregate.yaml"))?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(&file);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--management-listen",
        "127.0.0.1:0",
    ]);
    Server::start(command, &launch.cores, folder)
}

fn settings(need: &Need) -> String {
    let backend = need.backend;
    let two_way = |name: &str| {
        format!(
            "      {name}:\n        integration: {{ integrationType: HTTP_PROXY, integrationUri: \"http://{backend}/{name}\" }}\n        \
             routeResponseSelectionExpression: $default\n"
        )
    };
    let connect = if need.ask_at_connect {
        format!("      $connect: http://{backend}/connect\n")
    } else {
        String::new()
    };
    format!(
        "server: {{ watch: false }}\napis:\n  load:\n    routes:\n{connect}{}{}",
        two_way("echo"),
        two_way("whoami")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_name_the_backend() {
        let mut need = Need {
            minimal: None,
            ask_at_connect: false,
            backend: "127.0.0.1:9".parse().unwrap(),
        };
        assert!(settings(&need).contains("integrationUri: \"http://127.0.0.1:9/echo\""));
        assert!(!settings(&need).contains("$connect"));
        need.ask_at_connect = true;
        assert!(settings(&need).contains("\n      $connect: http://127.0.0.1:9/connect\n"));
    }
}
