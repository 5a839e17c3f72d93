//! The `$disconnect`s that are owed: kept until a backend took them, paced by how it fares, bounded.
//!
//! One line for each stage, since all ends of a stage go to one integration, that of its `$disconnect` route. A line
//! is of the whole process: a backend that is down is probed once, not by every worker.

mod pace;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::call::Connection;
use gateway_core::failure::Failure;
use gateway_core::session::CloseCause;

use super::{Guard, StageSlot};
use crate::env;
use pace::{Pace, Start};

/// Milliseconds between two log lines about the same trouble.
const SAY_AGAIN: u64 = 30_000;

/// An end of which a backend has not heard. 64 bytes, and the connection's facts behind the `Arc`: with a usual
/// `User-Agent`, and the store's entry for it, about 500.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub connection: Arc<Connection>,
    /// Why.
    pub cause: CloseCause,
    /// When, in milliseconds of the epoch.
    pub ended_at: u64,
    /// Dropped once it need not be told any more.
    pub guard: Guard,
}

/// An end that is being told.
#[derive(Debug)]
pub struct Attempt {
    /// What is told.
    pub end: End,
    round: u32,
}

/// What is to be done for a stage.
#[derive(Debug)]
pub enum Next {
    /// Tell it now.
    Tell(Attempt),
    /// Come again at that time of [`env::now`]'s clock, by way of [`Owed::awake`]. Only one caller is told so.
    Sleep(u64),
    /// Nothing: no end waits, or somebody else comes when there is something to do.
    Nothing,
}

/// All that is owed by this process.
#[derive(Debug)]
pub struct Owed {
    lines: Mutex<Lines>,
    /// Ends that may wait.
    most: usize,
}

#[derive(Debug, Default)]
struct Lines {
    /// By the address of the stage's slot, which the line keeps alive.
    by_stage: HashMap<usize, Line>,
    waiting: usize,
    /// Given up and not said yet.
    unsaid: usize,
    /// When it was last said that ends were given up.
    said: Option<u64>,
}

#[derive(Debug)]
struct Line {
    slot: Arc<StageSlot>,
    /// In the order in which they came or were last tried: one that its backend never takes must not stand before
    /// the others. Each with the time since when it waits.
    waiting: VecDeque<(u64, End)>,
    pace: Pace,
    sleeping: bool,
    /// When the log last heard that the backend fails.
    said: Option<u64>,
}

/// A line for the log, written once no lock is held.
#[derive(Debug, PartialEq, Eq)]
enum Note {
    Failing { owed: usize, millis: u64 },
    Recovered { owed: usize, millis: u64 },
    GivenUp { count: usize },
}

impl Owed {
    /// At most `most` ends wait at once.
    pub fn new(most: usize) -> Self {
        Self {
            lines: Mutex::default(),
            most,
        }
    }

    /// Keeps an end until it is told. Where too many wait, the one is returned that has waited longest since it came
    /// or was last tried, to be given up.
    pub fn add(&self, slot: &Arc<StageSlot>, end: End) -> Option<End> {
        let now = env::now();
        let (lost, note) = {
            let mut lines = self.lock();
            lines.line(slot).waiting.push_back((now, end));
            lines.waiting += 1;
            lines.shorten(self.most, now)
        };
        note.inspect(|note| note.say(slot, None));
        lost
    }

    /// What is to be done for a stage now. To be asked after every change, until it says otherwise than
    /// [`Next::Tell`].
    pub fn next(&self, slot: &Arc<StageSlot>) -> Next {
        let now = env::now();
        let limit = limit(slot);
        let mut lines = self.lock();
        let line = lines.line(slot);
        if line.waiting.is_empty() {
            return Next::Nothing;
        }
        match line.pace.may_start(now, limit) {
            Start::Later => Next::Nothing,
            Start::At(_) if line.sleeping => Next::Nothing,
            Start::At(at) => {
                line.sleeping = true;
                Next::Sleep(at)
            }
            Start::Now => {
                let Some((_, end)) = line.waiting.pop_front() else {
                    return Next::Nothing;
                };
                if line.waiting.is_empty() && line.waiting.capacity() > 64 {
                    // An outage is over; its room is given back.
                    line.waiting = VecDeque::new();
                }
                let round = line.pace.start(now, env::chance());
                lines.waiting -= 1;
                Next::Tell(Attempt { end, round })
            }
        }
    }

    /// The time that [`Next::Sleep`] named has come.
    pub fn awake(&self, slot: &Arc<StageSlot>) {
        self.lock().line(slot).sleeping = false;
    }

    /// An end need not be told any more.
    pub fn told(&self, slot: &Arc<StageSlot>, attempt: Attempt) -> End {
        let notes = {
            let mut lines = self.lock();
            let recovered = lines.line(slot).succeeded(attempt.round, env::now());
            // What was given up since the log last heard of it must not be left unsaid.
            let given_up = recovered.as_ref().and_then(|_| lines.say_given_up());
            [recovered, given_up]
        };
        for note in notes.iter().flatten() {
            note.say(slot, None);
        }
        attempt.end
    }

