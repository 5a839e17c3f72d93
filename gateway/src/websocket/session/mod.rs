//! One open socket: reads frames, starts messages in order, keeps the clocks, ends it.
//!
//! One task for each connection. It reads into a buffer that all connections of the thread share, so an idle
//! connection owns none. Messages run in tasks of their own; how many at once the route's `concurrency` says, and
//! while the small queue before them is full the socket is not read.

mod end;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gateway_core::failure::Failure;
use gateway_core::live::LiveRoute;
use gateway_core::resource::Limits;
use gateway_core::session::{CloseCause, Due, Facts, Received, Session};
use tokio::time::Sleep;

use super::message::Message;
use super::{WebSocketDoor, close};
use crate::codec::{self, Decoder};
use crate::env;
use crate::node::{Deployed, Guard, LiveConnection};

/// Messages that may wait for their turn before the socket is no longer read.
const QUEUED_MESSAGES: usize = 16;
/// Bytes of waiting messages, likewise; a single message of any legal size fits.
const QUEUED_BYTES: usize = 256 * 1024;
/// Messages decoded before the thread's other connections have their turn: those that are refused wait in no queue, and
/// what is read at once holds thousands.
const MESSAGES_AT_ONCE: usize = 32;
/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Starts the task of an open connection. `rest` is what the client sent right behind its handshake.
///
/// However serving ends, by a panic too: the connection leaves the table, its socket is closed, its place among the
/// descriptors is free again, and its `$disconnect` is owed.
pub(super) fn spawn(
    door: Arc<WebSocketDoor>,
    live: Arc<LiveConnection>,
    rest: Vec<u8>,
    guard: Guard,
) {
    env::spawn(async move {
        let cause = {
            let mut socket = Socket::new(&door, &live, rest);
            let served = door.contain(&live.connection.id, socket.serve()).await;
            let cause = served.unwrap_or(CloseCause::Internal);
            // Boxed, so that no open connection holds room for its end: 1,000 bytes of 1,480.
            Box::pin(socket.conclude(&cause)).await;
            cause
        };
        close::end(&door, live, cause, guard).await;
    });
}

/// A message with its route.
struct Prepared {
    message: Message,
    route: Result<Arc<LiveRoute>, Failure>,
}

struct Socket<'a> {
    door: &'a Arc<WebSocketDoor>,
    live: &'a Arc<LiveConnection>,
    deployed: Arc<Deployed>,
    rules: Session,
    decoder: Decoder,
    /// The message that starts next.
    next: Option<Prepared>,
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    /// Read but not decoded yet, because the queue was full or others had their turn.
    backlog: Vec<u8>,
    paused: bool,
    /// The clocks know that bytes wait for the client.
    knows_queue: bool,
    /// The reading side has ended: nothing more comes.
    ended: Option<CloseCause>,
}

impl<'a> Socket<'a> {
    fn new(door: &'a Arc<WebSocketDoor>, live: &'a Arc<LiveConnection>, rest: Vec<u8>) -> Self {
        let deployed = live.stage.load();
        let rules = Session::new(&deployed.live.limits, env::now(), env::chance());
        live.outlet.touch();
        Self {
            door,
            live,
            deployed,
            rules,
            decoder: Decoder::default(),
            next: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            backlog: rest,
            paused: false,
            knows_queue: false,
            ended: None,
        }
    }

