//! A server process: started, heard until it is ready, stopped by its pid.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::LoadError;
use crate::measure::processes;
use crate::system;

/// Time that a server has to say that it is ready.
const START: Duration = Duration::from_secs(20);
/// Lines of a server's log that a failure shows.
const LAST_LINES: usize = 8;

/// A folder of its own for one server, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one below the system's temporary folder.
    pub(crate) fn new() -> Result<Self, LoadError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("wiregate-loadtest-{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(LoadError::system(format!(
            "cannot create {}",
            path.display()
        )))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind in /tmp harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where clients connect.
    pub(crate) public: SocketAddr,
    /// Where pushes are posted.
    pub(crate) management: SocketAddr,
    process: Process,
    folder: Folder,
}

/// Ends the process when it is dropped, on every way out.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Killed, not asked: what is under load holds nothing that matters, and this cannot take long.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts `command` on `cores` and waits for its line `ready public=ADDR management=ADDR`.
    pub(crate) fn start(
        mut command: Command,
        cores: &[usize],
        folder: Folder,
    ) -> Result<Self, LoadError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = File::create(folder.path().join("log"))
            .map_err(LoadError::system("cannot create a log"))?;
        command
            .env_clear()
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        system::tie(&mut command, cores);
        let mut child = command
            .spawn()
            .map_err(LoadError::system(format!("cannot start {name}")))?;
        let stdout = child.stdout.take();
        let process = Process(child);
        let (tell, told) = mpsc::channel();
        if let Some(stdout) = stdout {
            // Reads to the end, so that the server never waits for room in the pipe; ends with the server.
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(addresses) = parse_ready(&line) {
                        let _ = tell.send(addresses);
                    }
                }
            });
        }
        let Ok((public, management)) = told.recv_timeout(START) else {
            let log = tail(folder.path());
            return Err(LoadError::Trial(format!(
                "{name} ended, or was not ready within {START:?}. Its log ends:\n{log}"
            )));
        };
        Ok(Self {
            public,
            management,
            process,
            folder,
        })
    }

    /// Its pid, and those of all that descend from it.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, LoadError> {
        processes::family(self.process.0.id())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        tail(self.folder.path())
    }
}

fn tail(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// The addresses of a line `ready public=ADDR management=ADDR …`.
fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("ready") {
        return None;
    }
    let find = |key: &str| {
        line.split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(key)?.parse().ok())
    };
    Some((find("public=")?, find("management=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, &str)>) {
        let expected = expected
            .map(|(public, management)| (public.parse().unwrap(), management.parse().unwrap()));
        assert_eq!(parse_ready(line), expected);
    }

    #[test]
    fn only_the_ready_line_tells_addresses() {
        check(
            "ready public=127.0.0.1:1 management=127.0.0.1:2",
            Some(("127.0.0.1:1", "127.0.0.1:2")),
        );
        check(
            "ready public=127.0.0.1:1 management=[::1]:2 node=x",
            Some(("127.0.0.1:1", "[::1]:2")),
        );
        check("ready public=127.0.0.1:1", None);
        check(
            "getting ready public=127.0.0.1:1 management=127.0.0.1:2",
            None,
        );
        check("", None);
    }
}
