//! The cluster's promises under 200 fixed seeds and 50 fresh ones.
//!
//! `SIMULATION_SEED=17` runs one alone and prints what happened; `SIMULATION_FRESH=5000` runs so many fresh ones.

#![allow(clippy::unwrap_used)] // A test throughout.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use simulation::{Course, run};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

const FIXED: u64 = 200;
const FRESH: u64 = 50;
const BUSY: u64 = 60_000;
/// A run that says only what was broken.
const BRIEFLY: &str = "SIMULATION_BRIEFLY";

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not '{text}'")),
    )
}

/// Runs each seed, as many at once as there are cores, and says which failed.
fn check(seeds: &[u64]) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (kept, said) = run_apart(*seed);
                    if !kept {
                        println!("{said}");
                        failed.lock().unwrap().push(*seed);
                    }
                }
            });
        }
    });
    println!("{} seeds in {:.1?}", seeds.len(), began.elapsed());
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed, each is told of above: {failed:?}",
        failed.len(),
        seeds.len()
    );
}

/// Runs a seed in a process of its own, as who replays it does: tokio numbers its tasks through a whole process, and a runtime
/// that is dropped ends them in an order that depends on their numbers.
fn run_apart(seed: u64) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["two_hundred_fixed_seeds", "--nocapture"]);
    command.env("SIMULATION_SEED", seed.to_string());
    let output = command.env(BRIEFLY, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ours = |line: &&str| {
        ["seed ", "  broken", "ledger "]
            .iter()
            .any(|b| line.starts_with(b))
    };
    let said: Vec<&str> = said.lines().filter(ours).collect();
    (output.status.success(), said.join("\n"))
}

#[test]
fn two_hundred_fixed_seeds_keep_every_promise() {
    match setting("SIMULATION_SEED") {
        None => check(&(0..FIXED).collect::<Vec<_>>()),
        Some(seed) => alone(seed),
    }
}

#[test]
fn fresh_seeds_keep_every_promise() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = now.as_secs() * 1_000_000;
    let count = setting("SIMULATION_FRESH").unwrap_or(FRESH);
    println!("fresh seeds from {first}");
    check(&(first..first + count).collect::<Vec<_>>());
}

#[test]
fn without_faults_nothing_is_told_twice() {
    for seed in 0..3 {
        let outcome = run(Course {
            seed,
            busy: 20_000,
            faults: false,
        });
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    }
}

#[test]
fn a_seed_does_the_same_again() {
    let (one, other) = (run_apart(33), run_apart(33));
    assert!(one.1.contains("ledger "), "{}", one.1);
    assert_eq!(one, other);
}

struct SimulatedTime;

impl FormatTime for SimulatedTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        write!(w, "{:>6}", elapsed.as_millis())
    }
}

/// One seed with all that was written down, and before it what the nodes logged.
fn alone(seed: u64) {
    if std::env::var_os(BRIEFLY).is_none() {
        tracing_subscriber::fmt()
            .with_env_filter("gateway::node=debug,gateway::websocket=debug,turmoil::sim=info")
            .with_ansi(false)
            .with_timer(SimulatedTime)
            .init();
    }
    let outcome = run(Course {
        seed,
        busy: BUSY,
        faults: true,
    });
    let lines: Vec<String> = outcome
        .ledger
        .iter()
        .map(|entry| format!("{:>6} {:?}", entry.at, entry.event))
        .collect();
    if std::env::var_os(BRIEFLY).is_none() {
        for line in lines.iter().chain(&outcome.faults) {
            println!("{line}");
        }
    }
    let mut digest = DefaultHasher::new();
    lines.hash(&mut digest);
    println!("\nledger {:016x}, {} lines", digest.finish(), lines.len());
    if outcome.violations.is_empty() {
        return;
    }
    println!(
        "seed {seed} failed after {} simulated seconds; alone: SIMULATION_SEED={seed} cargo test --profile simulation -p simulation \
         --features run fixed -- --nocapture",
        outcome.lasted / 1000
    );
    for violation in outcome.violations.iter().take(5) {
        println!("  {violation}");
    }
    panic!("{} promises were broken", outcome.violations.len());
}
