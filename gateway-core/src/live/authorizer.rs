//! An authorizer made ready: whom it asks, and what a handshake must show first.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;

use super::uri::{UriTemplate, substitute};
use crate::auth::identity_source::IdentitySource;
use crate::lambda_arn::LambdaTarget;
use crate::limit::quotas::AUTHORIZER_TIMEOUT_MILLIS;
use crate::resource::{Authorizer, Integration};

/// One authorizer, ready to be asked.
#[derive(Debug)]
pub struct LiveAuthorizer {
    /// Its place in [`LiveStage::authorizers`](super::LiveStage::authorizers).
    pub index: usize,
    /// `AuthorizerId`.
    pub authorizer_id: Box<str>,
    /// From asking to the last byte of the answer.
    pub timeout: Duration,
    /// Questions in flight at once; the rest wait within their timeout.
    pub max_in_flight: u32,
    /// What must be there before it is asked at all.
    pub identity_sources: Vec<IdentitySource>,
    /// Whom it asks.
    pub backend: AuthorizerBackend,
}

/// Whom an authorizer asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizerBackend {
    /// A function, as on AWS.
    Lambda(LambdaTarget),
    /// A URL that gets the function's event by POST and answers as the function would; Wiregate's own.
    Http(Uri),
}

/// Makes an authorizer ready, or says which members are wrong and why.
pub(super) fn compile(
    authorizer: &Authorizer,
    index: usize,
    variables: &BTreeMap<String, String>,
) -> Result<LiveAuthorizer, Vec<(&'static str, String)>> {
    let mut mistakes = Vec::new();
    let uri = substitute(&authorizer.authorizer_uri, variables);
    let backend = backend(&uri).map_err(|error| mistakes.push(("authorizerUri", error)));
    let mut identity_sources = Vec::new();
    for source in &authorizer.identity_source {
        match IdentitySource::parse(source) {
            Ok(source) => identity_sources.push(source),
            Err(error) => mistakes.push(("identitySource", error)),
        }
    }
    match backend {
        Ok(backend) if mistakes.is_empty() => Ok(LiveAuthorizer {
            index,
            authorizer_id: authorizer.authorizer_id.as_str().into(),
            timeout: Duration::from_millis(AUTHORIZER_TIMEOUT_MILLIS),
            max_in_flight: Integration::DEFAULT_MAX_IN_FLIGHT,
            identity_sources,
            backend,
        }),
        _ => Err(mistakes),
    }
}

fn backend(uri: &str) -> Result<AuthorizerBackend, String> {
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        let target = LambdaTarget::parse(uri).map_err(|error| error.to_string())?;
        return Ok(AuthorizerBackend::Lambda(target));
    }
    let template = UriTemplate::parse(uri)?;
    match template.fixed() {
        Some(uri) => Ok(AuthorizerBackend::Http(uri.clone())),
        None => Err(format!(
            "an authorizer's URL has no path parameters, and '{uri}' has one"
        )),
    }
}
