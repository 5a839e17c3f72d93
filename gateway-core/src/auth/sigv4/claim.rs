//! What a request claims: who signed it, when, for what, and the signature. Reading it proves
//! nothing yet; it only finds out whether there is something to check.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::canonical::{CanonicalRequest, Pair};
use super::key::{SigningKey, string_to_sign};
use super::{ALGORITHM, CLOCK_SKEW, MAX_EXPIRES, SignatureError, SignedRequest, TERMINATOR, date};
use crate::auth::Secret;

/// Longer headers than this are not read. A genuine one has some 300 bytes.
const MAX_AUTHORIZATION: usize = 8 * 1024;
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

/// Finds the claim of a request, in whichever of the two places it stands.
pub(super) fn read<'a>(
    request: &SignedRequest<'a>,
    query: &'a [Pair<'a>],
) -> Result<Claim<'a>, SignatureError> {
    let in_query = query.iter().any(|(name, _)| {
        matches!(
            &**name,
            b"X-Amz-Algorithm" | b"X-Amz-Credential" | b"X-Amz-Signature"
        )
    });
    let mut headers = request
        .header("authorization")
        .filter(|value| !value.is_empty());
    match (headers.next(), headers.next(), in_query) {
        (None, _, false) => Err(SignatureError::MissingToken),
        (None, _, true) => read_query(query),
        (Some(_), _, true) => Err(SignatureError::Misapplied(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
             header."
                .to_owned(),
        )),
        (Some(_), Some(_), false) => Err(incomplete("Found more than one 'Authorization' header.")),
        (Some(value), None, false) => read_header(request, value),
    }
}

fn read_header<'a>(
    request: &SignedRequest<'a>,
    value: &'a [u8],
) -> Result<Claim<'a>, SignatureError> {
    let text = str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= MAX_AUTHORIZATION && !text.contains(|c: char| c.is_control()));
    let Some(text) = text else {
        return Err(incomplete(
            "The Authorization header is not a line of text of at most 8 KB.",
        ));
    };
    let (algorithm, parameters) = text.split_once(' ').unwrap_or((text, ""));
    check_not_asymmetric(algorithm)?;

    let [mut credential, mut signature, mut signed_headers] = [None; 3];
    for parameter in parameters
        .split([',', ' '])
        .filter(|parameter| !parameter.is_empty())
    {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(incomplete(format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with \
                 SHA-256 and encoded with Base64): '{}'.",
                hashed(parameter)
            )));
        };
        let place = match name {
            "Credential" => &mut credential,
            "Signature" => &mut signature,
            "SignedHeaders" => &mut signed_headers,
            // Other schemes than ours end up here too, and are told what is missing.
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(incomplete(format!(
                "Authorization header has '{name}' more than once."
            )));
        }
    }
    let signed_at = header_date(request)?;

    let (Some(credential), Some(signature), Some(signed_headers), Some(signed_at)) =
        (credential, signature, signed_headers, signed_at)
    else {
        let mut message = String::new();
        for (name, value) in [
            ("Credential", credential),
            ("Signature", signature),
            ("SignedHeaders", signed_headers),
        ] {
            if value.is_none() {
                message += &format!("Authorization header requires '{name}' parameter. ");
            }
        }
        if signed_at.is_none() {
            message += "Authorization header requires existence of either a 'X-Amz-Date' or a \
                        'Date' header. ";
        }
        message += "(Hashed with SHA-256 and encoded with Base64) Authorization=";
        return Err(incomplete(message + &hashed(text)));
    };
    check_algorithm(algorithm)?;
    let token = single_header(request, "x-amz-security-token")?;
    let claim = Claim::new(
        Form::Header,
        credential,
        signature,
        signed_headers,
        token,
        signed_at,
    )?;
    if token.is_some() && !claim.signs("x-amz-security-token") {
        return Err(SignatureError::Misapplied(
            "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    Ok(claim)
}

/// The time of signing; nothing if the request has none.
fn header_date(request: &SignedRequest<'_>) -> Result<Option<u64>, SignatureError> {
    let (value, parse): (_, fn(&str) -> Option<u64>) = match single_header(request, "x-amz-date")? {
        Some(value) => (value, date::parse_basic),
        None => match single_header(request, "date")? {
            Some(value) => (value, date::parse_http),
            None => return Ok(None),
        },
    };
    let text = String::from_utf8_lossy(value);
    parse(text.trim()).map(Some).ok_or_else(|| bad_date(&text))
}

fn single_header<'a>(
    request: &SignedRequest<'a>,
    name: &str,
) -> Result<Option<&'a [u8]>, SignatureError> {
    let mut values = request.header(name);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(incomplete(format!("Found more than one '{name}' header."))),
    }
}

fn read_query<'a>(query: &'a [Pair<'a>]) -> Result<Claim<'a>, SignatureError> {
    const REQUIRED: [&str; 5] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-Date",
    ];
    let mut found = [None; REQUIRED.len()];
    for (name, place) in REQUIRED.iter().zip(&mut found) {
        *place = parameter(query, name)?;
    }
    if let Some(algorithm) = found[0] {
        check_not_asymmetric(algorithm)?;
    }
    let [
        Some(algorithm),
        Some(credential),
        Some(signature),
        Some(signed_headers),
        Some(date),
    ] = found
    else {
        let missing = REQUIRED
            .iter()
            .zip(found)
            .filter(|(_, value)| value.is_none());
        let message = missing.fold(String::new(), |message, (name, _)| {
            message + &format!("AWS query-string parameters must include '{name}'. ")
        });
        return Err(incomplete(
            message + "Re-examine the query-string parameters.",
        ));
    };
    check_algorithm(algorithm)?;
    let signed_at = date::parse_basic(date).ok_or_else(|| bad_date(date))?;
    let expires = match parameter(query, "X-Amz-Expires")? {
        None => CLOCK_SKEW,
        Some(text) => read_expires(text)?,
    };
    let token = parameter(query, "X-Amz-Security-Token")?.map(str::as_bytes);
    Claim::new(
        Form::Query { expires },
        credential,
        signature,
        signed_headers,
        token,
        signed_at,
    )
}

fn parameter<'a>(query: &'a [Pair<'a>], wanted: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = query
        .iter()
        .filter(|(name, _)| **name == *wanted.as_bytes())
        .map(|(_, value)| value);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(incomplete(format!(
            "Found '{wanted}' more than once in the query-string."
        )));
    }
    let text = str::from_utf8(value);
    text.map(Some)
        .map_err(|_| incomplete(format!("The value of '{wanted}' is not UTF-8.")))
}

fn read_expires(text: &str) -> Result<u64, SignatureError> {
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|c| c.is_ascii_digit());
    let seconds = text
        .parse()
        .ok()
        .filter(|&seconds| digits && seconds <= MAX_EXPIRES);
    seconds.ok_or_else(|| {
        incomplete(format!(
            "X-Amz-Expires must be a number of seconds from 0 to {MAX_EXPIRES}."
        ))
    })
}

impl<'a> Claim<'a> {
    fn new(
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

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(format!(
        "Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now)."
    )))
}

/// SigV4a has other parameters, so its callers would only learn that theirs are malformed.
fn check_not_asymmetric(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == "AWS4-ECDSA-P256-SHA256" {
        check_algorithm(algorithm)
    } else {
        Ok(())
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

fn bad_date(text: &str) -> SignatureError {
    incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{text}'. See \
         http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

fn incomplete(message: impl Into<String>) -> SignatureError {
    SignatureError::IncompleteSignature(message.into())
}

/// How AWS shows a credential in an error: enough to compare, too little to use.
fn hashed(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
