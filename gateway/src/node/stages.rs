//! What is deployed on this node: compiled stages, swapped in whole, with the counters that limit them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use gateway_core::address::Directory;
use gateway_core::limit::Bucket;
use gateway_core::live::{LiveRoute, LiveStage};
use gateway_core::resource::Api;
use tokio::sync::Semaphore;

use super::rates::AddressRates;
use crate::env;
use crate::observe::{Metrics, StageMeters};

/// One compiled stage with its run-time counters.
#[derive(Debug)]
pub struct Deployed {
    /// What traffic sees.
    pub live: LiveStage,
    /// Where backends post back, as `x-wiregate-callback-url` says it.
    pub callback_url: String,
    /// What its routes are counted on.
    pub meters: StageMeters,
    /// What it was compiled from, with this stage alone.
    source: Option<Arc<Api>>,
    in_flight: Vec<Arc<Semaphore>>,
    questions_in_flight: Vec<Semaphore>,
    throttles: Vec<Option<Mutex<Bucket>>>,
    connects: Option<Mutex<Bucket>>,
    addresses: Option<AddressRates>,
}

impl Deployed {
    /// Counters start fresh with each deployment.
    pub fn new(live: LiveStage, callback_url: String, metrics: &Metrics) -> Self {
        let meters = metrics.meters(&live);
        let bucket = |rate: f64, burst: u32| Mutex::new(Bucket::new(rate, burst));
        let in_flight = live
            .integrations
            .iter()
            .map(|i| Arc::new(Semaphore::new(i.max_in_flight as usize)))
            .collect();
        let questions_in_flight = live
            .authorizers
            .iter()
            .map(|a| Semaphore::new(a.max_in_flight as usize))
            .collect();
        let throttles = live
            .routes
            .iter()
            .map(|r| r.throttle.map(|(rate, burst)| bucket(rate, burst)))
            .collect();
        let connects = live
            .limits
            .connects_per_second
            .map(|rate| Mutex::new(Bucket::per_second(rate)));
        let addresses = live
            .limits
            .messages_per_second_per_address
            .map(AddressRates::new);
        Self {
            live,
            callback_url,
            meters,
            source: None,
            in_flight,
            questions_in_flight,
            throttles,
            connects,
            addresses,
        }
    }

    /// Says what it was compiled from: a later deployment of the same changes nothing, its counters least of all.
    #[must_use]
    pub fn made_of(self, source: Arc<Api>) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.source.is_some()
            && self.source == other.source
            && self.callback_url == other.callback_url
    }

    /// The permits for calls to an integration.
    pub fn in_flight(&self, integration: usize) -> &Arc<Semaphore> {
        &self.in_flight[integration]
    }

    /// The permits for questions to an authorizer.
    pub fn questions_in_flight(&self, authorizer: usize) -> &Semaphore {
        &self.questions_in_flight[authorizer]
    }

    /// Takes one call of a route.
    pub fn admit(&self, route: &LiveRoute) -> bool {
        take(self.throttles[route.index].as_ref())
    }

    /// Takes one message of a client's address.
    pub fn admit_address(&self, address: IpAddr) -> bool {
        self.addresses
            .as_ref()
            .is_none_or(|rates| rates.admit(address, env::now()))
    }

    /// Takes one handshake.
    pub fn admit_connect(&self) -> bool {
        take(self.connects.as_ref())
    }
}

fn take(bucket: Option<&Mutex<Bucket>>) -> bool {
    bucket.is_none_or(|bucket| {
        bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(1, env::now())
    })
}

/// The place of one stage: connections keep the place, deployments pass through it.
#[derive(Debug)]
pub struct StageSlot {
    current: ArcSwap<Deployed>,
}

impl StageSlot {
    /// What is deployed now; a call keeps what it loaded.
    pub fn load(&self) -> Arc<Deployed> {
        self.current.load_full()
    }
}

/// Everything that is served, as one snapshot.
#[derive(Debug, Default)]
pub struct Served {
    /// How addresses find their stage.
    pub directory: Directory,
    slots: HashMap<(Arc<str>, Arc<str>), Arc<StageSlot>>,
}

impl Served {
    /// The slot of a stage.
    pub fn slot(&self, api_id: &Arc<str>, stage: &Arc<str>) -> Option<&Arc<StageSlot>> {
        self.slots.get(&(Arc::clone(api_id), Arc::clone(stage)))
    }

    /// Everything deployed, for banners and listings.
    pub fn deployed(&self) -> impl Iterator<Item = Arc<Deployed>> {
        self.slots.values().map(|slot| slot.load())
    }
}

/// The snapshot that new requests see.
#[derive(Debug, Default)]
pub struct Stages {
    served: ArcSwap<Served>,
}

impl Stages {
    /// What is served now.
    pub fn load(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Swaps everything in; what did not change goes on with its counters. Connections of a stage that is still there see its new deployment with their next
    /// message; those of a stage that is gone keep the last one until they end.
    pub fn replace(&self, directory: Directory, deployments: Vec<Deployed>) {
        let before = self.load();
        let slots = deployments.into_iter().map(|deployed| {
            let key = (
                Arc::clone(&deployed.live.api_id),
                Arc::clone(&deployed.live.stage_name),
            );
            let slot = match before.slots.get(&key) {
                Some(slot) => {
                    if !deployed.is_same_as(&slot.load()) {
                        slot.current.store(Arc::new(deployed));
                    }
                    Arc::clone(slot)
                }
                None => Arc::new(StageSlot {
                    current: ArcSwap::from_pointee(deployed),
                }),
            };
            (key, slot)
        });
        let slots = slots.collect();
        self.served.store(Arc::new(Served { directory, slots }));
    }
}
