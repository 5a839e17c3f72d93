//! What a request claims: who signed it, when and for what, with which signature. Its words can be
//! checked here, against the time and the service; its signature takes a key.

use super::canonical::CanonicalRequest;
use super::key::{SigningKey, string_to_sign};
use super::{CLOCK_SKEW, SignatureError, TERMINATOR, date};
use crate::auth::Secret;

/// As many headers as a request may have.
const MAX_SIGNED_HEADERS: usize = 100;
/// AWS IAM: an access key id has at most 128 characters.
const MAX_ACCESS_KEY_ID: usize = 128;
const MAX_REGION: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query, good for so many seconds.
    Query { expires: u64 },
}

/// All parts of a signature, well-formed but unproven.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) form: Form,
    pub(super) access_key_id: &'a str,
    pub(super) region: &'a str,
    /// The scope's other parts: day, service and terminator, as claimed.
    date: &'a str,
    service: &'a str,
    terminator: &'a str,
    /// Lower-case names separated by `;`, each once, `host` among them.
    pub(super) signed_headers: &'a str,
    pub(super) signature: &'a str,
    pub(super) token: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub(super) signed_at: u64,
}

impl<'a> Claim<'a> {
    /// Refuses parts that are not well-formed, or do not go together.
    pub(super) fn new(
        form: Form,
        credential: &'a str,
        signature: &'a str,
        signed_headers: &'a str,
        token: Option<&'a [u8]>,
        signed_at: u64,
    ) -> Result<Self, SignatureError> {
        check_signed_headers(signed_headers)?;
        let mut parts = credential.split('/');
        let five = [(); 5].map(|()| parts.next());
        let (
            [
                Some(access_key_id),
                Some(date),
                Some(region),
                Some(service),
                Some(terminator),
            ],
            None,
        ) = (five, parts.next())
        else {
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        let is_key = |c: u8| c.is_ascii_graphic();
        if !is_word(access_key_id, MAX_ACCESS_KEY_ID, is_key) {
            return Err(SignatureError::UnrecognizedClient);
        }
        let claim = Self {
            form,
            access_key_id,
            region,
            date,
            service,
            terminator,
            signed_headers,
            signature,
            token,
            signed_at,
        };
        Ok(claim)
    }

    pub(super) fn is_presigned(&self) -> bool {
        self.form != Form::Header
    }

    /// Whether a header, named in lower case, is under the signature.
    pub(super) fn signs(&self, name: &str) -> bool {
        self.signed_headers.split(';').any(|signed| signed == name)
    }

    /// A header signature is good for five minutes around its date; a presigned URL from five
    /// minutes before its date, since clocks differ, until it expires.
    pub(super) fn check_time(&self, now: u64) -> Result<(), SignatureError> {
        let signed = date::format(self.signed_at);
        if self.signed_at > now.saturating_add(CLOCK_SKEW) {
            return Err(SignatureError::Skewed(format!(
                "Signature not yet current: {signed} is still later than {} ({} + 5 min.)",
                date::format(now.saturating_add(CLOCK_SKEW)),
                date::format(now)
            )));
        }
        match self.form {
            Form::Header if self.signed_at < now.saturating_sub(CLOCK_SKEW) => {
                Err(SignatureError::Skewed(format!(
                    "Signature expired: {signed} is now earlier than {} ({} - 5 min.)",
                    date::format(now.saturating_sub(CLOCK_SKEW)),
                    date::format(now)
                )))
            }
            Form::Query { expires } if self.signed_at + expires < now => {
                Err(SignatureError::Skewed(format!(
                    "Signature expired: {} is now earlier than {}",
                    date::format(self.signed_at + expires),
                    date::format(now)
                )))
            }
            Form::Header | Form::Query { .. } => Ok(()),
        }
    }

    /// Whether the scope is one that a key for `service` and this day can have.
    pub(super) fn check_scope(&self, service: &str) -> Result<(), SignatureError> {
        let mut wrong = Vec::new();
        if !is_word(self.region, MAX_REGION, |c| {
            c.is_ascii_alphanumeric() || c == b'-'
        }) {
            let region = self.region;
            wrong.push(format!(
                "Credential should be scoped to a valid region, not '{region}'. "
            ));
        }
        if self.service != service {
            wrong.push(format!(
                "Credential should be scoped to correct service: '{service}'. "
            ));
        }
        if self.terminator != TERMINATOR {
            wrong.push(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
                self.terminator
            ));
        }
        let signed = date::format(self.signed_at);
        let day = &signed[..8];
        if self.date != day {
            wrong.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{}' != '{day}', from '{signed}'.",
                self.date
            ));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(SignatureError::Misapplied(
            wrong.concat().trim_end().to_owned(),
        ))
    }

    pub(super) fn signing_key(&self, secret: &Secret) -> SigningKey {
        SigningKey::derive(secret, self.date, self.region, self.service)
    }

    pub(super) fn string_to_sign(&self, request: &CanonicalRequest<'_>) -> String {
        let Self {
            date,
            region,
            service,
            terminator,
            ..
        } = self;
        let scope = format!("{date}/{region}/{service}/{terminator}");
        string_to_sign(&date::format(self.signed_at), &scope, request)
    }
}

fn check_signed_headers(names: &str) -> Result<(), SignatureError> {
    let is_name =
        |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&c);
    let mut sorted: Vec<&str> = names.split(';').take(MAX_SIGNED_HEADERS + 1).collect();
    sorted.sort_unstable();
    let distinct = sorted.windows(2).all(|pair| pair[0] != pair[1]);
    let well_formed = sorted.iter().all(|name| is_word(name, usize::MAX, is_name));
    if !distinct || !well_formed || sorted.len() > MAX_SIGNED_HEADERS {
        return Err(incomplete(format!(
            "SignedHeaders must be at most {MAX_SIGNED_HEADERS} header names in lower case, each \
             once, separated by ';', got '{names}'"
        )));
    }
    if sorted.binary_search(&"host").is_err() {
        return Err(SignatureError::Misapplied(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    Ok(())
}

fn is_word(text: &str, longest: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

pub(super) fn incomplete(message: impl Into<String>) -> SignatureError {
    SignatureError::IncompleteSignature(message.into())
}
