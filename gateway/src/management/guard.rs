//! Who may use the management listener.
//!
//! On loopback it asks for no credentials, so it must not listen to web pages: a browser tells on them by `Origin`, and
//! a name that an attacker lets point at 127.0.0.1 shows in `Host`.

use std::net::{IpAddr, SocketAddr};

use gateway_core::address::{Directory, host_name};
use gateway_core::auth::Secret;
use gateway_core::failure::Failure;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

/// The rules of one management listener.
#[derive(Debug)]
pub struct Access {
    /// Where it listens.
    pub listener: SocketAddr,
    /// Bearer tokens that open it.
    pub tokens: Vec<Secret>,
    /// The host of `server.managementUrl`, also a name of ours.
    pub own_host: Option<String>,
}

/// What the headers say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// It may go on.
    Allowed,
    /// It may go on if its AWS signature is right.
    IfSigned,
}

impl Access {
    /// Judges a request by its headers.
    pub fn check(
        &self,
        headers: &HeaderMap,
        path: &str,
        directory: &Directory,
    ) -> Result<Guarded, Failure> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        let host = text(HOST).unwrap_or_default();
        if !self.is_own_name(host, directory) {
            return Err(Failure::Forbidden(
                "this Host is no name of the management listener",
            ));
        }
        if headers.contains_key(ORIGIN)
            && !text(ORIGIN).is_some_and(|origin| is_same_origin(origin, host))
        {
            return Err(Failure::Forbidden(
                "a page of another Origin may not use the management listener",
            ));
        }
        // Probes carry no credentials and learn nothing that a closed port would not tell.
        if matches!(path, "/livez" | "/readyz") {
            return Ok(Guarded::Allowed);
        }
        if let Some(token) = text(AUTHORIZATION).and_then(bearer) {
            let known = self
                .tokens
                .iter()
                .any(|secret| secret.matches(token.trim().as_bytes()));
            return if known {
                Ok(Guarded::Allowed)
            } else {
                Err(unknown_token())
            };
        }
        if self.listener.ip().is_loopback() {
            Ok(Guarded::Allowed)
        } else {
            Ok(Guarded::IfSigned)
        }
    }

    fn is_own_name(&self, host: &str, directory: &Directory) -> bool {
        let name = host_name(host);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .own_host
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
            || directory.is_own_name(name)
    }
}

/// The token of a `Bearer` authorization; the scheme's name knows no case (RFC 9110 §11.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn unknown_token() -> Failure {
    Failure::Signature {
        error_type: "UnrecognizedClientException",
        message: "The bearer token included in the request is invalid.".to_owned(),
    }
}

/// True for a page that this very host served.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listener: &str, headers: &[(&str, &str)], expected: Result<Guarded, u16>) {
        let access = Access {
            listener: listener.parse().unwrap(),
            tokens: vec![Secret::new("t0ken")],
            own_host: Some("gw.internal".into()),
        };
        let directory = Directory {
            hostnames: vec!["push.example.com".into()],
            ..Directory::default()
        };
        let headers = headers
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect();
        let found = access.check(&headers, "/dev/@connections/x", &directory);
        assert_eq!(
            found.map_err(|failure| failure.answer().status),
            expected,
            "{headers:?}"
        );
    }

    const LOOPBACK: &str = "127.0.0.1:8081";

    #[test]
    fn a_web_page_cannot_drive_the_listener() {
        for origin in [
            "http://evil.example",
            "https://127.0.0.1:8081.evil.example",
            "null",
            "http://localhost:3000",
            "http://127.0.0.1",
            "file://",
            "http://user@127.0.0.1:8081",
            "chrome-extension://abc",
        ] {
            check(
                LOOPBACK,
                &[("host", "127.0.0.1:8081"), ("origin", origin)],
                Err(403),
            );
        }
        check(
            LOOPBACK,
            &[
                ("host", "127.0.0.1:8081"),
                ("origin", "http://127.0.0.1:8081"),
            ],
            Ok(Guarded::Allowed),
        );
    }

    #[test]
    fn a_name_that_merely_points_here_is_refused() {
        check(LOOPBACK, &[("host", "evil.example")], Err(403));
        check(LOOPBACK, &[("host", "evil.example:8081")], Err(403));
        check(LOOPBACK, &[("host", "127.0.0.1.evil.example")], Err(403));
        check(LOOPBACK, &[("host", "localhost.evil.example")], Err(403));
        check(LOOPBACK, &[], Err(403));
        for own in [
            "127.0.0.1:8081",
            "[::1]:8081",
            "localhost",
            "LOCALHOST:1",
            "gw.internal",
            "push.example.com:8081",
        ] {
            check(LOOPBACK, &[("host", own)], Ok(Guarded::Allowed));
        }
    }

    #[test]
    fn beyond_loopback_a_caller_must_show_who_it_is() {
        let open = "10.0.0.5:8081";
        check(open, &[("host", "10.0.0.5:8081")], Ok(Guarded::IfSigned));
        check(
            open,
            &[("host", "10.0.0.5"), ("authorization", "Bearer t0ken")],
            Ok(Guarded::Allowed),
        );
        check(
            open,
            &[("host", "10.0.0.5"), ("authorization", "Bearer wrong")],
            Err(403),
        );
        check(
            LOOPBACK,
            &[("host", "localhost"), ("authorization", "Bearer wrong")],
            Err(403),
        );
    }
}
