//! What hides and signs the batches that travel between nodes, on either road.

use std::fmt;

use rustls::crypto::cipher::{AeadKey, Iv, NONCE_LEN};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::quic::PacketKey;

/// Length of the code behind each batch, in bytes.
pub(crate) const TAG: usize = 16;

/// ChaCha20-Poly1305, in the form in which rustls offers it to QUIC: a code alone would do against forgery, but HMAC-SHA256
/// in portable code costs many times as much for each byte as the whole of this, and this hides what is pushed as well. Of the
/// ciphers there it is the one that sets no bound to the number of batches under one key.
pub(crate) struct Cipher(Box<dyn PacketKey>);

impl Cipher {
    /// Under a key with which nobody else seals anything.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13();
        let algorithm = suite.and_then(|suite| suite.quic);
        let algorithm = algorithm.expect("ring offers this suite to TLS 1.3 and to QUIC");
        Self(algorithm.packet_key(AeadKey::from(key), Iv::new([0; NONCE_LEN])))
    }

    /// Hides the frames of a batch and makes the code that stands behind them. The same number must never be given twice.
    pub(crate) fn close(&self, number: u64, head: &[u8], frames: &mut [u8]) -> [u8; TAG] {
        let made = self.0.encrypt_in_place(number, head, frames);
        let made = made.expect("a batch is far smaller than the cipher's 256 GiB");
        let mut tag = [0; TAG];
        tag.copy_from_slice(made.as_ref());
        tag
    }

    /// Reveals the frames, which their code follows: false where they are not what was closed with this head and number.
    pub(crate) fn open(&self, number: u64, head: &[u8], sealed: &mut [u8]) -> bool {
        self.0.decrypt_in_place(number, head, sealed).is_ok()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(***)")
    }
}
