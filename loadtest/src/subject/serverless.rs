//! serverless-offline as a subject: the plugin of the Serverless Framework that imitates API Gateway, functions in its own process.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::Launch;
use super::peer;
use super::server::{Folder, Server};
use crate::error::LoadError;

pub(super) const CONFIG: &str = include_str!("../../peers/serverless-offline/serverless.yml");
pub(super) const KEYS: &[&str] = &["public", "http", "lambda"];
const HANDLER: &str = include_str!("../../peers/serverless-offline/handler.js");

const NAME: &str = "serverless-offline";
const CLI: &str = "node/node_modules/serverless/bin/serverless.js";
const PLUGIN: &str = "node/node_modules/serverless-offline/package.json";

/// Says what is missing.
pub(super) fn check(launch: &Launch) -> Result<(), LoadError> {
    peer::find(launch, NAME, CLI)?;
    peer::find(launch, NAME, PLUGIN)?;
    peer::program("node").map(drop)
}

/// Starts it.
pub(super) fn start(launch: &Launch, path: &str) -> Result<Server, LoadError> {
    let folder = Folder::new()?;
    let ports = peer::free_ports(3)?;
    let values: Vec<(&str, String)> = KEYS
        .iter()
        .zip(&ports)
        .map(|(key, port)| (*key, port.to_string()))
        .collect();
    let values: Vec<(&str, &str)> = values
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    peer::write(&folder, "serverless.yml", CONFIG, &values)?;
    peer::write(&folder, "handler.js", HANDLER, &[])?;
    symlink(
        launch.tools.join("node/node_modules"),
        folder.path().join("node_modules"),
    )
    .map_err(LoadError::system("cannot link node_modules"))?;
    let node = peer::program("node")?;
    let mut command = Command::new(&node);
    command
        .env_clear()
        .env("PATH", node.parent().unwrap_or(&node))
        .env("HOME", folder.path())
        .env("NODE_ENV", "production")
        // Nothing leaves this machine.
        .env("SLS_TELEMETRY_DISABLED", "1")
        .env("SLS_TRACKING_DISABLED", "1")
        .env("SLS_NOTIFICATIONS_MODE", "off")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .arg(peer::find(launch, NAME, CLI)?)
        .args(["offline", "start"]);
    let public = peer::local(ports[0]);
    Server::start_and_try(command, &launch.cores, folder, (public, public), path)
}
