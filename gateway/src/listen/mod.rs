//! Listeners: ports, accepting within the descriptors there are, deadlines before anybody is known.

mod budget;
mod http1;
mod management;
mod port;
mod public;
mod pulse;
mod rewind;
mod tls;

pub use budget::{Budget, Handshakes, descriptor_limit};
pub use management::ManagementListener;
pub use port::{Port, bind};
pub use public::PublicListener;
pub use tls::TlsOffer;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::node::Drain;
use crate::observe::Observe;

/// How long accepting rests when the system has no descriptor or memory to give.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until draining begins. A place within the budget is taken first, so that a full gateway leaves newcomers
/// in the kernel's queue and keeps descriptors for its backends.
async fn accept_loop<F, Done>(
    listener: TcpListener,
    budget: Budget,
    observe: Arc<Observe>,
    drain: Arc<Drain>,
    serve: F,
) where
    F: Fn(TcpStream, std::net::SocketAddr, OwnedSemaphorePermit) -> Done,
    Done: Future<Output = ()> + Send + 'static,
{
    let accepting = async {
        loop {
            let place = if let Some(place) = budget.try_take() {
                place
            } else {
                observe.metrics.accept_paused();
                budget.take().await
            };
            match listener.accept().await {
                Ok((socket, peer)) => {
                    tokio::spawn(serve(socket, peer, place));
                }
                Err(error) => {
                    drop(place);
                    if !is_of_one_connection(&error) {
                        tracing::warn!("accepting pauses: {error}");
                        observe.metrics.accept_paused();
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = drain.started() => {}
    }
}

/// Errors that concern only the connection that was being accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
