//! On what, and with which versions, something was measured.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::subject::Launch;

/// Everything that can be found out; what cannot is left out.
pub(super) fn describe(launch: &Launch, cores: usize) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory: Option<u64> = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.strip_suffix(" kB")?.trim().parse().ok());
    let offline = launch
        .tools
        .join("node/node_modules/serverless-offline/package.json");
    let package: Option<Value> = fs::read_to_string(offline)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    json!({
        "cores": cores,
        "processor": processor,
        "kernel": kernel,
        "memoryGiB": memory.map(|kibibytes| kibibytes as f64 / 1024.0 / 1024.0),
        "versions": {
            "wiregate": said(Command::new(&launch.wiregate).arg("--version")),
            "pushpin": debian(launch, "pushpin"),
            "serverless-offline": package.and_then(|package| package["version"].as_str().map(str::to_owned)),
            "nginx": said(Command::new(launch.tools.join("debian/usr/sbin/nginx")).arg("-v")),
        },
    })
}

/// `now`, with the versions of `before` where it has none: peers that a part of a report needed need not be here for another part.
pub(super) fn keep_versions(mut now: Value, before: &Value) -> Value {
    if let Some(versions) = now["versions"].as_object_mut() {
        for (name, version) in versions {
            if version.is_null() {
                *version = before["versions"][name.as_str()].clone();
            }
        }
    }
    now
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first version number in what a program says of itself.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split(|c: char| c.is_whitespace() || c == '/')
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

/// The version of a program that needs the libraries of its own package: of its changelog, which the package brings along.
fn debian(launch: &Launch, package: &str) -> Option<String> {
    let mut command = Command::new("zcat");
    command.arg(launch.tools.join(format!(
        "debian/usr/share/doc/{package}/changelog.Debian.gz"
    )));
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_once('(')?.1.split_once(')')?.0;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_versions_are_found() {
        assert_eq!(
            field("a\t: b\nmodel name\t: Some CPU @ 2 GHz\n", "model name").as_deref(),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(
            said(Command::new("echo").arg("nginx version: nginx/1.22.1")).as_deref(),
            Some("1.22.1")
        );
        assert_eq!(said(&mut Command::new("/nowhere/at/all")), None);
    }

    #[test]
    fn a_version_that_is_not_found_stays_as_it_was() {
        let before = json!({ "versions": { "nginx": "1", "pushpin": "1" } });
        let now = json!({ "cores": 2, "versions": { "nginx": null, "pushpin": "2", "new": null } });
        let expected =
            json!({ "cores": 2, "versions": { "nginx": "1", "pushpin": "2", "new": null } });
        assert_eq!(keep_versions(now, &before), expected);
    }
}
