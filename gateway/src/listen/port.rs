//! Binding a port once for every worker thread.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted; std's 128 costs a storm of clients a second each.
const BACKLOG: i32 = 16 * 1024;
/// The kernel's own buffer for a slow reader: by default it hides megabytes, and a push that nobody reads looks written.
const SEND_BUFFER: usize = 64 * 1024;
/// How long written bytes may stay unacknowledged before the kernel gives the peer up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A bound port: one listener for each worker, so that the kernel spreads connections and each stays on its thread.
#[derive(Debug)]
pub struct Port {
    /// The address, with the port that was really bound.
    pub address: SocketAddr,
    /// One for each worker.
    pub listeners: Vec<TcpListener>,
}

/// Binds `address` for so many workers.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Port> {
    // Another process of ours could share the port unnoticed through SO_REUSEPORT; without it the kernel says no.
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let listeners = (0..workers).map(|_| {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    Ok(Port {
        address,
        listeners: listeners.collect::<io::Result<_>>()?,
    })
}

/// What is set on a listener holds for each socket it accepts, without a system call for each.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_mins(1))
            .with_interval(Duration::from_secs(20)),
    )?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_not_shared() {
        let first = bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        assert_ne!(first.address.port(), 0);
        assert_eq!(first.listeners.len(), 2);
        let error = bind(first.address, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
