//! The control plane of `apigatewayv2`, without its I/O: AWS's resources as documents, and the rules for changing them.
//!
//! [`answer`] takes a request and an [`Account`]; [`Account::create`] is the way in for templates. [`resources`] makes of a
//! deployment what [`crate::live::compile`] takes.

mod account;
mod create;
mod crud;
mod describe;
mod domain;
mod error;
mod export;
mod kind;
mod member;
mod page;
mod request;
mod resources;
mod rules;
mod sample;
mod stage;
mod tags;

#[cfg(test)]
mod tests;

pub use account::{
    Account, ApiDocuments, Configuration, Deployment, Document, DomainDocuments, Item, Stored,
};
pub use crud::Context;
pub use describe::{describe, describe_domain};
pub use error::ControlError;
pub use export::{Export, to_cloudformation, to_wiregate};
pub use kind::Kind;
pub use request::{Answer, Request, answer};
pub use resources::{domains, resources};
