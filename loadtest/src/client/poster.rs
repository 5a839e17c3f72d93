//! An HTTP/1.1 client for `POST`: one connection kept alive, or a new one for each request.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::letter::Letter;
use super::socket::dial;
use crate::error::LoadError;
use crate::http_head::{self, Head};

/// Where one poster stands.
#[derive(Debug)]
pub(crate) struct Poster {
    to: SocketAddr,
    from: IpAddr,
    keep_alive: bool,
    /// What stands between path and length; the same in each request.
    headers: String,
    stream: Option<TcpStream>,
    inbox: Vec<u8>,
    request: Vec<u8>,
}

impl Poster {
    /// Connects at the first `post`.
    pub(crate) fn new(to: SocketAddr, from: IpAddr, keep_alive: bool) -> Self {
        let connection = if keep_alive {
            ""
        } else {
            "Connection: close\r\n"
        };
        let headers = format!(
            " HTTP/1.1\r\nHost: {to}\r\n{connection}Content-Type: application/json\r\nContent-Length: "
        );
        Self {
            to,
            from,
            keep_alive,
            headers,
            stream: None,
            inbox: Vec::with_capacity(1024),
            request: Vec::with_capacity(1024),
        }
    }

    /// Posts `body` in `letter` and gives the status.
    pub(crate) async fn post(&mut self, letter: &Letter, body: &[u8]) -> Result<u16, LoadError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => dial(self.to, self.from).await?,
        };
        self.write_request(letter, body);
        stream
            .write_all(&self.request)
            .await
            .map_err(LoadError::system("a POST was not sent"))?;
        self.inbox.clear();
        let head = read_answer(&mut stream, &mut self.inbox).await?;
        if self.keep_alive && head.keep_alive {
            self.stream = Some(stream);
        } else {
            // Reset in place of TIME_WAIT: tens of thousands of connections a second would use up the ports. All was read.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
        }
        Ok(head.status)
    }

    fn write_request(&mut self, letter: &Letter, body: &[u8]) {
        let len = (letter.head.len() + body.len() + letter.tail.len()).to_string();
        let parts = [
            b"POST ",
            letter.path.as_bytes(),
            self.headers.as_bytes(),
            len.as_bytes(),
            b"\r\n\r\n",
            letter.head.as_bytes(),
            body,
            letter.tail.as_bytes(),
        ];
        self.request.clear();
        for part in parts {
            self.request.extend_from_slice(part);
        }
    }
}

/// Reads one whole answer; its body is not looked at.
async fn read_answer(stream: &mut TcpStream, inbox: &mut Vec<u8>) -> Result<Head, LoadError> {
    loop {
        inbox.reserve(512);
        let read = stream
            .read_buf(inbox)
            .await
            .map_err(LoadError::system("no answer to a POST"))?;
        if read == 0 {
            return Err(LoadError::protocol(
                "the server closed the connection in place of an answer to a POST",
            ));
        }
        let Some(head) = http_head::response(inbox)? else {
            continue;
        };
        if inbox.len() >= head.len + head.body_len {
            return Ok(head);
        }
    }
}
