//! The tasks of a bus: all of them end when it is told to stop.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The tasks that were started and have not ended.
#[derive(Debug)]
pub(crate) struct Tasks {
    handles: Mutex<Handles>,
    /// Each task holds a receiver of it: once there is none, none of them lives.
    alive: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Handles {
    stopped: bool,
    started: Vec<AbortHandle>,
    /// Those that have ended are forgotten when there are so many.
    tidy_at: usize,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            handles: Mutex::default(),
            alive: watch::Sender::new(()),
        }
    }

    /// Starts a task on this thread's runtime; `None` once all were told to stop.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if handles.stopped {
            return None;
        }
        if handles.started.len() >= handles.tidy_at {
            handles.started.retain(|handle| !handle.is_finished());
            handles.tidy_at = 2 * handles.started.len() + 16;
        }
        let alive = self.alive.subscribe();
        let handle = tokio::spawn(async move {
            task.await;
            drop(alive);
        })
        .abort_handle();
        handles.started.push(handle.clone());
        Some(handle)
    }

    /// Tells all of them to end.
    pub(crate) fn abort(&self) {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.stopped = true;
        handles.started.drain(..).for_each(|handle| handle.abort());
    }

    /// Ends all of them, and waits until they have ended.
    pub(crate) async fn stop(&self) {
        self.abort();
        self.alive.closed().await;
    }
}
