//! The generator's own clients, small enough that it is not the bottleneck.

pub(crate) mod frame;
pub(crate) mod letter;
pub(crate) mod poster;
pub(crate) mod socket;
pub(crate) mod wire;
