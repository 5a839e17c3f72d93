//! A server process: started, heard until it is ready, stopped by its pid.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cleanup;
use crate::client::socket;
use crate::error::LoadError;
use crate::measure::processes;
use crate::system;

/// Time that a server has to say that it is ready.
const START: Duration = Duration::from_secs(20);
/// The same for a server that says nothing of itself: node starts slowly on a busy machine.
const SLOW_START: Duration = Duration::from_mins(1);
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
        cleanup::note_folder(&path);
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
        cleanup::forget_folder(&self.0);
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
    /// Further servers and processes that belong to it.
    others: Option<(Box<Server>, Process)>,
}

/// Ends the process, and all that descend from it, when it is dropped: on every way out.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command` on `cores` (none: anywhere).
    pub(crate) fn start(mut command: Command, cores: &[usize]) -> Result<Self, LoadError> {
        let name = command.get_program().to_string_lossy().into_owned();
        system::tie(&mut command, cores);
        // A group of its own: those it starts are known by it even after it has ended, and Ctrl-C is ours to pass on.
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(LoadError::system(format!("cannot start {name}")))?;
        cleanup::note_process(child.id());
        Ok(Self(child))
    }

    /// Its pid.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The child itself, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed, not asked: what is under load holds nothing that matters, and this cannot take long.
        let ended = matches!(self.0.try_wait(), Ok(Some(_)));
        let below = cleanup::end_family(self.0.id(), ended);
        let _ = self.0.wait();
        below.into_iter().for_each(system::reap);
        cleanup::forget_process(self.0.id());
    }
}

impl Server {
    /// Starts `command` on `cores` and waits for its line `ready public=ADDR management=ADDR`. The command's environment is its own
    /// affair.
    pub(crate) fn start(
        mut command: Command,
        cores: &[usize],
        folder: Folder,
    ) -> Result<Self, LoadError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = log(&folder)?;
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Process::start(command, cores)?;
        let stdout = process.child().stdout.take();
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
            others: None,
        })
    }

    /// Starts `command`, whose addresses are known, and tries to open a WebSocket at `path` until one opens. Its environment is its
    /// own affair as well.
    pub(crate) fn start_and_try(
        mut command: Command,
        cores: &[usize],
        folder: Folder,
        (public, management): (SocketAddr, SocketAddr),
        path: &str,
    ) -> Result<Self, LoadError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = log(&folder)?;
        let both = log
            .try_clone()
            .map_err(LoadError::system("cannot share a log"))?;
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(both)
            .stderr(log);
        let mut process = Process::start(command, cores)?;
        let since = Instant::now();
        while !opens(public, path) {
            let ended = matches!(process.child().try_wait(), Ok(Some(_)) | Err(_));
            if ended || since.elapsed() > SLOW_START {
                return Err(LoadError::Trial(format!(
                    "{name} ended, or opened no WebSocket within {SLOW_START:?}. Its log ends:\n{}",
                    tail(folder.path())
                )));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(Self {
            public,
            management,
            process,
            folder,
            others: None,
        })
    }

    /// The same with pushes posted to another server, and with a process that both need.
    pub(crate) fn behind(mut self, posted_to: Self, shared: Process) -> Self {
        self.management = posted_to.management;
        self.others = Some((Box::new(posted_to), shared));
        self
    }

    /// Its pid, those of all that descend from it, and those of its others.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, LoadError> {
        let mut pids = processes::family(self.process.id())?;
        if let Some((server, shared)) = &self.others {
            pids.extend(server.pids()?);
            pids.extend(processes::family(shared.id())?);
        }
        Ok(pids)
    }

    /// Those of the process that it shares with another one.
    pub(crate) fn shared_pids(&self) -> Result<Vec<u32>, LoadError> {
        let shared = self.others.as_ref();
        shared.map_or(Ok(Vec::new()), |(_, shared)| processes::family(shared.id()))
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        tail(self.folder.path())
    }
}

fn log(folder: &Folder) -> Result<File, LoadError> {
    File::create(folder.path().join("log")).map_err(LoadError::system("cannot create a log"))
}

/// True if an upgrade at `path` is answered with 101.
fn opens(public: SocketAddr, path: &str) -> bool {
    let attempt = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&public, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(&socket::upgrade_request(path, public))?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"HTTP/1.1 101")
    };
    attempt().unwrap_or(false)
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
