//! One run: the machines, a while in which things go wrong, quiet until all is settled, and the judgement.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use gateway::env::simulated::EPOCH;
use harness::ledger::{self, Entry, Event, Terms, Violation};
use turmoil::Sim;

use crate::faults::Faults;
use crate::world::{BACKEND, CROWDS, NODES, PUSHERS, STORE, World};
use crate::{backend, client, letters, node, pusher, store};

/// How finely time is cut.
const TICK: Duration = Duration::from_millis(5);
/// Nothing is settled before this much quiet: leases run out, lost clients are noticed.
const LEAST_QUIET: u64 = 16_000;
/// What is not settled after so much quiet never will be: an end that a node had claimed is another's after a minute, and
/// one that was tried in vain waits for another minute.
const MOST_QUIET: u64 = 240_000;

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Decides everything.
    pub seed: u64,
    /// How long people come and go, in milliseconds.
    pub busy: u64,
    /// Things go wrong.
    pub faults: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Promises that were broken.
    pub violations: Vec<Violation>,
    /// What everybody wrote down.
    pub ledger: Vec<Entry>,
    /// What went wrong on purpose.
    pub faults: Vec<String>,
    /// How long it took, in simulated milliseconds.
    pub lasted: u64,
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs one course from beginning to end.
pub fn run(course: Course) -> Outcome {
    watch_panics();
    letters::forget();
    let world = World::new(course.seed);
    let mut sim = machines(&world);
    let until = if course.faults { course.busy } else { 0 };
    let mut faults = Faults::new(&world, until);
    let mut settled = false;
    let now = loop {
        let now = sim.elapsed().as_millis() as u64;
        world.is_now(now);
        faults.turn(&mut sim, now);
        if now >= course.busy {
            world.quiet.store(true, Ordering::Relaxed);
        }
        let quiet = now.saturating_sub(course.busy);
        if quiet >= LEAST_QUIET && quiet.is_multiple_of(1_000) {
            settled = faults.are_over() && is_settled(&world);
        }
        if settled || quiet >= MOST_QUIET {
            break now;
        }
        if let Err(error) = sim.step() {
            let what = format!("a machine failed: {error}");
            world.write(Event::Panicked { what });
            break now;
        }
    };
    let ids = world.stored().into_iter().collect();
    world.write(Event::Registered { ids });
    for what in PANICS.take() {
        world.write(Event::Panicked { what });
    }
    drop(sim);
    let ledger = std::mem::take(&mut world.lock().ledger);
    let terms = Terms {
        calm: !course.faults,
        transit: 400,
        // Answers are lost on purpose, and each is a reason to tell an end again.
        repeated: 300,
        holds: false,
    };
    Outcome {
        violations: ledger::check(&ledger, terms),
        ledger,
        faults: faults.log,
        lasted: now,
    }
}

fn machines(world: &Arc<World>) -> Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(world.seed)
        .enable_random_order()
        .tick_duration(TICK)
        .simulation_duration(Duration::from_hours(1))
        .epoch(UNIX_EPOCH + Duration::from_millis(EPOCH))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(15))
        // Machines that are stopped take connections, and answer them later.
        .tcp_capacity(4096)
        .build();
    let one = Arc::clone(world);
    sim.host(STORE, move || store::host(Arc::clone(&one)));
    let one = Arc::clone(world);
    sim.host(BACKEND, move || backend::host(Arc::clone(&one)));
    for name in NODES {
        let one = Arc::clone(world);
        sim.host(name, move || node::host(Arc::clone(&one), name));
    }
    for name in CROWDS {
        let one = Arc::clone(world);
        sim.host(name, move || client::host(Arc::clone(&one), name));
    }
    let one = Arc::clone(world);
    sim.host(PUSHERS, move || pusher::host(Arc::clone(&one)));
    sim
}

/// Whether each connection is either registered and connected, or over and told.
fn is_settled(world: &World) -> bool {
    let untold = world.untold(None);
    let all_run = world.lock().running.len() == NODES.len();
    all_run && world.stored() == untold && world.connected() == untold
}

/// Panics of this thread are written down, whoever catches them.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
}
