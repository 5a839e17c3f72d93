//! Who may connect.

use serde::{Deserialize, Serialize};

/// `AuthorizationType` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthorizationType {
    /// Anyone.
    #[default]
    None,
    /// Callers whose SigV4 signature is known and allowed.
    AwsIam,
    /// Callers whom an authorizer lets in; of `$connect` alone.
    Custom,
    /// Bearers of a token; HTTP APIs only.
    Jwt,
}

/// A Lambda REQUEST authorizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// The id that routes name.
    pub authorizer_id: String,
    /// What to ask: a Lambda URI, or Wiregate's own, an `http://` or `https://` URL.
    pub authorizer_uri: String,
    /// Parameters that must be present, such as `route.request.header.Auth`; without one the client is answered 401 unasked.
    pub identity_source: Vec<String>,
}
