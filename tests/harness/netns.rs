//! Network namespaces: networks of their own, in which links break and addresses answer that must not exist outside.
//!
//! A namespace is named after this process, so that what a killed run left behind is found and deleted by the next one.
//! Making one needs root, `ip` and `nft` (`tests/run` installs both). Where that is missing the test is skipped and
//! says so; where `CI` is true it fails.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Begins the name of every namespace of these tests; the process and a number follow.
const PREFIX: &str = "wiregate-test-";
/// Where `ip netns` keeps the namespaces by name.
const NAMESPACES: &str = "/run/netns";

/// A network with nothing in it but its loopback; deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// So many networks; `None` where this machine cannot make them, which is said on stderr, past the capture of tests.
    /// Fails the test where that happens and `CI` is true.
    pub fn several<const N: usize>(test: &str) -> Option<[Self; N]> {
        let made: Result<Vec<Self>, String> = (0..N).map(|_| Self::new()).collect();
        match made {
            Ok(made) => Some(made.try_into().expect("as many as were asked for")),
            Err(why) => {
                let in_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
                assert!(!in_ci, "{test} needs network namespaces: {why}");
                let _ = writeln!(
                    io::stderr(),
                    "\nSKIPPED {test}: no network namespaces: {why}\n"
                );
                None
            }
        }
    }

    fn new() -> Result<Self, String> {
        static CLEANED: Once = Once::new();
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        run(Command::new("nft").arg("--version"))?;
        CLEANED.call_once(delete_what_dead_runs_left);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Runs a scenario on a thread that lives in this network: its sockets and the processes that it starts are there,
    /// and sockets stay where they were made.
    pub fn run<T: Send>(&self, scenario: impl AsyncFnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let namespace = File::open(format!("{NAMESPACES}/{}", self.name));
                let namespace = namespace.expect("the namespace has a file");
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network)
                    .expect("root may enter a namespace");
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(scenario())
            });
            inside.join()
        });
        outcome.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// A cable to another network, with an address (and the length of its prefix) at each end.
    pub fn link(&self, address: &str, other: &Self, other_address: &str) {
        let cable = || {
            self.ip(&[
                "link",
                "add",
                "cable",
                "type",
                "veth",
                "peer",
                "name",
                "cable",
                "netns",
                &other.name,
            ])?;
            for (end, address) in [(self, address), (other, other_address)] {
                end.ip(&["address", "add", address, "dev", "cable"])?;
                end.ip(&["link", "set", "cable", "up"])?;
            }
            Ok(())
        };
        cable().unwrap_or_else(|why: String| panic!("{why}"));
    }

    /// Makes every IPv4 address one of this network's own, and so the address where EC2 serves metadata over IPv6:
    /// whoever connects to any of them meets who listens here.
    pub fn answer_everywhere(&self) {
        let routed = self.ip(&["route", "add", "local", "0.0.0.0/0", "dev", "lo"]);
        let added = self.ip(&["address", "add", "fd00:ec2::254/128", "dev", "lo"]);
        routed.and(added).unwrap_or_else(|why| panic!("{why}"));
    }

    /// From now on nothing leaves this network and nothing comes in; nobody is told, no FIN and no RST.
    pub fn vanish(&self) {
        let rules = "add table inet vanished
            add chain inet vanished incoming { type filter hook input priority 0; policy drop; }
            add chain inet vanished outgoing { type filter hook output priority 0; policy drop; }";
        run(Command::new("ip").args(["netns", "exec", &self.name, "nft", rules]))
            .unwrap_or_else(|why| panic!("{why}"));
    }

    fn ip(&self, args: &[&str]) -> Result<(), String> {
        run(Command::new("ip").args(["-n", &self.name]).args(args))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Namespaces of these tests whose process is no more.
fn delete_what_dead_runs_left() {
    let Ok(names) = fs::read_dir(NAMESPACES) else {
        return;
    };
    for name in names.flatten() {
        let name = name.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !fs::exists(format!("/proc/{process}")).unwrap_or(true)) {
            delete(&name);
        }
    }
}

fn delete(name: &str) {
    if let Err(why) = run(Command::new("ip").args(["netns", "delete", name])) {
        eprintln!("{why}");
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