    /// An end must be told again. Where too many wait, one is returned to be given up, as by [`add`](Self::add).
    pub fn failed(
        &self,
        slot: &Arc<StageSlot>,
        attempt: Attempt,
        failure: &Failure,
    ) -> Option<End> {
        let now = env::now();
        let (failing, (lost, given_up)) = {
            let mut lines = self.lock();
            let line = lines.line(slot);
            line.waiting.push_back((now, attempt.end));
            let failing = line.failed(attempt.round, now, env::chance());
            lines.waiting += 1;
            (failing, lines.shorten(self.most, now))
        };
        for note in failing.iter().chain(&given_up) {
            note.say(slot, Some(failure));
        }
        lost
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls for ends may be under way: half of what the integration may have, so that messages to the same
/// backend find places, too.
fn limit(slot: &StageSlot) -> usize {
    let deployed = slot.load();
    let route = deployed.live.disconnect_route();
    let integration = route.and_then(|route| route.integration.as_ref());
    integration.map_or(usize::MAX, |it| (it.max_in_flight as usize / 2).max(1))
}

impl Lines {
    fn line(&mut self, slot: &Arc<StageSlot>) -> &mut Line {
        let key = Arc::as_ptr(slot).addr();
        if !self.by_stage.contains_key(&key) {
            // Stages come and go with reloads.
            self.by_stage
                .retain(|_, line| !line.is_idle() || Arc::strong_count(&line.slot) > 1);
        }
        self.by_stage.entry(key).or_insert_with(|| Line {
            slot: Arc::clone(slot),
            waiting: VecDeque::new(),
            pace: Pace::default(),
            sleeping: false,
            said: None,
        })
    }

    /// Takes out the end that waits longest, where more than `most` wait.
    fn shorten(&mut self, most: usize, now: u64) -> (Option<End>, Option<Note>) {
        if self.waiting <= most {
            return (None, None);
        }
        let longest = self
            .by_stage
            .values_mut()
            .filter(|line| !line.waiting.is_empty())
            .min_by_key(|line| line.waiting.front().map(|(since, _)| *since));
        let Some((_, end)) = longest.and_then(|line| line.waiting.pop_front()) else {
            return (None, None);
        };
        self.waiting -= 1;
        self.unsaid += 1;
        let due = is_due(&mut self.said, now);
        (Some(end), due.then(|| self.say_given_up()).flatten())
    }

    fn say_given_up(&mut self) -> Option<Note> {
        let count = std::mem::take(&mut self.unsaid);
        (count > 0).then_some(Note::GivenUp { count })
    }
}

impl Line {
    fn succeeded(&mut self, round: u32, now: u64) -> Option<Note> {
        let since = self.pace.succeeded(round)?;
        // Of a trouble too short to be told its end is not told either.
        self.said
            .is_some_and(|said| said >= since)
            .then(|| Note::Recovered {
                owed: self.waiting.len(),
                millis: now - since,
            })
    }

    fn failed(&mut self, round: u32, now: u64, chance: f64) -> Option<Note> {
        self.pace.failed(round, now, chance);
        let since = self.pace.failing_since()?;
        is_due(&mut self.said, now).then(|| Note::Failing {
            owed: self.waiting.len(),
            millis: now - since,
        })
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.pace.is_idle() && !self.sleeping
    }
}

/// True where something was not said of late; from now on it was.
fn is_due(said: &mut Option<u64>, now: u64) -> bool {
    let due = said.is_none_or(|said| now >= said + SAY_AGAIN);
    if due {
        *said = Some(now);
    }
    due
}

impl Note {
    fn say(&self, slot: &StageSlot, failure: Option<&Failure>) {
        let deployed = slot.load();
        let (api, stage) = (&*deployed.live.api_id, &*deployed.live.stage_name);
        let route = deployed.live.disconnect_route();
        let integration = route.and_then(|route| route.integration.as_ref());
        let integration = integration.map(|integration| &*integration.integration_id);
        match self {
            Self::Failing { owed, millis } => tracing::warn!(
                api,
                stage,
                integration,
                owed,
                failing_for_s = millis / 1000,
                reason = failure.map(tracing::field::display),
                "the backend does not take $disconnects; they are kept and told once it is back"
            ),
            Self::Recovered { owed, millis } => tracing::info!(
                api,
                stage,
                integration,
                owed,
                failed_for_s = millis / 1000,
                "the backend takes $disconnects again"
            ),
            Self::GivenUp { count } => tracing::error!(
                count,
                "$disconnects were given up, since more than server.maxOwedDisconnects wait for backends that fail or lag: \
                 those that waited longest; what these connections left behind must be cleared by other means"
            ),
        }
    }
}
