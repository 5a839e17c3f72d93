//! Who is calling: checks on keys and a time that are handed in, and what an authorizer's policy says.

pub mod identity_source;
pub mod policy;
pub mod secret;
pub mod sigv4;
pub(crate) mod unique_json;

pub use secret::Secret;
