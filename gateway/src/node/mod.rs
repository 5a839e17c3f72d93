//! This node: who is connected here, what is deployed, how a push finds its socket, how it all ends.

mod deliver;
mod drain;
mod outlet;
mod owed;
mod rates;
mod sessions;
mod stages;
mod tls;
mod wire;

pub use deliver::{Delivered, Node, Order, encode};
pub use drain::{Drain, Guard, Report};
pub use outlet::{Look, Outlet, Pushed};
pub use owed::{Attempt, End, Next, Owed};
pub use sessions::{LiveConnection, Sessions};
pub use stages::{Deployed, Served, StageSlot, Stages};
pub use wire::Wire;
