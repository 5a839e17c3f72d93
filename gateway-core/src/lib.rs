//! What the AWS model says must happen.

pub mod lambda_arn;
