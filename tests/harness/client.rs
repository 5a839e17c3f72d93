//! A WebSocket client: the handshake written out by hand, so that a test sees and chooses every header, then
//! tungstenite on the open socket.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::{HttpAnswer, PATIENCE, read_answer};

/// Any key will do: it only proves that the server read it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The longest handshake: a `$connect` may take 29 s.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(35);

/// An upgrade request in the making.
#[derive(Debug, Clone)]
pub struct Handshake {
    to: SocketAddr,
    source: Option<IpAddr>,
    path: String,
    headers: Vec<(String, String)>,
}

/// What came of a handshake.
#[derive(Debug)]
pub enum Opened {
    /// 101.
    Open(Box<Client>),
    /// Any other answer.
    Refused(HttpAnswer),
}

impl Handshake {
    /// A correct upgrade request for that raw path and query.
    pub fn to(to: SocketAddr, path: &str) -> Self {
        let headers = [
            ("Host", to.to_string()),
            ("Connection", "Upgrade".to_owned()),
            ("Upgrade", "websocket".to_owned()),
            ("Sec-WebSocket-Version", "13".to_owned()),
            ("Sec-WebSocket-Key", KEY.to_owned()),
        ];
        Self {
            to,
            source: None,
            path: path.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// Comes from that address; all of 127.0.0.0/8 is this machine's.
    #[must_use]
    pub fn source(mut self, address: impl Into<IpAddr>) -> Self {
        self.source = Some(address.into());
        self
    }

    /// Adds a header, also beside one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes every header of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Gives a header another value.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// The request's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("GET {} HTTP/1.1\r\n", self.path);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Only the connection: nothing is sent.
    pub async fn dial(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        socket.connect(self.to).await
    }

    /// Sends it and returns the socket with the answer and what came after it; `None` if there was no answer.
    pub async fn exchange(&self) -> Option<(TcpStream, HttpAnswer, Vec<u8>)> {
        tokio::time::timeout(HANDSHAKE_LIMIT, async {
            let mut stream = self.dial().await.ok()?;
            let _ = stream.write_all(&self.bytes()).await;
            let (answer, rest) = read_answer(&mut stream, false).await?;
            Some((stream, answer, rest))
        })
        .await
        .ok()
        .flatten()
    }

    /// Sends it; fails the test if there is no answer.
    pub async fn send(self) -> Opened {
        let path = self.path.clone();
        match self.try_send().await {
            Some(opened) => opened,
            None => panic!("no answer to the handshake for {path}"),
        }
    }

    /// Sends it; `None` if nobody listens or the connection ends without an answer.
    pub async fn try_send(self) -> Option<Opened> {
        let (stream, answer, rest) = self.exchange().await?;
        if answer.status != 101 {
            return Some(Opened::Refused(answer));
        }
        let accept = answer.header("sec-websocket-accept").unwrap_or_default();
        assert_eq!(
            accept,
            derive_accept_key(KEY.as_bytes()),
            "Sec-WebSocket-Accept"
        );
        let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, None).await;
        Some(Opened::Open(Box::new(Client {
            socket,
            handshake: answer,
        })))
    }

    /// Sends it; fails the test unless it is let in.
    pub async fn open(self) -> Client {
        let path = self.path.clone();
        match self.send().await {
            Opened::Open(client) => *client,
            Opened::Refused(answer) => panic!(
                "the handshake for {path} was refused: {} {}",
                answer.status,
                answer.text()
            ),
        }
    }

    /// Sends it; fails the test if it is let in.
    pub async fn refused(self) -> HttpAnswer {
        let path = self.path.clone();
        match self.send().await {
            Opened::Open(_) => panic!("the handshake for {path} was let in"),
            Opened::Refused(answer) => answer,
        }
    }

    /// Sends it and says only the status.
    pub async fn status(self) -> u16 {
        match self.send().await {
            Opened::Open(_) => 101,
            Opened::Refused(answer) => answer.status,
        }
    }
}

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close frame's code; 1005 for an empty frame, 1006 where there was none.
    pub code: u16,
    /// The close frame's reason.
    pub reason: String,
}

