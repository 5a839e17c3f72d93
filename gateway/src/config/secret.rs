//! Text that must not be shown, and the keys below which it stands.

pub use gateway_core::auth::Secret;

/// Keys below which text is never shown, neither in print nor in a mistake.
pub(super) fn is_secret_key(key: &str) -> bool {
    matches!(
        key,
        "secretAccessKey"
            | "sessionToken"
            | "tokens"
            | "headers"
            | "environment"
            | "cert"
            | "key"
            | "ca"
    )
}

/// Keys in whose place a secret may have been written by mistake.
pub(super) fn may_hold_secret(key: &str) -> bool {
    is_secret_key(key) || matches!(key, "credentials" | "tls" | "store")
}
