//! A process that is killed while it commits: all that it was told is there, is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use connection_store::{Change, Documents};

use crate::{child as program, folder, given, once_free, open, put};

const KEYS: u64 = 5;

/// What the commit that makes a revision changes. Large enough that the journal is written anew every few dozen of them.
fn changes(revision: u64) -> Vec<Change> {
    let text = format!("{revision} {}", "x".repeat(8_000));
    let key = format!("key/{}", revision % KEYS);
    vec![put(&key, &text), put("last", &revision.to_string())]
}

#[track_caller]
fn check(found: &Documents) {
    let revision = found.revision;
    for n in revision.saturating_sub(KEYS - 1).max(1)..=revision {
        let mut wanted = changes(n);
        let (last, _) = (wanted.pop(), n == revision);
        for (key, text) in wanted.into_iter().chain(last.filter(|_| n == revision)) {
            let one = found.changed.iter().find(|one| one.key == key);
            let one = one.unwrap_or_else(|| panic!("{key} of {n} is missing at {revision}"));
            assert!(one.revision == n && one.text == text, "{key} at {revision}");
        }
    }
    assert_eq!(
        found.changed.len() as u64,
        revision.min(KEYS) + u64::from(revision > 0)
    );
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let folder = folder();
    let mut least = 0;
    for round in 0..60 {
        // At once or a while later: while it writes a line, while it writes a new file, in between.
        let commits = 1 + round % 4;
        let pause = Duration::from_millis(round * 7 % 40);
        let acknowledged = run_and_kill(folder.path(), commits, pause);
        let (disk, found, _) = once_free(folder.path()).expect("it is in order");
        drop(disk);
        assert!(acknowledged >= least + commits);
        let range = acknowledged..=acknowledged + 1;
        assert!(
            range.contains(&found.revision),
            "{} of {range:?}",
            found.revision
        );
        check(&found);
        least = found.revision;
        assert_eq!(open(folder.path()).1, found);
    }
}

/// Kills a child after so many commits and a pause; returns the last revision that it said is there.
fn run_and_kill(folder: &Path, commits: u64, pause: Duration) -> u64 {
    let mut command = program("killed::child", folder);
    let mut child: Child = (command.stdout(Stdio::piped()).stderr(Stdio::null()))
        .spawn()
        .expect("this program can be run");
    let said = child.stdout.take().expect("it is a pipe");
    let (mut seen, mut last) = (0, 0);
    let revision = |line: &str| {
        line.strip_prefix("at ")
            .and_then(|at| at.parse::<u64>().ok())
    };
    for line in BufReader::new(said).split(b'\n') {
        let line = line.expect("a pipe can be read");
        let Some(at) = revision(&String::from_utf8_lossy(&line)) else {
            continue;
        };
        (seen, last) = (seen + 1, at);
        if seen == commits {
            // What it says until it is dead is read, too.
            thread::sleep(pause);
            child.kill().expect("it is ours");
        }
    }
    let _ = child.wait();
    assert!(seen >= commits, "it ended by itself after {seen}");
    last
}

#[test]
fn child() {
    let Some(folder) = given() else {
        return;
    };
    let (mut disk, mut revision) = (once_free(&folder).expect("opens").0, 0);
    loop {
        if revision > 0 {
            // A line whose end is missing is none, so it is in one piece.
            println!("at {revision}");
        }
        let expected = disk.changes_after(u64::MAX).revision;
        let done = disk.commit(expected, &changes(expected + 1));
        assert!(done.is_ok(), "{done:?}");
        revision = expected + 1;
    }
}
