//! Idle HTTP/1.1 connections to the one backend, taken last in first out.

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::LoadError;

/// The pool of the thread.
pub(super) struct Pool {
    backend: SocketAddr,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl Pool {
    /// Connects when a request finds nothing idle.
    pub(super) fn new(backend: SocketAddr) -> Self {
        Self {
            backend,
            idle: RefCell::new(Vec::new()),
        }
    }

    /// Posts `body` to `path` and gives the answer's body.
    pub(super) async fn post(&self, path: &'static str, body: Bytes) -> Result<Bytes, LoadError> {
        let mut connection = self.take().await?;
        let request = Request::post(path)
            .header(header::HOST, "backend")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("method, path and headers are constants");
        let answer = connection
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| failed(&error))?
            .to_bytes();
        self.idle.borrow_mut().push(connection);
        Ok(body)
    }

    async fn take(&self) -> Result<SendRequest<Full<Bytes>>, LoadError> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            match idle {
                // Its task may still be busy with the end of the exchange before; that is one turn of the thread away.
                Some(mut connection) => {
                    if connection.ready().await.is_ok() {
                        return Ok(connection);
                    }
                }
                None => return self.connect().await,
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, LoadError> {
        let stream = TcpStream::connect(self.backend)
            .await
            .map_err(LoadError::system("no backend"))?;
        stream
            .set_nodelay(true)
            .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
        let (connection, task) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        tokio::task::spawn_local(task);
        Ok(connection)
    }
}

fn failed(error: &hyper::Error) -> LoadError {
    LoadError::Protocol(format!("the backend: {error}"))
}
