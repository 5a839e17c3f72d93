//! Wiregate as a subject: its settings for a scenario, and the command that serves them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::server::{Folder, Server};
use super::{Launch, Need};
use crate::error::LoadError;

/// The gateway's binary; an error that says how to build it.
pub(super) fn find(launch: &Launch) -> Result<PathBuf, LoadError> {
    if !launch.wiregate.is_file() {
        return Err(LoadError::Usage(format!(
            "there is no {}: build it with `cargo build --release -p wiregate`, or name it with --wiregate",
            launch.wiregate.display()
        )));
    }
    launch
        .wiregate
        .canonicalize()
        .map_err(LoadError::system("cannot find the gateway"))
}

/// Starts the gateway with one API whose stage is `dev`, on so many `workers` (0: one for each core that it may use).
pub(super) fn start(launch: &Launch, need: &Need, workers: usize) -> Result<Server, LoadError> {
    let binary = find(launch)?;
    let folder = Folder::new()?;
    let file = folder.path().join("wiregate.yaml");
    fs::write(&file, settings(need, workers))
        .map_err(LoadError::system("cannot write wiregate.yaml"))?;
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

fn settings(need: &Need, workers: usize) -> String {
    let (backend, version) = if need.http2 {
        (need.http2_backend, ", httpVersion: \"2\"")
    } else {
        (need.backend, "")
    };
    let two_way = |name: &str| {
        format!(
            "      {name}:\n        integration: {{ integrationType: HTTP_PROXY, integrationUri: \"http://{backend}/{name}\"{version} }}\n        \
             routeResponseSelectionExpression: $default\n"
        )
    };
    let connect = if need.ask_at_connect {
        format!("      $connect: http://{}/connect\n", need.backend)
    } else {
        String::new()
    };
    format!(
        "server: {{ watch: false, workers: {workers} }}\napis:\n  load:\n    routes:\n{connect}{}{}",
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
            push: false,
            http2: false,
            backend: "127.0.0.1:9".parse().unwrap(),
            http2_backend: "127.0.0.1:8".parse().unwrap(),
        };
        assert!(settings(&need, 0).contains("integrationUri: \"http://127.0.0.1:9/echo\" }"));
        assert!(!settings(&need, 0).contains("$connect"));
        need.ask_at_connect = true;
        assert!(settings(&need, 0).contains("\n      $connect: http://127.0.0.1:9/connect\n"));
        need.http2 = true;
        assert!(settings(&need, 2).contains("\"http://127.0.0.1:8/echo\", httpVersion: \"2\" }"));
        assert!(settings(&need, 2).contains("workers: 2"));
    }
}
