//! A tiny HTTP client that sends exactly the path it is given.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::{HttpAnswer, read_answer};

/// The longest wait for an answer: more than the gateway's longest integration timeout.
const LIMIT: Duration = Duration::from_secs(35);

/// One request on a connection of its own.
#[derive(Debug, Clone)]
pub struct Request {
    to: SocketAddr,
    method: String,
    path: String,
    host: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request with that method and raw path.
    pub fn new(to: SocketAddr, method: &str, path: &str) -> Self {
        Self {
            to,
            method: method.to_owned(),
            path: path.to_owned(),
            host: to.to_string(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `GET path`.
    pub fn get(to: SocketAddr, path: &str) -> Self {
        Self::new(to, "GET", path)
    }

    /// `POST path`.
    pub fn post(to: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new(to, "POST", path).body(body)
    }

    /// `DELETE path`.
    pub fn delete(to: SocketAddr, path: &str) -> Self {
        Self::new(to, "DELETE", path)
    }

    /// Adds a header; `Host` replaces the default one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("host") {
            value.clone_into(&mut self.host);
        } else {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Adds several headers.
    #[must_use]
    pub fn headers(self, headers: &[(String, String)]) -> Self {
        headers
            .iter()
            .fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sends a JSON body under its content type.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends it; fails the test if there is no whole answer.
    pub async fn send(self) -> HttpAnswer {
        let line = format!("{} {}", self.method, self.path);
        match self.try_send().await {
            Some(answer) => answer,
            None => panic!("no answer to {line}"),
        }
    }

    /// Sends it; `None` if nobody listens or the connection ends without an answer.
    pub async fn try_send(self) -> Option<HttpAnswer> {
        tokio::time::timeout(LIMIT, async move {
            let mut stream = TcpStream::connect(self.to).await.ok()?;
            // A refusal may come, and the connection end, before a large body is written.
            let _ = stream.write_all(&self.bytes()).await;
            let (answer, _) = read_answer(&mut stream, self.method == "HEAD").await?;
            Some(answer)
        })
        .await
        .ok()
        .flatten()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.method, self.path, self.host
        );
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.body.is_empty() || self.method == "POST" {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
