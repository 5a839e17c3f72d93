//! Tells when the settings file, or one that it names, has changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Quiet that ends a burst of changes: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// Watches the folders of files, because editors and Kubernetes replace a file rather than write into it.
///
/// It ends when it is dropped. With `server.watch: false` none is made.
#[derive(Debug)]
pub struct Watcher {
    files: Vec<(PathBuf, Option<State>)>,
    stirred: Arc<Notify>,
    _watching: RecommendedWatcher,
}

/// What tells one content from the next without reading it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Where symbolic links lead; a ConfigMap is renewed by turning one.
    target: Option<PathBuf>,
}

impl Watcher {
    /// Begins to watch; the error is the operating system's. Made before the file is loaded, it misses no change.
    pub fn new(files: &[PathBuf]) -> notify::Result<Self> {
        let folders: BTreeSet<&Path> = files
            .iter()
            .map(|file| match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            })
            .collect();
        let stirred = Arc::new(Notify::new());
        let stir = Arc::clone(&stirred);
        let mut watching =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Our own reading is an event too. An error may hide a change, so it counts as one.
                if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                    return;
                }
                stir.notify_one();
            })?;
        for folder in folders {
            watching.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            files: files
                .iter()
                .map(|file| (file.clone(), state_of(file)))
                .collect(),
            stirred,
            _watching: watching,
        })
    }

    /// Waits until a file is another than before, and all have been left alone for 200 ms.
    ///
    /// A file that is gone is not a change; one that comes back is. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            self.stirred.notified().await;
            while timeout(QUIET, self.stirred.notified()).await.is_ok() {}
            let mut changed = false;
            for (file, seen) in &mut self.files {
                let now = state_of(file);
                if now.is_some() && now != *seen {
                    *seen = now;
                    changed = true;
                }
            }
            if changed {
                return;
            }
        }
    }
}

fn state_of(file: &Path) -> Option<State> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(State {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
        target: std::fs::canonicalize(file).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    async fn changes(watcher: &mut Watcher) -> bool {
        timeout(Duration::from_secs(5), watcher.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_file_written_or_replaced_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wiregate.yaml");
        fs::write(&file, "apis: {}").unwrap();
        let mut watcher = Watcher::new(std::slice::from_ref(&file)).unwrap();

        fs::write(&file, "apis: {} # longer").unwrap();
        assert!(changes(&mut watcher).await, "written in place");

        let other = folder.path().join("wiregate.yaml.new");
        fs::write(&other, "apis: {} # longer still").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(changes(&mut watcher).await, "replaced by another");

        fs::remove_file(&file).unwrap();
        fs::write(&file, "apis: {}").unwrap();
        assert!(changes(&mut watcher).await, "removed and written again");
    }

    #[tokio::test]
    async fn each_of_several_files_is_watched() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let files = folders.each_ref().map(|folder| folder.path().join("file"));
        for file in &files {
            fs::write(file, "").unwrap();
        }
        let mut watcher = Watcher::new(&files).unwrap();
        for file in files.iter().rev() {
            fs::write(file, "changed").unwrap();
            assert!(changes(&mut watcher).await, "{}", file.display());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_turned_link_is_a_change() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("wiregate.yaml"), "apis: {}").unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/wiregate.yaml", at("wiregate.yaml")).unwrap();
        let mut watcher = Watcher::new(&[at("wiregate.yaml")]).unwrap();

        symlink("v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(changes(&mut watcher).await);
    }

    #[tokio::test]
    async fn other_files_in_the_folder_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wiregate.yaml");
        fs::write(&file, "apis: {}").unwrap();
        let mut watcher = Watcher::new(std::slice::from_ref(&file)).unwrap();
        fs::write(folder.path().join("other"), "").unwrap();
        let waited = timeout(QUIET * 3, watcher.changed()).await;
        assert!(waited.is_err());
    }
}
