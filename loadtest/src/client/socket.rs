//! A WebSocket client that costs next to nothing: frames are encoded once by the caller, and an idle socket keeps no buffer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::frame::{self, Header};
use super::wire::Wire;
use crate::error::LoadError;
use crate::system;

/// Time to connect and to get the 101; a longer wait is a failure of the trial.
const OPENING: Duration = Duration::from_secs(20);
/// Longest head of an answer to an upgrade, bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Longest frame that is read, bytes: above any limit that a scenario tests.
const LONGEST_FRAME: usize = 4 * 1024 * 1024;
/// Room for one read, bytes; a message of the usual size and its header fit.
const READ: usize = 512;
/// Connections that share one source address. Linux has 28,232 ephemeral ports and gives out the even ones first: close to 14,116
/// connections of one address to one port it searches longer and longer, at the end a millisecond for each.
const PER_SOURCE: usize = 8_000;

/// The source address of the `index`th connection, from 127.0.1.1 on, so that ports do not run out.
pub(crate) fn source(index: usize) -> IpAddr {
    let block = (index / PER_SOURCE) as u16;
    let [high, low] = block.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, low.saturating_add(1), 1))
}

/// Opens a TCP connection from `from`, with Nagle's algorithm off.
pub(crate) async fn dial(to: SocketAddr, from: IpAddr) -> Result<TcpStream, LoadError> {
    let socket = TcpSocket::new_v4().map_err(LoadError::system(
        "no socket (is the limit of open files reached?)",
    ))?;
    system::bind_without_port(&socket)
        .map_err(LoadError::system("cannot set IP_BIND_ADDRESS_NO_PORT"))?;
    socket
        .bind(SocketAddr::new(from, 0))
        .map_err(LoadError::system(format!("cannot bind to {from}")))?;
    let stream = socket
        .connect(to)
        .await
        .map_err(LoadError::system(format!("cannot connect to {to}")))?;
    stream
        .set_nodelay(true)
        .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
    Ok(stream)
}

/// The request of an upgrade. Each has a key of its own: serverless-offline tells connections apart by it.
pub(crate) fn upgrade_request(path: &str, to: SocketAddr) -> Vec<u8> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // 22 characters of base64 are 16 bytes if the last leaves its low four bits free.
    format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {number:021}A==\r\n\r\n"
    )
    .into_bytes()
}

/// Where clients connect.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Address.
    pub(crate) public: SocketAddr,
    /// Path of the upgrade.
    pub(crate) path: Arc<str>,
    /// Whom to trust, where clients speak TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// One open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Wire,
    /// What was read; the frame that `receive` gave out last still lies in front.
    inbox: Vec<u8>,
    /// Bytes at the front of `inbox` that were given out.
    taken: usize,
}

impl Socket {
    /// Connects through `door` from `from` and upgrades.
    pub(crate) async fn open(door: &Door, from: IpAddr) -> Result<Self, LoadError> {
        timeout(OPENING, Self::upgrade(door, from))
            .await
            .map_err(|_| {
                LoadError::protocol(format!("no 101 from {} within {OPENING:?}", door.public))
            })?
    }

    async fn upgrade(door: &Door, from: IpAddr) -> Result<Self, LoadError> {
        // Boxed: a handshake's future held in here would make those of all sockets large.
        let stream = Box::pin(Wire::open(door, from)).await?;
        let mut socket = Self {
            stream,
            inbox: Vec::with_capacity(READ),
            taken: 0,
        };
        socket
            .send(&upgrade_request(&door.path, door.public))
            .await?;
        socket.taken = loop {
            let read = socket
                .stream
                .read_buf(&mut socket.inbox)
                .await
                .map_err(LoadError::system("no answer to the upgrade"))?;
            if read == 0 {
                return Err(LoadError::protocol(
                    "the server closed the connection in place of a 101",
                ));
            }
            let inbox = &socket.inbox;
            if let Some(end) = inbox.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if inbox.len() > LONGEST_HEAD {
                return Err(LoadError::protocol(
                    "the answer to the upgrade does not end",
                ));
            }
        };
        if !socket.inbox.starts_with(b"HTTP/1.1 101 ") {
            let text = String::from_utf8_lossy(&socket.inbox).into_owned();
            return Err(LoadError::protocol(format!(
                "the upgrade was refused: {}",
                text.lines().next().unwrap_or("")
            )));
        }
        socket.rest();
        Ok(socket)
    }

