//! The one spelling of a request that signer and verifier agree on.

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, percent_encode,
};
use sha2::{Digest, Sha256};

use super::{SignatureError, SignedRequest};

/// All that RFC 3986 does not call unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A query parameter, decoded: name and value.
pub(super) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The parts of the canonical request, each already in its canonical form.
#[derive(Clone)]
pub(super) struct CanonicalRequest<'a> {
    pub(super) method: &'a str,
    pub(super) uri: String,
    pub(super) query: String,
    /// One `name:value` line for each signed header.
    pub(super) headers: Vec<u8>,
    pub(super) signed_headers: &'a str,
    pub(super) payload_hash: &'a str,
}

impl CanonicalRequest<'_> {
    /// Bytes and not text, since header values are bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [
            self.method.as_bytes(),
            self.uri.as_bytes(),
            self.query.as_bytes(),
            &self.headers,
            self.signed_headers.as_bytes(),
            self.payload_hash.as_bytes(),
        ]
        .join(&b'\n')
    }
}

/// SHA-256 of a body as 64 lower-case hexadecimal digits.
pub fn payload_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Whether a hash is that of no body.
pub(super) fn is_empty_payload(hash: &str) -> bool {
    hash == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Each segment of the path as sent, encoded once more: what came as `%3D` is signed as `%253D`.
/// So do all AWS services but S3.
pub(super) fn uri(path: &str) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    path.split('/')
        .map(encode_text)
        .collect::<Vec<_>>()
        .join("/")
}

/// The path with each run of slashes made one; nothing if there is none to shorten. Dot segments
/// stay: to the gateway they are names like any other.
pub(super) fn collapse_slashes(path: &str) -> Option<String> {
    if !path.contains("//") {
        return None;
    }
    let mut after_slash = false;
    let kept = path.chars().filter(|&c| {
        let repeated = c == '/' && after_slash;
        after_slash = c == '/';
        !repeated
    });
    Some(kept.collect())
}

/// Takes a query apart. `+` is a space, as in a form: whoever reads the parameters later reads it
/// so, and a signature must cover what is read. Bad percent escapes stand for themselves.
pub(super) fn decode_query(query: &str) -> Vec<Pair<'_>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The parameters encoded in the one right way and in order, without the signature itself.
pub(super) fn query(pairs: &[Pair<'_>]) -> String {
    let signed = pairs
        .iter()
        .filter(|(name, _)| **name != *b"X-Amz-Signature");
    let mut encoded: Vec<_> = signed
        .map(|(name, value)| (encode(name).to_string(), encode(value).to_string()))
        .collect();
    encoded.sort_unstable();
    let joined: Vec<_> = encoded
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    joined.join("&")
}

/// The signed headers, a line each in the order of the list `signed`, which is in lower case and
/// separated by `;`.
pub(super) fn headers(
    request: &SignedRequest<'_>,
    signed: &str,
) -> Result<Vec<u8>, SignatureError> {
    let mut lines = Vec::new();
    for name in signed.split(';') {
        let mut values = request.header(name);
        let Some(first) = values.next() else {
            return Err(SignatureError::Misapplied(format!(
                "'{name}' is a 'SignedHeader' in the AWS Authorization, but the request has no \
                 such header."
            )));
        };
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        push_trimmed(&mut lines, first);
        for value in values {
            lines.push(b',');
            push_trimmed(&mut lines, value);
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Without outer white space, and with inner runs of it as one space.
fn push_trimmed(line: &mut Vec<u8>, value: &[u8]) {
    let words = value
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(word);
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(bytes: &[u8]) -> percent_encoding::PercentEncode<'_> {
    percent_encode(bytes, ENCODED)
}

fn encode_text(text: &str) -> String {
    encode(text.as_bytes()).to_string()
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        return Cow::Owned(percent_decode(text.replace('+', " ").as_bytes()).collect());
    }
    percent_decode_str(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_segments_are_encoded_again() {
        #[track_caller]
        fn check(path: &str, expected: &str) {
            assert_eq!(uri(path), expected);
        }

        check("/prod/@connections/X%3D", "/prod/%40connections/X%253D");
        check("/prod/%40connections/X%3D", "/prod/%2540connections/X%253D");
        check("/prod/@connections/X=", "/prod/%40connections/X%3D");
        check(
            "/$default/@connections/X%3D",
            "/%24default/%40connections/X%253D",
        );
        check("", "/");
        check("/", "/");
        check("/prod/", "/prod/");
        check("//prod//", "//prod//");
        check("/a/../b/./%2e%2e", "/a/../b/./%252e%252e");
        check("/é ~-._", "/%C3%A9%20~-._");
    }

    #[test]
    fn only_doubled_slashes_are_collapsed() {
        #[track_caller]
        fn check(path: &str, expected: Option<&str>) {
            assert_eq!(collapse_slashes(path).as_deref(), expected);
        }

        check("/prod//@connections/X", Some("/prod/@connections/X"));
        check("///a////b//", Some("/a/b/"));
        check("/a/../b", None);
        check("/a/./b/", None);
        check("", None);
    }

    #[test]
    fn queries_are_decoded_encoded_and_sorted() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(query(&decode_query(text)), expected);
        }

        check("", "");
        check("&&", "");
        check("b=2&a=1", "a=1&b=2");
        check("a=2&a=1&A=3", "A=3&a=1&a=2");
        check("a", "a=");
        check("a=b=c", "a=b%3Dc");
        check("=x", "=x");
        check("a=b%20c&d=e+f&g=%2b", "a=b%20c&d=e%20f&g=%2B");
        check("a=%7e%2F", "a=~%2F");
        check("a=%zz%", "a=%25zz%25");
        check("a=é&b=%ff", "a=%C3%A9&b=%FF");
        // By the encoded name, so `a%2B` comes before `aA`.
        check("aA=1&a%2B=2&a=3", "a=3&a%2B=2&aA=1");
        check("X-Amz-Signature=x&X-Amz-Date=y", "X-Amz-Date=y");
        check("x-amz-signature=x", "x-amz-signature=x");
    }

    #[test]
    fn header_values_are_trimmed_and_joined() {
        let request = SignedRequest {
            method: "GET",
            path: "/",
            query: "",
            headers: &[
                ("Host", b"h"),
                ("X-A", b"  1 \t 2  "),
                ("x-a", b""),
                ("X-a", b"\xff"),
            ],
            payload_hash: "",
        };
        assert_eq!(
            headers(&request, "host;x-a").unwrap(),
            b"host:h\nx-a:1 2,,\xff\n"
        );
        let error = headers(&request, "host;x-b").unwrap_err();
        assert_eq!(error.error_type(), "InvalidSignatureException");
    }
}
