//! What starting any peer needs: its files below the tools' folder, its settings filled in, ports that are free.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Launch;
use super::server::Folder;
use crate::error::LoadError;

/// Ports that Pushpin binds whatever its configuration says of clients: nobody else gets one of them.
pub(super) const PUSHPIN: std::ops::RangeInclusive<u16> = 5560..=5563;

/// The file at `path` below the tools' folder; an error that says how to get it.
pub(super) fn find(launch: &Launch, name: &str, path: &str) -> Result<PathBuf, LoadError> {
    let file = launch.tools.join(path);
    if file.is_file() {
        return Ok(file);
    }
    Err(LoadError::Usage(format!(
        "{name} is missing (no {}): run loadtest/peers/install, or leave it out with --subjects",
        file.display()
    )))
}

/// A program of the `PATH`.
pub(super) fn program(name: &str) -> Result<PathBuf, LoadError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| LoadError::Usage(format!("this needs {name}, which is not in PATH")))
}

/// `command` finds the programs and libraries of the unpacked Debian packages first, and those of the system after them.
pub(super) fn of_debian(command: &mut Command, launch: &Launch) {
    let root = launch.tools.join("debian");
    let list = |folders: &[&str]| {
        let folders: Vec<OsString> = folders
            .iter()
            .map(|folder| root.join(folder).into())
            .collect();
        folders.join(&OsString::from(":"))
    };
    let mut path = list(&["usr/bin", "usr/sbin"]);
    path.push(":/usr/bin:/bin");
    command.env("PATH", path);
    let machine = std::env::consts::ARCH;
    let libraries = [
        format!("usr/lib/{machine}-linux-gnu"),
        format!("lib/{machine}-linux-gnu"),
    ];
    command.env(
        "LD_LIBRARY_PATH",
        list(&libraries.each_ref().map(String::as_str)),
    );
}

/// Writes `template` as `name` into the server's folder, `@key@` replaced by its value.
pub(super) fn write(
    folder: &Folder,
    name: &str,
    template: &str,
    values: &[(&str, &str)],
) -> Result<PathBuf, LoadError> {
    let file = folder.path().join(name);
    fs::write(&file, fill(template, values)).map_err(LoadError::system(format!(
        "cannot write {}",
        file.display()
    )))?;
    Ok(file)
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (key, value)| {
            text.replace(&format!("@{key}@"), value)
        })
}

/// `count` different ports of 127.0.0.1 that nobody listens on now.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>, LoadError> {
    // All are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    let mut ports = Vec::new();
    while ports.len() < count {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(LoadError::system("no free port"))?;
        let port = listener
            .local_addr()
            .map_err(LoadError::system("no free port"))?
            .port();
        held.push(listener);
        if !PUSHPIN.contains(&port) {
            ports.push(port);
        }
    }
    Ok(ports)
}

/// A port of this machine.
pub(super) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A path as a setting's value.
pub(super) fn text(path: &Path) -> Result<&str, LoadError> {
    path.to_str()
        .ok_or_else(|| LoadError::Usage(format!("{} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_everywhere() {
        let filled = fill("a @b@ @c@ @b@", &[("b", "1"), ("c", "2")]);
        assert_eq!(filled, "a 1 2 1");
    }

    /// Every template, with the keys that its file fills in.
    #[test]
    fn no_template_keeps_a_gap() {
        for (template, keys) in [
            (super::super::pushpin::CONFIG, super::super::pushpin::KEYS),
            (super::super::pushpin::ROUTES, super::super::pushpin::KEYS),
            (super::super::nginx::CONFIG, super::super::nginx::KEYS),
            (
                super::super::serverless::CONFIG,
                super::super::serverless::KEYS,
            ),
        ] {
            let values: Vec<(&str, &str)> = keys.iter().map(|key| (*key, "x")).collect();
            let filled = fill(template, &values);
            let gap = filled
                .lines()
                .find(|line| !line.trim_start().starts_with('#') && line.contains('@'));
            assert_eq!(gap, None);
        }
    }

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }

    #[test]
    fn what_is_missing_is_said_with_its_remedy() {
        let launch = Launch {
            wiregate: PathBuf::new(),
            tools: "/nowhere".into(),
            cores: Vec::new(),
        };
        let error = find(&launch, "Pushpin", "debian/usr/bin/pushpin").unwrap_err();
        assert!(error.to_string().contains("loadtest/peers/install"));
    }
}
