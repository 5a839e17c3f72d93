//! This node: who is connected here, what is deployed, how a push finds its socket, how it all ends.

mod cluster;
mod deliver;
mod drain;
mod outlet;
mod owed;
mod rates;
mod registry;
mod retries;
mod sessions;
#[cfg(feature = "simulation")]
mod simulated;
mod stages;
mod tls;
mod wire;

pub use cluster::{Cluster, Life, NodeInbox, Roads, Ways, leave};
pub use deliver::{Delivered, Description, Node, Order, Reach, encode};
pub use drain::{Drain, Guard, Report};
pub use outlet::{Look, Outlet, Pushed};
pub use owed::{Attempt, End, Next, Owed};
pub use registry::{NotRegistered, Registry, Repair};
pub use retries::{Once, Retries};
pub use sessions::{LiveConnection, Sessions};
#[cfg(feature = "simulation")]
pub use simulated::Simulated;
pub use stages::{Deployed, Served, StageSlot, Stages};
pub use wire::Wire;
