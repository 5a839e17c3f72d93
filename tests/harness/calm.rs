//! For tests that measure or need much: how busy the machine is, since a bar for an idle one must not fail on one that
//! is not; turns, so that two such tests do not measure each other; descriptors for thousands of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

/// How long each look at the clock sleeps.
const TICK: Duration = Duration::from_millis(20);

static TURN: Mutex<()> = Mutex::const_new(());

/// One test's turn to measure, and how late its own timers were meanwhile.
#[derive(Debug)]
pub struct Calm {
    worst: Arc<AtomicU64>,
    ticking: JoinHandle<()>,
    _turn: MutexGuard<'static, ()>,
}

impl Calm {
    /// Waits for its turn; must be called inside a runtime.
    pub async fn turn() -> Self {
        let turn = TURN.lock().await;
        let worst: Arc<AtomicU64> = Arc::default();
        let lag = worst.clone();
        let ticking = tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                tokio::time::sleep(TICK).await;
                let late = begun.elapsed().saturating_sub(TICK).as_micros();
                lag.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self {
            worst,
            ticking,
            _turn: turn,
        }
    }

    /// The most by which a timer was late since the last call.
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.worst.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Calm {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

/// So many of a hundred times are no longer than this: 50 is the median, 100 the longest, 0 the shortest.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100);
    times[place.clamp(1, times.len()) - 1]
}

/// Makes sure that this process may open so many sockets and files; fails the test where the system does not let it.
pub fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .unwrap_or_else(|error| panic!("{wanted} open files: {error}; raise `ulimit -Hn`"));
}
