//! The signer's side: what to add to a request before it is sent.

use super::canonical::{self, CanonicalRequest};
use super::key::{SigningKey, string_to_sign};
use super::{ALGORITHM, Credentials, SignedRequest, TERMINATOR, date};

/// Where a signature is good.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Such as `eu-west-1`.
    pub region: &'a str,
    /// Such as `lambda`; [`EXECUTE_API`](super::EXECUTE_API) for the gateway itself.
    pub service: &'a str,
}

/// A request that no verifier would accept, however signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsignableRequest {
    /// Every signature must cover `host`.
    #[error("a request to be signed needs its 'host' header")]
    NoHost,
}

/// Headers that are written or rewritten on the way, after signing.
const UNSIGNED: [&str; 6] = [
    "authorization",
    "connection",
    "expect",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// Signs a request with a header and returns the headers to set on it: `x-amz-date`,
/// `authorization` and, for temporary credentials, `x-amz-security-token`. What the request has
/// under these names is ignored. `now` is in seconds since 1970.
pub fn sign(
    request: &SignedRequest<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: u64,
) -> Result<Vec<(&'static str, String)>, UnsignableRequest> {
    let signer = Signer::new(credentials, scope, now);
    let mut added = vec![("x-amz-date", signer.date.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.expose().to_owned()));
    }

    let replaced = |name: &str| {
        ["x-amz-date", "x-amz-security-token"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
            || UNSIGNED
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other))
    };
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .copied()
        .filter(|(name, _)| !replaced(name))
        .collect();
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
    let mut names: Vec<_> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(";");

    let request = SignedRequest {
        headers: &headers,
        ..*request
    };
    let query = canonical::query(&canonical::decode_query(request.query));
    let signature = signer.signature(&request, query, &names)?;
    let authorization = format!(
        "{ALGORITHM} Credential={}, SignedHeaders={names}, Signature={signature}",
        signer.credential()
    );
    added.push(("authorization", authorization));
    Ok(added)
}

/// Signs a WebSocket handshake, or any GET without a body, in its URL: returns the whole query.
/// The URL is good for `expires` seconds, at most [`MAX_EXPIRES`](super::MAX_EXPIRES).
pub fn presign(
    request: &SignedRequest<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: u64,
    expires: u64,
) -> Result<String, UnsignableRequest> {
    let signer = Signer::new(credentials, scope, now);
    let credential = signer.credential();
    let mut query = format!(
        "{}&X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={expires}\
         &X-Amz-SignedHeaders=host",
        request.query,
        canonical::encode(credential.as_bytes()),
        signer.date
    );
    if let Some(token) = &credentials.session_token {
        query += "&X-Amz-Security-Token=";
        query.extend(canonical::encode(token.expose().as_bytes()));
    }
    let canonical_query = canonical::query(&canonical::decode_query(&query));
    let signature = signer.signature(request, canonical_query, "host")?;
    query += "&X-Amz-Signature=";
    query += &signature;
    Ok(query.trim_start_matches('&').to_owned())
}

struct Signer<'a> {
    credentials: &'a Credentials,
    scope: Scope<'a>,
    date: String,
}

impl<'a> Signer<'a> {
    fn new(credentials: &'a Credentials, scope: Scope<'a>, now: u64) -> Self {
        Self {
            credentials,
            scope,
            date: date::format(now),
        }
    }

    fn day(&self) -> &str {
        &self.date[..8]
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/{TERMINATOR}",
            self.day(),
            self.scope.region,
            self.scope.service
        )
    }

    fn credential(&self) -> String {
        format!("{}/{}", self.credentials.access_key_id, self.scope())
    }

    fn signature(
        &self,
        request: &SignedRequest<'_>,
        query: String,
        signed_headers: &str,
    ) -> Result<String, UnsignableRequest> {
        if request.header("host").next().is_none() {
            return Err(UnsignableRequest::NoHost);
        }
        let headers = canonical::headers(request, signed_headers)
            .expect("`host` is there, and the others were listed because they are");
        let canonical = CanonicalRequest {
            method: request.method,
            uri: canonical::uri(request.path),
            query,
            headers,
            signed_headers,
            payload_hash: request.payload_hash,
        };
        let secret = &self.credentials.secret_access_key;
        let Scope { region, service } = self.scope;
        let key = SigningKey::derive(secret, self.day(), region, service);
        Ok(key.signature(&string_to_sign(&self.date, &self.scope(), &canonical)))
    }
}
