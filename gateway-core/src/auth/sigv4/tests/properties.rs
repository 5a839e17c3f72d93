//! What must hold for every request.

use proptest::prelude::*;

use super::*;

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "(/[a-z$@%.=-]{0,6}){0,5}",
        "/[ -~é\u{1F600}]{0,30}",
        Just("/prod//@connections/X%3D".to_owned()),
    ]
}

/// Any query that does not itself look signed.
fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c=&+%20]{0,20}",
        "[ -~é]{0,40}",
        "([a-z]{1,4}=[a-z%+]{0,4}&){0,4}"
    ]
    .prop_filter("would be a second signature", |query| {
        !query.contains("X-Amz")
    })
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let value = prop_oneof![
        "[ -~\t]{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(0x20_u8..=0xff, 0..20),
    ];
    proptest::collection::vec(("(x-[a-c]{1,2}|X-[A-C]|accept|user-agent)", value), 0..6)
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let token = proptest::option::of("[A-Za-z0-9/+=]{1,40}".prop_map(Secret::from));
    ("[!-.0-9A-Z_a-z]{1,40}", ".{0,80}", token)
        .prop_filter("a comma would end it", |(id, ..)| !id.contains(','))
        .prop_map(|(access_key_id, secret, session_token)| Credentials {
            access_key_id,
            secret_access_key: Secret::from(secret),
            session_token,
            expires_at: None,
        })
}

prop_compose! {
    fn request()(
        method in "GET|POST|DELETE|PUT", path in path(), query in query(), headers in headers(),
        body in proptest::collection::vec(any::<u8>(), 0..20),
    ) -> Request {
        let request = Request::new(&method, &path, &query, &body);
        headers.into_iter().fold(request, |request, (name, value)| request.with(&name, value))
    }
}

/// Every place of a plain request which a signature covers or consists of.
fn places(request: &mut Request) -> Vec<&mut String> {
    vec![
        &mut request.method,
        &mut request.path,
        &mut request.query,
        &mut request.payload_hash,
    ]
}

/// Replaces the `at`th letter or digit of the request, wherever that is. Nothing if `to` is that
/// character already: escapes may be written in either case.
fn change(request: &mut Request, at: usize, to: char) -> Option<()> {
    let mut texts: Vec<String> = places(request)
        .into_iter()
        .map(|text| text.clone())
        .collect();
    let in_headers = request
        .headers
        .iter()
        .map(|(_, value)| String::from_utf8(value.clone()).unwrap());
    texts.extend(in_headers);
    let spots: Vec<(usize, usize)> = texts
        .iter()
        .enumerate()
        .flat_map(|(text, content)| content.char_indices().map(move |(at, c)| (text, at, c)))
        .filter(|(.., c)| c.is_ascii_alphanumeric())
        .map(|(text, at, _)| (text, at))
        .collect();
    let (text, at) = spots[at % spots.len()];
    let content = &mut texts[text];
    if content[at..].starts_with(|c: char| c.eq_ignore_ascii_case(&to)) {
        return None;
    }
    content.replace_range(at..=at, to.encode_utf8(&mut [0; 4]));
    let changed = content.clone();
    match text.checked_sub(4) {
        Some(header) => request.headers[header].1 = changed.into_bytes(),
        None => *places(request).swap_remove(text) = changed,
    }
    Some(())
}

prop_compose! {
    fn plain_request()(
        path in "(/[a-z0-9]{1,5}){1,4}(%3D)?", query in "([a-z0-9]{1,4}=[a-z0-9]{1,4}&){0,3}z=1",
        header in "[a-z0-9]{1,8}( [a-z0-9]{1,8})?", body in "[a-z]{0,5}",
    ) -> Request {
        Request::new("POST", &path, &query, body.as_bytes()).with("X-Plain", header)
    }
}

proptest! {
    #[test]
    fn what_was_signed_verifies(request in request(), credentials in credentials()) {
        let signed = request.clone().signed(&credentials);
        prop_assert_eq!(signed.verify(&credentials).map(|verified| verified.presigned), Ok(false));
        let presigned = request.presigned(&credentials, 60);
        prop_assert_eq!(presigned.verify(&credentials).map(|verified| verified.presigned), Ok(true));
    }

    #[test]
    fn a_changed_header_signed_request_fails(
        request in plain_request(), at: usize, to in "[A-Za-z0-9]",
    ) {
        let mut request = request.signed(&temporary());
        prop_assert!(request.verify(&temporary()).is_ok());
        let to = to.chars().next().unwrap();
        prop_assume!(change(&mut request, at, to).is_some());
        prop_assert!(request.verify(&temporary()).is_err());
    }

    #[test]
    fn a_changed_presigned_request_fails(
        request in plain_request(), at: usize, to in "[A-Za-z0-9]",
    ) {
        let mut request = request;
        // Only `host` is signed here.
        request.headers.truncate(1);
        let mut request = request.presigned(&temporary(), 60);
        prop_assert!(request.verify(&temporary()).is_ok());
        let to = to.chars().next().unwrap();
        prop_assume!(change(&mut request, at, to).is_some());
        prop_assert!(request.verify(&temporary()).is_err());
    }

    #[test]
    fn another_key_fails(request in request(), secret in ".{0,40}") {
        let other = Credentials { secret_access_key: Secret::from(secret), ..example() };
        let signed = request.signed(&other);
        let refused = matches!(
            signed.verify(&example()),
            Err(SignatureError::InvalidSignature { .. })
        );
        prop_assert!(refused);
    }

    #[test]
    fn garbage_is_answered(
        request in request(),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        words in "(AWS4-HMAC-SHA256|Credential=|SignedHeaders=|Signature=|host|/|,| |;|=|a|é){0,16}",
        date in "([0-9]{8}T[0-9]{6}Z|.{0,20})",
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|Signature|SignedHeaders)=(AWS4-HMAC-SHA256|a/b/c/d/e|host|[0-9%+]{0,9}|.{0,9})&){0,6}",
        now: u64,
    ) {
        for authorization in [noise, words.into_bytes()] {
            let request = request
                .clone()
                .with("authorization", authorization)
                .with("x-amz-date", date.as_str());
            prop_assert!(request.verify_at(&example(), now).is_err());
        }
        let mut request = request;
        request.query = query;
        prop_assert!(request.verify_at(&example(), now).is_err());
    }
}
