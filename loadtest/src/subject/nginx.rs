//! nginx as a subject: a plain WebSocket proxy in front of the backend, which then speaks WebSocket itself.

use std::process::Command;

use super::peer;
use super::server::{Folder, Server};
use super::{Launch, Need};
use crate::error::LoadError;

pub(super) const CONFIG: &str = include_str!("../../peers/nginx/nginx.conf");
/// What the templates leave open.
#[cfg(test)]
pub(super) const KEYS: &[&str] = &["folder", "public", "backend"];

/// Says what is missing.
pub(super) fn check(launch: &Launch) -> Result<(), LoadError> {
    peer::find(launch, "nginx", "debian/usr/sbin/nginx").map(drop)
}

/// Starts it with one worker.
pub(super) fn start(launch: &Launch, need: &Need, path: &str) -> Result<Server, LoadError> {
    let folder = Folder::new()?;
    let public = peer::free_ports(1)?[0];
    let values = [
        ("folder", peer::text(folder.path())?.to_owned()),
        ("public", public.to_string()),
        ("backend", need.backend.to_string()),
    ];
    let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
    let config = peer::write(&folder, "nginx.conf", CONFIG, &values)?;
    let mut command = Command::new(peer::find(launch, "nginx", "debian/usr/sbin/nginx")?);
    command.env_clear().args(["-e", "stderr", "-p"]);
    command.arg(folder.path()).arg("-c").arg(config);
    peer::of_debian(&mut command, launch);
    let public = peer::local(public);
    Server::start_and_try(command, &launch.cores, folder, (public, public), path)
}
