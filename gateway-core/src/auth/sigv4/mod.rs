//! AWS Signature Version 4, both ways: [`verify`] what callers signed, [`sign`] what we send.
//!
//! A signature proves that whoever holds a secret key meant this method, path, query, these
//! headers and this body, at about this time. Only the algorithm `AWS4-HMAC-SHA256` is known.

mod canonical;
mod claim;
mod date;
mod error;
mod key;
mod read;
mod sign;
#[cfg(test)]
mod tests;

use subtle::ConstantTimeEq;

pub use canonical::payload_hash;
pub use error::SignatureError;
pub use sign::{Scope, UnsignableRequest, presign, sign};

use super::Secret;
use canonical::{CanonicalRequest, is_empty_payload};
use claim::{Claim, Form};

/// The service name that signatures for `@connections` and for AWS_IAM handshakes carry.
pub const EXECUTE_API: &str = "execute-api";
/// The service that control plane requests are signed for.
pub const APIGATEWAY: &str = "apigateway";
/// The service that Lambda API requests are signed for.
pub const LAMBDA: &str = "lambda";

/// How far a caller's clock may be off, in seconds. API Gateway: 5 minutes.
pub const CLOCK_SKEW: u64 = 5 * 60;

/// The longest life of a presigned URL, in seconds. AWS: 7 days.
pub const MAX_EXPIRES: u64 = 7 * 24 * 60 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of an HTTP request that a signature covers, as they were on the wire.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path of the request line before anybody decoded or normalised it.
    pub path: &'a str,
    /// What follows the `?`, as sent; empty if there is none.
    pub query: &'a str,
    /// Every header, in order. Over HTTP/2 the caller adds `host` from `:authority`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// [`payload_hash`] of the body that was really received.
    pub payload_hash: &'a str,
}

impl<'a> SignedRequest<'a> {
    fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let headers = self.headers.iter();
        headers
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|&(_, value)| value)
    }
}

/// What one access key stands for.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The public name of the key.
    pub access_key_id: String,
    /// What signatures are made with.
    pub secret_access_key: Secret,
    /// Temporary credentials have a token which must accompany every request.
    pub session_token: Option<Secret>,
    /// When temporary credentials end, in seconds since 1970.
    pub expires_at: Option<u64>,
}

/// A request whose signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who signed.
    pub access_key_id: String,
    /// The region in the signature's scope: a word of the caller's, letters, digits and hyphens.
    pub region: String,
    /// When it was signed by the caller's clock, in seconds since 1970.
    pub signed_at: u64,
    /// Whether the signature came in the URL.
    pub presigned: bool,
}

/// Checks the signature of a request, in the `Authorization` header or in the query.
///
/// `credentials` finds what an access key stands for, `now` is in seconds since 1970. Each region
/// is accepted.
///
/// - The path is taken as sent; if that does not verify, with doubled slashes made single, since
///   the AWS SDK for JavaScript signs one form and sends the other.
/// - A body counts with its real hash. `UNSIGNED-PAYLOAD` is accepted only for a presigned GET
///   without a body, which is what signers make of a WebSocket handshake.
/// - A session token must be that of the credentials. One sent with credentials that have none,
///   or left out with credentials that have one, is as wrong as another: such a pair was never
///   issued, so it is `UnrecognizedClient` and not `ExpiredToken`.
pub fn verify(
    request: &SignedRequest<'_>,
    credentials: &dyn Fn(&str) -> Option<Credentials>,
    now: u64,
    service: &str,
) -> Result<Verified, SignatureError> {
    let query = canonical::decode_query(request.query);
    let claim = read::claim(request, &query)?;
    claim.check_time(now)?;
    claim.check_scope(service)?;
    let credentials = credentials(claim.access_key_id).ok_or(SignatureError::UnrecognizedClient)?;
    check_signature(request, &query, &claim, &credentials)?;
    // Only who holds the secret key learns anything about the token.
    check_token(&claim, &credentials, now)?;
    Ok(Verified {
        access_key_id: claim.access_key_id.to_owned(),
        region: claim.region.to_owned(),
        signed_at: claim.signed_at,
        presigned: claim.form != Form::Header,
    })
}

fn check_signature(
    request: &SignedRequest<'_>,
    query: &[canonical::Pair<'_>],
    claim: &Claim<'_>,
    credentials: &Credentials,
) -> Result<(), SignatureError> {
    let may_be_unsigned =
        claim.is_presigned() && request.method == "GET" && is_empty_payload(request.payload_hash);
    let as_received = CanonicalRequest {
        method: request.method,
        uri: canonical::uri(request.path),
        query: canonical::query(query),
        headers: canonical::headers(request, claim.signed_headers)?,
        signed_headers: claim.signed_headers,
        payload_hash: request.payload_hash,
    };
    let mut candidates = vec![as_received.clone()];
    if let Some(path) = canonical::collapse_slashes(request.path) {
        candidates.push(CanonicalRequest {
            uri: canonical::uri(&path),
            ..as_received.clone()
        });
    }
    if may_be_unsigned {
        for signed in candidates.clone() {
            candidates.push(CanonicalRequest {
                payload_hash: UNSIGNED_PAYLOAD,
                ..signed
            });
        }
    }

    let signing_key = claim.signing_key(&credentials.secret_access_key);
    let matches = |candidate: &CanonicalRequest<'_>| -> bool {
        let signature = signing_key.signature(&claim.string_to_sign(candidate));
        signature
            .as_bytes()
            .ct_eq(claim.signature.as_bytes())
            .into()
    };
    if declares_its_payload(request, claim, may_be_unsigned) && candidates.iter().any(matches) {
        return Ok(());
    }
    Err(SignatureError::InvalidSignature {
        string_to_sign: claim.string_to_sign(&as_received),
        canonical_request: String::from_utf8_lossy(&as_received.to_bytes()).into_owned(),
    })
}

/// A signed `x-amz-content-sha256` that tells of another body than the one received is a lie,
/// whatever else was signed.
fn declares_its_payload(
    request: &SignedRequest<'_>,
    claim: &Claim<'_>,
    may_be_unsigned: bool,
) -> bool {
    let fits = |declared: &[u8]| {
        declared == request.payload_hash.as_bytes()
            || may_be_unsigned && declared == UNSIGNED_PAYLOAD.as_bytes()
    };
    !claim.signs("x-amz-content-sha256") || request.header("x-amz-content-sha256").all(fits)
}

fn check_token(
    claim: &Claim<'_>,
    credentials: &Credentials,
    now: u64,
) -> Result<(), SignatureError> {
    let belongs = match (&credentials.session_token, claim.token) {
        (Some(token), Some(presented)) => token.matches(presented),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !belongs {
        return Err(SignatureError::UnrecognizedClient);
    }
    match credentials.expires_at {
        Some(end) if end <= now => Err(SignatureError::ExpiredToken),
        _ => Ok(()),
    }
}
