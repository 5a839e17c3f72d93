//! Signatures that botocore made, accepted and reproduced to the byte.

use super::*;

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

/// Signs as botocore did and compares the whole header.
#[track_caller]
fn check_signed(request: &Request, credentials: &Credentials, scope: Scope<'_>, expected: &str) {
    let added = request
        .borrowed(|request| sign(request, credentials, scope, NOW))
        .unwrap();
    assert_eq!(
        added.last().unwrap(),
        &("authorization", expected.to_owned())
    );
    let mut signed = request.clone();
    signed.headers.extend(
        added
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into())),
    );
    let find = |_: &str| Some(credentials.clone());
    signed
        .borrowed(|request| verify(request, &find, NOW, scope.service))
        .unwrap();
}

#[test]
fn a_lambda_call_is_signed_as_the_aws_signer_signs_it() {
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aecho\
                /invocations";
    let mut request = Request::new("POST", path, "", br#"{"a":1}"#)
        .with("X-Amz-Invocation-Type", "RequestResponse")
        .with("Content-Type", "application/json")
        .with("User-Agent", "not signed");
    request.headers[0].1 = b"lambda.eu-west-1.amazonaws.com".into();
    check_signed(
        &request,
        &temporary(),
        Scope {
            region: "eu-west-1",
            service: "lambda",
        },
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241111/eu-west-1/lambda/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token, \
         Signature=e60ae02835a139c01e3ca19f1d155a9adf216af22bd5cadf4790d7e4403359ba",
    );
}

#[test]
fn odd_queries_and_spaces_are_signed_as_the_aws_signer_signs_them() {
    let query = "b=x+y&a=1%2B1%3D2%26&%C3%A9=~%2A&A=";
    let mut request = Request::new("GET", "/prod", query, b"").with("X-Spaced", "  a   b  ");
    request.headers[0].1 = b"localhost:8080".into();
    check_signed(
        &request,
        &example(),
        Scope {
            region: "us-east-1",
            service: EXECUTE_API,
        },
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20241111/us-east-1/execute-api/aws4_request, \
         SignedHeaders=host;x-amz-date;x-spaced, \
         Signature=6df254e6fced29534d026cf6529778d547332fb4fb4eb694541ae154deb93e12",
    );
}
