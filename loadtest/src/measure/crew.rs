//! The threads of the generator, and the one who conducts them: opens, warms up, measures, ends.

use std::future::Future;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::course::{Lane, Meter, Phase};
use super::processes::{CpuTime, MachineTime};
use crate::error::LoadError;

/// Time that all sockets together have to open.
const OPENING: Duration = Duration::from_mins(2);

/// Time at both ends of a turn that is not measured: work starts again, or is finished.
const SETTLING: Duration = Duration::from_millis(15);

/// What happened between two readings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    /// How long it was.
    pub(crate) seconds: f64,
    /// Requests answered in it.
    pub(crate) answered: u64,
    /// CPU time of the server in it.
    pub(crate) server: CpuTime,
    /// What of that was used by processes that are told apart.
    pub(crate) apart: CpuTime,
    /// CPU time of this process, generator and backend, in it.
    pub(crate) generator: CpuTime,
    /// What the whole machine did in it.
    pub(crate) machine: MachineTime,
}

impl Add for Window {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            answered: self.answered + other.answered,
            server: self.server + other.server,
            apart: self.apart + other.apart,
            generator: self.generator + other.generator,
            machine: self.machine + other.machine,
        }
    }
}

/// All counts at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    answered: u64,
    server: CpuTime,
    apart: CpuTime,
    generator: CpuTime,
    machine: MachineTime,
}

impl Reading {
    fn take(crew: &Crew, pids: &[u32]) -> Self {
        Self {
            server: CpuTime::of(pids),
            apart: CpuTime::of(&crew.apart),
            generator: own(),
            machine: MachineTime::now(),
            answered: crew.answered(),
            at: Instant::now(),
        }
    }

    fn until_now(&self, crew: &Crew, pids: &[u32]) -> Window {
        let now = Self::take(crew, pids);
        Window {
            seconds: (now.at - self.at).as_secs_f64(),
            answered: now.answered - self.answered,
            server: now.server - self.server,
            apart: now.apart - self.apart,
            generator: now.generator - self.generator,
            machine: now.machine - self.machine,
        }
    }
}

/// A trial whose sockets are open.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Its generator.
    pub(crate) crew: Crew,
    /// The server's processes.
    pub(crate) pids: Vec<u32>,
    /// The server's memory before the sockets, bytes.
    pub(crate) base: u64,
}

/// All lanes of one trial.
#[derive(Debug)]
pub(crate) struct Crew {
    phase: watch::Sender<Phase>,
    turn: watch::Sender<bool>,
    meters: Vec<Arc<Meter>>,
    threads: Vec<JoinHandle<()>>,
    apart: Vec<u32>,
}

impl Crew {
    /// Starts `lanes` threads, each with a runtime of its own, each working on `work(number, lane)`.
    pub(crate) fn start<W, F>(lanes: usize, work: W) -> Result<Self, LoadError>
    where
        W: Fn(usize, Lane) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), LoadError>>,
    {
        let (phase, watched) = watch::channel(Phase::Opening);
        let (turn, turns) = watch::channel(true);
        let epoch = Instant::now();
        let mut crew = Self {
            phase,
            turn,
            meters: Vec::new(),
            threads: Vec::new(),
            apart: Vec::new(),
        };
        for number in 0..lanes {
            let meter = Meter::new();
            let lane = Lane::new(Arc::clone(&meter), epoch, watched.clone(), turns.clone());
            let work = work.clone();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(LoadError::system("no runtime for the generator"))?;
            let counted = Arc::clone(&meter);
            let thread = thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || {
                    if let Err(error) = runtime.block_on(work(number, lane)) {
                        counted.fail(error);
                    }
                });
            crew.meters.push(meter);
            crew.threads
                .push(thread.map_err(LoadError::system("no thread for the generator"))?);
        }
        Ok(crew)
    }

    /// Tells what these of the server's processes use from the rest.
    pub(crate) fn keep_apart(&mut self, pids: Vec<u32>) {
        self.apart = pids;
    }

    /// Waits until all sockets are open; an error if one could not be.
    pub(crate) fn opened(&self) -> Result<(), LoadError> {
        let since = Instant::now();
        while !self
            .meters
            .iter()
            .all(|meter| meter.ready.load(Ordering::Acquire))
        {
            if let Some(text) = self.failures().1 {
                return Err(LoadError::Trial(format!("not all sockets opened: {text}")));
            }
            if since.elapsed() > OPENING {
                return Err(LoadError::Trial(format!(
                    "not all sockets were open after {OPENING:?}"
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Warms up, then measures `pids` for `length`; `progress` hears the rate of each second.
    pub(crate) fn measure(
        &self,
        warm_up: Duration,
        length: Duration,
        pids: &[u32],
        mut progress: impl FnMut(f64),
    ) -> Window {
        self.phase.send_replace(Phase::WarmUp);
        thread::sleep(warm_up);
        let start = Reading::take(self, pids);
        self.phase.send_replace(Phase::Measure);
        let mut last = (start.answered, start.at);
        while let Some(left) = length
            .checked_sub(start.at.elapsed())
            .filter(|left| !left.is_zero())
        {
            thread::sleep(left.min(Duration::from_secs(1)));
            let now = (self.answered(), Instant::now());
            progress((now.0 - last.0) as f64 / (now.1 - last.1).as_secs_f64());
            last = now;
        }
        let window = start.until_now(self, pids);
        self.phase.send_replace(Phase::Done);
        window
    }

    /// Goes to `phase`, without a turn.
    pub(crate) fn await_turn(&self, phase: Phase) {
        self.turn.send_replace(false);
        self.phase.send_replace(phase);
    }

    /// Works for `length`, while all other crews rest, and measures `pids` meanwhile.
    pub(crate) fn take_turn(&self, length: Duration, pids: &[u32]) -> Window {
        self.turn.send_replace(true);
        thread::sleep(SETTLING);
        let start = Reading::take(self, pids);
        thread::sleep(length);
        let window = start.until_now(self, pids);
        self.turn.send_replace(false);
        thread::sleep(SETTLING);
        window
    }

    /// Ends all lanes and waits for them; each bounds its own end.
    pub(crate) fn finish(&mut self) {
        self.phase.send_replace(Phase::Done);
        self.turn.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                // The panic's own message is on standard error already.
                if let Some(meter) = self.meters.first() {
                    meter.fail("a lane of the generator panicked");
                }
            }
        }
    }

    /// What the lanes count.
    pub(crate) fn meters(&self) -> &[Arc<Meter>] {
        &self.meters
    }

    /// Failures of all lanes, and the first text among them.
    pub(crate) fn failures(&self) -> (u64, Option<String>) {
        self.meters
            .iter()
            .map(|meter| meter.failures())
            .fold((0, None), |(sum, text), (more, other)| {
                (sum + more, text.or(other))
            })
    }

    /// Requests answered so far, in all lanes.
    fn answered(&self) -> u64 {
        self.meters
            .iter()
            .map(|meter| meter.answered.load(Ordering::Relaxed))
            .sum()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.finish();
    }
}

fn own() -> CpuTime {
    CpuTime::of(&[std::process::id()])
}
