//! One process of several in a thread: its clocks, its chance, and whether it runs at all.
//!
//! What a process does, it does in tasks that [`spawn`] starts; whoever starts its first one says whose it is by
//! [`Process::hold`]. A stopped process has tasks that are not polled while time goes on, as after a SIGSTOP: what its kernel
//! would do meanwhile, the simulation's sockets do.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The wall clock at the beginning of all simulated time, in milliseconds of the epoch.
pub const EPOCH: u64 = 1_700_000_000_000;

thread_local! {
    static CURRENT: RefCell<Option<Process>> = const { RefCell::new(None) };
}

/// One simulated process.
#[derive(Debug, Clone)]
pub struct Process(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// The runtime's clock when it showed `millis`.
    began: Instant,
    millis: u64,
    /// How far its wall clock is ahead.
    skew: i64,
    seed: u64,
    stopped: bool,
    waiting: Vec<Waker>,
}

impl Process {
    /// A process that starts now, on the runtime of its machine, `millis` after the beginning of simulated time.
    pub fn start(seed: u64, millis: u64, skew: i64) -> Self {
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            millis,
            skew,
            seed,
            stopped: false,
            waiting: Vec::new(),
        })))
    }

    /// Whatever `work` does, this process does.
    pub fn hold<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        Held {
            process: Some(self.clone()),
            work: Box::pin(work),
        }
    }

    /// From now on none of its tasks runs.
    pub fn stop(&self) {
        self.lock().stopped = true;
    }

    /// It runs again.
    pub fn resume(&self) {
        let waiting = {
            let mut state = self.lock();
            state.stopped = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// True where it is stopped; `waker` is woken when it runs again.
    fn is_stopped(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if state.stopped && !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        state.stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> u64 {
        self.millis + self.began.elapsed().as_millis() as u64
    }

    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Starts a task of the process whose task this is.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Held {
        process: CURRENT.with_borrow(Clone::clone),
        work: Box::pin(work),
    })
}

/// Milliseconds since the beginning of simulated time; `None` outside of a simulated process.
pub(super) fn now() -> Option<u64> {
    ask(|state| state.now())
}

pub(super) fn wall() -> Option<u64> {
    ask(|state| (EPOCH + state.now()).saturating_add_signed(state.skew))
}

pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    ask(|state| {
        let mut out = [0; N];
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&state.draw().to_le_bytes()[..part.len()]);
        }
        out
    })
}

fn ask<T>(question: impl FnOnce(&mut State) -> T) -> Option<T> {
    CURRENT.with_borrow(|current| current.as_ref().map(|one| question(&mut one.lock())))
}

struct Held<F> {
    process: Option<Process>,
    work: Pin<Box<F>>,
}

/// Puts back whoever ran before, also where the work panics.
struct Before(Option<Process>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl<F: Future> Future for Held<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(process) = self.process.clone() else {
            return self.work.as_mut().poll(cx);
        };
        if process.is_stopped(cx.waker()) {
            return Poll::Pending;
        }
        let _before = Before(CURRENT.replace(Some(process)));
        self.work.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::env;

    #[tokio::test(start_paused = true)]
    async fn a_stopped_process_does_nothing_while_time_goes_on() {
        let process = Process::start(1, 5_000, -60_000);
        let seen = process.hold(async {
            let task = env::spawn(async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                (env::now(), env::wall())
            });
            task.await.expect("it did not panic")
        });
        let seen = tokio::spawn(seen);
        process.stop();
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!seen.is_finished());
        process.resume();
        assert_eq!(seen.await.unwrap(), (14_000, EPOCH + 14_000 - 60_000));
    }

    #[tokio::test(start_paused = true)]
    async fn chance_is_the_seed() {
        let draw = |seed| Process::start(seed, 0, 0).hold(async { env::random::<20>() });
        assert_eq!(draw(1).await, draw(1).await);
        assert_ne!(draw(1).await, draw(2).await);
    }
}
