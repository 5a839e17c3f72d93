//! Where a signature stands in a request, and how it is taken apart. Reading proves nothing yet.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::canonical::Pair;
use super::claim::{Claim, Form, incomplete};
use super::{ALGORITHM, CLOCK_SKEW, MAX_EXPIRES, SignatureError, SignedRequest, date};

/// Longer headers than this are not read. A genuine one has some 300 bytes.
const MAX_AUTHORIZATION: usize = 8 * 1024;

/// What a signature in a header cannot do without, in the order in which AWS asks for it.
const IN_HEADER: [&str; 3] = ["Credential", "Signature", "SignedHeaders"];

/// What a signature in a query cannot do without, in the order in which AWS asks for it.
const IN_QUERY: [&str; 5] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
];

/// Finds the claim of a request, in whichever of the two places it stands.
pub(super) fn claim<'a>(
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
    let found = header_parameters(parameters)?;
    let signed_at = header_date(request)?;
    let ([Some(credential), Some(signature), Some(signed_headers)], Some(signed_at)) =
        (found, signed_at)
    else {
        return Err(header_lacks(found, signed_at, text));
    };
    // Before the credential, which has other parts in SigV4a.
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

/// What [`IN_HEADER`] names, in its order. Parameters of other names are passed over: other schemes
/// than ours come here too, and learn that what they have is not what is required.
fn header_parameters(text: &str) -> Result<[Option<&str>; IN_HEADER.len()], SignatureError> {
    let mut found = [None; IN_HEADER.len()];
    for parameter in text
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
        let Some(index) = IN_HEADER.iter().position(|known| *known == name) else {
            continue;
        };
        if found[index].replace(value).is_some() {
            return Err(incomplete(format!(
                "Authorization header has '{name}' more than once."
            )));
        }
    }
    Ok(found)
}

fn header_lacks(
    found: [Option<&str>; IN_HEADER.len()],
    signed_at: Option<u64>,
    authorization: &str,
) -> SignatureError {
    let missing = IN_HEADER
        .iter()
        .zip(found)
        .filter(|(_, value)| value.is_none());
    let mut lacks: Vec<String> = missing
        .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
        .collect();
    if signed_at.is_none() {
        lacks.push(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
                .to_owned(),
        );
    }
    incomplete(format!(
        "{} (Hashed with SHA-256 and encoded with Base64) Authorization={}",
        lacks.join(" "),
        hashed(authorization)
    ))
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
    let mut found = [None; IN_QUERY.len()];
    for (name, place) in IN_QUERY.iter().zip(&mut found) {
        *place = parameter(query, name)?;
    }
    let [
        Some(algorithm),
        Some(credential),
        Some(signature),
        Some(signed_headers),
        Some(date),
    ] = found
    else {
        let missing = IN_QUERY
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

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(format!(
        "Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now)."
    )))
}

fn bad_date(text: &str) -> SignatureError {
    incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{text}'. See \
         http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

/// How AWS shows a credential in an error: enough to compare, too little to use.
fn hashed(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
