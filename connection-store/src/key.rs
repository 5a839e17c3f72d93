//! The secret by which the nodes of one cluster know each other, and the keys made of it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The secret that all nodes of a cluster share (`clusterSecret`). It never leaves the process: what goes out was computed from it.
#[derive(Clone)]
pub struct ClusterKey(Hmac<Sha256>);

/// A secret that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the cluster's secret has {0} characters; it needs at least {least}, for example those that `openssl rand -hex 32` prints",
    least = ClusterKey::SHORTEST
)]
pub struct ShortSecret(usize);

impl ClusterKey {
    /// So many characters a secret must have.
    pub const SHORTEST: usize = 32;

    /// The same on all nodes.
    pub fn new(secret: &str) -> Result<Self, ShortSecret> {
        let length = secret.chars().count();
        if length < Self::SHORTEST {
            return Err(ShortSecret(length));
        }
        Ok(Self(keyed(secret.as_bytes())))
    }

    /// A value that only those who know the secret can compute from `parts`: a proof, or a key for one purpose. Each part
    /// counts with its length, so that no two lists of parts are the same bytes.
    pub(crate) fn derive(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(***)")
    }
}

/// HMAC-SHA256 under a key of any length.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: &str) -> ClusterKey {
        ClusterKey::new(&fill.repeat(32)).unwrap()
    }

    #[test]
    fn keys_differ_by_secret_and_by_every_border_between_parts() {
        let made = [
            key("a").derive(&[b"one", b"two"]),
            key("b").derive(&[b"one", b"two"]),
            key("a").derive(&[b"onetwo"]),
            key("a").derive(&[b"on", b"etwo"]),
            key("a").derive(&[b"one", b"two", b""]),
        ];
        for (n, one) in made.iter().enumerate() {
            assert!(!made[n + 1..].contains(one), "{n}");
        }
        assert_eq!(made[0], key("a").derive(&[b"one", b"two"]));
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_printed() {
        let refused = ClusterKey::new(&"ä".repeat(31)).unwrap_err();
        assert!(refused.to_string().contains("31 characters"), "{refused}");
        assert_eq!(format!("{:?}", key("a")), "ClusterKey(***)");
    }
}
