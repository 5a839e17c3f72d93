//! The serving end: accepts other nodes, lets in those that know the secret, hands their orders to the inbox.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use gateway_core::id::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::ask::QUIET;
use super::auth::{Seals, welcome};
use super::peer::{Peer, is_telling};
use super::tls::explain_handshake;
use super::wire::{Incoming, Outgoing, broken};
use crate::Inbox;
use crate::frame::{Frames, Kind};

/// So many connections may be open that have not yet shown that they know the secret. One more ends the oldest of them: who
/// knows the secret is through in a moment, who only holds a place loses it.
const MOST_STRANGERS: usize = 64;
/// So long they may take.
const STRANGER_LIMIT: Duration = Duration::from_secs(2);
/// So many connections of nodes are served.
const MOST_SERVED: usize = 4096;
/// An asker probes after [`QUIET`]; one of which so long nothing was heard is gone.
const GONE: Duration = Duration::from_secs(6);
/// So often one turn reads before others of this thread have theirs.
const READS: u32 = 8;

/// Connections that are not let in yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    places: VecDeque<(u64, Option<AbortHandle>)>,
}

impl Strangers {
    fn enter(&self) -> u64 {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = waiting.next;
        waiting.next += 1;
        waiting.places.push_back((number, None));
        if waiting.places.len() > MOST_STRANGERS
            && let Some((_, Some(oldest))) = waiting.places.pop_front()
        {
            oldest.abort();
        }
        number
    }

    /// How to end it. It may be over already.
    fn name(&self, number: u64, handle: AbortHandle) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = waiting.places.iter_mut().find(|(n, _)| *n == number) {
            place.1 = Some(handle);
        }
    }

    fn leave(&self, number: u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.retain(|(n, _)| *n != number);
    }
}

/// Gives the place back, however the opening ends.
struct Place<'a>(&'a Strangers, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// Counts a connection that is served.
struct Served<'a>(&'a AtomicUsize);

impl<'a> Served<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < MOST_SERVED).then_some(place)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until it is aborted. What stands in the way is told by `number`.
pub(super) async fn accept(
    shared: Arc<Shared>,
    number: usize,
    listener: TcpListener,
    inbox: Arc<dyn Inbox>,
) {
    let mut pause = Duration::from_millis(50);
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                pause = Duration::from_millis(50);
                shared.set_trouble(number, None);
                let place = shared.strangers.enter();
                let served = serve(
                    Arc::clone(&shared),
                    socket,
                    address,
                    place,
                    Arc::clone(&inbox),
                );
                match shared.tasks.spawn(served) {
                    Some(handle) => shared.strangers.name(place, handle),
                    None => return,
                }
            }
            // The peer was gone before it was accepted; the listener is well.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shared.set_trouble(number, Some(format!("cannot accept nodes: {error}")));
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(Duration::from_secs(1));
            }
        }
    }
}

async fn serve(
    shared: Arc<Shared>,
    socket: TcpStream,
    address: SocketAddr,
    place: u64,
    inbox: Arc<dyn Inbox>,
) {
    let place = Place(&shared.strangers, place);
    let opened = tokio::time::timeout(STRANGER_LIMIT, open(&shared, socket)).await;
    drop(place);
    let (stream, from, seals) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => {
            if is_telling(&why) && shared.counts.may_say(shared.start) {
                tracing::warn!(%address, "who connected as another node was refused: {why}");
            }
            return shared.counts.refused();
        }
        Err(_) => return shared.counts.refused(),
    };
    let Some(_served) = Served::enter(&shared.served) else {
        return shared.counts.refused();
    };
    match stream {
        Stream::Plain(stream) => listen(&shared, stream, from, seals, inbox).await,
        Stream::Tls(stream) => listen(&shared, stream, from, seals, inbox).await,
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

async fn open(shared: &Shared, mut socket: TcpStream) -> io::Result<(Stream, NodeId, Seals)> {
    socket.set_nodelay(true)?;
    let nonce = (shared.random)();
    let Some(tls) = shared.tls.load_full() else {
        let (from, seals) = welcome(&mut socket, &shared.key, shared.me(), nonce).await?;
        return Ok((Stream::Plain(socket), from, seals));
    };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let mut socket = Box::new(acceptor.accept(socket).await.map_err(explain_handshake)?);
    let (from, seals) = welcome(&mut *socket, &shared.key, shared.me(), nonce).await?;
    Ok((Stream::Tls(socket), from, seals))
}

async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    stream: S,
    from: NodeId,
    seals: Seals,
    inbox: Arc<dyn Inbox>,
) {
    let now = Instant::now();
    let peer = shared.peer(from);
    peer.hear(now);
    let listening = Listening {
        shared,
        peer,
        from,
        inbox,
        stream,
        incoming: Incoming::new(seals.inbound, shared.largest),
        outgoing: Outgoing::new(seals.outbound),
        tick: Box::pin(tokio::time::sleep_until(now + QUIET)),
        heard: now,
    };
    let _ended = listening.await;
}

