//! Who is calling: checks on keys and a time that are handed in.

pub mod secret;
pub mod sigv4;

pub use secret::Secret;
