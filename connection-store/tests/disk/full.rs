//! A disk without room. The limit on the size of files stands for it: the system writes what fits and then refuses.

use std::fs;
use std::path::Path;
use std::process::Command;

use connection_store::{Committed, DiskError, DocumentError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{again, commit, folder, given, open, put};

const ROOM: u64 = 64 * 1024;

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let current = bytes.or(maximum);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).expect("it is below the maximum");
}

#[test]
fn without_room_nothing_is_half_written_and_with_room_it_goes_on() {
    let folder = folder();
    // Whoever ignores the signal is told by an error.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).args(again("full::child"));
    let ended = shell.env("DOCUMENTS", folder.path()).output();
    let ended = ended.expect("there is a shell");
    assert!(ended.status.success(), "{ended:?}");
    assert!(folder.path().join("done").exists(), "{ended:?}");
}

#[test]
fn child() {
    if let Some(folder) = given() {
        fill_up(&folder);
        fs::write(folder.join("done"), "").expect("the folder can be written");
    }
}

fn fill_up(folder: &Path) {
    let journal = folder.join("control.journal");
    let mut disk = open(folder).0;
    limit(Some(ROOM));
    let text = "x".repeat(10_000);
    let mut revision = 0;
    let error = loop {
        match disk.commit(revision, &[put(&format!("k{revision}"), &text)]) {
            Ok(Committed::At(at)) => revision = at,
            other => break other,
        }
        assert!(revision < 10, "there is room for all of this");
    };
    let full = |error: &DocumentError| matches!(error, DocumentError::Disk(DiskError::Full { path, .. }) if *path == journal);
    assert!(error.as_ref().is_err_and(full), "{error:?}");
    let before = disk.changes_after(0);
    assert_eq!(before.revision, revision);
    let is_there = || {
        let other = crate::folder();
        fs::copy(&journal, other.path().join("control.journal")).expect("it is there");
        open(other.path()).1
    };
    assert_eq!(is_there(), before, "not even half of it");
    // Again, and what is smaller fits.
    let error = disk.commit(revision, &[put("large", &text)]);
    assert!(error.as_ref().is_err_and(full), "{error:?}");
    commit(&mut disk, &[put("small", "x")]);
    assert_eq!(is_there(), disk.changes_after(0));
    let mut copy = disk.changes_after(0);
    copy.revision += 1;
    copy.changed[0].text = Some("x".repeat(100_000).into());
    copy.changed[0].revision = copy.revision;
    let error = disk.restore(&copy);
    assert!(error.as_ref().is_err_and(full), "{error:?}");
    assert_eq!(is_there(), disk.changes_after(0));
    limit(None);
    commit(&mut disk, &[put("large", &text)]);
    assert_eq!(is_there(), disk.changes_after(0));
    let expected = disk.changes_after(0);
    drop(disk);
    assert_eq!(open(folder).1, expected);
}
