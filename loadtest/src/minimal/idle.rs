//! The limit of holding connections: a task and a registry entry for each, no buffer while nothing comes. A message is sent back as
//! it is, so that memory after traffic can be compared too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::pool::Pool;
use super::upgrade;
use crate::echo;
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
    echo::serve(&stream).await;
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
