//! Between a call and its backend: what is sent, and what becomes of the answer.

mod request;
mod response;

pub use request::{IntegrationRequest, build};
pub use response::{BackendAnswer, Outcome, Reply, connect, disconnect, message};

use std::borrow::Cow;

use crate::call::Call;
use crate::context;
use crate::expression::Scope;

/// Runs `f` with the scope that expressions of this call see.
fn with_scope<T>(call: &Call<'_>, status: Option<u16>, f: impl FnOnce(&Scope<'_>) -> T) -> T {
    let lookup =
        |name: &str| context::lookup(call, name).map(|value| Cow::Owned(value.into_owned()));
    f(&Scope {
        body: call.event.text(),
        context: Some(&lookup),
        status_code: status,
        ..Scope::default()
    })
}
