//! The clock and the coin: the only place where time and randomness enter.
//!
//! Monotonic time comes from tokio's clock, so that tests can pause it. Built for the simulation, all of it can come from a
//! process that is one of many in a thread ([`simulated`]).

#[cfg(feature = "simulation")]
pub mod simulated;

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since the process first asked; never goes back.
pub fn now() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now() {
        return now;
    }
    u64::try_from(start().elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The instant at which [`now`] reaches `millis`; far ahead for `u64::MAX`.
pub fn instant_at(millis: u64) -> Instant {
    const FAR: u64 = 1000 * 60 * 60 * 24 * 365;
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now() {
        let ahead = millis.saturating_sub(now).min(FAR);
        return Instant::now() + std::time::Duration::from_millis(ahead);
    }
    *start() + std::time::Duration::from_millis(millis.min(now() + FAR))
}

fn start() -> &'static Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now)
}

/// Milliseconds that go on while the process is stopped and while the machine sleeps: the clock of leases. In tests it is
/// [`now`], which they can pause.
pub fn uptime() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now() {
        return now;
    }
    if cfg!(test) {
        return now();
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let millis = time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
    u64::try_from(millis).unwrap_or(0)
}

/// Wall-clock milliseconds of the epoch, for events, signatures and logs.
pub fn wall() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(wall) = simulated::wall() {
        return wall;
    }
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes from the operating system's generator, fetched by the page: ids are made for every message, and a
/// system call for each would cost more than making the rest of the event.
pub fn random<const N: usize>() -> [u8; N] {
    struct Pool {
        bytes: Box<[u8; 4096]>,
        used: usize,
    }
    thread_local! {
        static POOL: RefCell<Pool> = RefCell::new(Pool { bytes: Box::new([0; 4096]), used: 4096 });
    }
    #[cfg(feature = "simulation")]
    if let Some(random) = simulated::random() {
        return random;
    }
    POOL.with_borrow_mut(|pool| {
        if pool.used + N > pool.bytes.len() {
            getrandom::fill(&mut *pool.bytes).expect("the operating system has a random generator");
            pool.used = 0;
        }
        let mut out = [0; N];
        let taken = &mut pool.bytes[pool.used..pool.used + N];
        out.copy_from_slice(taken);
        // What was handed out must not be read from memory later.
        taken.fill(0);
        pool.used += N;
        out
    })
}

/// A number in 0..1, for jitter.
pub fn chance() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

/// Starts a task of this process.
#[cfg(not(feature = "simulation"))]
pub use tokio::spawn;

/// Starts a task of the process that is simulated here.
#[cfg(feature = "simulation")]
pub use simulated::spawn;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_never_handed_out_twice() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(random::<16>()));
        }
    }

    #[test]
    fn a_million_connection_ids_are_all_different_and_tell_nothing() {
        use gateway_core::id::{ConnectionId, NodeId};
        let node = NodeId([1; 6]);
        let mut seen = std::collections::HashSet::with_capacity(1_000_000);
        let mut ones = [0_u32; 128];
        for n in 0..1_000_000 {
            let random: [u8; 16] = random();
            if n % 20 == 0 {
                for (bit, count) in ones.iter_mut().enumerate() {
                    *count += u32::from(random[bit / 8] >> (bit % 8) & 1);
                }
            }
            assert!(seen.insert(ConnectionId::new(node, random)));
        }
        // Of these 50,000 each bit is set in half; 1,120 is ten standard deviations.
        let fair = |count: &u32| count.abs_diff(25_000) < 1_120;
        assert!(ones.iter().all(fair), "{ones:?}");
    }

    #[test]
    fn a_chance_is_a_share() {
        assert!((0..1000).map(|_| chance()).all(|c| (0.0..1.0).contains(&c)));
    }
}
