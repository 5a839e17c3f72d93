//! The live sockets of this node, by connection id.

use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use gateway_core::call::Connection;
use gateway_core::id::{ConnectionId, IdHasher};
use tokio::sync::OwnedSemaphorePermit;

use super::{Outlet, StageSlot};

/// One live socket with what is known of its client.
#[derive(Debug)]
pub struct LiveConnection {
    /// The public facts, shared with the store.
    pub connection: Arc<Connection>,
    /// The way to the client.
    pub outlet: Outlet,
    /// The stage it connected to; what is deployed there may change under it.
    pub stage: Arc<StageSlot>,
    /// Messages at the backend.
    in_flight: AtomicU32,
    /// The socket's place among the descriptors. Below `outlet`, since fields are dropped in their order: the place is
    /// free once the socket is closed, whoever held it last, and not before.
    _place: OwnedSemaphorePermit,
}

impl LiveConnection {
    /// A connection whose handshake is under way. `place` is given back when its socket is.
    pub fn new(
        connection: Arc<Connection>,
        outlet: Outlet,
        stage: Arc<StageSlot>,
        place: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            outlet,
            stage,
            in_flight: AtomicU32::new(0),
            _place: place,
        })
    }

    /// Messages at the backend now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts one message until the guard is dropped, also where its task panics.
    pub fn start(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }
}

/// One message at the backend.
#[derive(Debug)]
pub struct InFlight(Arc<LiveConnection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.outlet.wake();
    }
}

/// All live sockets of this node.
#[derive(Debug, Default)]
pub struct Sessions {
    table: DashMap<ConnectionId, Arc<LiveConnection>, BuildHasherDefault<IdHasher>>,
}

impl Sessions {
    /// From here on pushes find it.
    pub fn insert(&self, live: &Arc<LiveConnection>) {
        self.table.insert(live.connection.id, Arc::clone(live));
    }

    /// From here on pushes to it are answered 410.
    pub fn remove(&self, id: &ConnectionId) {
        self.table.remove(id);
    }

    /// The live socket of an id.
    pub fn find(&self, id: &ConnectionId) -> Option<Arc<LiveConnection>> {
        self.table.get(id).map(|entry| Arc::clone(entry.value()))
    }

    /// How many there are, unfinished handshakes included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True where nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Arc<LiveConnection>> {
        let all = self.table.iter().map(|entry| Arc::clone(entry.value()));
        #[cfg_attr(not(feature = "simulation"), expect(unused_mut))]
        let mut all: Vec<_> = all.collect();
        // The table's order differs with the number of cores; a seed is to do the same on every machine.
        #[cfg(feature = "simulation")]
        all.sort_unstable_by_key(|live| live.connection.id);
        all
    }
}
