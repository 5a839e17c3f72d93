//! How many sockets may be open, and how many may be unfinished.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for accepted sockets.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// So many at once.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, if there is one now.
    pub fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// A place, as soon as there is one.
    pub async fn take(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0)
            .acquire_owned()
            .await
            .expect("the budget's semaphore is never closed")
    }
}

/// Raises the soft limit of descriptors to the hard one and returns it.
#[allow(unsafe_code)]
pub fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls only read or write the struct behind the pointer, which lives until they return.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 1024;
        }
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            rlim_max: limit.rlim_max,
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 {
            limit = raised;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Counts sockets that have not finished their request head, in all and for each address.
#[derive(Debug)]
pub struct Handshakes {
    all: AtomicUsize,
    by_address: DashMap<IpAddr, u32>,
    most: usize,
    most_per_address: u32,
}

/// One unfinished head.
#[derive(Debug)]
pub struct Unfinished {
    counts: Arc<Handshakes>,
    address: IpAddr,
}

impl Handshakes {
    /// The two caps.
    pub fn new(most: usize, most_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            all: AtomicUsize::new(0),
            by_address: DashMap::new(),
            most,
            most_per_address,
        })
    }

    /// Counts one more, unless a cap is reached.
    pub fn begin(self: &Arc<Self>, address: IpAddr) -> Option<Unfinished> {
        let before = self.all.fetch_add(1, Ordering::AcqRel);
        let mut mine = self.by_address.entry(address).or_insert(0);
        *mine += 1;
        let within = before < self.most && *mine <= self.most_per_address;
        drop(mine);
        // Dropped at once where a cap is reached, which takes both counts back.
        let unfinished = Unfinished {
            counts: Arc::clone(self),
            address,
        };
        within.then_some(unfinished)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::AcqRel);
        self.counts
            .by_address
            .remove_if_mut(&self.address, |_, count| {
                *count -= 1;
                *count == 0
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_for_all_and_for_each_address() {
        let counts = Handshakes::new(3, 2);
        let (a, b, c): (IpAddr, IpAddr, IpAddr) = ([1; 4].into(), [2; 4].into(), [3; 4].into());
        let first = counts.begin(a);
        let second = counts.begin(a);
        assert!(first.is_some() && second.is_some());
        assert!(counts.begin(a).is_none());
        let third = counts.begin(b);
        assert!(third.is_some());
        assert!(counts.begin(c).is_none());
        drop((first, second));
        assert!(counts.begin(a).is_some());
        drop(third);
        assert!(counts.by_address.is_empty());
        assert_eq!(counts.all.load(Ordering::Acquire), 0);
    }
}
