//! What must not stay behind: servers and their folders, also when the user stops a run with Ctrl-C.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::LoadError;
use crate::measure::processes;
use crate::system;

/// What there is at the moment.
#[derive(Debug)]
struct Left {
    processes: BTreeSet<u32>,
    folders: BTreeSet<PathBuf>,
}

static LEFT: Mutex<Left> = Mutex::new(Left {
    processes: BTreeSet::new(),
    folders: BTreeSet::new(),
});

fn left() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that was started.
pub(crate) fn note_process(pid: u32) {
    left().processes.insert(pid);
}

/// It has ended.
pub(crate) fn forget_process(pid: u32) {
    left().processes.remove(&pid);
}

/// A folder that was made.
pub(crate) fn note_folder(path: &Path) {
    left().folders.insert(path.to_owned());
}

/// It was removed.
pub(crate) fn forget_folder(path: &Path) {
    left().folders.remove(path);
}

/// Kills all of the process group that `root` leads, and all that descend from it, by their pids; gives those below it, to be waited
/// for after `root`, when they have become our own children. `root` itself is left alone if it `ended`: its pid may be somebody
/// else's by now.
pub(crate) fn end_family(root: u32, ended: bool) -> Vec<u32> {
    let mut family = processes::family(root).unwrap_or_else(|_| vec![root]);
    if ended {
        family.retain(|pid| *pid != root);
    }
    // The root first, so that it cannot start another.
    for &pid in &family {
        system::kill(pid);
    }
    family.retain(|pid| *pid != root);
    family
}

/// From now on Ctrl-C, and a polite request to end, leave nothing behind.
pub(crate) fn watch() -> Result<(), LoadError> {
    system::adopt_orphans().map_err(LoadError::system("cannot look after what servers start"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(LoadError::system("no runtime for signals"))?;
    let (mut interrupt, mut terminate) = runtime
        .block_on(async {
            Ok((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ))
        })
        .map_err(LoadError::system("cannot listen for signals"))?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            // Held to the end: nobody starts or forgets anything any more.
            let left = left();
            for &pid in &left.processes {
                let below = end_family(pid, false);
                system::reap(pid);
                below.into_iter().for_each(system::reap);
            }
            for folder in &left.folders {
                let _ = fs::remove_dir_all(folder);
            }
            eprintln!("loadtest: stopped");
            process::exit(130);
        })
        .map_err(LoadError::system("no thread for signals"))?;
    Ok(())
}