impl Closed {
    /// The end that this message is, `None` being that of the stream; a message that is none is given back.
    pub fn of(message: Option<Message>) -> Result<Self, Message> {
        let (code, reason) = match message {
            Some(Message::Close(Some(frame))) => (frame.code.into(), frame.reason.to_string()),
            Some(Message::Close(None)) => (1005, String::new()),
            None => (1006, String::new()),
            Some(other) => return Err(other),
        };
        Ok(Self { code, reason })
    }
}

impl PartialEq<(u16, &str)> for Closed {
    fn eq(&self, other: &(u16, &str)) -> bool {
        self.code == other.0 && self.reason == other.1
    }
}

/// An open socket.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    /// The 101 that opened it.
    pub handshake: HttpAnswer,
}

impl Client {
    /// Opens `ws://address/path`.
    pub async fn connect(url: &str) -> Self {
        let rest = url.strip_prefix("ws://").expect("a ws:// URL");
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = address.parse().expect("an address in the URL");
        Handshake::to(address, &format!("/{path}")).open().await
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends a JSON message.
    pub async fn send_json(&mut self, value: &Value) {
        self.send_text(&value.to_string()).await;
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    /// Sends any message; fails the test if the socket does not take it.
    pub async fn send(&mut self, message: Message) {
        let sent = self.try_send(message).await;
        assert!(sent, "the socket no longer takes messages");
    }

    /// Sends any message; false if the socket is gone.
    pub async fn try_send(&mut self, message: Message) -> bool {
        self.socket.send(message).await.is_ok()
    }

    /// The next message that is no ping or pong; `None` at the end of the stream.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Message> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return Some(message),
                    Some(Err(_)) | None => return None,
                }
            }
        };
        let message = tokio::time::timeout(limit, next).await;
        message.unwrap_or_else(|_| panic!("no message within {limit:?}"))
    }

    /// The next frame of any kind, pings and pongs too; `None` at the end of the stream.
    pub async fn next_of_any_kind(&mut self, limit: Duration) -> Option<Message> {
        let message = tokio::time::timeout(limit, self.socket.next()).await;
        let message = message.unwrap_or_else(|_| panic!("no frame within {limit:?}"));
        message.and_then(Result::ok)
    }

    /// The next message, which must be text.
    pub async fn next_text(&mut self) -> String {
        match self.next_within(PATIENCE).await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    /// The next message, which must be binary.
    pub async fn next_binary(&mut self) -> Vec<u8> {
        match self.next_within(PATIENCE).await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("expected a binary message, got {other:?}"),
        }
    }

    /// The next message as JSON.
    pub async fn next_json(&mut self) -> Value {
        let text = self.next_text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Begins the close handshake; `None` sends an empty close frame.
    pub async fn close(&mut self, close: Option<(u16, &str)>) {
        let frame = close.map(|(code, reason)| CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        });
        let _ = self.socket.close(frame).await;
    }

    /// Waits for the end of the socket, which must come before any further message.
    pub async fn closed(&mut self) -> Closed {
        self.closed_within(PATIENCE).await
    }

    /// As [`Client::closed`], with a limit of the caller's.
    pub async fn closed_within(&mut self, limit: Duration) -> Closed {
        let closed = match Closed::of(self.next_within(limit).await) {
            Ok(closed) => closed,
            Err(other) => panic!("expected the end of the socket, got {other:?}"),
        };
        // Reading on sends the answer to the close frame.
        while self.next_within(limit).await.is_some() {}
        closed
    }

    /// The raw stream, for a test that ends it without a close frame.
    pub fn into_stream(self) -> TcpStream {
        self.socket.into_inner()
    }
}
