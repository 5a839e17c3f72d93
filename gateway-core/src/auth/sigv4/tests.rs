//! Signatures made by AWS's own signer, tables of what is refused and how, and properties.

use proptest::prelude::*;

use super::*;

const HOST: &str = "4qxjtz3xx8.execute-api.eu-west-1.amazonaws.com";
const DATE: &str = "20241111T134546Z";
const NOW: u64 = 1_731_332_746;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const SCOPE: Scope<'_> = Scope {
    region: "eu-west-1",
    service: EXECUTE_API,
};

fn example() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        expires_at: None,
    }
}

fn temporary() -> Credentials {
    Credentials {
        session_token: Some(Secret::from("SESSIONTOKEN==")),
        ..example()
    }
}

/// A request that owns its parts, so that a test can change one.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    payload_hash: String,
}

impl Request {
    fn new(method: &str, path: &str, query: &str, body: &[u8]) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![("Host".to_owned(), HOST.into())],
            payload_hash: payload_hash(body),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn borrowed<T>(&self, use_it: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        use_it(&SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            payload_hash: &self.payload_hash,
        })
    }

    fn signed(self, credentials: &Credentials) -> Self {
        let added = self
            .borrowed(|request| sign(request, credentials, SCOPE, NOW))
            .unwrap();
        added
            .into_iter()
            .fold(self, |request, (name, value)| request.with(name, value))
    }

    fn presigned(mut self, credentials: &Credentials, expires: u64) -> Self {
        self.query = self
            .borrowed(|request| presign(request, credentials, SCOPE, NOW, expires))
            .unwrap();
        self
    }

    fn verify_at(&self, credentials: &Credentials, now: u64) -> Result<Verified, SignatureError> {
        let find = |id: &str| (id == credentials.access_key_id).then(|| credentials.clone());
        self.borrowed(|request| verify(request, &find, now, EXECUTE_API))
    }

    fn verify(&self, credentials: &Credentials) -> Result<Verified, SignatureError> {
        self.verify_at(credentials, NOW)
    }
}

/// Sent as botocore sends it, with the signature that botocore computed.
fn vector(method: &str, path: &str, body: &[u8], signature: &str) -> Request {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241111/eu-west-1/execute-api/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    Request::new(method, path, "", body)
        .with("X-Amz-Date", DATE)
        .with("Authorization", authorization)
}

const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20241111\
     %2Feu-west-1%2Fexecute-api%2Faws4_request&X-Amz-Date=20241111T134546Z&X-Amz-Expires=300\
     &X-Amz-SignedHeaders=host";

fn presigned_vectors() -> [(Request, Credentials); 2] {
    let first = format!(
        "{PRESIGNED}&X-Amz-Signature=0e1ae08b4d24524892f79663c5703139bc3572ce65ed791aa46bdae079fe8917"
    );
    let second = format!(
        "room=a%20b&token=t1&{PRESIGNED}&X-Amz-Security-Token=SESSIONTOKEN%3D%3D\
         &X-Amz-Signature=d334b2e7c600fe6a3d9e7a84f4d605df06d5c38a69eff0627098404430b2739b"
    );
    [
        (Request::new("GET", "/prod", &first, b""), example()),
        (Request::new("GET", "/prod", &second, b""), temporary()),
    ]
}

