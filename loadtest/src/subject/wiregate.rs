//! Wiregate as a subject: its settings for a scenario, and the command that serves them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ClientConfig;

use super::allocator::Allocator;
use super::server::{Folder, Process, Server};
use super::{Launch, Need, peer, tls};
use crate::error::LoadError;

/// What nodes under load know of each other.
const SECRET: &str = "the secret of nodes that are under load";

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

/// What one subject has that others have not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variant {
    /// Threads; 0: one for each core that it may use.
    pub(super) workers: usize,
    /// Clients speak TLS.
    pub(super) tls: bool,
    /// It speaks HTTP/2 with the backend, by prior knowledge.
    pub(super) http2: bool,
    /// In place of the C library's.
    pub(super) allocator: Option<Allocator>,
    /// Clients are on one node, and pushes are posted to another one.
    pub(super) road: Option<Road>,
}

/// How one node reaches another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// Directly.
    Link,
    /// Through the Redis that both share.
    Redis,
}

/// Starts the gateway with one API whose stage is `dev`; gives what its clients need for TLS, too.
pub(super) fn start(
    launch: &Launch,
    need: &Need,
    variant: Variant,
) -> Result<(Server, Option<Arc<ClientConfig>>), LoadError> {
    let binary = find(launch)?;
    let folder = Folder::new()?;
    let tls = variant.tls.then(|| tls::issue(folder.path())).transpose()?;
    let file = folder.path().join("wiregate.yaml");
    fs::write(&file, settings(need, variant))
        .map_err(LoadError::system("cannot write wiregate.yaml"))?;
    let command = |road: Option<(Road, SocketAddr)>| {
        let mut command = Command::new(&binary);
        command.env_clear();
        if let Some(allocator) = variant.allocator {
            command.env("LD_PRELOAD", allocator.find()?);
        }
        if let Some((road, redis)) = road {
            command.env("WIREGATE_STORE", format!("redis://{redis}"));
            command.env("WIREGATE_CLUSTER_SECRET", SECRET);
            if road == Road::Link {
                command.env("WIREGATE_NODE_LISTEN", "127.0.0.1:0");
            }
        }
        command.arg("serve").arg("--config").arg(&file);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--management-listen",
            "127.0.0.1:0",
        ]);
        Ok::<_, LoadError>(command)
    };
    let Some(road) = variant.road else {
        return Ok((Server::start(command(None)?, &launch.cores, folder)?, tls));
    };
    let (redis, address) = redis(launch)?;
    let both = Some((road, address));
    let posted_to = Server::start(command(both)?, &launch.cores, Folder::new()?)?;
    let holder = Server::start(command(both)?, &launch.cores, folder)?;
    Ok((holder.behind(posted_to, redis), tls))
}

/// A Redis that keeps nothing, ready to answer.
fn redis(launch: &Launch) -> Result<(Process, SocketAddr), LoadError> {
    let port = peer::free_ports(1)?[0];
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--port", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::start(command, &launch.cores)?;
    // The nodes wait for it.
    Ok((process, peer::local(port)))
}

fn settings(need: &Need, variant: Variant) -> String {
    let (backend, version) = if variant.http2 {
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
    let tls = if variant.tls {
        format!(", tls: {{ cert: {}, key: {} }}", tls::CERT, tls::KEY)
    } else {
        String::new()
    };
    let workers = variant.workers;
    format!(
        "server: {{ watch: false, workers: {workers}{tls} }}\napis:\n  load:\n    routes:\n{connect}{}{}",
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
            handler: None,
            backend: "127.0.0.1:9".parse().unwrap(),
            http2_backend: "127.0.0.1:8".parse().unwrap(),
        };
        let mut variant = Variant::default();
        let plain = settings(&need, variant);
        assert!(plain.contains("integrationUri: \"http://127.0.0.1:9/echo\" }"));
        assert!(!plain.contains("$connect") && !plain.contains("tls"));
        need.ask_at_connect = true;
        assert!(
            settings(&need, variant).contains("\n      $connect: http://127.0.0.1:9/connect\n")
        );
        (variant.http2, variant.workers, variant.tls) = (true, 2, true);
        let text = settings(&need, variant);
        assert!(text.contains("\"http://127.0.0.1:8/echo\", httpVersion: \"2\" }"));
        assert!(text.contains("workers: 2, tls: { cert: cert.pem, key: key.pem } }"));
    }
}
