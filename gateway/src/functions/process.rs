//! The one place that starts processes: each behind a keeper, in a group and a session's reach of its own, with exactly the
//! environment that it is given.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::{environment, keeper};

/// The most that a keeper says.
const MAX_REPORT: usize = 4096;
/// How long a process that was ended may take to be gone.
const END: Duration = Duration::from_secs(5);

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// All of its environment.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) folder: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It could not be started, and why.
    NotStarted(String),
    /// By itself; 0 is no reason.
    Exit(i32),
    /// By a signal.
    Signal(i32),
}

impl Ended {
    /// `exit status 1`, `signal: killed`; `None` where it gave no reason.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::NotStarted(why) => Some(why.clone()),
            Self::Exit(0) => None,
            Self::Exit(code) => Some(format!("exit status {code}")),
            Self::Signal(signal) => Some(format!("signal: {}", signal_name(*signal))),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let known = match signal {
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    known.to_owned()
}

/// A process with all that comes of it. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Process {
    keeper: Child,
    control: UnixStream,
    report: Vec<u8>,
}

/// What a process writes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

impl Process {
    /// Starts it; `program` is this program, which becomes its keeper.
    pub(super) fn start(program: &Path, launch: &Launch) -> io::Result<(Self, Pipes)> {
        let (control, theirs) = StdStream::pair()?;
        control.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command
            .arg(keeper::COMMAND)
            .arg(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(&launch.environment)
            .current_dir(&launch.folder)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the gateway, which ends its workers when nothing needs them any more.
            .process_group(0);
        let mut keeper = command.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdout = keeper.stdout.take().ok_or_else(missing)?.into_owned_fd()?;
        let stderr = keeper.stderr.take().ok_or_else(missing)?.into_owned_fd()?;
        let process = Self {
            keeper,
            control: UnixStream::from_std(control)?,
            report: Vec::new(),
        };
        let pipes = Pipes {
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: pipe::Receiver::from_owned_fd(stderr)?,
        };
        Ok((process, pipes))
    }

    /// Waits until it and all that came of it is gone. May be dropped and asked again.
    pub(super) async fn ended(&mut self) -> Ended {
        let mut bytes = [0; 512];
        loop {
            if self.control.readable().await.is_err() {
                break;
            }
            match self.control.try_read(&mut bytes) {
                Ok(0) => break,
                Ok(count) if self.report.len() < MAX_REPORT => {
                    self.report.extend_from_slice(&bytes[..count]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        let _ = self.keeper.wait().await;
        let (pid, ended) = read_report(&String::from_utf8_lossy(&self.report));
        if let Some(ended) = ended {
            return ended;
        }
        // Somebody ended the keeper: at least the worker's own group must not stay.
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        Ended::Signal(9)
    }

    /// Ends it and all that came of it, and waits until they are gone.
    pub(super) async fn end(&mut self) -> Ended {
        let _ = self.control.write_all(b".").await;
        let ended = tokio::time::timeout(END, self.ended()).await;
        ended.unwrap_or(Ended::Signal(9))
    }
}

/// What a pipe holds at this moment, up to `most` bytes; nothing is waited for.
pub(super) fn read_now(pipe: &pipe::Receiver, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; 8192];
    while all.len() < most {
        match rustix::io::read(pipe.as_fd(), &mut bytes) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    all
}

/// The worker's process id and its end, as far as the keeper said them.
fn read_report(report: &str) -> (Option<i32>, Option<Ended>) {
    let (mut pid, mut ended) = (None, None);
    for line in report.lines() {
        match line.split_once(' ') {
            Some(("pid", number)) => pid = number.parse().ok(),
            Some(("exit", code)) => ended = code.parse().ok().map(Ended::Exit),
            Some(("signal", signal)) => ended = signal.parse().ok().map(Ended::Signal),
            Some(("error", why)) => ended = Some(Ended::NotStarted(why.to_owned())),
            _ => {}
        }
    }
    (pid, ended)
}

/// Runs a tool to its end; what it wrote, or a sentence with the end of its complaints. `folder` is nobody else's: Python looks for
/// modules where it runs.
pub(super) async fn run(
    keeper: &Path,
    folder: &Path,
    program: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<String, String> {
    let launch = Launch {
        program: program.to_owned(),
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: environment::of_tools(),
        folder: folder.to_owned(),
    };
    let shown = format!("{} {}", program.display(), arguments.join(" "));
    let fail = |why: &str| Err(format!("`{shown}` failed: {why}"));
    let (mut process, pipes) = match Process::start(keeper, &launch) {
        Ok(started) => started,
        Err(error) => return fail(&error.to_string()),
    };
    let (mut output, mut complaints) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(limit, async {
        let (mut more, mut more_complaints) = (true, true);
        while more || more_complaints {
            tokio::select! {
                _ = pipes.stdout.readable(), if more => {
                    more = take(&pipes.stdout, &mut output);
                }
                _ = pipes.stderr.readable(), if more_complaints => {
                    more_complaints = take(&pipes.stderr, &mut complaints);
                }
            }
        }
        process.ended().await
    });
    let ended = ended.await;
    let said = String::from_utf8_lossy(&complaints);
    let tail: Vec<&str> = said.trim().lines().rev().take(5).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("; ");
    match ended {
        Ok(Ended::Exit(0)) => Ok(String::from_utf8_lossy(&output).into_owned()),
        Ok(Ended::NotStarted(why)) => fail(&why),
        Ok(ended) => {
            let reason = ended.reason().unwrap_or_default();
            fail(&format!("{reason}: {tail}"))
        }
        Err(_) => {
            process.end().await;
            fail(&format!("not done after {} s: {tail}", limit.as_secs()))
        }
    }
}

/// The most that is kept of a tool's words.
const MAX_OUTPUT: usize = 64 * 1024;

/// Takes what came; whether more can come.
fn take(pipe: &pipe::Receiver, into: &mut Vec<u8>) -> bool {
    let mut bytes = [0; 8192];
    match pipe.try_read(&mut bytes) {
        Ok(0) => false,
        Ok(count) => {
            into.extend_from_slice(&bytes[..count]);
            let over = into.len().saturating_sub(MAX_OUTPUT);
            into.drain(..over);
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keepers_report_says_how_it_ended() {
        let check = |report: &str, expected: (Option<i32>, Option<Ended>)| {
            assert_eq!(read_report(report), expected, "{report:?}");
        };
        check("", (None, None));
        check("pid 7\n", (Some(7), None));
        check("pid 7\nexit 3\n", (Some(7), Some(Ended::Exit(3))));
        check("pid 7\nsignal 9\n", (Some(7), Some(Ended::Signal(9))));
        let missing = "no/bootstrap: No such file".to_owned();
        check(
            &format!("error {missing}\n"),
            (None, Some(Ended::NotStarted(missing))),
        );
        check("exit x\npid\n\n", (None, None));
    }

    #[test]
    fn ends_have_the_words_that_lambda_uses() {
        let check = |ended: Ended, expected: Option<&str>| {
            assert_eq!(ended.reason().as_deref(), expected, "{ended:?}");
        };
        check(Ended::Exit(0), None);
        check(Ended::Exit(1), Some("exit status 1"));
        check(Ended::Signal(9), Some("signal: killed"));
        check(Ended::Signal(11), Some("signal: segmentation fault"));
        check(Ended::Signal(40), Some("signal: signal 40"));
    }
}
