//! The AWS resources as users write them: what was asked for, not yet whether it makes sense.
//!
//! Names and members are AWS's own. What traffic sees is compiled from these by [`crate::live`].

mod api;
mod authorizer;
mod function;
mod integration;
mod limits;
mod route;
mod stage;

pub use api::{Api, ProtocolType};
pub use authorizer::{AuthorizationType, Authorizer};
pub use function::{Function, Runtime};
pub use integration::{
    ContentHandling, HttpVersion, Integration, IntegrationResponse, IntegrationType,
    PassthroughBehavior,
};
pub use limits::{Limits, Preset};
pub use route::{ParameterConstraints, Route, RouteResponse};
pub use stage::{RouteSettings, Stage};
