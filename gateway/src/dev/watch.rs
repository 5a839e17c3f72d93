//! Tells which folders of code have changed: by what their files are now, whatever the system said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Quiet that ends a burst of changes: compilers and editors write in several steps.
const QUIET: Duration = Duration::from_millis(250);
/// The longest burst: whoever writes all the time is looked at all the same.
const BURST: Duration = Duration::from_secs(3);
/// Files and folders of one function that are looked at.
const MOST: usize = 20_000;
/// How deep they may lie.
const DEEPEST: usize = 24;

/// Folders whose contents are nobody's code, or somebody else's.
const IGNORED: [&str; 12] = [
    ".aws-sam",
    ".git",
    ".hg",
    ".idea",
    ".mypy_cache",
    ".pytest_cache",
    ".serverless",
    ".svn",
    ".venv",
    ".vscode",
    "__pycache__",
    "node_modules",
];

/// What the files of a folder are now.
type State = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Watches folders with all that lies in them. It ends when it is dropped.
#[derive(Debug)]
pub struct CodeWatcher {
    folders: BTreeMap<PathBuf, State>,
    watched: BTreeSet<PathBuf>,
    stirred: Arc<Notify>,
    watching: RecommendedWatcher,
}

impl CodeWatcher {
    /// Begins to watch; the error is the operating system's.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> notify::Result<Self> {
        let stirred = Arc::new(Notify::new());
        let stir = Arc::clone(&stirred);
        let watching = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is an event too: functions load their code.
            if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                return;
            }
            stir.notify_one();
        })?;
        let mut watcher = Self {
            folders: BTreeMap::new(),
            watched: BTreeSet::new(),
            stirred,
            watching,
        };
        for folder in folders {
            let seen = look(&folder);
            watcher.follow(&seen)?;
            watcher.folders.insert(folder, seen.state);
        }
        Ok(watcher)
    }

    /// Waits until some folders have changed, and all have been left alone for a moment; which they are.
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> BTreeSet<PathBuf> {
        loop {
            self.stirred.notified().await;
            let burst = async { while timeout(QUIET, self.stirred.notified()).await.is_ok() {} };
            let _ = timeout(BURST, burst).await;
            let mut changed = BTreeSet::new();
            let folders: Vec<PathBuf> = self.folders.keys().cloned().collect();
            for folder in folders {
                let seen = look(&folder);
                if let Err(error) = self.follow(&seen) {
                    tracing::warn!("{} cannot be watched: {error}", folder.display());
                }
                let before = self.folders.insert(folder.clone(), seen.state);
                if before.as_ref() != self.folders.get(&folder) {
                    changed.insert(folder);
                }
            }
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Watches what has come; the system forgets what has gone.
    fn follow(&mut self, seen: &Seen) -> notify::Result<()> {
        for folder in &seen.folders {
            if self.watched.insert(folder.clone()) {
                self.watching.watch(folder, RecursiveMode::NonRecursive)?;
            }
        }
        self.watched.retain(|folder| folder.is_dir());
        Ok(())
    }
}

/// What was found in a folder.
struct Seen {
    state: State,
    folders: Vec<PathBuf>,
}

fn look(folder: &Path) -> Seen {
    let mut seen = Seen {
        state: State::new(),
        folders: Vec::new(),
    };
    enter(folder, 0, &mut seen);
    seen
}

fn enter(folder: &Path, depth: usize, seen: &mut Seen) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    seen.folders.push(folder.to_owned());
    for entry in entries.flatten() {
        if seen.state.len() + seen.folders.len() >= MOST {
            return;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        // Through links: what is linked is code as well.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if depth < DEEPEST && !linked && !IGNORED.contains(&&*name) {
                enter(&path, depth + 1, seen);
            }
        } else if is_code(&name) {
            let state = (metadata.modified().ok(), metadata.len());
            seen.state.insert(path, state);
        }
    }
}

/// Not what editors and interpreters leave lying about.
fn is_code(name: &str) -> bool {
    let leftover = [".pyc", ".swp", ".swx", ".swo", "~", ".tmp"]
        .iter()
        .any(|end| name.ends_with(end));
    !leftover && !name.starts_with(".#") && name != "4913" && name != ".DS_Store"
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn changes(watcher: &mut CodeWatcher) -> Option<BTreeSet<PathBuf>> {
        timeout(Duration::from_secs(5), watcher.changed())
            .await
            .ok()
    }

    #[tokio::test]
    async fn a_folder_whose_files_changed_is_told_and_no_other() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["a/sub", "b"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("a/sub/x.js"), "1").unwrap();
        let mut watcher = CodeWatcher::new([at("a"), at("b")]).unwrap();
        let only = |name: &str| Some(BTreeSet::from([at(name)]));

        fs::write(at("a/sub/x.js"), "22").unwrap();
        assert_eq!(changes(&mut watcher).await, only("a"), "written");
        fs::create_dir_all(at("b/new/deep")).unwrap();
        fs::write(at("b/new/deep/y.py"), "1").unwrap();
        assert_eq!(changes(&mut watcher).await, only("b"), "a new folder");
        fs::write(at("b/new/deep/y.py"), "22").unwrap();
        assert_eq!(changes(&mut watcher).await, only("b"), "in the new folder");
        fs::remove_file(at("a/sub/x.js")).unwrap();
        assert_eq!(changes(&mut watcher).await, only("a"), "removed");
        fs::remove_dir_all(at("b/new")).unwrap();
        assert_eq!(
            changes(&mut watcher).await,
            only("b"),
            "removed with its folder"
        );
        fs::create_dir_all(at("b/new")).unwrap();
        fs::write(at("b/new/z.py"), "1").unwrap();
        assert_eq!(changes(&mut watcher).await, only("b"), "it has come back");
    }

    #[tokio::test]
    async fn what_is_nobodys_code_does_not_count() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in IGNORED {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let mut watcher = CodeWatcher::new([top.path().to_owned()]).unwrap();
        for folder in IGNORED {
            fs::write(at(folder).join("x.js"), "1").unwrap();
        }
        for file in ["x.pyc", ".x.js.swp", "x.js~", ".#x.js", "4913"] {
            fs::write(at(file), "1").unwrap();
        }
        assert_eq!(timeout(QUIET * 4, watcher.changed()).await.ok(), None);
    }
}
