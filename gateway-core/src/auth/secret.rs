//! Text that must not be seen: it prints as `***` and is compared in constant time.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A key, token or password. It can be read from a settings file but not written to one.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text. From here on it leaves only through [`Secret::expose`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that computes with it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a caller presented this secret. The time taken tells neither how many bytes were
    /// right nor how long the secret is: digests are compared, not texts.
    pub fn matches(&self, presented: &[u8]) -> bool {
        Sha256::digest(&self.0)
            .ct_eq(&Sha256::digest(presented))
            .into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::from("hunter2");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "*** Some(\n    ***,\n)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_the_same_bytes_match() {
        let secret = Secret::from("hunter2");
        assert!(secret.matches(b"hunter2"));
        for other in ["", "hunter", "hunter2 ", "Hunter2", "hunter22"] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
        assert!(Secret::from("").matches(b""));
    }

    #[test]
    fn a_secret_is_read_as_plain_text() {
        assert!(
            serde_json::from_str::<Secret>("\"x\"")
                .unwrap()
                .matches(b"x")
        );
    }
}
