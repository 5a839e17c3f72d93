//! Pushpin as a subject: WebSocket over HTTP to the backend, publishing over its HTTP control port.
//!
//! It is five processes (runner, condure, zurl, proxy, handler), of which all count. Its control ports are fixed, and so only one
//! runs at a time.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::peer::{self, PUSHPIN};
use super::server::{Folder, Server};
use super::{Launch, Need};
use crate::error::LoadError;
use crate::system;

pub(super) const CONFIG: &str = include_str!("../../peers/pushpin/pushpin.conf");
pub(super) const ROUTES: &str = include_str!("../../peers/pushpin/routes");
/// What the templates leave open.
#[cfg(test)]
pub(super) const KEYS: &[&str] = &["folder", "tools", "public", "backend"];

/// Where publishing is done.
const CONTROL: u16 = 5561;
/// Where the package's `internal.conf` looks for the system's zurl; ours runs beside the rest.
const SYSTEM_ZURL: &str = "ipc:///var/run/zurl/zurl-";
const OWN_ZURL: &str = "ipc://{rundir}/{ipc_prefix}zurl-";

/// The path of an upgrade. Where pushes come, the backend subscribes each connection to a channel of its own; elsewhere it does
/// not, since a subscription costs Pushpin memory.
pub(super) fn path(need: &Need) -> &'static str {
    if need.push { "/subscribe" } else { "/dev" }
}

/// Says what stands in the way.
pub(super) fn check(launch: &Launch) -> Result<(), LoadError> {
    for program in [
        "pushpin",
        "pushpin-proxy",
        "pushpin-handler",
        "condure",
        "zurl",
    ] {
        peer::find(launch, "Pushpin", &format!("debian/usr/bin/{program}"))?;
    }
    let ephemeral = system::ephemeral_ports().map_err(LoadError::system(
        "cannot read the range of ephemeral ports",
    ))?;
    if ephemeral.start() <= PUSHPIN.end() && PUSHPIN.start() <= ephemeral.end() {
        return Err(LoadError::Usage(format!(
            "Pushpin binds the ports {PUSHPIN:?}, which are among the ephemeral ports {ephemeral:?}: a connection may hold one. \
             Raise the range with `sysctl net.ipv4.ip_local_port_range`"
        )));
    }
    for port in PUSHPIN {
        TcpListener::bind(peer::local(port)).map_err(LoadError::system(format!(
            "Pushpin needs port {port}, and somebody has it"
        )))?;
    }
    Ok(())
}

/// Starts all of Pushpin.
pub(super) fn start(launch: &Launch, need: &Need) -> Result<Server, LoadError> {
    check(launch)?;
    let folder = Folder::new()?;
    let public = peer::free_ports(1)?[0];
    let values = [
        ("folder", peer::text(folder.path())?),
        ("tools", peer::text(&launch.tools.join("debian"))?),
        ("public", &public.to_string()),
        ("backend", &need.backend.to_string()),
    ]
    .map(|(key, value)| (key, value.to_owned()));
    let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
    let config = peer::write(&folder, "pushpin.conf", CONFIG, &values)?;
    peer::write(&folder, "routes", ROUTES, &values)?;
    let shipped = peer::find(launch, "Pushpin", "debian/usr/lib/pushpin/internal.conf")?;
    let internal =
        fs::read_to_string(&shipped).map_err(LoadError::system("cannot read internal.conf"))?;
    peer::write(
        &folder,
        "internal.conf",
        &internal.replace(SYSTEM_ZURL, OWN_ZURL),
        &[],
    )?;
    let mut command = Command::new(peer::find(launch, "Pushpin", "debian/usr/bin/pushpin")?);
    command.env_clear().arg("--config").arg(config);
    peer::of_debian(&mut command, launch);
    Server::start_and_try(
        command,
        &launch.cores,
        folder,
        (peer::local(public), peer::local(CONTROL)),
        path(need),
    )
}
