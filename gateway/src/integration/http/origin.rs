//! The origin of a request: scheme, host and port, by which connections are pooled.

use std::fmt;

use http::Uri;
use http::uri::Authority;

use super::BackendError;

/// The two schemes that a backend can be called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
}

/// Scheme, host and port. Hosts compare without regard to case; cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URI; anything else is [`BackendError::InvalidRequest`].
    pub fn of(uri: &Uri) -> Result<Self, BackendError> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => {
                return Err(invalid(
                    "the integration URI must begin with http:// or https://",
                ));
            }
            None => {
                return Err(invalid(
                    "the integration URI is not absolute: it must begin with http:// or https://",
                ));
            }
        };
        let authority = uri
            .authority()
            .ok_or_else(|| invalid("the integration URI names no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid(
                "the integration URI holds credentials: send them in an Authorization header instead",
            ));
        }
        if authority.host().is_empty() {
            return Err(invalid("the integration URI names no host"));
        }
        // `host:` and ports above 65,535 parse as an authority, but name no port.
        if authority.port_u16().is_none_or(|port| port == 0)
            && authority.as_str() != authority.host()
        {
            return Err(invalid(
                "the integration URI's port is not a number from 1 to 65535",
            ));
        }
        Ok(Self {
            scheme,
            authority: authority.clone(),
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; an IPv6 address stands without its brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, the scheme's own if the URI names none.
    pub fn port(&self) -> u16 {
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Host and port as they stood in the URI: what a `Host` header says.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

fn invalid(reason: &'static str) -> BackendError {
    BackendError::InvalidRequest { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, expected: Result<(&str, u16), &str>) {
        let uri: Uri = uri.parse().unwrap();
        let origin = Origin::of(&uri);
        match (origin, expected) {
            (Ok(origin), Ok(expected)) => assert_eq!((origin.host(), origin.port()), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        check("http://a.example", Ok(("a.example", 80)));
        check("https://a.example/x?y", Ok(("a.example", 443)));
        check("http://a.example:8080/", Ok(("a.example", 8080)));
        check("http://127.0.0.1:1", Ok(("127.0.0.1", 1)));
        check("http://[::1]:3000/p", Ok(("::1", 3000)));
        check("https://[fe80::1]/", Ok(("fe80::1", 443)));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_a_reason() {
        check("ftp://a.example/", Err("http:// or https://"));
        check("gopher://a.example:70/_x", Err("http:// or https://"));
        check("/relative", Err("not absolute"));
        check("a.example:80", Err("not absolute"));
        check("http://user:secret@a.example/", Err("Authorization"));
        check("http://a.example:/", Err("port"));
        check("http://a.example:0/", Err("port"));
        check("http://a.example:70000/", Err("port"));
    }

    #[test]
    fn a_refused_uri_is_not_repeated_with_its_credentials() {
        let uri: Uri = "http://user:secret@a.example/".parse().unwrap();
        assert!(!Origin::of(&uri).unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn hosts_compare_without_case() {
        let of = |uri: &'static str| Origin::of(&Uri::from_static(uri)).unwrap();
        assert_eq!(of("http://A.example/"), of("http://a.EXAMPLE/other"));
        assert_ne!(of("http://a.example/"), of("https://a.example/"));
        assert_ne!(of("http://a.example/"), of("http://a.example:81/"));
    }
}
