//! Asks a running gateway through its management listener.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use gateway_core::auth::Secret;
use http::header::{AUTHORIZATION, DATE, HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::trouble::Trouble;
use crate::env;

/// Where a gateway on this machine listens unless it is told otherwise.
const USUAL_URL: &str = "http://127.0.0.1:8081";
/// More than any answer of the gateway's takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A page of 1,000 connections has about half a megabyte.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Under which these options stand in the help of every command that has them.
const HEADING: &str = "Asking a gateway";

/// Which gateway to ask, and how to answer.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Management listener of any node [default: http://127.0.0.1:8081].
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", env = "WIREGATE_URL")]
    url: Option<String>,
    /// Bearer token, one of the gateway's server.tokens. Other users of this machine may see it in the list of processes.
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "TOKEN",
        env = "WIREGATE_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
    /// File that holds the bearer token.
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(super) json: bool,
}

/// What the gateway answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// Null where the body is empty.
    pub(super) body: Value,
    /// The gateway's wall clock, in milliseconds of the epoch, so that ages do not depend on ours.
    pub(super) now: u64,
}

/// A gateway that can be asked.
#[derive(Debug)]
pub(super) struct Client {
    https: bool,
    host: String,
    port: u16,
    /// As it stands in the URL.
    authority: String,
    /// What stands before every path, without a slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    pub(super) fn new(target: &Target) -> Result<Self, Trouble> {
        let url = target.url.as_deref().filter(|url| !url.is_empty());
        let mut client = Self::at(url.unwrap_or(USUAL_URL))?;
        client.authorization = authorization(target)?;
        Ok(client)
    }

    fn at(url: &str) -> Result<Self, Trouble> {
        let wrong = |why: &str| {
            let example = "expected http://HOST:PORT or https://HOST";
            Trouble::Usage(format!("the gateway's URL {url}: {why}; {example}"))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("this is no URL"))?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong("it does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user or password has no place in it"));
        }
        if uri.query().is_some() {
            return Err(wrong("a query has no place in it"));
        }
        let host = authority.host();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let usual_port = if https { 443 } else { 80 };
        Ok(Self {
            https,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(usual_port),
            authority: authority.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
            authorization: None,
        })
    }

    /// Where it is, for people.
    fn place(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Asks once, and takes only a success for an answer. Runs by itself: commands have nothing else to do meanwhile.
    pub(super) fn ask(&self, method: &Method, path: &str) -> Result<Reply, Trouble> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Trouble::Unreachable(format!("the system gives too little: {error}"))
            })?;
        let asked = async { tokio::time::timeout(ANSWER_LIMIT, self.exchange(method, path)).await };
        let (status, headers, body) = runtime.block_on(asked).map_err(|_| {
            let (place, limit) = (self.place(), ANSWER_LIMIT.as_secs());
            Trouble::Unreachable(format!("{place} did not answer within {limit} s"))
        })??;
        self.judge(status, &headers, &body)
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Trouble> {
        let place = self.place();
        let failed =
            |why: String| Trouble::Unreachable(format!("cannot connect to {place}: {why}"));
        let dialled = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(CONNECT_LIMIT, dialled).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let hint = "is the gateway running, and is this its management listener?";
                return Err(failed(format!("{error}; {hint}")));
            }
            Err(_) => {
                let limit = CONNECT_LIMIT.as_secs();
                return Err(failed(format!("no answer within {limit} s")));
            }
        };
        if !self.https {
            return self.talk(stream, method, path).await;
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| failed("its host is no name that a certificate can hold".to_owned()))?;
        let connector = TlsConnector::from(Arc::new(system_tls().map_err(failed)?));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| failed(error.to_string()))?;
        self.talk(stream, method, path).await
    }

    async fn talk<Io>(
        &self,
        io: Io,
        method: &Method,
        path: &str,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Trouble>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = self.place();
        let broke = |why: String| {
            Trouble::Unreachable(format!("{place} does not speak HTTP with us: {why}"))
        };
        let handshake = http1::handshake(TokioIo::new(io)).await;
        let (mut sender, connection) = handshake.map_err(|error| broke(error.to_string()))?;
        tokio::spawn(connection);
        let request = self.request(method, path)?;
        let response = sender.send_request(request).await;
        let (head, body) = response
            .map_err(|error| broke(error.to_string()))?
            .into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|error| broke(error.to_string()))?.to_bytes();
        Ok((head.status, head.headers, body))
    }

    fn request(&self, method: &Method, path: &str) -> Result<Request<Empty<Bytes>>, Trouble> {
        let target = format!("{}{path}", self.base);
        let wrong = |_| Trouble::Usage(format!("{target} is no path of HTTP"));
        let target = PathAndQuery::try_from(target.as_str()).map_err(wrong)?;
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.into();
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&self.authority);
        headers.insert(HOST, host.expect("an authority of a URI is ASCII"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    fn judge(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Trouble> {
        let now = headers
            .get(DATE)
            .and_then(read_date)
            .unwrap_or_else(env::wall);
        let body = if body.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice::<Value>(body).ok()
        };
        let place = self.place();
        let stranger = || {
            Trouble::Unreachable(format!(
                "{place} answers {status}, but not as a management listener of Wiregate does"
            ))
        };
        let body = body.ok_or_else(stranger)?;
        if status.is_success() {
            return Ok(Reply { body, now });
        }
        let message = body["message"].as_str().unwrap_or_default();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.refused(headers, message));
        }
        if message.is_empty() {
            return Err(stranger());
        }
        let message = super::text::clean(message);
        Err(Trouble::Answered { status, message })
    }

    /// One sentence on who does not let us in, and what would help.
    fn refused(&self, headers: &HeaderMap, message: &str) -> Trouble {
        let place = self.place();
        let kind = headers.get("x-amzn-errortype");
        let by_name = kind.is_some_and(|kind| kind.as_bytes() == b"ForbiddenException");
        let hint = if by_name {
            "it is no management listener, or does not know this host by name (server.hostnames)"
        } else if self.authorization.is_some() {
            "the token is none of its server.tokens"
        } else {
            "it asks for a token: --token-file, --token or WIREGATE_TOKEN"
        };
        let message = super::text::clean(message);
        Trouble::Refused(format!("{place} refuses ({message}): {hint}"))
    }
}

