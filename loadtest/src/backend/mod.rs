//! The backend that routes lead to: a thread of its own, and no more work for a request than it needs. It speaks HTTP/1.1, HTTP/2,
//! WebSocket over HTTP with Pushpin, and WebSocket itself behind a plain proxy.

mod events;
mod http2;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::echo;
use crate::error::LoadError;
use crate::http_head;
use crate::minimal::upgrade;

/// A running backend; it ends when it is dropped.
///
/// `/echo` answers the body it got, `/whoami` the caller's connection id, everything else (`/connect`) an empty 200; events of
/// WebSocket over HTTP are answered as `events` says, and what is upgraded is echoed.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it listens for HTTP/2 by prior knowledge.
    pub(crate) http2: SocketAddr,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Backend {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start() -> Result<Self, LoadError> {
        let (listener, address) = listen()?;
        let (http2_listener, http2) = listen()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(LoadError::system("no runtime for the backend"))?;
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("backend".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(listener) => {}
                        () = http2::serve(http2_listener) => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(LoadError::system("no thread for the backend"))?;
        Ok(Self {
            address,
            http2,
            _stop: stop,
        })
    }
}

/// A free port of 127.0.0.1.
fn listen() -> Result<(std::net::TcpListener, SocketAddr), LoadError> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
        .map_err(LoadError::system("no socket for the backend"))?;
    // Rust's own backlog of 128 costs a burst of connections a second each (SYN retries).
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .and_then(|()| socket.listen(16_384))
        .and_then(|()| socket.set_nonblocking(true))
        .map_err(LoadError::system("the backend cannot listen"))?;
    let listener = std::net::TcpListener::from(socket);
    let address = listener
        .local_addr()
        .map_err(LoadError::system("the backend has no address"))?;
    Ok((listener, address))
}

async fn serve(listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("backend: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    match converse(stream).await {
                        Ok(None) => {}
                        // The conversation's buffers are gone by now: an idle WebSocket costs a task and no more.
                        Ok(Some(stream)) => echo::serve(&stream).await,
                        Err(error) => eprintln!("backend: {error}"),
                    }
                });
            }
            Err(error) => return eprintln!("backend: {error}"),
        }
    }
}

/// Answers requests; gives the socket back if it was upgraded to a WebSocket.
async fn converse(mut stream: TcpStream) -> Result<Option<TcpStream>, LoadError> {
    stream
        .set_nodelay(true)
        .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
    let mut inbox = Vec::with_capacity(2048);
    let mut answer = Vec::with_capacity(512);
    loop {
        let (used, keep_alive) = match http_head::request(&inbox)? {
            Some(request) if inbox.len() >= request.head.len + request.head.body_len => {
                if let Some(key) = request.upgrade {
                    upgrade::accept(&mut stream, key).await?;
                    return Ok(Some(stream));
                }
                let used = request.head.len + request.head.body_len;
                let body = &inbox[request.head.len..used];
                if request.events {
                    events::answer(&mut answer, &request, body);
                } else {
                    write_answer(&mut answer, content(&request, body));
                }
                (used, request.head.keep_alive)
            }
            _ => {
                inbox.reserve(2048);
                match stream.read_buf(&mut inbox).await {
                    // A caller may close, or be killed, between two requests.
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => continue,
                }
            }
        };
        if stream.write_all(&answer).await.is_err() || !keep_alive {
            return Ok(None);
        }
        inbox.drain(..used);
    }
}

/// The body of an answer.
fn content<'a>(request: &http_head::Request<'a>, body: &'a [u8]) -> &'a [u8] {
    match request.path {
        "/echo" => body,
        "/whoami" => request.connection_id.unwrap_or_default(),
        _ => &[],
    }
}

fn write_answer(answer: &mut Vec<u8>, body: &[u8]) {
    use std::io::Write as _;
    answer.clear();
    // Writing to a Vec cannot fail.
    let _ = write!(
        answer,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    answer.extend_from_slice(body);
}
