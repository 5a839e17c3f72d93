//! When a signature holds: time, path, body, token, key. Beside: AWS's own signatures, malformed
//! ones, and properties.

mod malformed;
mod properties;
mod vectors;

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
    fn check(signer: &Credentials, known: &Credentials, expected: Option<&SignatureError>) {
        let request = Request::new("GET", "/prod", "a=b", b"");
        assert_eq!(
            request.clone().signed(signer).verify(known).err().as_ref(),
            expected
        );
        assert_eq!(
            request.presigned(signer, 60).verify(known).err().as_ref(),
            expected
        );
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
    let unknown = Some(&SignatureError::UnrecognizedClient);
    check(&temporary(), &temporary(), None);
    check(&temporary(), &ending, None);
    check(&temporary(), &ended, Some(&SignatureError::ExpiredToken));
    check(&other, &ended, unknown);
    check(&other, &temporary(), unknown);
    check(&temporary(), &example(), unknown);
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
