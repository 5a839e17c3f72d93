//! The keyed half of the signature: a key for one day, region and service, and what it signs.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::canonical::{CanonicalRequest, hex, payload_hash};
use super::{ALGORITHM, TERMINATOR};
use crate::auth::Secret;

/// Derived from a secret key; good for one day, region and service.
pub(super) struct SigningKey([u8; 32]);

impl SigningKey {
    /// `date` is `YYYYMMDD`.
    pub(super) fn derive(secret: &Secret, date: &str, region: &str, service: &str) -> Self {
        let secret = format!("AWS4{}", secret.expose());
        let of_day = mac(secret.as_bytes(), date);
        Self(
            [region, service, TERMINATOR]
                .iter()
                .fold(of_day, |key, part| mac(&key, part)),
        )
    }

    /// The signature, 64 lower-case hexadecimal digits.
    pub(super) fn signature(&self, string_to_sign: &str) -> String {
        hex(&mac(&self.0, string_to_sign))
    }
}

/// What is signed: the time, the scope (`date/region/service/aws4_request`) and the hash of the
/// request.
pub(super) fn string_to_sign(date: &str, scope: &str, request: &CanonicalRequest<'_>) -> String {
    format!(
        "{ALGORITHM}\n{date}\n{scope}\n{}",
        payload_hash(&request.to_bytes())
    )
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}
