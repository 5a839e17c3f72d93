//! The minimal programs: what the same work costs without a gateway. Each is a child process on one thread that prints the same
//! `ready` line as Wiregate. They trust their callers, and are no example to follow anywhere else.

mod idle;
mod pool;
mod push;
mod route;
mod shared;
pub(crate) mod upgrade;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::{TcpListener, TcpSocket};

use crate::error::LoadError;
use crate::subject::Minimal;

/// Serves until the process is killed. `identity` is a folder with a certificate, for routing over TLS.
pub(crate) fn serve(
    program: Minimal,
    backend: SocketAddr,
    ask_at_connect: bool,
    identity: Option<&Path>,
) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(LoadError::system("no runtime"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        match program {
            Minimal::Route => route::serve(backend, identity).await,
            Minimal::Push => push::serve().await,
            Minimal::Idle => idle::serve(ask_at_connect.then_some(backend)).await,
        }
    })
}

/// A free port of 127.0.0.1, with a backlog that a burst of connections does not fill.
fn listen() -> Result<(TcpListener, SocketAddr), LoadError> {
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(16_384)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(LoadError::system("cannot listen"))
}

/// Says where to connect, and where to post.
fn ready(public: SocketAddr, management: SocketAddr) -> Result<(), LoadError> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready public={public} management={management}")
        .and_then(|()| stdout.flush())
        .map_err(LoadError::system("cannot write to standard output"))
}
