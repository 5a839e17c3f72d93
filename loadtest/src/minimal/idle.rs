//! The limit of holding connections: a task and a registry entry for each, no buffer while nothing comes. A message is sent back as
//! it is, so that memory after traffic can be compared too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::pool::Pool;
use super::upgrade;
use crate::client::frame::{self, Header};
use crate::error::LoadError;

type Sockets = Rc<RefCell<HashMap<u64, Rc<TcpStream>>>>;

/// Accepts clients for ever; asks `backend` before each 101 if there is one.
pub(super) async fn serve(backend: Option<SocketAddr>) -> Result<(), LoadError> {
    let (listener, address) = super::listen()?;
    super::ready(address, address)?;
    let sockets = Sockets::default();
    let pool = backend.map(|backend| Rc::new(Pool::new(backend)));
    for number in 0u64.. {
        let (stream, _) = listener
            .accept()
            .await
            .map_err(LoadError::system("cannot accept"))?;
        tokio::task::spawn_local(converse(stream, number, Rc::clone(&sockets), pool.clone()));
    }
    Ok(())
}

async fn converse(stream: TcpStream, number: u64, sockets: Sockets, pool: Option<Rc<Pool>>) {
    let opened = Box::pin(open(stream, pool)).await;
    let Ok(stream) = opened else { return };
    sockets.borrow_mut().insert(number, Rc::clone(&stream));
    // A client that goes away, or breaks the protocol, is let go.
    while let Ok(Some(first)) = wait(&stream).await {
        if Box::pin(answer(&stream, first)).await.is_err() {
            break;
        }
    }
    sockets.borrow_mut().remove(&number);
}

async fn open(mut stream: TcpStream, pool: Option<Rc<Pool>>) -> Result<Rc<TcpStream>, LoadError> {
    stream
        .set_nodelay(true)
        .map_err(LoadError::system("cannot set TCP_NODELAY"))?;
    let key = upgrade::read_key(&mut stream).await?;
    if let Some(pool) = pool {
        pool.post("/connect", Bytes::new()).await?;
    }
    upgrade::accept(&mut stream, &key).await?;
    Ok(Rc::new(stream))
}

/// The first bytes of what comes next; `None` at the end.
async fn wait(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    loop {
        stream.readable().await?;
        if let Some(read) = take(stream)? {
            return Ok((!read.is_empty()).then_some(read));
        }
    }
}

/// What lies there to be read, through a buffer that lives no longer than this call; empty at the end, `None` if nothing does.
fn take(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut scratch = [0; 4096];
    match stream.try_read(&mut scratch) {
        Ok(read) => Ok(Some(scratch[..read].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads on until `bytes` is a whole frame, and sends it back; over when nothing is left.
async fn answer(stream: &TcpStream, mut bytes: Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let whole = Header::read(&bytes).filter(|header| header.payload().end <= bytes.len());
        let Some(header) = whole else {
            stream.readable().await?;
            match take(stream)? {
                Some(more) if more.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(more) => bytes.extend_from_slice(&more),
                None => {}
            }
            continue;
        };
        if header.opcode != frame::TEXT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let payload = &mut bytes[header.payload()];
        frame::unmask(header.mask.unwrap_or_default(), payload);
        write(stream, &frame::unmasked(frame::TEXT, payload)).await?;
        bytes.drain(..header.payload().end);
    }
    Ok(())
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
