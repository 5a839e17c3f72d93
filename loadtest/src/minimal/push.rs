//! The limit of pushing: hyper takes a POST, the frame is encoded once and written straight into the socket, whose task only
//! reads. `{"action":"whoami"}`, or any other message, is answered with the connection's id.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::shared::Shared;
use crate::client::frame;
use crate::error::LoadError;

/// The kernel's buffer of each socket, bytes.
const SEND_BUFFER: usize = 1 << 20;

type Sockets = Rc<RefCell<HashMap<String, Rc<TcpStream>>>>;

/// Accepts clients and posters for ever.
pub(super) async fn serve() -> Result<(), LoadError> {
    let (clients, public) = super::listen()?;
    let (posters, management) = super::listen()?;
    super::ready(public, management)?;
    let sockets = Sockets::default();
    tokio::try_join!(
        accept_clients(clients, &sockets),
        accept_posters(posters, &sockets)
    )
    .map(|_| ())
}

async fn accept_clients(listener: TcpListener, sockets: &Sockets) -> Result<(), LoadError> {
    let mut number = 0u64;
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .map_err(LoadError::system("cannot accept"))?;
        number += 1;
        // As long as Wiregate's own ids.
        tokio::task::spawn_local(converse(
            stream,
            format!("{number:031}="),
            Rc::clone(sockets),
        ));
    }
}

async fn converse(stream: TcpStream, id: String, sockets: Sockets) {
    let _ = stream.set_nodelay(true);
    // Room for the largest message that a scenario pushes: there is no queue behind it.
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
    let stream = Rc::new(stream);
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0);
    let accept = Box::pin(tokio_tungstenite::accept_async_with_config(
        Shared(Rc::clone(&stream)),
        Some(config),
    ));
    let Ok(mut socket) = accept.await else { return };
    sockets.borrow_mut().insert(id.clone(), stream);
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(Message::text(id.as_str())).await.is_err() {
            break;
        }
    }
    sockets.borrow_mut().remove(&id);
}

async fn accept_posters(listener: TcpListener, sockets: &Sockets) -> Result<(), LoadError> {
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .map_err(LoadError::system("cannot accept"))?;
        let sockets = Rc::clone(sockets);
        tokio::task::spawn_local(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request| push(request, Rc::clone(&sockets)));
            // A poster that goes away is no concern of ours.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn push(
    request: Request<Incoming>,
    sockets: Sockets,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let id = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or("")
        .replace("%3D", "=");
    let Some(socket) = sockets.borrow().get(&id).cloned() else {
        return Ok(answer(StatusCode::GONE));
    };
    let Ok(body) = request.into_body().collect().await else {
        return Ok(answer(StatusCode::BAD_REQUEST));
    };
    let frame = frame::unmasked(frame::TEXT, &body.to_bytes());
    // What the socket does not take at once is dropped and said: a minimal program has no queue.
    let status = match socket.try_write(&frame) {
        Ok(written) if written == frame.len() => StatusCode::OK,
        _ => StatusCode::TOO_MANY_REQUESTS,
    };
    Ok(answer(status))
}

fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
