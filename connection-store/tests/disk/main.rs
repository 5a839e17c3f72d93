//! The documents in a folder: the contract, what comes of damage, of a process that is killed, and of a disk that is full.

mod damage;
mod full;
mod killed;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use connection_store::contract::documents;
use connection_store::{
    Change, Committed, DiskDocuments, DiskError, DocumentError, Documents, LocalDocuments, Unfit,
    Versioned, Warning,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn put(key: &str, text: &str) -> Change {
    (key.to_owned(), Some(text.into()))
}

fn delete(key: &str) -> Change {
    (key.to_owned(), None)
}

/// Opens a folder of this test's. A process that another test starts has a copy of every lock until it runs its own program.
fn once_free(folder: &Path) -> Result<(DiskDocuments, Documents, Option<Warning>), DiskError> {
    let given_up = Instant::now() + Duration::from_secs(5);
    loop {
        match DiskDocuments::open(folder) {
            Err(DiskError::Taken(_)) if Instant::now() < given_up => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}

/// Opens what is in order.
#[track_caller]
fn open(folder: &Path) -> (DiskDocuments, Documents) {
    let (disk, documents, warning) = once_free(folder).expect("it is in order");
    assert_eq!(warning, None);
    assert_eq!(disk.changes_after(0), documents);
    (disk, documents)
}

/// Commits onto whatever is there.
#[track_caller]
fn commit(disk: &mut DiskDocuments, changes: &[Change]) -> u64 {
    let expected = disk.changes_after(u64::MAX).revision;
    let done = disk.commit(expected, changes);
    assert_eq!(done, Ok(Committed::At(expected + 1)));
    expected + 1
}

/// This program, to run one of its tests alone.
fn again(test: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("it runs");
    let program = program.to_str().expect("its path is text");
    let words = [program, "--exact", test, "--nocapture"];
    words.map(str::to_owned).to_vec()
}

fn mode(path: &Path) -> u32 {
    let about = std::fs::metadata(path).expect("it is there");
    about.permissions().mode() & 0o777
}

#[tokio::test]
async fn a_folder_keeps_the_contract_of_documents() {
    let folder = folder();
    let (disk, documents) = open(folder.path());
    assert_eq!(documents, Documents::default());
    let store = LocalDocuments::new(disk);
    let other = store.clone();
    documents::all(&store, &other).await;
    let expected = documents::fill(&store, 3).await;
    drop((store, other));
    let (_disk, found) = open(folder.path());
    assert!(found == expected, "not what was committed");
}

#[tokio::test]
async fn an_emptied_folder_takes_the_highest_copy() {
    let (one, other) = (folder(), folder());
    let (full, empty) = (open(one.path()).0, open(other.path()).0);
    let (full, empty) = (LocalDocuments::new(full), LocalDocuments::new(empty));
    let copy = documents::fill(&full, 5).await;
    documents::fill(&empty, 2).await;
    documents::is_restored(&empty, &copy).await;
    drop(empty);
    assert_eq!(open(other.path()).1, copy);
}

#[test]
fn what_another_store_answered_is_added_at_once() {
    let (one, other) = (folder(), folder());
    let (mut source, mut copy) = (open(one.path()).0, open(other.path()).0);
    for n in 1..=6_u64 {
        commit(
            &mut source,
            &[put("a", &n.to_string()), put(&n.to_string(), "x")],
        );
        if n % 2 == 0 {
            commit(&mut source, &[delete("a")]);
        }
        if n % 3 == 0 {
            let after = copy.changes_after(u64::MAX).revision;
            let news = source.changes_after(after);
            assert_eq!(copy.append(&news), Ok(()));
            assert_eq!(copy.changes_after(0), source.changes_after(0));
            let repeated = copy.append(&news);
            assert!(matches!(
                repeated,
                Err(DocumentError::Unfit(Unfit::Nonsense(_)))
            ));
        }
    }
    // What does not follow from here is not taken.
    let now = copy.changes_after(u64::MAX).revision;
    let entry = |revision| Versioned {
        key: "k".to_owned(),
        revision,
        text: None,
    };
    for (revision, changed) in [
        (now + 1, vec![]),
        (now + 2, vec![entry(now + 1)]),
        (now + 2, vec![entry(now)]),
        (now + 1, vec![entry(now + 2)]),
    ] {
        let unfit = copy.append(&Documents { revision, changed });
        assert!(matches!(unfit, Err(DocumentError::Unfit(_))), "{unfit:?}");
    }
    drop(copy);
    assert_eq!(open(other.path()).1, source.changes_after(0));
}

#[test]
fn a_folder_belongs_to_one_at_a_time() {
    let folder = folder();
    let first = open(folder.path()).0;
    let second = DiskDocuments::open(folder.path()).map(drop);
    assert_eq!(second, Err(DiskError::Taken(folder.path().to_owned())));
    drop(first);
    open(folder.path());
}

#[test]
fn folder_and_files_are_for_their_owner_only() {
    let folder = folder();
    let (above, data) = (folder.path().join("a"), folder.path().join("a/data"));
    let mut disk = open(&data).0;
    commit(&mut disk, &[put("a", "secret")]);
    let copy = disk.changes_after(0);
    let check = || {
        assert_eq!((mode(&above), mode(&data)), (0o700, 0o700));
        for file in ["control.journal", "control.lock"] {
            assert_eq!(mode(&data.join(file)), 0o600, "{file}");
        }
    };
    check();
    // Written anew.
    drop(disk);
    std::fs::remove_file(data.join("control.journal")).expect("it is there");
    assert_eq!(open(&data).0.restore(&copy), Ok(true));
    check();
    let no_folder = folder.path().join("file");
    std::fs::write(&no_folder, "").expect("the folder can be written");
    let opened = DiskDocuments::open(&no_folder).map(drop);
    assert!(
        matches!(&opened, Err(DiskError::Failed { path, .. }) if *path == no_folder),
        "{opened:?}"
    );
}

#[test]
fn a_journal_that_grew_is_written_anew() {
    let folder = folder();
    let journal = folder.path().join("control.journal");
    let length = || std::fs::metadata(&journal).expect("it is there").len();
    let mut disk = open(folder.path()).0;
    let text = "x".repeat(10_000);
    let (mut longest, mut anew) = (0, 0);
    for n in 0..120 {
        let before = length();
        commit(
            &mut disk,
            &[put(&format!("k{}", n % 3), &format!("{n} {text}"))],
        );
        commit(&mut disk, &[delete(&format!("gone{}", n % 7))]);
        longest = longest.max(length());
        anew += u32::from(length() < before);
    }
    assert!((3..10).contains(&anew), "{anew} times");
    assert!(longest < 300_000, "{longest} bytes");
    let expected = disk.changes_after(0);
    drop(disk);
    // Where it cannot be written anew it grows, and nobody waits for it.
    let obstacle = folder.path().join("control.journal.new");
    let mut disk = open(folder.path()).0;
    assert_eq!(disk.changes_after(0), expected);
    std::fs::create_dir(&obstacle).expect("nobody is in the way");
    while length() < 600_000 {
        commit(&mut disk, &[put("k0", &text)]);
    }
    std::fs::remove_dir(&obstacle).expect("it is there");
    while length() > 300_000 {
        assert!(length() < 1_500_000, "it is tried again");
        commit(&mut disk, &[put("k0", &text)]);
    }
    let expected = disk.changes_after(0);
    drop(disk);
    assert_eq!(open(folder.path()).1, expected);
}

#[test]
fn it_may_be_moved_to_another_thread() {
    fn check<T: Send + 'static>() {}
    check::<DiskDocuments>();
    check::<Warning>();
}

/// Runs one test of this program with a folder in its environment.
fn child(test: &str, folder: &Path) -> Command {
    let words = again(test);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("DOCUMENTS", folder);
    command
}

/// The folder that a child was given; `None` in an ordinary run.
fn given() -> Option<std::path::PathBuf> {
    std::env::var_os("DOCUMENTS").map(Into::into)
}