    /// Sends bytes that `frame::masked` made.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), LoadError> {
        let sent = async {
            self.stream.write_all(frame).await?;
            // TLS keeps what the socket did not take.
            self.stream.flush().await
        };
        sent.await
            .map_err(LoadError::system("a frame was not sent"))
    }

    /// The payload of the next message. Pings are answered on the way; a close is an error that names its code.
    pub(crate) async fn receive(&mut self) -> Result<&[u8], LoadError> {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        let payload = loop {
            let Some(header) = self.whole_frame()? else {
                self.read().await?;
                continue;
            };
            let payload = header.payload();
            self.taken = payload.end;
            match header.opcode {
                frame::TEXT | frame::BINARY if header.last => break payload,
                frame::PING => {
                    let pong = frame::masked(frame::PONG, &self.inbox[payload]);
                    self.send(&pong).await?;
                }
                frame::PONG => {}
                frame::CLOSE => {
                    let body = &self.inbox[payload];
                    let code = body
                        .first_chunk::<2>()
                        .map_or(1005, |code| u16::from_be_bytes(*code));
                    return Err(LoadError::protocol(format!(
                        "the server closed with {code}"
                    )));
                }
                other => {
                    return Err(LoadError::protocol(format!(
                        "an unexpected frame, opcode {other}"
                    )));
                }
            }
            self.rest();
        };
        Ok(&self.inbox[payload])
    }

    /// Sends a ping and waits for its pong; a message in between is an error.
    pub(crate) async fn ping(&mut self) -> Result<(), LoadError> {
        self.rest();
        self.send(&frame::masked(frame::PING, b"there?")).await?;
        loop {
            let Some(header) = self.whole_frame()? else {
                self.read().await?;
                continue;
            };
            let payload = header.payload();
            self.taken = payload.end;
            match header.opcode {
                frame::PONG => {
                    self.rest();
                    return Ok(());
                }
                frame::PING => {
                    let pong = frame::masked(frame::PONG, &self.inbox[payload]);
                    self.send(&pong).await?;
                }
                other => {
                    return Err(LoadError::protocol(format!(
                        "a frame of opcode {other} in place of a pong"
                    )));
                }
            }
            self.rest();
        }
    }

    /// Reads until the server has closed the connection; whatever comes before is no matter.
    pub(crate) async fn closed(&mut self) -> Result<(), LoadError> {
        let mut rest = [0; READ];
        let end = async {
            // A reset is an end too: the server had nothing more to say.
            while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        };
        timeout(OPENING, end).await.map_err(|_| {
            LoadError::protocol(format!("the server did not close within {OPENING:?}"))
        })
    }

    /// Forgets what was given out, and the buffer with it once it is empty: for sockets that now stay idle.
    pub(crate) fn rest(&mut self) {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        if self.inbox.is_empty() {
            self.inbox = Vec::new();
        }
    }

    fn whole_frame(&self) -> Result<Option<Header>, LoadError> {
        // Control frames of this very receive were dropped by `rest`, so the next frame lies in front.
        let Some(header) = Header::read(&self.inbox) else {
            return Ok(None);
        };
        if header.payload_len > LONGEST_FRAME {
            return Err(LoadError::protocol(format!(
                "a frame of {} bytes",
                header.payload_len
            )));
        }
        Ok((header.payload().end <= self.inbox.len()).then_some(header))
    }

    async fn read(&mut self) -> Result<(), LoadError> {
        if self.inbox.is_empty() && self.inbox.capacity() == 0 {
            // An idle socket owns no buffer until something comes.
            self.stream
                .readable()
                .await
                .map_err(LoadError::system("a socket broke"))?;
        }
        self.inbox.reserve(READ);
        match self.stream.read_buf(&mut self.inbox).await {
            Ok(0) => Err(LoadError::protocol(
                "the server closed a socket without a close frame",
            )),
            Ok(_) => Ok(()),
            Err(error) => Err(LoadError::system("a socket broke")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(index: usize, expected: [u8; 4]) {
        assert_eq!(source(index), IpAddr::from(expected));
    }

    #[test]
    fn sources_change_before_ports_run_out() {
        check(0, [127, 0, 1, 1]);
        check(7_999, [127, 0, 1, 1]);
        check(8_000, [127, 0, 2, 1]);
        check(999_999, [127, 0, 125, 1]);
    }
}
