//! The asking end of a connection: one task that sends orders, takes in answers and knows when nobody is there any more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;

use super::auth::{Seals, introduce};
use super::line::{Line, wake};
use super::peer::is_telling;
use super::tls::explain_handshake;
use super::wire::{Incoming, Outgoing, broken};
use super::{Destination, Shared};
use crate::frame::Kind;

/// How exactly time limits of orders are kept.
const TICK: Duration = Duration::from_millis(100);
/// How often a connection without orders is looked after.
const QUIET_TICK: Duration = Duration::from_millis(500);
/// After such a silence the other side is asked whether it is there; after twice that it is not.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// So often one turn reads before others of this thread have theirs.
const READS: u32 = 8;

/// Opens a connection and keeps it until it breaks, is not needed any more or this task is aborted.
pub(super) async fn run(shared: Arc<Shared>, destination: Destination, ending: Ending) {
    let line = &ending.0;
    let opened = {
        let mut opening = std::pin::pin!(tokio::time::timeout(
            shared.connect,
            open(&shared, &destination)
        ));
        let mut tick = tokio::time::interval(TICK);
        let mut woken = Vec::new();
        loop {
            // Also an order that waits for the connection has its time limit.
            tokio::select! {
                opened = &mut opening => break opened,
                _ = tick.tick() => {
                    line.expire(Instant::now(), &mut woken);
                    wake(&mut woken);
                }
            }
        }
    };
    let why = match opened {
        Ok(Ok((stream, seals))) => {
            line.peer.answered();
            line.peer.hear(Instant::now());
            match stream {
                Stream::Plain(stream) => converse(&shared, &destination, line, stream, seals).await,
                Stream::Tls(stream) => converse(&shared, &destination, line, stream, seals).await,
            }
        }
        Ok(Err(why)) => {
            line.peer.failed();
            let node = destination.node;
            if is_telling(&why) && line.peer.is_news(&why) {
                tracing::warn!(%node, address = %destination.address, "a node cannot be reached: {why}");
            }
            why
        }
        Err(_) => {
            line.peer.failed();
            io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
        }
    };
    shared.counts.broken();
    line.end(&format!("{}: {why}", destination.address));
}

/// Ends the line also where the task is aborted, even before its first turn, or its runtime goes.
pub(super) struct Ending(pub(super) Arc<Line>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end("this node's end of the link was closed");
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn open(shared: &Shared, destination: &Destination) -> io::Result<(Stream, Seals)> {
    let mut socket = TcpStream::connect(&*destination.address).await?;
    socket.set_nodelay(true)?;
    let ids = (shared.me(), destination.node);
    let nonce = (shared.random)();
    let Some(tls) = shared.tls.load_full() else {
        let seals = introduce(&mut socket, &shared.key, ids, nonce).await?;
        return Ok((Stream::Plain(socket), seals));
    };
    let name = destination.server_name()?;
    let connector = TlsConnector::from(Arc::clone(&tls.client));
    let mut socket = Box::new(
        connector
            .connect(name, socket)
            .await
            .map_err(explain_handshake)?,
    );
    let seals = introduce(&mut *socket, &shared.key, ids, nonce).await?;
    Ok((Stream::Tls(socket), seals))
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    destination: &Destination,
    line: &Line,
    stream: S,
    seals: Seals,
) -> io::Error {
    let now = Instant::now();
    let conversation = Conversation {
        shared,
        destination,
        line,
        stream,
        incoming: Incoming::new(seals.inbound, shared.largest),
        outgoing: Outgoing::new(seals.outbound),
        batch: None,
        tick: Box::pin(tokio::time::sleep_until(now + TICK)),
        quiet: false,
        heard: now,
        probed: false,
        woken: Vec::new(),
    };
    conversation.await
}

struct Conversation<'a, S> {
    shared: &'a Shared,
    destination: &'a Destination,
    line: &'a Line,
    stream: S,
    incoming: Incoming,
    outgoing: Outgoing,
    /// What is being written.
    batch: Option<u64>,
    tick: Pin<Box<Sleep>>,
    /// Whether the next tick is far away.
    quiet: bool,
    heard: Instant,
    probed: bool,
    woken: Vec<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Conversation<'_, S> {
    type Output = io::Error;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Error> {
        let this = self.get_mut();
        let turned = this.turn(cx);
        wake(&mut this.woken);
        match turned {
            Ok(()) => Poll::Pending,
            Err(why) => Poll::Ready(why),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.line.attend(cx);
        self.read(cx)?;
        while self.tick.as_mut().poll(cx).is_ready() {
            self.look_after()?;
        }
        self.write(cx)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..READS {
            match self.incoming.poll_read(cx, &mut self.stream)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(_) => {}
            }
            while let Some(frames) = self.incoming.next()? {
                self.heard = Instant::now();
                self.probed = false;
                self.line.peer.hear(self.heard);
                self.line.hear(frames, &mut self.woken)?;
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.outgoing.poll_write(cx, &mut self.stream)?.is_pending() {
                return Ok(());
            }
            if let Some(batch) = self.batch.take() {
                self.line.written(batch);
            }
            self.batch = self.line.fill(&mut self.outgoing);
            if self.outgoing.is_empty() {
                return Ok(());
            }
            if self.quiet {
                self.set_tick(TICK, false, Instant::now());
            }
        }
    }

    fn look_after(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let waiting = self.line.expire(now, &mut self.woken);
        let silence = now.duration_since(self.heard);
        if silence >= 2 * QUIET {
            return Err(broken("nothing was heard of it, though it was asked"));
        }
        if silence >= QUIET && !self.probed && self.outgoing.is_empty() {
            self.outgoing.put_sign(Kind::Probe);
            self.probed = true;
        }
        let quiet = waiting == 0;
        if quiet {
            if !self.shared.leads_to(self.destination) {
                return Err(broken("it has left"));
            }
            self.incoming.rest();
            self.outgoing.rest();
        }
        self.set_tick(if quiet { QUIET_TICK } else { TICK }, quiet, now);
        Ok(())
    }

    fn set_tick(&mut self, pause: Duration, quiet: bool, now: Instant) {
        self.tick.as_mut().reset(now + pause);
        self.quiet = quiet;
    }
}
