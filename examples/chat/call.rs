//! What the gateway says about a call in its `x-wiregate-*` headers.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::room::Address;

/// RFC 3986, 2.3: these need no encoding in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The longest connection id taken; the gateway's have 32 characters.
const ID_BYTES: usize = 128;

/// Who is calling and where to answer.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Address);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address = address(&parts.headers).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
        Ok(Self(address))
    }
}

fn address(headers: &HeaderMap) -> Result<Address, String> {
    let connection = header(headers, "x-wiregate-connection-id")?;
    if connection.is_empty() || connection.len() > ID_BYTES {
        return Err(format!(
            "x-wiregate-connection-id must have 1 to {ID_BYTES} characters"
        ));
    }
    let callback = header(headers, "x-wiregate-callback-url")?;
    let base = callback.trim_end_matches('/');
    let uri: Uri = format!(
        "{base}/@connections/{}",
        utf8_percent_encode(connection, SEGMENT)
    )
    .parse()
    .map_err(|why| format!("x-wiregate-callback-url is not a URL: {why}"))?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() || uri.query().is_some() {
        return Err(format!(
            "x-wiregate-callback-url must be http://host:port/stage, but it is {callback}"
        ));
    }
    Ok(Address {
        connection: connection.to_owned(),
        uri,
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let value = headers.get(name).ok_or_else(|| {
        format!("{name} is missing: this address is for Wiregate to call, not for a browser. The page is at /")
    })?;
    value
        .to_str()
        .map_err(|_| format!("{name} is not plain ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(connection: &str, callback: &str, expected: Result<&str, &str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-wiregate-connection-id", connection),
            ("x-wiregate-callback-url", callback),
        ] {
            if value != "(none)" {
                headers.insert(name, value.parse().unwrap());
            }
        }
        match (address(&headers), expected) {
            (Ok(found), Ok(uri)) => assert_eq!(found.uri.to_string(), uri),
            (Err(found), Err(start)) => assert!(found.starts_with(start), "{found}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_headers_become_an_address() {
        let base = "http://127.0.0.1:8081/dev";
        check(
            "AZ_-9=",
            base,
            Ok("http://127.0.0.1:8081/dev/@connections/AZ_-9%3D"),
        );
        check(
            "a/../b?c",
            &format!("{base}/"),
            Ok("http://127.0.0.1:8081/dev/@connections/a%2F..%2Fb%3Fc"),
        );
        check("(none)", base, Err("x-wiregate-connection-id is missing"));
        check("", base, Err("x-wiregate-connection-id must"));
        check(&"a".repeat(129), base, Err("x-wiregate-connection-id must"));
        check("a", "(none)", Err("x-wiregate-callback-url is missing"));
        check(
            "a",
            "https://127.0.0.1/dev",
            Err("x-wiregate-callback-url must be http"),
        );
        check("a", "/dev", Err("x-wiregate-callback-url must be http"));
        check(
            "a",
            "http://h/dev?x=",
            Err("x-wiregate-callback-url must be http"),
        );
        check("a", "ht tp://", Err("x-wiregate-callback-url is not a URL"));
    }
}
