//! The workers of one function and the calls that wait for them: who gets which call, when a process is started or
//! stopped, and what becomes of calls that get none. What must be done is returned as actions.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::FunctionError;

#[cfg(test)]
mod tests;

/// Calls of one function that may wait at once; the next is refused.
pub const MAX_WAITING: usize = 1024;

/// How long a worker that answered is waited for rather than starting another in its place.
const BREATH: Duration = Duration::from_millis(50);
/// A pause after a failed start that the next failure doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A worker of a pool; never used twice.
pub type WorkerId = u64;

/// What a pool goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Workers at once. Those that end their last call on replaced code are over and above it.
    pub limit: usize,
    /// How long a worker may wait for a call before it is stopped.
    pub idle: Duration,
}

/// Something to do.
#[derive(Debug, PartialEq)]
pub enum Action<C> {
    /// Start a worker on the present code.
    Start(WorkerId),
    /// Give the worker, which waits, this call.
    Give(WorkerId, C),
    /// End the worker, whatever it is at.
    Stop(WorkerId),
    /// The call gets no worker.
    Refuse(C, Undone),
}

/// Why a call got no worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// None was free before its deadline.
    Late,
    /// Too many calls wait.
    Full,
    /// Workers cannot be started: this is how the last try ended.
    Init(FunctionError),
    /// The function was removed, or the host stops.
    Stopped,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Before it asked for its first call.
    Init(FunctionError),
    /// Later, or because it was told to.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Idle {
        since: Instant,
    },
    Busy,
    /// It answered, and will most likely ask for a call at once.
    Answered {
        since: Instant,
    },
}

#[derive(Debug)]
struct Slot {
    generation: u64,
    phase: Phase,
}

impl Slot {
    /// It has a call, or is not done with its last one.
    fn works(&self) -> bool {
        matches!(self.phase, Phase::Busy | Phase::Answered { .. })
    }
}

#[derive(Debug)]
struct Waiting<C> {
    call: C,
    deadline: Instant,
}

/// What keeps workers from being started.
#[derive(Debug)]
struct Pause {
    failures: u32,
    until: Instant,
    error: FunctionError,
}

/// The workers and the queue of one function.
#[derive(Debug)]
pub struct Pool<C> {
    terms: Terms,
    generation: u64,
    next_id: WorkerId,
    workers: BTreeMap<WorkerId, Slot>,
    /// Those that wait; the last is the one that worked last, so that the others grow old.
    idle: Vec<WorkerId>,
    waiting: VecDeque<Waiting<C>>,
    pause: Option<Pause>,
    actions: Vec<Action<C>>,
}

