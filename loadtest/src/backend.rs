//! The HTTP backend that routes lead to: a thread of its own, and no more work for a request than it needs.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::error::LoadError;
use crate::http_head;

/// A running backend; it ends when it is dropped.
///
/// `/echo` answers the body it got, `/whoami` the caller's connection id, everything else (`/connect`) an empty 200.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Backend {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start() -> Result<Self, LoadError> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .map_err(LoadError::system("no socket for the backend"))?;
        // Rust's own backlog of 128 costs a burst of connections a second each (SYN retries).
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .and_then(|()| socket.listen(4096))
            .and_then(|()| socket.set_nonblocking(true))
            .map_err(LoadError::system("the backend cannot listen"))?;
        let listener = std::net::TcpListener::from(socket);
        let address = listener
            .local_addr()
            .map_err(LoadError::system("the backend has no address"))?;
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
                        _ = stopped => {}
                    }
                });
            })
            .map_err(LoadError::system("no thread for the backend"))?;
        Ok(Self {
            address,
            _stop: stop,
        })
    }
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
                    if let Err(error) = converse(stream).await {
                        eprintln!("backend: {error}");
                    }
                });
            }
            Err(error) => return eprintln!("backend: {error}"),
        }
    }
}

async fn converse(mut stream: TcpStream) -> Result<(), LoadError> {
    stream
        .set_nodelay(true)
        .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
    let mut inbox = Vec::with_capacity(2048);
    let mut answer = Vec::with_capacity(512);
    loop {
        let (used, keep_alive) = match http_head::request(&inbox)? {
            Some(request) if inbox.len() >= request.head.len + request.head.body_len => {
                let used = request.head.len + request.head.body_len;
                let body = match request.path {
                    "/echo" => &inbox[request.head.len..used],
                    "/whoami" => request.connection_id.unwrap_or_default(),
                    _ => &[],
                };
                write_answer(&mut answer, body);
                (used, request.head.keep_alive)
            }
            _ => {
                inbox.reserve(2048);
                match stream.read_buf(&mut inbox).await {
                    // A caller may close, or be killed, between two requests.
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(_) => continue,
                }
            }
        };
        if stream.write_all(&answer).await.is_err() || !keep_alive {
            return Ok(());
        }
        inbox.drain(..used);
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
