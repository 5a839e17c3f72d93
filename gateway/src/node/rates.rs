//! Message rates by client address: a bucket for each address that talks, forgotten once it is silent.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use gateway_core::limit::Bucket;

/// Silence after which a bucket is full again at any rate worth setting, and is forgotten.
const FORGOTTEN_AFTER: u64 = 60_000;

/// One bucket an address.
#[derive(Debug)]
pub(super) struct AddressRates {
    rate: f64,
    buckets: DashMap<IpAddr, (Bucket, u64)>,
    swept: AtomicU64,
}

impl AddressRates {
    /// Messages a second for each address.
    pub(super) fn new(rate: f64) -> Self {
        Self {
            rate,
            buckets: DashMap::new(),
            swept: AtomicU64::new(0),
        }
    }

    /// Takes one message of an address at `now`, in milliseconds.
    pub(super) fn admit(&self, address: IpAddr, now: u64) -> bool {
        self.sweep(now);
        let fresh = || (Bucket::per_second(self.rate), now);
        let mut entry = self.buckets.entry(address).or_insert_with(fresh);
        entry.1 = now;
        entry.0.take(1, now)
    }

    fn sweep(&self, now: u64) {
        let swept = self.swept.load(Ordering::Relaxed);
        let due = now.saturating_sub(swept) >= FORGOTTEN_AFTER;
        let mine = due
            && self
                .swept
                .compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            self.buckets
                .retain(|_, (_, used)| now.saturating_sub(*used) < FORGOTTEN_AFTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_rate() {
        let rates = AddressRates::new(5.0);
        let (a, b): (IpAddr, IpAddr) = ([1; 4].into(), [2; 4].into());
        let admitted = |address| (0..100).filter(|_| rates.admit(address, 1000)).count();
        assert_eq!(admitted(a), 10);
        assert_eq!(admitted(b), 10);
        assert!(rates.admit(a, 1_300));
    }

    #[test]
    fn who_is_silent_is_forgotten() {
        let rates = AddressRates::new(5.0);
        for n in 0..100 {
            rates.admit([10, 0, 0, n].into(), 70_000);
        }
        rates.admit([1; 4].into(), 140_000);
        assert_eq!(rates.buckets.len(), 1);
    }
}
