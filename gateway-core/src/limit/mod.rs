//! How much is too much: rates as token buckets, and every number AWS gives.

pub mod bucket;
pub mod quotas;

pub use bucket::Bucket;