fn authorization(target: &Target) -> Result<Option<HeaderValue>, Trouble> {
    let token = match &target.token_file {
        // A file that was named on the command line stands over a token of the environment.
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Trouble::Usage(format!("--token-file {}: {error}", file.display()))
            })?;
            Secret::new(text.trim())
        }
        None => match &target.token {
            Some(token) if !token.expose().is_empty() => token.clone(),
            _ => return Ok(None),
        },
    };
    let wrong = |_| Trouble::Usage("the token holds what no HTTP header can".to_owned());
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// With the authorities of the operating system; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn system_tls() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let hint = "install ca-certificates or set SSL_CERT_FILE";
        return Err(format!("no authorities are trusted here; {hint}"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read_date(value: &HeaderValue) -> Option<u64> {
    let time = OffsetDateTime::parse(value.to_str().ok()?, &Rfc2822).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(url: &str, expected: Result<(bool, &str, u16, &str), &str>) {
        let found = Client::at(url);
        let found = found.map(|client| (client.https, client.host, client.port, client.base));
        let expected = expected
            .map(|(https, host, port, base)| (https, host.to_owned(), port, base.to_owned()))
            .map_err(|why| {
                let example = "expected http://HOST:PORT or https://HOST";
                Trouble::Usage(format!("the gateway's URL {url}: {why}; {example}"))
            });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_url_names_a_listener_or_says_what_is_wrong() {
        check_url(USUAL_URL, Ok((false, "127.0.0.1", 8081, "")));
        check_url("http://[::1]:8081/", Ok((false, "::1", 8081, "")));
        check_url("http://gw", Ok((false, "gw", 80, "")));
        check_url("https://gw/", Ok((true, "gw", 443, "")));
        check_url("HTTPS://gw:8443/ops/", Ok((true, "gw", 8443, "/ops")));
        let scheme = "it does not begin with http:// or https://";
        check_url("127.0.0.1:8081", Err(scheme));
        check_url("localhost", Err(scheme));
        check_url("ws://gw", Err(scheme));
        check_url("http://", Err("this is no URL"));
        check_url("http://a b", Err("this is no URL"));
        let user = "a user or password has no place in it";
        check_url("http://me:x@gw", Err(user));
        check_url("http://gw/?a", Err("a query has no place in it"));
    }

    #[track_caller]
    fn check_answer(status: u16, kind: &str, body: &str, token: bool, expected: &str, code: u8) {
        let mut client = Client::at("http://gw:8081").unwrap();
        client.authorization = token.then(|| HeaderValue::from_static("Bearer x"));
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", kind.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let trouble = client.judge(status, &headers, body.as_bytes()).unwrap_err();
        assert_eq!(
            (trouble.to_string().as_str(), trouble.code()),
            (expected, code)
        );
    }

    #[test]
    fn a_refusal_becomes_one_sentence_and_an_exit_code() {
        let body = r#"{"message":"no such thing"}"#;
        check_answer(404, "", body, false, "no such thing", 1);
        check_answer(410, "", body, false, "no such thing", 1);
        check_answer(409, "", body, false, "no such thing", 1);
        check_answer(400, "", body, false, "no such thing", 64);
        check_answer(503, "", body, false, "no such thing", 69);
        let bell = "{\"message\":\"ring \\u0007\"}";
        check_answer(404, "", bell, false, "ring \u{fffd}", 1);
        let missing = "http://gw:8081 refuses (no such thing): it asks for a token: --token-file, --token or WIREGATE_TOKEN";
        check_answer(
            403,
            "MissingAuthenticationTokenException",
            body,
            false,
            missing,
            77,
        );
        let wrong =
            "http://gw:8081 refuses (no such thing): the token is none of its server.tokens";
        check_answer(403, "UnrecognizedClientException", body, true, wrong, 77);
        check_answer(401, "", body, true, wrong, 77);
        let name = "http://gw:8081 refuses (no such thing): it is no management listener, or does not know this host by name (server.hostnames)";
        check_answer(403, "ForbiddenException", body, true, name, 77);
        let stranger = "http://gw:8081 answers 404 Not Found, but not as a management listener of Wiregate does";
        check_answer(404, "", "<html>", false, stranger, 69);
        check_answer(404, "", "", false, stranger, 69);
        check_answer(404, "", "{}", false, stranger, 69);
    }

    #[test]
    fn ages_follow_the_gateways_clock() {
        let date = HeaderValue::from_static("Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(read_date(&date), Some(1_700_000_000_000));
        assert_eq!(read_date(&HeaderValue::from_static("today")), None);
    }
}
