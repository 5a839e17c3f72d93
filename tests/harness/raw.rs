//! Bytes on sockets, for what well-behaved clients and backends never send.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::find;
use crate::{Handshake, PATIENCE};

/// A frame as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first byte's FIN bit.
    pub fin: bool,
    /// The first byte's four opcode bits.
    pub opcode: u8,
    /// The payload, unmasked as servers send it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Code and reason of a close frame; 1005 where it is empty.
    pub fn close_code(&self) -> u16 {
        match self.payload.get(..2) {
            Some(code) => u16::from_be_bytes([code[0], code[1]]),
            None => 1005,
        }
    }
}

/// The bytes of a masked client frame. `first` is the first byte whole: FIN, reserved bits and opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..=125) => bytes.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 0x7f);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// An open WebSocket of which the test writes and reads the bytes.
#[derive(Debug)]
pub struct RawSocket {
    /// The stream itself.
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawSocket {
    /// Does the handshake; fails the test unless it is let in.
    pub async fn open(handshake: Handshake) -> Self {
        let Some((stream, answer, rest)) = handshake.exchange().await else {
            panic!("no answer to the handshake");
        };
        assert_eq!(answer.status, 101, "{}", answer.text());
        Self {
            stream,
            buffer: rest,
        }
    }

    /// A socket without a handshake.
    pub fn from_stream(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes bytes; false if the peer is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame; `None` at the end of the stream or after [`PATIENCE`].
    pub async fn next(&mut self) -> Option<Frame> {
        self.next_within(PATIENCE).await
    }

    /// As [`RawSocket::next`], with a limit of the caller's.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = self.parse() {
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(count) if count > 0 => {}
                    _ => return None,
                }
            }
        };
        tokio::time::timeout(limit, read).await.ok().flatten()
    }

    /// Reads until a close frame; `None` if the stream ends without one.
    pub async fn next_close(&mut self) -> Option<u16> {
        while let Some(frame) = self.next().await {
            if frame.opcode == 8 {
                return Some(frame.close_code());
            }
        }
        None
    }

    /// Reads until the peer ends the stream; false if it does not within `limit`.
    pub async fn ends_within(&mut self, limit: Duration) -> bool {
        let drain = async {
            let mut sink = [0; 4096];
            while matches!(self.stream.read(&mut sink).await, Ok(count) if count > 0) {}
        };
        tokio::time::timeout(limit, drain).await.is_ok()
    }

    /// Ends the stream with a RST.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn parse(&mut self) -> Option<Frame> {
        let first = *self.buffer.first()?;
        let length = usize::from(*self.buffer.get(1)? & 0x7f);
        let (start, length) = match length {
            126 => {
                let bytes = self.buffer.get(2..4)?.try_into().ok()?;
                (4, usize::from(u16::from_be_bytes(bytes)))
            }
            127 => {
                let bytes = self.buffer.get(2..10)?.try_into().ok()?;
                (10, usize::try_from(u64::from_be_bytes(bytes)).ok()?)
            }
            short => (2, short),
        };
        if self.buffer.len() < start + length {
            return None;
        }
        let payload = self.buffer[start..start + length].to_vec();
        self.buffer.drain(..start + length);
        Some(Frame {
            fin: first & 0x80 != 0,
            opcode: first & 0x0f,
            payload,
        })
    }
}

/// A backend that answers bytes, and writes down those it got.
#[derive(Debug)]
pub struct RawBackend {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    serving: JoinHandle<()>,
}

impl RawBackend {
    /// For each connection, reads one request (by its `Content-Length`) and hands the stream to `script`.
    pub async fn start<F>(script: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let ledger = requests.clone();
        let script = Arc::new(script);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (ledger, script) = (ledger.clone(), script.clone());
                connections.spawn(async move {
                    let request = read_request(&mut stream).await;
                    ledger
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(request);
                    script(stream).await;
                });
            }
        });
        Self {
            address,
            requests,
            serving,
        }
    }

    /// A backend that answers every request with the same bytes and closes.
    pub async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes.into());
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// `http://address{path}`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The bytes of every request so far.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|length| length.trim().parse::<usize>().ok())
                .unwrap_or(0);
            if bytes.len() >= at + 4 + length {
                return bytes;
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(count) if count > 0 => {}
            _ => return bytes,
        }
    }
}
