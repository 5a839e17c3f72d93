//! The limit of routing: a message comes, the backend is asked, its answer goes back. tokio-tungstenite with small buffers (its
//! default of 128 KiB is cleared before each read) and hyper's HTTP/1.1 connections.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::pool::Pool;
use crate::error::LoadError;

/// Accepts clients for ever.
pub(super) async fn serve(backend: SocketAddr) -> Result<(), LoadError> {
    let (listener, address) = super::listen()?;
    super::ready(address, address)?;
    let pool = Rc::new(Pool::new(backend));
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .map_err(LoadError::system("cannot accept"))?;
        let pool = Rc::clone(&pool);
        tokio::task::spawn_local(async move {
            if let Err(error) = converse(stream, &pool).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn converse(stream: TcpStream, pool: &Pool) -> Result<(), LoadError> {
    stream
        .set_nodelay(true)
        .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0);
    // Boxed: a future of the handshake held inside this task would stay allocated as long as the connection.
    let accept = Box::pin(tokio_tungstenite::accept_async_with_config(
        stream,
        Some(config),
    ));
    let Ok(mut socket) = accept.await else {
        return Ok(());
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let answer = pool.post("/echo", Bytes::from(text)).await?;
        let Ok(text) = Utf8Bytes::try_from(answer) else {
            return Ok(());
        };
        if socket.send(Message::Text(text)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