struct Listening<'a, S> {
    shared: &'a Shared,
    peer: Arc<Peer>,
    from: NodeId,
    inbox: Arc<dyn Inbox>,
    stream: S,
    incoming: Incoming,
    outgoing: Outgoing,
    tick: Pin<Box<Sleep>>,
    heard: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Listening<'_, S> {
    type Output = io::Error;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self.get_mut().turn(cx) {
            Ok(()) => Poll::Pending,
            Err(why) => Poll::Ready(why),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Listening<'_, S> {
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.tick.as_mut().poll(cx).is_ready() {
            self.look_after()?;
        }
        for _ in 0..READS {
            // While answers cannot be written nothing is read: who does not take answers gets no more orders done.
            if self.outgoing.poll_write(cx, &mut self.stream)?.is_pending() {
                return Ok(());
            }
            if !self.read(cx)? {
                return Ok(());
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Reads and acts until the answers fill a batch, or nothing is there: whether it makes sense to go on.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        loop {
            while !self.outgoing.is_full() {
                let Some(frames) = self.incoming.next()? else {
                    break;
                };
                self.heard = Instant::now();
                self.peer.hear(self.heard);
                let acting = Acting {
                    shared: self.shared,
                    inbox: &*self.inbox,
                    from: self.from,
                };
                acting.act(frames, &mut self.outgoing)?;
            }
            if self.outgoing.is_full() {
                return Ok(true);
            }
            match self.incoming.poll_read(cx, &mut self.stream)? {
                Poll::Pending if self.outgoing.is_empty() => return Ok(false),
                Poll::Pending => return Ok(true),
                Poll::Ready(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(_) => {}
            }
        }
    }

    fn look_after(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now.duration_since(self.heard) >= GONE {
            return Err(broken("nothing was heard of it"));
        }
        self.incoming.rest();
        self.outgoing.rest();
        self.tick.as_mut().reset(now + QUIET);
        Ok(())
    }
}

/// What acting on orders needs.
struct Acting<'a> {
    shared: &'a Shared,
    inbox: &'a dyn Inbox,
    from: NodeId,
}

impl Acting<'_> {
    fn act(&self, mut frames: Frames<'_>, outgoing: &mut Outgoing) -> io::Result<()> {
        loop {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_) => return Err(broken("it sent what is no frame")),
            };
            match frame.kind {
                Kind::Probe => outgoing.put_sign(Kind::Echo),
                Kind::Order => {
                    let (deadline, body) = (frame.order())
                        .ok_or_else(|| broken("it sent an order without deadline"))?;
                    if self.shared.clock.now() > deadline {
                        // Its caller has been told, or will be, that nothing is known of it.
                        self.shared.counts.late();
                        continue;
                    }
                    let answer = self.inbox.receive(self.from, body);
                    if let Some(answer) =
                        answer.filter(|answer| answer.len() <= self.shared.max_order)
                    {
                        outgoing.put_answer(frame.ticket, &answer);
                    }
                }
                Kind::Answer | Kind::Echo => return Err(broken("it answers where it should ask")),
            }
        }
    }
}