impl<C> Pool<C> {
    /// Without a worker: the first call starts one.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            generation: 0,
            next_id: 0,
            workers: BTreeMap::new(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            pause: None,
            actions: Vec::new(),
        }
    }

    /// A call came; it may wait until `deadline`.
    pub fn call(&mut self, call: C, deadline: Instant, now: Instant) -> Vec<Action<C>> {
        if self.waiting.len() >= MAX_WAITING {
            self.actions.push(Action::Refuse(call, Undone::Full));
        } else {
            self.waiting.push_back(Waiting { call, deadline });
        }
        self.settle(now)
    }

    /// A worker asks for a call: it is started, or it has ended its last one, or whoever was given to it did not want it.
    pub fn ready(&mut self, id: WorkerId, now: Instant) -> Vec<Action<C>> {
        if let Some(slot) = self.workers.get_mut(&id) {
            if slot.generation == self.generation {
                if slot.phase == Phase::Starting {
                    self.pause = None;
                }
                slot.phase = Phase::Idle { since: now };
                self.idle.push(id);
            } else {
                self.actions.push(Action::Stop(id));
            }
        }
        self.settle(now)
    }

    /// A worker has answered its call, and has not asked for another yet.
    pub fn answered(&mut self, id: WorkerId, now: Instant) -> Vec<Action<C>> {
        if let Some(slot) = self.workers.get_mut(&id) {
            slot.phase = Phase::Answered { since: now };
        }
        self.settle(now)
    }

    /// A worker is no more.
    pub fn gone(&mut self, id: WorkerId, how: Gone, now: Instant) -> Vec<Action<C>> {
        let slot = self.workers.remove(&id);
        self.idle.retain(|idle| *idle != id);
        let present = slot.is_some_and(|slot| slot.generation == self.generation);
        if let (Gone::Init(error), true) = (how, present) {
            let failures = self.pause.as_ref().map_or(0, |pause| pause.failures) + 1;
            // Each start is for a call, and that call hears how it ended.
            if let Some(first) = self.waiting.pop_front() {
                let undone = Undone::Init(error.clone());
                self.actions.push(Action::Refuse(first.call, undone));
            }
            let until = now + pause(failures);
            self.pause = Some(Pause {
                failures,
                until,
                error,
            });
        }
        self.settle(now)
    }

    /// The code was replaced: calls under way end on the old one, all others begin on the new.
    pub fn replace(&mut self, terms: Terms, now: Instant) -> Vec<Action<C>> {
        self.terms = terms;
        self.generation += 1;
        self.pause = None;
        self.idle.clear();
        for (id, slot) in &self.workers {
            if !slot.works() {
                self.actions.push(Action::Stop(*id));
            }
        }
        self.settle(now)
    }

    /// The end: nothing waits any more. Calls under way are left to their workers, or stopped with them.
    pub fn close(&mut self, workers_too: bool) -> Vec<Action<C>> {
        self.generation += 1;
        self.idle.clear();
        for waiting in self.waiting.drain(..) {
            let refusal = Action::Refuse(waiting.call, Undone::Stopped);
            self.actions.push(refusal);
        }
        for (id, slot) in &self.workers {
            if workers_too || !slot.works() {
                self.actions.push(Action::Stop(*id));
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Action<C>> {
        self.settle(now)
    }

    /// When [`Self::tick`] has something to do next.
    pub fn wake(&self) -> Option<Instant> {
        let deadlines = self.waiting.iter().map(|waiting| waiting.deadline);
        let waits = !self.waiting.is_empty();
        let present = |slot: &&Slot| slot.generation == self.generation;
        let workers = self.workers.values().filter(present);
        let workers = workers.filter_map(|slot| match slot.phase {
            Phase::Idle { since } => Some(since + self.terms.idle),
            Phase::Answered { since } if waits => Some(since + BREATH),
            _ => None,
        });
        let pause = self.pause.as_ref().map(|pause| pause.until);
        let pause = pause.filter(|_| waits);
        deadlines.chain(workers).chain(pause).min()
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Workers that live, those on replaced code too.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    fn settle(&mut self, now: Instant) -> Vec<Action<C>> {
        self.drop_late(now);
        while let (Some(id), Some(_)) = (self.idle.last().copied(), self.waiting.front()) {
            self.idle.pop();
            let waiting = self.waiting.pop_front().expect("one was seen");
            self.workers.get_mut(&id).expect("who is idle lives").phase = Phase::Busy;
            self.actions.push(Action::Give(id, waiting.call));
        }
        self.stop_idle(now);
        self.start(now);
        std::mem::take(&mut self.actions)
    }

    fn drop_late(&mut self, now: Instant) {
        if self.waiting.iter().all(|waiting| waiting.deadline > now) {
            return;
        }
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        for waiting in self.waiting.drain(..) {
            if waiting.deadline > now {
                kept.push_back(waiting);
            } else {
                let refusal = Action::Refuse(waiting.call, Undone::Late);
                self.actions.push(refusal);
            }
        }
        self.waiting = kept;
    }

    fn stop_idle(&mut self, now: Instant) {
        let (workers, limit) = (&self.workers, self.terms.idle);
        let old = |id: &WorkerId| match workers.get(id).map(|slot| slot.phase) {
            Some(Phase::Idle { since }) => now >= since + limit,
            _ => false,
        };
        let (stopped, kept) = self.idle.drain(..).partition::<Vec<_>, _>(old);
        self.idle = kept;
        for id in stopped {
            // Until it is gone it is nobody's.
            if let Some(slot) = self.workers.get_mut(&id) {
                slot.phase = Phase::Busy;
            }
            self.actions.push(Action::Stop(id));
        }
    }

    fn start(&mut self, now: Instant) {
        let present = |slot: &&Slot| slot.generation == self.generation;
        let mut live = self.workers.values().filter(present).count();
        let soon = |slot: &&Slot| match slot.phase {
            Phase::Starting => true,
            Phase::Answered { since } => now < since + BREATH,
            _ => false,
        };
        let workers = self.workers.values().filter(present);
        let mut soon = workers.filter(soon).count();
        if let Some(pause) = self.pause.as_ref().filter(|pause| now < pause.until) {
            // With nobody left to wait for, an answer now is better than the same answer later.
            if live == 0 {
                for waiting in self.waiting.drain(..) {
                    let undone = Undone::Init(pause.error.clone());
                    self.actions.push(Action::Refuse(waiting.call, undone));
                }
            }
            return;
        }
        while soon < self.waiting.len() && live < self.terms.limit.max(1) {
            let id = self.next_id;
            self.next_id += 1;
            let slot = Slot {
                generation: self.generation,
                phase: Phase::Starting,
            };
            self.workers.insert(id, slot);
            self.actions.push(Action::Start(id));
            (live, soon) = (live + 1, soon + 1);
        }
    }
}

/// How long nothing is started after so many failures in a row.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST_PAUSE)
}
