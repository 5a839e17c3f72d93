//! What the AWS model says must happen.
