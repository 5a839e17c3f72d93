//! Journals that were cut off or changed: what was acknowledged is there, or it is said that it is not.

use std::fs;
use std::path::Path;

use connection_store::{Committed, DiskDocuments, DiskError, Documents, Warning};

use crate::{commit, delete, folder, once_free, open, put};

const FILE: &str = "control.journal";

/// A journal with all that lines can hold, and what is there after each of them; nothing at first.
fn journal() -> (Vec<u8>, Vec<Documents>) {
    let (folder, source) = (folder(), folder());
    let mut other = open(source.path()).0;
    for n in 0..3 {
        commit(&mut other, &[put("a", &n.to_string()), delete("b")]);
    }
    let mut disk = open(folder.path()).0;
    let mut states = vec![disk.changes_after(0)];
    assert_eq!(disk.restore(&other.changes_after(0)), Ok(true));
    states.push(disk.changes_after(0));
    let commits = [
        vec![put("api/schön", "{\"a\":\"\u{1F980}\\n\"}\n")],
        vec![delete("a"), put("c", "x")],
        vec![put("sum", ",\"sum\":\"0123456789abcdef\"}\n")],
        vec![put("a", ""), delete("api/schön")],
    ];
    for changes in commits {
        commit(&mut disk, &changes);
        states.push(disk.changes_after(0));
    }
    let bytes = fs::read(folder.path().join(FILE)).expect("it is there");
    assert_eq!(lines(&bytes), states.len() - 1, "a line for each commit");
    (bytes, states)
}

fn lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

type Opened = Result<(DiskDocuments, Documents, Option<Warning>), DiskError>;

fn opened(folder: &Path, bytes: &[u8]) -> Opened {
    fs::write(folder.join(FILE), bytes).expect("the folder can be written");
    once_free(folder)
}

#[track_caller]
fn assert_corrupt(opened: &Opened, at: usize) {
    let Err(error @ DiskError::Corrupt { path, line, .. }) = opened else {
        panic!("taken for sound: {opened:?}");
    };
    assert!(path.ends_with(FILE));
    assert_eq!(*line, at as u64, "{error}");
    let text = error.to_string();
    let said = format!("{}, line {at}: ", path.display());
    assert!(text.starts_with(&said), "{text}");
    assert!(text.contains(&format!("head -n {} ", at - 1)), "{text}");
}

#[test]
fn wherever_it_is_cut_off_all_whole_lines_are_there() {
    let (bytes, states) = journal();
    let folder = folder();
    for cut in 0..=bytes.len() {
        let prefix = &bytes[..cut];
        let whole = lines(prefix);
        let (mut disk, documents, warning) = opened(folder.path(), prefix).expect("opens");
        assert_eq!(documents, states[whole], "cut at {cut}");
        let end = prefix.iter().rposition(|byte| *byte == b'\n');
        let torn = cut - end.map_or(0, |end| end + 1);
        let expected = (torn > 0).then(|| Warning::TornLine {
            path: folder.path().join(FILE),
            line: whole as u64 + 1,
            bytes: torn as u64,
        });
        assert_eq!(warning, expected, "cut at {cut}");
        // It goes on from there.
        let revision = documents.revision;
        let done = disk.commit(revision, &[put("next", "x")]);
        assert_eq!(done, Ok(Committed::At(revision + 1)));
        let expected = disk.changes_after(0);
        drop(disk);
        assert_eq!(open(folder.path()).1, expected, "cut at {cut}");
    }
}

#[test]
fn a_new_file_that_did_not_take_the_place_of_the_old_one_is_not_used() {
    let (bytes, states) = journal();
    let (folder, source) = (folder(), folder());
    let mut other = open(source.path()).0;
    commit(&mut other, &[put("of another", "x")]);
    let new = fs::read(source.path().join(FILE)).expect("it is there");
    let beside = folder.path().join("control.journal.new");
    for cut in 0..=new.len() {
        fs::write(&beside, &new[..cut]).expect("the folder can be written");
        let (_, documents, warning) = opened(folder.path(), &bytes).expect("opens");
        assert_eq!((&documents, warning), (&states[states.len() - 1], None));
        assert!(!beside.exists());
    }
}

#[test]
fn a_file_that_grew_before_its_bytes_came_is_cut_off() {
    let (bytes, states) = journal();
    let folder = folder();
    let last = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n');
    let last = last.expect("there are several") + 1;
    // Pages reach the disk in any order; those that did not are zeros.
    for hole in [0, 1, 20] {
        let mut bytes = bytes.clone();
        let end = bytes.len() - hole;
        bytes[last..end].fill(0);
        let (_, documents, warning) = opened(folder.path(), &bytes).expect("opens");
        assert_eq!(documents, states[states.len() - 2]);
        assert!(warning.is_some());
    }
}

#[test]
fn whichever_byte_is_changed_it_is_noticed() {
    let (bytes, states) = journal();
    let folder = folder();
    let all = states.len() - 1;
    for at in 0..bytes.len() {
        let line = lines(&bytes[..at]) + 1;
        for flip in [0x01, 0x20, 0x80, bytes[at] ^ b'\n'] {
            if flip == 0 {
                continue;
            }
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let opened = opened(folder.path(), &changed);
            if line < all {
                assert_corrupt(&opened, line);
                let left = fs::read(folder.path().join(FILE)).expect("it is there");
                assert_eq!(left, changed, "it is left as it is");
                continue;
            }
            // The last line may be one whose writing was cut off.
            match opened {
                Ok((_, documents, warning)) => {
                    assert_eq!(documents, states[all - 1], "byte {at}");
                    assert!(warning.is_some(), "byte {at}");
                }
                corrupt => assert_corrupt(&corrupt, line),
            }
        }
    }
}

#[test]
fn lines_that_are_missing_or_in_another_order_are_noticed() {
    let (bytes, _) = journal();
    let folder = folder();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (order, bad) in [
        (vec![1, 2, 3, 4], 1),
        (vec![0, 2, 3, 4], 2),
        (vec![0, 1, 2, 4], 4),
        (vec![0, 1, 1, 2], 3),
        (vec![0, 2, 1, 3], 2),
        (vec![0, 1, 2, 0], 4),
    ] {
        let bytes = order.iter().map(|n| lines[*n]).collect::<Vec<_>>().concat();
        assert_corrupt(&opened(folder.path(), &bytes), bad);
    }
    let text = [lines[0], b"\n", lines[1]].concat();
    assert_corrupt(&opened(folder.path(), &text), 2);
    let text = [b"not a journal\n", lines[0]].concat();
    assert_corrupt(&opened(folder.path(), &text), 1);
}
