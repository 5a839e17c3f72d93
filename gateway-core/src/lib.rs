//! What the AWS model says must happen.

pub mod expression;
pub mod jsonpath;
