//! The client against stub backends on real sockets, most of them raw and ill-behaved.
//!
//! Here is what the tests share: the stub, and short ways to make a client and a request.

mod hostile;
mod http2;
mod limits;
mod reuse;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderName;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use super::*;

/// Time enough for whatever should not need it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A backend made of raw bytes, listening on loopback until it is dropped.
struct Stub {
    address: SocketAddr,
    accepts: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Stub {
    /// Runs `serve` for each connection.
    fn start<F, S>(serve: F) -> Self
    where
        F: Fn(Peer) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // A thousand connections may come before the stub has its turn.
        let listener = socket.listen(4096).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepts, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&accepts), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(Peer {
                    stream,
                    number,
                    requests: Arc::clone(&counts.1),
                }));
            }
        });
        Self {
            address,
            accepts,
            requests,
            task: task.abort_handle(),
        }
    }

    /// Answers each request with the same bytes.
    fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.say(&*answer).await;
                }
            }
        })
    }

    fn uri(&self) -> String {
        format!("http://{}/path?q=1", self.address)
    }

    fn accepts(&self) -> usize {
        self.accepts.load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The stub's end of one connection.
struct Peer {
    stream: TcpStream,
    /// 1 for the first connection.
    number: usize,
    requests: Arc<AtomicUsize>,
}

impl Peer {
    /// The next request, head and body; nothing when the client has closed.
    async fn request(&mut self) -> Option<String> {
        let mut seen = Vec::new();
        loop {
            if let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.parse().unwrap());
                if seen.len() >= end + 4 + length {
                    assert_eq!(
                        seen.len(),
                        end + 4 + length,
                        "bytes after the request: {seen:?}"
                    );
                    self.requests.fetch_add(1, Ordering::SeqCst);
                    return Some(String::from_utf8(seen).unwrap());
                }
            }
            match self.stream.read_buf(&mut seen).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Writes; a client that has gone is no failure of the stub.
    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Keeps the connection open until the client closes it.
    async fn linger(mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new()).await;
    }

    /// Ends the connection with a RST.
    fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

fn client() -> HttpClient {
    HttpClient::new(&HttpClientConfig::default())
}

fn get(uri: &str) -> BackendRequest {
    request(Method::GET, uri, "")
}

fn post(uri: &str, body: &'static str) -> BackendRequest {
    request(Method::POST, uri, body)
}

fn request(method: Method, uri: &str, body: &'static str) -> BackendRequest {
    BackendRequest {
        method,
        uri: uri.parse().unwrap(),
        host: None,
        headers: HeaderLines::default(),
        body: Bytes::from_static(body.as_bytes()),
        version: BackendVersion::Auto,
        max_response_bytes: 10 << 20,
        deadline: Instant::now() + PATIENCE,
    }
}

/// Waits until the condition holds.
#[track_caller]
fn eventually(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let limit = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < limit, "never came true: {caller}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
