//! What the AWS model says must happen.

pub mod auth;
pub mod id;
pub mod limit;
