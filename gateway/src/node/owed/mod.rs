//! The `$disconnect`s that are owed: kept until a backend took them, paced by how it fares, bounded.
//!
//! One line for each stage, since all ends of a stage go to one integration, that of its `$disconnect` route. A line
//! is of the whole process: a backend that is down is probed once, not by every worker. An end that its backend refuses
//! waits by itself; whether the backend fails as a whole is [`Pace`]'s to say.

mod end;
mod note;
mod pace;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::failure::Failure;
use gateway_core::id::{ConnectionId, IdHasher};

use super::StageSlot;
use crate::env;
pub use end::End;
use end::Facts;
use note::Note;
use pace::{Pace, Start};
use queue::{Past, Queue, Waiting};

/// Milliseconds between two log lines about the same trouble.
const SAY_AGAIN: u64 = 30_000;
/// The log hears of an end that was refused so often: not of a backend that was full for a moment.
const OFTEN: u8 = 5;
/// An end whose telling panicked so often is given up: the defect is ours, and no backend mends it.
const MOST_PANICS: u8 = 3;

/// An end that is being told.
#[derive(Debug)]
pub struct Attempt {
    /// What is told.
    pub end: End,
    past: Past,
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
    /// Neither waiting nor told yet.
    being_told: HashMap<ConnectionId, Facts, BuildHasherDefault<IdHasher>>,
    /// Given up and not said yet.
    unsaid: usize,
    /// When it was last said that ends were given up.
    said: Option<u64>,
}

#[derive(Debug)]
struct Line {
    slot: Arc<StageSlot>,
    waiting: Queue,
    pace: Pace,
    /// When somebody comes again.
    wakes: Option<u64>,
    /// When the log last heard that the backend fails.
    said: Option<u64>,
    /// When the log last heard that an end is refused.
    said_refused: Option<u64>,
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
            lines.line(slot).waiting.add(end, now);
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
        let Some(due) = line.waiting.due() else {
            return Next::Nothing;
        };
        match line.pace.may_start(now, limit) {
            Start::Later => Next::Nothing,
            Start::At(at) => line.sleep(at.max(due)),
            Start::Now if due > now => line.sleep(due),
            Start::Now => {
                let next = if line.pace.failing_since().is_some() {
                    line.waiting.probe(now)
                } else {
                    line.waiting.next(now)
                };
                let Some(Waiting { end, past, .. }) = next else {
                    return Next::Nothing;
                };
                let round = line.pace.start(now, env::chance());
                lines.waiting -= 1;
                lines.being_told.insert(end.connection.id, end.facts());
                Next::Tell(Attempt { end, past, round })
            }
        }
    }

    /// The time that [`Next::Sleep`] named has come.
    pub fn awake(&self, slot: &Arc<StageSlot>) {
        let now = env::now();
        let mut lines = self.lock();
        let wakes = &mut lines.line(slot).wakes;
        *wakes = wakes.filter(|at| *at > now);
    }

    /// An end need not be told any more.
    pub fn told(&self, slot: &Arc<StageSlot>, attempt: Attempt) -> End {
        let notes = {
            let mut lines = self.lock();
            lines.being_told.remove(&attempt.end.connection.id);
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
        mut attempt: Attempt,
        failure: &Failure,
    ) -> Option<End> {
        let (now, chance) = (env::now(), env::chance());
        let (trouble, (lost, given_up)) = {
            let mut lines = self.lock();
            lines.being_told.remove(&attempt.end.connection.id);
            let line = lines.line(slot);
            // What went wrong with this one alone says nothing of the others.
            let trouble = if matches!(failure, Failure::NotNow(_) | Failure::Internal(_)) {
                line.refused(&mut attempt, now, chance)
            } else {
                line.failed(attempt.round, now, chance)
            };
            line.again(attempt, now, chance);
            lines.waiting += 1;
            (trouble, lines.shorten(self.most, now))
        };
        for note in trouble.iter().chain(&given_up) {
            note.say(slot, Some(failure));
        }
        lost
    }

    /// Telling an end panicked. It is returned to be given up where that is nothing new, and else must be told again,
    /// as by [`failed`](Self::failed).
    pub fn panicked(&self, slot: &Arc<StageSlot>, mut attempt: Attempt) -> Option<End> {
        attempt.past.panics += 1;
        if attempt.past.panics < MOST_PANICS {
            // Nothing was learnt of the backend, and its own pause keeps the end from spinning.
            return self.failed(
                slot,
                attempt,
                &Failure::Internal("telling it panicked".to_owned()),
            );
        }
        {
            let mut lines = self.lock();
            lines.being_told.remove(&attempt.end.connection.id);
            lines.line(slot).pace.ended(attempt.round);
        }
        tracing::error!(
            connection = %attempt.end.connection.id,
            panics = attempt.past.panics,
            "a $disconnect was given up, since telling it panicked each time: what this connection left behind must be \
             cleared by other means"
        );
        Some(attempt.end)
    }

    /// Takes out every end that waits, for others to tell; also what is being told, since nobody waits for how that ends.
    pub fn take_all(&self) -> Vec<connection_store::Owed> {
        let mut lines = self.lock();
        let lines = &mut *lines;
        let being_told = lines.being_told.drain().map(|(_, facts)| facts.owed());
        let mut taken: Vec<_> = being_told.collect();
        for line in lines.by_stage.values_mut() {
            while let Some(end) = line.waiting.give_up() {
                taken.push(end.owed());
            }
        }
        lines.waiting = 0;
        taken
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
            waiting: Queue::default(),
            pace: Pace::default(),
            wakes: None,
            said: None,
            said_refused: None,
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
            .filter_map(|line| Some((line.waiting.longest()?, line)))
            .min_by_key(|(since, _)| *since);
        let Some(end) = longest.and_then(|(_, line)| line.waiting.give_up()) else {
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
        self.say_failing(now)
    }

    fn refused(&mut self, attempt: &mut Attempt, now: u64, chance: f64) -> Option<Note> {
        attempt.past.refusals = attempt.past.refusals.saturating_add(1);
        let times = attempt.past.refusals;
        // Not taken for another while it waits, and that is all that its address must do.
        let whose = Arc::as_ptr(&attempt.end.connection).addr();
        self.pace.refused(attempt.round, whose, now, chance);
        self.say_failing(now).or_else(|| {
            let due = times >= OFTEN && is_due(&mut self.said_refused, now);
            let owed = self.waiting.len() + 1;
            due.then_some(Note::Refused { owed, times })
        })
    }

    /// It waits for another try, after a pause of its own where its backend has refused it.
    fn again(&mut self, attempt: Attempt, now: u64, chance: f64) {
        let Attempt { end, past, .. } = attempt;
        let pause = pace::own_pause(past.refusals, chance);
        let since = now;
        self.waiting
            .again(Waiting { end, since, past }, now + pause);
    }

    /// Somebody must come at that time, unless somebody comes sooner.
    fn sleep(&mut self, until: u64) -> Next {
        if self.wakes.is_some_and(|at| at <= until) {
            return Next::Nothing;
        }
        self.wakes = Some(until);
        Next::Sleep(until)
    }

    fn say_failing(&mut self, now: u64) -> Option<Note> {
        let since = self.pace.failing_since()?;
        is_due(&mut self.said, now).then(|| Note::Failing {
            owed: self.waiting.len() + 1,
            millis: now - since,
        })
    }

    fn is_idle(&self) -> bool {
        self.waiting.len() == 0 && self.pace.is_idle() && self.wakes.is_none()
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
