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
    /// Callers whom a Lambda authorizer lets in.
    Custom,
    /// Bearers of a token; HTTP APIs only.
    Jwt,
}

/// A Lambda REQUEST authorizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// The id that routes name.
    pub authorizer_id: String,
    /// What to invoke: a Lambda URI.
    pub authorizer_uri: String,
    /// Parameters that must be present, such as `route.request.header.Auth`.
    pub identity_source: Vec<String>,
}
