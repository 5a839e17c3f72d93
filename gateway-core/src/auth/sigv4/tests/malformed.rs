//! What cannot be accepted, and the words in which that is said.

use super::*;

#[test]
fn a_wrong_signature_is_told_what_would_have_been_right() {
    let path = "/test/@connections/Zmk8OfXhoAMCJ1Q%3D";
    let error = vector("POST", path, b"hello", "0")
        .verify(&example())
        .unwrap_err();
    let canonical = format!(
        "POST\n/test/%40connections/Zmk8OfXhoAMCJ1Q%253D\n\nhost:{HOST}\nx-amz-date:{DATE}\n\n\
         host;x-amz-date\n{HELLO}"
    );
    let hash = payload_hash(canonical.as_bytes());
    assert_eq!(
        error.message(),
        format!(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n\
             The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n{DATE}\n\
             20241111/eu-west-1/execute-api/aws4_request\n{hash}'\n"
        )
    );
    assert_eq!(error.error_type(), "InvalidSignatureException");
}

#[test]
fn every_refusal_has_its_type_and_words() {
    #[track_caller]
    fn check(error: &SignatureError, error_type: &str, message: &str) {
        assert_eq!(error.error_type(), error_type);
        assert_eq!(error.message(), message);
    }

    let text = || "words".to_owned();
    check(
        &SignatureError::MissingToken,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
    check(
        &SignatureError::IncompleteSignature(text()),
        "IncompleteSignatureException",
        "words",
    );
    check(
        &SignatureError::Misapplied(text()),
        "InvalidSignatureException",
        "words",
    );
    check(
        &SignatureError::Skewed(text()),
        "InvalidSignatureException",
        "words",
    );
    check(
        &SignatureError::UnrecognizedClient,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    check(
        &SignatureError::ExpiredToken,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
}

const CREDENTIAL: &str = "Credential=AKIDEXAMPLE/20241111/eu-west-1/execute-api/aws4_request";
const FULL_LIST: &str = "Authorization header requires 'Credential' parameter. Authorization header \
     requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. ";

/// Sends an `Authorization` header; `expected` is how the refusal begins. A `~` in the header
/// stands for a well-formed credential.
#[track_caller]
fn check_header(authorization: &str, expected: &str) {
    let authorization = authorization.replace('~', CREDENTIAL);
    let request = Request::new("GET", "/prod", "", b"")
        .with("x-amz-date", DATE)
        .with("authorization", authorization.as_str());
    let error = request.verify(&example()).unwrap_err();
    let shown = error.message();
    assert!(shown.starts_with(expected), "{authorization}\n{shown}");
}

#[test]
fn malformed_authorization_headers_are_refused() {
    let no_pair = "Invalid key=value pair (missing equal-sign) in Authorization header (hashed \
                   with SHA-256 and encoded with Base64): '";
    let five = "Credential must have exactly 5 slash-delimited elements, e.g. \
                keyid/date/region/service/term, got '";
    let list = "SignedHeaders must be";
    let line = "The Authorization header is not a line of text";
    let mismatch = "The request signature we calculated does not match";
    check_header("", "Missing Authentication Token");
    check_header("AWS4-HMAC-SHA256", FULL_LIST);
    check_header("AWS4-HMAC-SHA256 ", &format!("{FULL_LIST}(Hashed"));
    check_header("Basic dXNlcjpwYXNz", no_pair);
    check_header("Basic dXNlcjpwYXN=", FULL_LIST);
    check_header(
        "Bearer abc",
        &format!("{no_pair}ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='."),
    );
    check_header(
        "AWS4-HMAC-SHA256 ~ SignedHeaders=host",
        "Authorization header requires 'Signature' parameter. (Hashed",
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, Signature=0",
        "Authorization header requires 'SignedHeaders' parameter. (Hashed",
    );
    check_header(
        "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0",
        "Authorization header requires 'Credential' parameter. (Hashed",
    );
    check_header("AWS4-HMAC-SHA256 ~, SignedHeaders=host, Signature", no_pair);
    check_header(
        "AWS4-HMAC-SHA256 Credential= AKID/20241111/x, SignedHeaders=host, Signature=0",
        no_pair,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, ~, SignedHeaders=host, Signature=0",
        "Authorization header has 'Credential' more than once.",
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host, Signature=0, Signature=0",
        "Authorization header has 'Signature' more than once.",
    );
    check_header(
        "AWS4-HMAC-SHA512 ~, SignedHeaders=host, Signature=0",
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'",
    );
    check_header(
        "aws4-hmac-sha256 ~, SignedHeaders=host, Signature=0",
        "Unsupported AWS 'algorithm': 'aws4-hmac-sha256'",
    );
    check_header(
        "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20241111/execute-api/aws4_request, SignedHeaders=host;x-amz-region-set, Signature=30",
        "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now).",
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=0",
        &format!("{five}'"),
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=0",
        &format!("{five}a/b/c/d'"),
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, SignedHeaders=host, Signature=0",
        five,
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=/20241111/eu-west-1/execute-api/aws4_request, SignedHeaders=host, Signature=0",
        "The security token included in the request is invalid.",
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241112/eu_west/s3/aws5, SignedHeaders=host, Signature=0",
        "Credential should be scoped to a valid region, not 'eu_west'. Credential should be \
         scoped to correct service: 'execute-api'. Credential should be scoped with a valid \
         terminator: 'aws4_request', not 'aws5'. Date in Credential scope does not match YYYYMMDD \
         from ISO-8601 version of date from HTTP: '20241112' != '20241111', from '20241111T134546Z'.",
    );
    check_header(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241111//execute-api/aws4_request, SignedHeaders=host, Signature=0",
        "Credential should be scoped to a valid region",
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=x-amz-date, Signature=0",
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
    check_header("AWS4-HMAC-SHA256 ~, SignedHeaders=, Signature=0", list);
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=Host;X-Amz-Date, Signature=0",
        list,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host;host, Signature=0",
        list,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host;;x-amz-date, Signature=0",
        list,
    );
    check_header("AWS4-HMAC-SHA256 ~, SignedHeaders=host;, Signature=0", list);
    check_header(
        &format!(
            "AWS4-HMAC-SHA256 ~, SignedHeaders=host{}, Signature=0",
            ";a".repeat(3000)
        ),
        list,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host;x-other, Signature=0",
        "'x-other' is a 'SignedHeader'",
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host, Signature=",
        mismatch,
    );
    check_header(
        &format!(
            "AWS4-HMAC-SHA256 ~, SignedHeaders=host, Signature={}",
            "0".repeat(64)
        ),
        mismatch,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~,\tSignedHeaders=host,\tSignature=0",
        line,
    );
    check_header(
        "AWS4-HMAC-SHA256 ~, SignedHeaders=host\u{0}, Signature=0",
        line,
    );
    check_header(&"x".repeat(9000), line);
}

#[test]
fn keys_are_looked_up_only_if_they_can_be_keys() {
    #[track_caller]
    fn check(access_key_id: &str, looked_up: bool) {
        let credentials = Credentials {
            access_key_id: access_key_id.to_owned(),
            ..example()
        };
        let request = Request::new("GET", "/prod", "", b"").presigned(&credentials, 60);
        assert_eq!(
            request.verify(&credentials).is_ok(),
            looked_up,
            "{access_key_id}"
        );
    }

    check("a", true);
    check(&"A".repeat(128), true);
    check(&"A".repeat(129), false);
    check("", false);
    check("a b", false);
    check("a\nb", false);
    check("é", false);
}

#[test]
fn an_authorization_header_must_be_text() {
    let request = Request::new("GET", "/", "", b"").with("authorization", b"AWS4 \xff".to_vec());
    let error = request.verify(&example()).unwrap_err();
    assert_eq!(error.error_type(), "IncompleteSignatureException");
}

#[test]
fn commas_and_spaces_separate_alike_and_order_is_free() {
    let signed = Request::new("GET", "/prod", "", b"").signed(&example());
    let authorization = String::from_utf8(signed.headers.last().unwrap().1.clone()).unwrap();
    let accepted = |text: String| {
        let mut request = signed.clone();
        request.headers.last_mut().unwrap().1 = text.into_bytes();
        request.verify(&example()).is_ok()
    };
    assert!(accepted(authorization.replace(", ", ",")));
    assert!(accepted(authorization.replace(", ", " ")));
    let (algorithm, rest) = authorization.split_once(' ').unwrap();
    let mut parts: Vec<_> = rest.split(", ").collect();
    parts.reverse();
    assert!(accepted(format!("{algorithm} {}", parts.join(", "))));
    let (rest, signature) = authorization.split_once("Signature=").unwrap();
    assert!(!accepted(format!(
        "{rest}Signature={}",
        signature.to_uppercase()
    )));
}

#[test]
fn a_request_is_signed_once_and_in_one_place() {
    let signed = Request::new("GET", "/prod", "", b"").signed(&example());
    let message = |request: &Request| request.verify(&example()).unwrap_err().message();

    let authorization = signed.headers.last().unwrap().1.clone();
    let twice = signed.clone().with("AUTHORIZATION", authorization);
    assert_eq!(
        message(&twice),
        "Found more than one 'Authorization' header."
    );
    let mut both = signed.clone();
    both.query = Request::new("GET", "/prod", "", b"")
        .presigned(&example(), 60)
        .query;
    assert_eq!(
        message(&both),
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
    );
    let dates = signed.clone().with("X-Amz-Date", DATE);
    assert_eq!(message(&dates), "Found more than one 'x-amz-date' header.");
    let tokens = signed
        .with("x-amz-security-token", "a")
        .with("x-amz-security-token", "b");
    assert_eq!(
        message(&tokens),
        "Found more than one 'x-amz-security-token' header."
    );
}

#[test]
fn a_header_signature_needs_a_readable_date() {
    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        let request = Request::new("GET", "/prod", "", b"")
            .with(name, value)
            .with(
                "authorization",
                format!("AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host, Signature=0"),
            );
        let error = request.verify(&example()).unwrap_err();
        assert!(error.message().starts_with(expected), "{error}");
    }

    let mismatch = "The request signature we calculated does not match";
    let format = "Date must be in ISO-8601 'basic format'. Got '";
    check("x-amz-date", DATE, mismatch);
    check("date", DATE, mismatch);
    check("date", "Mon, 11 Nov 2024 13:45:46 GMT", mismatch);
    check("x-amz-date", "Mon, 11 Nov 2024 13:45:46 GMT", format);
    check(
        "x-amz-date",
        "201",
        "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
    );
    check("x-amz-date", "", format);
    check("date", "today", format);
    check(
        "x-other",
        DATE,
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed",
    );
}

#[test]
fn malformed_presigned_urls_are_refused() {
    #[track_caller]
    fn check(query: &str, expected: &str) {
        let request = Request::new("GET", "/prod", query, b"");
        let error = request.verify(&example()).unwrap_err();
        let shown = error.message();
        assert!(shown.starts_with(expected), "{query}\n{shown}");
    }

    let full = format!("{PRESIGNED}&X-Amz-Signature=0");
    let without = |name: &str| {
        let kept: Vec<_> = full
            .split('&')
            .filter(|part| !part.starts_with(name))
            .collect();
        kept.join("&")
    };
    let with = |name: &str, value: &str| format!("{}&{name}={value}", without(name));
    let expires = "X-Amz-Expires must be a number of seconds from 0 to 604800.";
    let date = "Date must be in ISO-8601 'basic format'.";

    check(&full, "The request signature we calculated does not match");
    check("", "Missing Authentication Token");
    check(
        "X-Amz-Date=20241111T134546Z&X-Amz-Expires=1",
        "Missing Authentication Token",
    );
    check("x-amz-signature=0", "Missing Authentication Token");
    check(
        "X-Amz-Signature=0",
        "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string \
         parameters must include 'X-Amz-Credential'. AWS query-string parameters must include \
         'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine \
         the query-string parameters.",
    );
    for name in [
        "Algorithm",
        "Credential",
        "Signature",
        "SignedHeaders",
        "Date",
    ] {
        let name = format!("X-Amz-{name}");
        let query = without(&format!("{name}="));
        check(
            &query,
            &format!("AWS query-string parameters must include '{name}'. Re-examine"),
        );
        let query = format!("{full}&{name}=x");
        check(
            &query,
            &format!("Found '{name}' more than once in the query-string."),
        );
        check(
            &with(&format!("{name}="), "%ff").replace("==", "="),
            &format!("The value of '{name}' is not UTF-8."),
        );
    }
    check(
        &format!("{full}&X-Amz-Expires=1"),
        "Found 'X-Amz-Expires' more than once",
    );
    check(
        &format!("{full}&X-Amz-Security-Token=a&X-Amz-Security-Token=a"),
        "Found 'X-Amz-Security-Token' more than once",
    );
    check(
        &with("X-Amz-Algorithm", "AWS4-HMAC-SHA1"),
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'",
    );
    let asymmetric = with("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256").replace("%2Feu-west-1", "");
    check(
        &asymmetric,
        "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'",
    );
    check(
        &with("X-Amz-Credential", "AKIDEXAMPLE"),
        "Credential must have exactly 5",
    );
    check(
        &with(
            "X-Amz-Credential",
            "AKIDEXAMPLE/20241110/eu-west-1/execute-api/aws4_request",
        ),
        "Date in Credential scope",
    );
    check(&with("X-Amz-Date", ""), date);
    check(&with("X-Amz-Date", "Mon,+11+Nov+2024+13:45:46+GMT"), date);
    check(
        &with("X-Amz-SignedHeaders", "x-amz-date"),
        "'Host' or ':authority'",
    );
    for life in [
        "",
        "-1",
        "%2B1",
        "1.5",
        "604801",
        "9999999",
        "99999999999999999999",
        "1s",
        "%D9%A1",
    ] {
        check(&with("X-Amz-Expires", life), expires);
    }
}
