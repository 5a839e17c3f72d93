//! The Lambda API as far as functions of this gateway need it: create, change, publish, name, list and delete them.
//!
//! A [`Catalog`] is all that is known; [`answer`] does one request on it. Archives are unpacked, and functions invoked, by the shell: it
//! asks [`upload`] and [`invocation`] first. Members, defaults, errors and their texts are those of the AWS Lambda API reference, 2015-03-31.

mod aliases;
mod catalog;
mod create;
mod entry;
mod error;
mod fields;
mod page;
mod permissions;
mod request;
#[cfg(test)]
mod tests;

pub use catalog::Catalog;
pub use entry::{Alias, Code, Entry, LATEST, Permission, Version};
pub use error::LambdaApiError;
pub use request::{Answer, Request, answer, invocation, upload};

/// What an operation takes from outside.
pub struct Context<'a> {
    /// The time in milliseconds of the epoch.
    pub now: u64,
    /// Region of ARNs.
    pub region: &'a str,
    /// Account of ARNs, twelve digits.
    pub account_id: &'a str,
    /// `x86_64` or `arm64`.
    pub architecture: &'a str,
    /// The archive that came with the request, unpacked by now.
    pub code: Option<Code>,
    /// A new `RevisionId`.
    pub new_id: &'a mut dyn FnMut() -> String,
}

impl Context<'_> {
    /// The ARN of a function, without a qualifier.
    fn arn(&self, name: &str) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{name}",
            self.region, self.account_id
        )
    }
}
