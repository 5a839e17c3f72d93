//! What goes wrong, when, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use harness::ledger::Event;
use turmoil::Sim;

use crate::dice::Dice;
use crate::world::{BACKEND, CROWDS, Loss, Mood, NODES, Running, STORE, World};

/// How long it takes until what went wrong has no consequences any more, in milliseconds.
const CALM: u64 = 4_000;

/// What is mended later.
#[derive(Debug, Clone)]
enum Mend {
    Start(&'static str),
    Resume(&'static str),
    Heal(Vec<Road>, Cut),
    Store,
    Backend,
}

/// A way between two machines.
type Road = (&'static str, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// What is sent is lost.
    Lost,
    /// What is sent comes when the road is whole again.
    Late,
    /// What the first sends is lost.
    OneWay,
}

/// The faults of one run.
pub(crate) struct Faults {
    world: Arc<World>,
    dice: Dice,
    next: u64,
    until: u64,
    mends: Vec<(u64, Mend)>,
    down: BTreeSet<&'static str>,
    leaving: BTreeMap<&'static str, Running>,
    cut: BTreeSet<Road>,
    /// When something was last mended.
    mended: u64,
    /// What happened, for whoever reads a run that failed.
    pub(crate) log: Vec<String>,
}

impl Faults {
    /// None after `until`.
    pub(crate) fn new(world: &Arc<World>, until: u64) -> Self {
        let mut dice = Dice::new(world.seed, "faults");
        Self {
            world: Arc::clone(world),
            next: dice.between(2_500, 6_000),
            dice,
            until,
            mends: Vec::new(),
            down: BTreeSet::new(),
            leaving: BTreeMap::new(),
            cut: BTreeSet::new(),
            mended: 0,
            log: Vec::new(),
        }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, sim: &mut Sim<'_>, now: u64) {
        let over = now >= self.until;
        let mends = std::mem::take(&mut self.mends);
        let is_due = |(at, _): &(u64, Mend)| over || *at <= now;
        let (due, later): (Vec<_>, Vec<_>) = mends.into_iter().partition(is_due);
        self.mends = later;
        for (_, mend) in due {
            self.mend(sim, now, mend);
        }
        let left = |(name, one): (&&'static str, &Running)| {
            one.left.load(Ordering::Relaxed).then_some(*name)
        };
        let left: Vec<_> = self.leaving.iter().filter_map(left).collect();
        for name in left {
            self.leaving.remove(name);
            self.say(now, format!("{name} has left"));
            self.down.insert(name);
            sim.crash(name);
            let back = now + self.dice.between(100, 3_000);
            self.mends.push((back, Mend::Start(name)));
        }
        if now >= self.next && !over {
            self.next = now + self.dice.between(300, 4_000);
            self.strike(sim, now);
        }
    }

    /// True once nothing is left to mend.
    pub(crate) fn are_over(&self) -> bool {
        self.mends.is_empty() && self.leaving.is_empty()
    }

    fn say(&mut self, now: u64, what: impl std::fmt::Display) {
        self.log.push(format!("{now:>6} {what}"));
    }

    fn strike(&mut self, sim: &mut Sim<'_>, now: u64) {
        let name = *self.dice.pick(&NODES);
        let up = !self.down.contains(name) && !self.leaving.contains_key(name);
        let short = now + self.dice.between(200, 2_000);
        let long = now + self.dice.between(1_500, 7_000);
        let end = if self.dice.permille(500) { short } else { long };
        match self.dice.between(0, 15) {
            0 | 1 if up => {
                self.say(now, format!("{name} is killed"));
                self.world.killed(name);
                self.down.insert(name);
                sim.crash(name);
                self.mends.push((end, Mend::Start(name)));
            }
            2 | 3 if up => {
                if let Some(one) = self.world.running(name) {
                    self.say(now, format!("{name} is stopped until {end}"));
                    one.process.stop();
                    self.mends.push((end, Mend::Resume(name)));
                }
            }
            4 if up => {
                if let Some(one) = self.world.running(name) {
                    self.say(now, format!("{name} is asked to leave"));
                    one.leaving.store(true, Ordering::Relaxed);
                    self.leaving.insert(name, one);
                }
            }
            5 | 6 => self.cut(sim, now, end, &[(name, STORE)]),
            7 => {
                let other = *self.dice.pick(&NODES);
                if other != name {
                    self.cut(sim, now, end, &[(name, other)]);
                }
            }
            8 => {
                let mut roads = vec![(name, STORE)];
                roads.extend(NODES.iter().filter(|o| **o != name).map(|o| (name, *o)));
                if self.dice.permille(500) {
                    roads.push((name, BACKEND));
                }
                self.cut(sim, now, end, &roads);
            }
            9 => {
                let crowd = *self.dice.pick(&CROWDS);
                self.cut(sim, now, end, &[(crowd, name)]);
            }
            10 => self.cut(sim, now, end, &[(name, BACKEND)]),
            11 => {
                let mood = match self.dice.between(0, 2) {
                    0 => Mood {
                        paused: true,
                        ..Mood::default()
                    },
                    1 => Mood {
                        refuses: self.dice.between(100, 1_000),
                        ..Mood::default()
                    },
                    _ => Mood {
                        loses_answers: self.dice.between(50, 500),
                        dawdles: self.dice.between(0, 300),
                        ..Mood::default()
                    },
                };
                self.say(now, format!("the store until {end}: {mood:?}"));
                self.world.lock().store_mood = mood;
                self.mends.push((end, Mend::Store));
            }
            12 => self.lose(now, Loss::Flush),
            13 => {
                let millis = self.dice.between(0, 1_500);
                self.lose(now, Loss::RollBack { millis });
            }
            14 => {
                let mood = Mood {
                    paused: false,
                    refuses: self.dice.between(0, 600),
                    loses_answers: self.dice.between(0, 200),
                    dawdles: self.dice.between(0, 200),
                };
                self.say(now, format!("the backend until {end}: {mood:?}"));
                self.world.lock().backend_mood = mood;
                self.mends.push((end, Mend::Backend));
            }
            _ => {}
        }
    }

    fn cut(&mut self, sim: &mut Sim<'_>, now: u64, end: u64, roads: &[Road]) {
        let is_free =
            |(a, b): &Road| !self.cut.contains(&(*a, *b)) && !self.cut.contains(&(*b, *a));
        let roads: Vec<Road> = roads.iter().copied().filter(is_free).collect();
        // Two nodes that are cut off together, and hear each other, go on while the others bury them: nothing here prevents it.
        let loses_store = |(_, to): &Road| *to == STORE;
        let twice = roads.iter().any(loses_store) && self.cut.iter().any(loses_store);
        if roads.is_empty() || twice {
            return;
        }
        let to_backend = roads.iter().any(|(_, to)| *to == BACKEND);
        let how = match self.dice.between(0, 4) {
            // A request that comes seconds late would be no fault of the gateway's.
            0 | 1 if !to_backend => Cut::Late,
            2 => Cut::OneWay,
            _ => Cut::Lost,
        };
        self.say(now, format!("{how:?} until {end}: {roads:?}"));
        for (a, b) in &roads {
            self.cut.insert((a, b));
            match how {
                Cut::Lost => sim.partition(*a, *b),
                Cut::Late => sim.hold(*a, *b),
                Cut::OneWay => sim.partition_oneway(*a, *b),
            }
            let shared = self.world.lock();
            let harmed = shared.attempts.iter().filter(|(_, way)| **way == (a, b));
            let harmed: Vec<String> = harmed.map(|(client, _)| client.clone()).collect();
            drop(shared);
            for client in harmed {
                self.world.write(Event::Cut { client });
            }
        }
        self.mends.push((end, Mend::Heal(roads, how)));
    }

    /// Data are lost only while all is well, and all stays well until the nodes have registered everybody again: a store
    /// that forgets that a node was declared dead lets that node act again, which nothing here prevents.
    fn lose(&mut self, now: u64, loss: Loss) {
        if self.are_over() && now >= self.mended + CALM {
            self.say(now, format!("the store loses data: {loss:?}"));
            self.world.lock().loss = Some(loss);
            self.next = now + CALM;
        }
    }

    fn mend(&mut self, sim: &mut Sim<'_>, now: u64, mend: Mend) {
        self.mended = now;
        self.say(now, format!("over: {mend:?}"));
        match mend {
            Mend::Start(name) => {
                self.down.remove(name);
                sim.bounce(name);
            }
            Mend::Resume(name) => {
                if let Some(one) = self.world.running(name) {
                    one.process.resume();
                }
            }
            Mend::Heal(roads, how) => {
                for (a, b) in roads {
                    self.cut.remove(&(a, b));
                    match how {
                        Cut::Lost => sim.repair(a, b),
                        Cut::Late => sim.release(a, b),
                        Cut::OneWay => sim.repair_oneway(a, b),
                    }
                }
            }
            Mend::Store => self.world.lock().store_mood = Mood::default(),
            Mend::Backend => self.world.lock().backend_mood = Mood::default(),
        }
    }
}
