//! The server's side of an upgrade, without any library in between.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::LoadError;

/// Reads the request; gives its `Sec-WebSocket-Key`.
pub(super) async fn read_key(stream: &mut TcpStream) -> Result<Vec<u8>, LoadError> {
    let mut head = Vec::with_capacity(512);
    loop {
        let read = stream
            .read_buf(&mut head)
            .await
            .map_err(LoadError::system("no upgrade"))?;
        if read == 0 || head.len() > 16 * 1024 {
            return Err(LoadError::protocol("no upgrade"));
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) => {
                let key = request
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
                return key
                    .map(|key| key.value.to_vec())
                    .ok_or_else(|| LoadError::protocol("no Sec-WebSocket-Key"));
            }
            Err(error) => return Err(LoadError::protocol(format!("not HTTP/1.1: {error}"))),
        }
    }
}

/// Answers with the 101.
pub(crate) async fn accept(stream: &mut TcpStream, key: &[u8]) -> Result<(), LoadError> {
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key)
    );
    stream
        .write_all(answer.as_bytes())
        .await
        .map_err(LoadError::system("no answer to an upgrade"))
}