    /// Runs until it is known why the connection ends.
    async fn serve(&mut self) -> CloseCause {
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            if self.can_decode() {
                tokio::task::yield_now().await;
            }
            if let Err(cause) = self.decode_backlog() {
                return cause;
            }
            self.start_messages();
            self.settle_pause();
            if let Some(cause) = self.ended.take() {
                return cause;
            }
            let seen = self.live.outlet.look();
            if seen.leaving && self.backlog.is_empty() && self.is_settled() {
                return CloseCause::Shutdown;
            }
            self.knows_queue = seen.stalled_since.is_some();
            let facts = Facts {
                last_message: self.live.outlet.last_message(),
                paused: self.paused,
                stalled_since: seen.stalled_since,
                unfinished: self.decoder.unfinished(),
            };
            let wake_at = match self
                .rules
                .due(&self.deployed.live.limits, &facts, env::now())
            {
                Due::Close(cause) => return cause,
                Due::Ping => {
                    self.live.outlet.control(codec::ping(&[]));
                    continue;
                }
                Due::Wait(at) => at,
            };
            arm(timer.as_mut(), wake_at);
            match poll_fn(|cx| self.poll(cx, timer.as_mut())).await {
                Ok(()) => {}
                Err(cause) => return cause,
            }
        }
    }

    /// Ready when something happened: bytes came, the queue emptied, a message finished, a time came.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        timer: Pin<&mut Sleep>,
    ) -> Poll<Result<(), CloseCause>> {
        let outlet = &self.live.outlet;
        // The waker first: what changes after the look wakes the task.
        outlet.register(cx);
        let seen = outlet.look();
        if let Some(cause) = seen.closing {
            return Poll::Ready(Err(cause));
        }
        let queued = seen.stalled_since.is_some();
        if queued && let Poll::Ready(flushed) = outlet.poll_flush(cx) {
            return Poll::Ready(flushed.map_err(|_| CloseCause::Lost));
        }
        // A pusher on another thread left bytes behind: from now on the write clock runs.
        if queued && !self.knows_queue {
            return Poll::Ready(Ok(()));
        }
        if seen.leaving && (!self.paused || self.is_settled()) {
            return Poll::Ready(Ok(()));
        }
        if self.can_start() || self.paused && self.has_room() && !seen.leaving {
            return Poll::Ready(Ok(()));
        }
        if !self.paused {
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(cause)) => {
                    // What came before the end is still the backend's to hear.
                    self.ended = Some(cause);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            }
        }
        timer.poll(cx).map(Ok)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseCause>> {
        thread_local! {
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
        }
        let socket = self.live.outlet.socket();
        loop {
            match socket.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(CloseCause::Lost)),
                Poll::Pending => return Poll::Pending,
            }
            let read = SCRATCH.with_borrow_mut(|scratch| match socket.try_read(scratch) {
                Ok(0) => Some(Err(CloseCause::Lost)),
                Ok(n) => Some(self.decode(&mut scratch[..n])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(_) => Some(Err(CloseCause::Lost)),
            });
            if let Some(read) = read {
                return Poll::Ready(read);
            }
        }
    }

    fn decode_backlog(&mut self) -> Result<(), CloseCause> {
        if !self.can_decode() {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.backlog);
        self.decode(&mut bytes)
    }

    /// Decodes until the input is used, the queue is full or enough is done; what is left waits in the backlog.
    fn decode(&mut self, input: &mut [u8]) -> Result<(), CloseCause> {
        let limits = codec_limits(&self.deployed.live.limits);
        let mut used = 0;
        let mut handled = 0;
        while self.has_room() && handled < MESSAGES_AT_ONCE {
            let (n, event) =
                self.decoder
                    .decode(&mut input[used..], &limits)
                    .map_err(|violation| {
                        tracing::debug!(connection = %self.live.connection.id, "{violation}");
                        CloseCause::Violation {
                            code: violation.close_code(),
                            reason: violation.reason(),
                        }
                    })?;
            used += n;
            match event {
                None => return Ok(()),
                Some(event) => self.handle(event)?,
            }
            handled += 1;
        }
        self.backlog = input[used..].to_vec();
        Ok(())
    }

    fn handle(&mut self, event: codec::Event) -> Result<(), CloseCause> {
        let now = env::now();
        let message = match event {
            codec::Event::Text(text) => Message::Text(text),
            codec::Event::Binary(bytes) => Message::Binary(bytes),
            codec::Event::Ping(payload) => {
                self.rules.receive(Received::Ping, now)?;
                self.live.outlet.control(codec::pong(&payload));
                return Ok(());
            }
            codec::Event::Pong => return self.rules.receive(Received::Pong, now),
            codec::Event::Close { code, reason } => {
                return Err(CloseCause::Client {
                    code: code.unwrap_or(1005),
                    reason,
                });
            }
        };
        self.rules.receive(Received::Message, now)?;
        self.live.outlet.touch();
        if !self.deployed.admit_address(self.live.connection.source_ip) {
            // Not worth a task: the frame is dropped where the client does not even read.
            let frame = self
                .door
                .refuse_message(self.live, &self.deployed, &message);
            self.live.outlet.push(frame);
            return Ok(());
        }
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < QUEUED_MESSAGES && self.waiting_bytes < QUEUED_BYTES
    }

    fn can_decode(&self) -> bool {
        !self.backlog.is_empty() && self.has_room()
    }

    fn settle_pause(&mut self) {
        // While bytes wait in the backlog nothing newer may be read: it would overtake them.
        let paused = !self.has_room() || !self.backlog.is_empty() || self.live.outlet.is_leaving();
        if self.paused && !paused {
            self.rules.resume(env::now());
        }
        self.paused = paused;
    }

    /// Gives the first waiting message its route, with what is deployed at this moment: a deployment reaches open
    /// connections with their next message.
    fn prepare(&mut self) {
        if self.next.is_some() {
            return;
        }
        let Some(message) = self.waiting.pop_front() else {
            return;
        };
        self.waiting_bytes -= message.len();
        self.deployed = self.live.stage.load();
        let route = self
            .deployed
            .live
            .select_message(&self.live.connection, message.text())
            .map(Arc::clone);
        self.next = Some(Prepared { message, route });
    }

    /// True where the first message may start now.
    fn can_start(&self) -> bool {
        self.next.as_ref().is_some_and(|next| {
            let usual = self.deployed.live.limits.concurrency;
            let concurrency = next.route.as_ref().map_or(usual, |route| route.concurrency);
            // A node that may have been declared dead hands nothing to a backend: it would be heard after the end.
            self.live.in_flight() < concurrency && self.door.node.is_acting()
        })
    }

    /// Starts messages in the order in which they came; a message never overtakes an earlier one.
    fn start_messages(&mut self) {
        loop {
            self.prepare();
            if !self.can_start() {
                return;
            }
            let Some(Prepared { message, route }) = self.next.take() else {
                return;
            };
            let running = self.live.start();
            let (door, live) = (Arc::clone(self.door), Arc::clone(self.live));
            let deployed = Arc::clone(&self.deployed);
            env::spawn(async move {
                let run = door.run_message(&live, &deployed, route, message);
                let _ = door.contain(&live.connection.id, run).await;
                drop(running);
            });
        }
    }

    /// True where every message that was received has been answered.
    fn is_settled(&self) -> bool {
        self.next.is_none() && self.waiting.is_empty() && self.live.in_flight() == 0
    }
}

fn codec_limits(limits: &Limits) -> codec::Limits {
    let bytes = |limit: Option<u32>| limit.map_or(usize::MAX, |bytes| bytes as usize);
    codec::Limits {
        frame: bytes(limits.max_frame_bytes),
        message: bytes(limits.max_message_bytes),
        fragments: limits.max_fragments,
        binary: limits.binary,
    }
}

/// Sets the timer where it would be late. One that is early costs a wake-up, setting it again costs more: most
/// clocks move with every message and almost never run out.
fn arm(timer: Pin<&mut Sleep>, wake_at: u64) {
    let wanted = env::instant_at(wake_at);
    if timer.is_elapsed() || timer.deadline() > wanted {
        timer.reset(wanted);
    }
}
