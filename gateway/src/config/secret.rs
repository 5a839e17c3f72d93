//! Text that must not be shown.

use std::fmt;

/// A key or token; printing it shows `***`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Keys below which text is never shown, neither in print nor in a mistake.
pub(super) fn is_secret_key(key: &str) -> bool {
    matches!(
        key,
        "secretAccessKey" | "tokens" | "headers" | "cert" | "key"
    )
}

/// Keys in whose place a secret may have been written by mistake.
pub(super) fn may_hold_secret(key: &str) -> bool {
    is_secret_key(key) || matches!(key, "credentials" | "tls" | "store")
}