/// The canonical request that a refusal shows, once the signature has been spoilt.
fn canonical_hash(mut request: Request, credentials: &Credentials) -> String {
    let spoil = |text: &str| match text.rsplit_once("Signature=") {
        Some((rest, _)) => format!("{rest}Signature=0"),
        None => text.to_owned(),
    };
    request.query = spoil(&request.query);
    for (_, value) in &mut request.headers {
        *value = spoil(str::from_utf8(value).unwrap()).into_bytes();
    }
    match request.verify(credentials) {
        Err(SignatureError::InvalidSignature {
            canonical_request, ..
        }) => payload_hash(canonical_request.as_bytes()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn signatures_of_the_aws_signer_verify_and_are_reproduced() {
    #[track_caller]
    fn check(method: &str, path: &str, body: &[u8], canonical: &str, signature: &str) {
        let request = vector(method, path, body, signature);
        let verified = request.verify(&example()).unwrap();
        let expected = Verified {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            region: "eu-west-1".to_owned(),
            signed_at: NOW,
            presigned: false,
        };
        assert_eq!(verified, expected);
        assert_eq!(canonical_hash(request.clone(), &example()), canonical);
        let signed = Request::new(method, path, "", body).signed(&example());
        assert_eq!(
            signed.headers.last().unwrap().1,
            request.headers.last().unwrap().1
        );
    }

    assert_eq!(payload_hash(b"hello"), HELLO);
    check(
        "GET",
        "/prod",
        b"",
        "6407a9a400c809e0ab4f72d689a7e3ac733d374e786b5ed08b59bef22b5b663f",
        "b1cc3807f5276bc4563bc06eae363602a2a914472e9eb5271f41db7ec8be5fde",
    );
    check(
        "POST",
        "/prod/@connections/BFaT_fALIAMCKug%3D",
        b"hello",
        "9189db17034aa12ff12d5a5cf2d01924ce8b1756871c8ea653635c21269f38fe",
        "9d87bde18a926662b728f4a45fe8147f1b61e1a28094a33ce757e645f716fb8a",
    );
    check(
        "POST",
        "/prod/%40connections/BFaT_fALIAMCKug%3D",
        b"hello",
        "607c5b917858ce41b43d2b71549dfd9aae6e8b9fd5eea1a68662b73873138a51",
        "c700daee96b63352c25301a3844552b777c1f25f8f882c646af6c8f04545ce5f",
    );
    check(
        "DELETE",
        "/$default/@connections/BFaT_fALIAMCKug%3D",
        b"",
        "90faa2f9749882dce7ab6b5a0ed5909569dce6dc116e41b1590fafb86bf0f287",
        "213746bb9f42ae294e77b53d062c35bb208a71e7dd3e4c4c6de45568dd3a11c3",
    );
}

#[test]
fn urls_presigned_by_the_aws_signer_verify_and_are_reproduced() {
    let hashes = [
        "57d3cfefe357040748c4377c73346d4735c49349a5dcbd9253ceb50a42cb377d",
        "6b3231deab303e60291c824f39ff10f1c5927c034ddf85871f7fda3bfe70a934",
    ];
    let queries = ["", "room=a%20b&token=t1"];
    for (index, (request, credentials)) in presigned_vectors().into_iter().enumerate() {
        assert!(request.verify(&credentials).unwrap().presigned);
        assert_eq!(canonical_hash(request.clone(), &credentials), hashes[index]);
        let ours = Request::new("GET", "/prod", queries[index], b"").presigned(&credentials, 300);
        assert_eq!(ours.query, request.query);
    }
}

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
    assert_eq!(
        (error.status(), error.error_type()),
        (403, "InvalidSignatureException")
    );
}

#[test]
fn every_refusal_has_its_status_and_type() {
    #[track_caller]
    fn check(error: &SignatureError, status: u16, error_type: &str, message: &str) {
        assert_eq!((error.status(), error.error_type()), (status, error_type));
        assert_eq!(error.message(), message);
    }

    let text = || "words".to_owned();
    check(
        &SignatureError::MissingToken,
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
    check(
        &SignatureError::IncompleteSignature(text()),
        400,
        "IncompleteSignatureException",
        "words",
    );
    check(
        &SignatureError::Misapplied(text()),
        403,
        "InvalidSignatureException",
        "words",
    );
    check(
        &SignatureError::Skewed(text()),
        403,
        "InvalidSignatureException",
        "words",
    );
    check(
        &SignatureError::UnrecognizedClient,
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    check(
        &SignatureError::ExpiredToken,
        403,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
}

#[test]
fn a_header_signature_lasts_five_minutes_either_way() {
    let request = Request::new("GET", "/prod", "", b"").signed(&example());
    let message = |now| {
        request
            .verify_at(&example(), now)
            .map_err(|error| error.message())
    };
    assert!(message(NOW - 300).is_ok());
    assert!(message(NOW + 300).is_ok());
    assert_eq!(
        message(NOW + 301),
        Err(
            "Signature expired: 20241111T134546Z is now earlier than 20241111T134547Z \
             (20241111T135047Z - 5 min.)"
                .to_owned()
        )
    );
    assert_eq!(
        message(NOW - 301),
        Err(
            "Signature not yet current: 20241111T134546Z is still later than 20241111T134545Z \
             (20241111T134045Z + 5 min.)"
                .to_owned()
        )
    );
    assert!(message(0).is_err() && message(u64::MAX).is_err());
}

#[test]
fn a_presigned_url_lasts_until_it_expires() {
    #[track_caller]
    fn check(expires: u64, now: u64, accepted: bool) {
        let request = Request::new("GET", "/prod", "", b"").presigned(&example(), expires);
        let result = request.verify_at(&example(), now);
        assert_eq!(result.is_ok(), accepted, "{result:?}");
    }

    check(60, NOW + 60, true);
    check(60, NOW + 61, false);
    check(60, NOW - 300, true);
    check(60, NOW - 301, false);
    check(0, NOW, true);
    check(0, NOW + 1, false);
    check(MAX_EXPIRES, NOW + MAX_EXPIRES, true);
    check(MAX_EXPIRES, NOW + MAX_EXPIRES + 1, false);
    check(MAX_EXPIRES + 1, NOW, false);
    check(MAX_EXPIRES, u64::MAX, false);

    let expired = Request::new("GET", "/prod", "", b"").presigned(&example(), 60);
    assert_eq!(
        expired
            .verify_at(&example(), NOW + 61)
            .unwrap_err()
            .message(),
        "Signature expired: 20241111T134646Z is now earlier than 20241111T134647Z"
    );
}

/// Signed by `presign` after the query has been edited, so that only the edit can be at fault.
fn resigned(query: &str) -> Request {
    let mut request = Request::new("GET", "/prod", query, b"");
    let error = request.verify(&example()).unwrap_err();
    let SignatureError::InvalidSignature { string_to_sign, .. } = error else {
        return request;
    };
    let key = key::SigningKey::derive(
        &example().secret_access_key,
        "20241111",
        "eu-west-1",
        EXECUTE_API,
    );
    request.query = query.replace(
        "Signature=0",
        &format!("Signature={}", key.signature(&string_to_sign)),
    );
    request
}

#[test]
fn a_presigned_url_without_a_life_lasts_five_minutes() {
    let query = format!(
        "{}&X-Amz-Signature=0",
        PRESIGNED.replace("&X-Amz-Expires=300", "")
    );
    let request = resigned(&query);
    assert!(request.verify_at(&example(), NOW + 300).is_ok());
    assert!(request.verify_at(&example(), NOW + 301).is_err());
}

#[test]
fn the_path_is_tried_as_sent_and_with_single_slashes() {
    let sent_as = |signed: &str, sent: &str| {
        let mut request = Request::new("POST", signed, "", b"x").signed(&example());
        request.path = sent.to_owned();
        request.verify(&example()).is_ok()
    };
    assert!(sent_as(
        "/prod//@connections/X%3D",
        "/prod//@connections/X%3D"
    ));
    assert!(sent_as(
        "/prod/@connections/X%3D",
        "/prod//@connections/X%3D"
    ));
    assert!(sent_as("", "/"));
    for other in [
        "/prod/@connections/X=",
        "/prod/%40connections/X%3D",
        "/prod/@connections/X%3d",
        "/prod/@connections/X%253D",
        "/prod/./@connections/X%3D",
        "/dev/../prod/@connections/X%3D",
        "/prod/%2e%2e/prod/@connections/X%3D",
        "/prod/@connections/X%3D/",
        "/dev/@connections/X%3D",
    ] {
        assert!(!sent_as("/prod/@connections/X%3D", other), "{other}");
    }
    assert!(!sent_as(
        "/prod//@connections/X%3D",
        "/prod/@connections/X%3D"
    ));
}

#[test]
fn the_body_is_what_was_signed() {
    #[track_caller]
    fn check(declared: Option<&str>, sent: &[u8], accepted: bool) {
        let request = Request::new("POST", "/prod/@connections/X%3D", "", b"hello");
        let request = match declared {
            Some(hash) => request.with("x-amz-content-sha256", hash),
            None => request,
        };
        let mut request = request.signed(&example());
        request.payload_hash = payload_hash(sent);
        assert_eq!(request.verify(&example()).is_ok(), accepted);
    }

    check(None, b"hello", true);
    check(None, b"hellO", false);
    check(Some(HELLO), b"hello", true);
    check(Some(HELLO), b"hellO", false);
    // Whatever hash the signature was made with, a signed header must not tell another.
    check(Some(EMPTY), b"hello", false);
    check(Some(UNSIGNED_PAYLOAD), b"hello", false);
    check(Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), b"hello", false);

    let unsigned = Request::new("POST", "/prod", "", b"hello").signed(&example());
    let unsigned = unsigned.with("x-amz-content-sha256", EMPTY);
    assert!(unsigned.verify(&example()).is_ok());
}

#[test]
fn an_unsigned_payload_is_for_presigned_handshakes_only() {
    let signed_without_payload = |method: &str, presigned: bool| {
        let mut request = Request::new(method, "/prod", "", b"");
        request.payload_hash = UNSIGNED_PAYLOAD.to_owned();
        if presigned {
            request.presigned(&example(), 60)
        } else {
            request
                .with("x-amz-content-sha256", UNSIGNED_PAYLOAD)
                .signed(&example())
        }
    };
    let accepted = |mut request: Request, body: &[u8]| {
        request.payload_hash = payload_hash(body);
        request.verify(&example()).is_ok()
    };
    assert!(accepted(signed_without_payload("GET", true), b""));
    assert!(!accepted(signed_without_payload("GET", true), b"x"));
    assert!(!accepted(signed_without_payload("POST", true), b""));
    assert!(!accepted(signed_without_payload("DELETE", true), b""));
    assert!(!accepted(signed_without_payload("GET", false), b""));
}

#[test]
fn a_session_token_must_be_that_of_the_credentials() {
    #[track_caller]
    fn check(signer: &Credentials, known: &Credentials, expected: Option<SignatureError>) {
        let request = Request::new("GET", "/prod", "a=b", b"");
        assert_eq!(request.clone().signed(signer).verify(known).err(), expected);
        assert_eq!(request.presigned(signer, 60).verify(known).err(), expected);
    }

    let other = Credentials {
        session_token: Some(Secret::from("OTHER")),
        ..example()
    };
    let ended = Credentials {
        expires_at: Some(NOW),
        ..temporary()
    };
    let ending = Credentials {
        expires_at: Some(NOW + 1),
        ..temporary()
    };
    let unknown = Some(SignatureError::UnrecognizedClient);
    check(&temporary(), &temporary(), None);
    check(&temporary(), &ending, None);
    check(&temporary(), &ended, Some(SignatureError::ExpiredToken));
    check(&other, &ended, unknown.clone());
    check(&other, &temporary(), unknown.clone());
    check(&temporary(), &example(), unknown.clone());
    check(&example(), &temporary(), unknown);
}

#[test]
fn a_token_outside_the_signature_does_not_count() {
    let request = Request::new("GET", "/prod", "", b"");
    let header = request
        .clone()
        .signed(&example())
        .with("x-amz-security-token", "SESSIONTOKEN==");
    assert_eq!(
        header.verify(&temporary()).unwrap_err().message(),
        "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization."
    );
    let mut query = request.presigned(&example(), 60);
    query.query += "&X-Amz-Security-Token=SESSIONTOKEN%3D%3D";
    let error = query.verify(&temporary()).unwrap_err();
    assert!(matches!(error, SignatureError::InvalidSignature { .. }));
}

#[test]
fn the_secret_and_the_service_matter() {
    let request = Request::new("GET", "/prod", "", b"").signed(&example());
    let other = Credentials {
        secret_access_key: Secret::from("other"),
        ..example()
    };
    assert!(matches!(
        request.verify(&other),
        Err(SignatureError::InvalidSignature { .. })
    ));
    let stranger = Credentials {
        access_key_id: "AKIDOTHER".to_owned(),
        ..example()
    };
    assert_eq!(
        request.verify(&stranger),
        Err(SignatureError::UnrecognizedClient)
    );
    let lambda = request.borrowed(|request| verify(request, &|_| Some(example()), NOW, "lambda"));
    assert_eq!(
        lambda.unwrap_err().message(),
        "Credential should be scoped to correct service: 'lambda'."
    );
}

#[test]
fn only_a_request_with_a_host_can_be_signed() {
    let mut request = Request::new("GET", "/prod", "", b"");
    request.headers.clear();
    let signed = request.borrowed(|request| sign(request, &example(), SCOPE, NOW));
    assert_eq!(signed, Err(UnsignableRequest::NoHost));
    let signed = request.borrowed(|request| presign(request, &example(), SCOPE, NOW, 60));
    assert_eq!(signed, Err(UnsignableRequest::NoHost));
}
