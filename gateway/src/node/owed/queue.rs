//! The order in which the ends of one stage are told: those that were never tried first.

use std::collections::{BTreeMap, VecDeque};

use super::End;

/// An end that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Whose.
    pub(super) end: End,
    /// When it came or was last tried.
    pub(super) since: u64,
    /// What became of it so far.
    pub(super) past: Past,
}

/// What became of an end so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Past {
    /// How often its backend refused it.
    pub(super) refusals: u8,
    /// How often telling it panicked.
    pub(super) panics: u8,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Never tried, in the order in which they came.
    fresh: VecDeque<Waiting>,
    /// To be tried again, by when; those of one time in their order.
    again: BTreeMap<(u64, u64), Waiting>,
    tried: u64,
    newest: bool,
}

impl Queue {
    /// One that was never tried.
    pub(super) fn add(&mut self, end: End, now: u64) {
        self.fresh.push_back(Waiting {
            end,
            since: now,
            past: Past::default(),
        });
    }

    /// One that is to be tried again, not before that time.
    pub(super) fn again(&mut self, waiting: Waiting, not_before: u64) {
        self.tried += 1;
        self.again.insert((not_before, self.tried), waiting);
    }

    /// The next: one that was never tried if there is any, else one whose time has come.
    pub(super) fn next(&mut self, now: u64) -> Option<Waiting> {
        let fresh = self.fresh.pop_front();
        self.give_room_back();
        fresh.or_else(|| {
            let due = self.again.first_entry();
            due.filter(|entry| entry.key().0 <= now)
                .map(std::collections::btree_map::OccupiedEntry::remove)
        })
    }

    /// The next one where the backend is only probed. Of those that were never tried the oldest and the newest take
    /// turns, lest a crowd that is refused stands before all others.
    pub(super) fn probe(&mut self, now: u64) -> Option<Waiting> {
        self.newest = !self.newest;
        if self.newest {
            self.next(now)
        } else {
            self.fresh.pop_back().or_else(|| self.next(now))
        }
    }

    /// When there is something to tell; now or in the past where that is now.
    pub(super) fn due(&self) -> Option<u64> {
        let fresh = self.fresh.front().map(|_| 0);
        fresh.or_else(|| self.again.first_key_value().map(|((due, _), _)| *due))
    }

    /// Since when the one waits that [`give_up`](Self::give_up) takes.
    pub(super) fn longest(&self) -> Option<u64> {
        let fresh = self.fresh.front().map(|one| one.since);
        let again = self.again.first_key_value().map(|(_, one)| one.since);
        fresh.into_iter().chain(again).min()
    }

    /// Takes out the one that waits longest since it came or was last tried. Of those that were tried it is the one
    /// whose turn is next: own pauses being short, that is the same to within a second.
    pub(super) fn give_up(&mut self) -> Option<End> {
        let longest = self.longest()?;
        let fresh = self.fresh.pop_front_if(|one| one.since == longest);
        let lost = fresh.or_else(|| self.again.pop_first().map(|(_, one)| one));
        lost.map(|one| one.end)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.again.len()
    }

    /// An outage is over.
    fn give_room_back(&mut self) {
        if self.fresh.is_empty() && self.fresh.capacity() > 64 {
            self.fresh = VecDeque::new();
        }
    }
}
