//! TLS below the link: in words of nodes why it did not come about.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::auth::refusal;

/// First byte of a record with a part of a handshake, and of one with an alert (RFC 8446 section 5.1); the link's own words begin with
/// neither.
pub(super) const HANDSHAKE: u8 = 0x16;
pub(super) const ALERT: u8 = 0x15;

/// Why a handshake failed; where the other side only left, it was meant in another way.
pub(super) fn explain_handshake(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            refusal("it ended the handshake; perhaps it speaks without TLS, this node only with it")
        }
        _ => explain(error),
    }
}

/// What TLS says of the other side, also after the handshake: there the asker hears what the server thinks of its certificate.
pub(super) fn explain(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let why = match inner {
        // A bad signature: an authority of the same name with another key.
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "its certificate is of an authority that this node does not know".to_owned(),
        Some(Error::InvalidCertificate(error)) => {
            format!("its certificate cannot be used: {error}")
        }
        Some(Error::NoCertificatesPresented) => "it shows no certificate".to_owned(),
        Some(Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::DecryptError,
        )) => "it does not know the authority of this node's certificate".to_owned(),
        Some(Error::AlertReceived(alert)) => format!("it refuses TLS with this node: {alert:?}"),
        Some(Error::InvalidMessage(_)) => {
            "it speaks without TLS, this node only with it".to_owned()
        }
        Some(error) => format!("no TLS with it: {error}"),
        None => return error,
    };
    refusal(why)
}
