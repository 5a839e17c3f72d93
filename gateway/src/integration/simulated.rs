//! A model in place of HTTP backends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::failure::Failure;
use gateway_core::header_lines::HeaderLines;
use gateway_core::mapping::BackendAnswer;
use http::Uri;
use tokio::time::Instant;

use super::http::MayGo;
use super::{Integrations, WITHHELD};

/// What a model answers in time.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<BackendAnswer, Failure>> + Send + 'a>>;

/// A backend of the simulation.
pub trait Model: fmt::Debug + Send + Sync {
    /// Answers one request, if `may_go` once it is about to be sent; over at `deadline` at the latest.
    fn call<'a>(
        &'a self,
        uri: Uri,
        headers: HeaderLines,
        body: Bytes,
        deadline: Instant,
        may_go: MayGo<'a>,
    ) -> Answering<'a>;
}

/// What a request is answered that might not be sent any more.
pub fn withheld() -> Failure {
    WITHHELD
}

impl Integrations {
    /// All HTTP backends are this model.
    #[must_use]
    pub fn modelled(mut self, model: Arc<dyn Model>) -> Self {
        self.model = Some(model);
        self
    }
}
