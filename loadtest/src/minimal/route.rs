//! The limit of routing: a message comes, the backend is asked, its answer goes back. tokio-tungstenite with small buffers (its
//! default of 128 KiB is cleared before each read) and hyper's HTTP/1.1 connections.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::pool::Pool;
use crate::error::LoadError;
use crate::subject::tls;

/// Accepts clients for ever.
pub(super) async fn serve(backend: SocketAddr, identity: Option<&Path>) -> Result<(), LoadError> {
    let tls = identity
        .map(tls::server)
        .transpose()?
        .map(TlsAcceptor::from);
    let (listener, address) = super::listen()?;
    super::ready(address, address)?;
    let pool = Rc::new(Pool::new(backend));
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .map_err(LoadError::system("cannot accept"))?;
        let (pool, tls) = (Rc::clone(&pool), tls.clone());
        tokio::task::spawn_local(async move {
            let _ = stream.set_nodelay(true);
            let ended = match tls {
                None => converse(stream, &pool).await,
                Some(tls) => match Box::pin(tls.accept(stream)).await {
                    Ok(stream) => converse(stream, &pool).await,
                    Err(error) => Err(LoadError::system("no TLS")(error)),
                },
            };
            if let Err(error) = ended {
                eprintln!("{error}");
            }
        });
    }
}

async fn converse<S>(stream: S, pool: &Pool) -> Result<(), LoadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
