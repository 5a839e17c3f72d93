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
use tokio::time::Instant;

use crate::node::Drain;
use crate::observe::Observe;

/// How long accepting rests when the system has no descriptor or memory to give.
const PAUSE: Duration = Duration::from_millis(50);
/// The log hears of such rests this often; anybody who can open many sockets may cause one after another.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

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
        let (mut complaints, mut full) = (Complaints::default(), Complaints::default());
        loop {
            let place = if let Some(place) = budget.try_take() {
                place
            } else {
                if full.admit(Instant::now()).is_some() {
                    tracing::warn!(
                        "every place is taken: newcomers wait until somebody leaves; raise the limit of open files"
                    );
                }
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
                        if let Some(left_out) = complaints.admit(Instant::now()) {
                            let left_out = (left_out > 0).then_some(left_out);
                            tracing::warn!(left_out, "accepting pauses: {error}");
                        }
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

/// Lines about one listener's pauses: some are written, the rest are counted.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    left_out: u64,
}

impl Complaints {
    /// How many lines were left out before this one; `None` where this one is left out too.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + COMPLAINT_EVERY) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_pauses_is_counted_and_not_written() {
        let mut complaints = Complaints::default();
        let begun = Instant::now();
        let written = (0..199).filter(|n| complaints.admit(begun + PAUSE * *n).is_some());
        assert_eq!(written.count(), 1);
        assert_eq!(complaints.admit(begun + COMPLAINT_EVERY), Some(198));
        assert_eq!(complaints.admit(begun + COMPLAINT_EVERY * 2), Some(0));
    }
}
