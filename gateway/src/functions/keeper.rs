//! What runs between the gateway and one worker: a small process that starts the worker, hears when the gateway is gone,
//! and ends every process that came of the worker, however far it has moved away.
//!
//! The gateway starts its own program again for this (`wiregate function-keeper`). It holds one end of a socket as its
//! standard input. When that ends or says a word, also because the gateway was killed, all is ended. On Linux it is the
//! reaper of its descendants, so that also a process which left the worker's group and session is found.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitOptions};

/// The first argument that makes a keeper of this program.
pub const COMMAND: &str = "function-keeper";

/// Runs as a keeper: `arguments` are the worker's program and its arguments.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let Some(program) = arguments.next() else {
        eprintln!("wiregate {COMMAND} is for wiregate's own use");
        return ExitCode::from(64);
    };
    adopt_descendants();
    let worker = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let worker = match worker {
        Ok(worker) => Pid::from_child(&worker),
        Err(error) => {
            report(&format!("error {}: {error}", program.display()));
            return ExitCode::FAILURE;
        }
    };
    report(&format!("pid {}", worker.as_raw_nonzero()));
    std::thread::spawn(move || {
        let _ = io::stdin().lock().read(&mut [0]);
        end_group(worker);
        // Whatever left the group; the rest is done below.
        end_children();
    });
    let status = wait_for(worker);
    end_group(worker);
    end_descendants();
    report(&describe(status));
    ExitCode::SUCCESS
}

/// Waits for the worker, and takes leave of orphans on the way.
fn wait_for(worker: Pid) -> Option<ExitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => {
                return Some(ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

fn end_group(worker: Pid) {
    let _ = rustix::process::kill_process_group(worker, Signal::KILL);
}

/// Ends what is left until there is nothing left: children of the dead become ours.
fn end_descendants() {
    loop {
        end_children();
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn describe(status: Option<ExitStatus>) -> String {
    match status {
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "exit 0".to_owned(),
        },
        None => "error the worker's end was not seen".to_owned(),
    }
}

/// A line to the gateway; the socket is the standard input.
fn report(line: &str) {
    let line = format!("{line}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(io::stdin(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(target_os = "linux")]
fn adopt_descendants() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(target_os = "linux")]
fn end_children() {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // `pid (name) state parent …`; the name may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        if fields.split_whitespace().nth(1) == Some(&own)
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn adopt_descendants() {}

#[cfg(not(target_os = "linux"))]
fn end_children() {}
