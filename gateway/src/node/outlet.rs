//! The bounded, locked way to one socket.
//!
//! Whoever has a frame for a client writes it here, on its own thread, under a synchronous lock: no task hop and
//! no channel for each connection. What the socket does not take waits in a bounded queue that the connection's
//! task drains. No await happens under the lock.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use gateway_core::session::CloseCause;
use tokio::sync::Notify;

use super::Wire;
use crate::codec;
use crate::env;

/// One connection's socket, its queue and its state.
#[derive(Debug)]
pub struct Outlet {
    wire: Wire,
    queue: Mutex<Queue>,
    /// Wakes the task that owns the connection.
    owner: AtomicWaker,
    /// Tells our own replies that the queue has room again.
    room: Notify,
    last_message: AtomicU64,
    leaving: AtomicBool,
    /// Bytes that may wait.
    capacity: u32,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    stalled_since: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// `$connect` has not answered: frames are held, or refused.
    Connecting {
        hold: bool,
    },
    Open,
    /// A close was ordered; its frame stands last in the queue.
    Closing(Box<CloseCause>),
    Closed,
}

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Written, or queued on the live socket.
    Accepted,
    /// Kept until the handshake is done.
    Held,
    /// The queue is full.
    Full,
    /// The connection is over, or has not begun where pushes are not held.
    Gone,
}

/// An outlet as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Why the end was ordered, if it was.
    pub closing: Option<CloseCause>,
    /// Since when bytes wait without any being taken; `None` where none wait.
    pub stalled_since: Option<u64>,
    /// An orderly end was asked for.
    pub leaving: bool,
}

impl Outlet {
    /// A socket whose handshake is under way.
    pub fn new(wire: Wire, capacity: u32, hold: bool) -> Self {
        let queue = Queue {
            frames: VecDeque::new(),
            bytes: 0,
            stalled_since: 0,
            state: State::Connecting { hold },
        };
        Self {
            wire,
            queue: Mutex::new(queue),
            owner: AtomicWaker::new(),
            room: Notify::new(),
            last_message: AtomicU64::new(env::now()),
            leaving: AtomicBool::new(false),
            capacity,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic under this lock leaves at worst a frame half written; the peer's parser ends that connection.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a frame or queues it. An empty queue takes any frame.
    pub fn push(&self, mut frame: Bytes) -> Pushed {
        self.offer(&mut frame)
    }

    /// [`push`](Self::push) for our own replies: waits for room instead of giving up.
    pub async fn reply(&self, mut frame: Bytes) -> Pushed {
        loop {
            let room = self.room.notified();
            match self.offer(&mut frame) {
                Pushed::Full => room.await,
                pushed => return pushed,
            }
        }
    }

    /// Takes the frame, unless it is [`Pushed::Full`]: then it is untouched.
    fn offer(&self, frame: &mut Bytes) -> Pushed {
        let mut queue = self.lock();
        match queue.state {
            State::Open => {}
            State::Connecting { hold: true } => {
                if !queue.has_room(frame.len(), self.capacity) {
                    return Pushed::Full;
                }
                queue.append(std::mem::take(frame));
                return Pushed::Held;
            }
            State::Connecting { hold: false } | State::Closing(_) | State::Closed => {
                return Pushed::Gone;
            }
        }
        if queue.frames.is_empty() {
            match self.wire.write(frame) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    queue.append(std::mem::take(frame));
                    self.owner.wake();
                }
                Err(_) => {
                    // The reader's side finds out why; until then nothing more is accepted.
                    queue.state = State::Closing(Box::new(CloseCause::Lost));
                    self.owner.wake();
                    return Pushed::Gone;
                }
            }
        } else if queue.has_room(frame.len(), self.capacity) {
            queue.append(std::mem::take(frame));
        } else {
            return Pushed::Full;
        }
        self.touch();
        Pushed::Accepted
    }

    /// A control frame: dropped rather than queued behind a slow reader's backlog.
    pub fn control(&self, frame: Bytes) {
        let mut queue = self.lock();
        if queue.state != State::Open || !queue.frames.is_empty() {
            return;
        }
        let mut frame = frame;
        if self.wire.write(&mut frame).is_err() && !frame.is_empty() {
            queue.append(frame);
            self.owner.wake();
        }
    }

    /// The handshake is answered: `response` goes out first, then what was held. Under one lock, so that a push that
    /// follows the client's sight of the 101 is never told that the connection does not exist.
    ///
    /// False where the end was ordered meanwhile: the response is not written.
    pub fn open(&self, response: Bytes) -> bool {
        let mut queue = self.lock();
        if !matches!(queue.state, State::Connecting { .. }) {
            return false;
        }
        queue.state = State::Open;
        queue.bytes += response.len();
        queue.frames.push_front(response);
        queue.stalled_since = env::now();
        if let Err(error) = self.drain(&mut queue)
            && error.kind() != io::ErrorKind::WouldBlock
        {
            queue.state = State::Closing(Box::new(CloseCause::Lost));
        }
        true
    }

    /// Asks for an orderly end: what was received is answered first.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.owner.wake();
    }

    /// True once an orderly end was asked for.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Orders the end: the close frame is written after all that is queued. The first cause counts.
    pub fn close(&self, cause: CloseCause) {
        let mut queue = self.lock();
        if matches!(queue.state, State::Closing(_) | State::Closed) {
            return;
        }
        // Before the 101 there is no WebSocket on which a close frame would mean anything.
        let upgraded = queue.state == State::Open;
        if upgraded && cause != CloseCause::Lost && cause != CloseCause::NoPong {
            let code = match &cause {
                CloseCause::Client { code: 1005, .. } => None,
                cause => Some(cause.code()),
            };
            let reason = if code.is_some() { cause.reason() } else { "" };
            queue.append(codec::close(code, reason));
        }
        queue.state = State::Closing(Box::new(cause));
        self.owner.wake();
        self.room.notify_waiters();
    }

    /// Nothing is accepted or written any more. Returns the frames that were never written.
    pub fn finish(&self) -> usize {
        let mut queue = self.lock();
        queue.state = State::Closed;
        queue.bytes = 0;
        self.room.notify_waiters();
        std::mem::take(&mut queue.frames).len()
    }

    /// What the connection's task must know, under one lock.
    pub fn look(&self) -> Look {
        let queue = self.lock();
        Look {
            closing: match &queue.state {
                State::Closing(cause) => Some((**cause).clone()),
                _ => None,
            },
            stalled_since: (!queue.frames.is_empty()).then_some(queue.stalled_since),
            leaving: self.is_leaving(),
        }
    }

    /// True while pushes are accepted.
    pub fn is_open(&self) -> bool {
        self.lock().state == State::Open
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.lock().bytes
    }

    /// Writes what waits, as far as the socket takes it; ready when all is written or the socket failed.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            {
                let mut queue = self.lock();
                if let Err(error) = self.drain(&mut queue) {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        return Poll::Ready(Err(error));
                    }
                } else {
                    return Poll::Ready(Ok(()));
                }
            }
            match self.wire.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn drain(&self, queue: &mut Queue) -> io::Result<()> {
        while let Some(front) = queue.frames.front_mut() {
            let before = front.len();
            let result = self.wire.write(front);
            let written = before - front.len();
            if front.is_empty() {
                queue.frames.pop_front();
            }
            queue.bytes -= written;
            // A slow reader may take a TLS record bit by bit, which shortens no frame until all of it is taken.
            if written > 0 || self.wire.moved() {
                queue.stalled_since = env::now();
                if queue.bytes <= self.capacity as usize / 2 {
                    self.room.notify_waiters();
                }
            }
            result?;
        }
        if queue.frames.capacity() > 8 {
            queue.frames = VecDeque::new();
        }
        Ok(())
    }

    /// A message went or came.
    pub fn touch(&self) {
        self.last_message.store(env::now(), Ordering::Relaxed);
    }

    /// When the last message went or came, on [`env::now`]'s clock.
    pub fn last_message(&self) -> u64 {
        self.last_message.load(Ordering::Relaxed)
    }

    /// The task that polls now is the one to wake.
    pub fn register(&self, cx: &Context<'_>) {
        self.owner.register(cx.waker());
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        self.owner.wake();
    }

    /// The socket, for reading; writing goes through this type alone.
    pub fn socket(&self) -> &Wire {
        &self.wire
    }
}

impl Queue {
    fn has_room(&self, len: usize, capacity: u32) -> bool {
        self.frames.is_empty() || self.bytes + len <= capacity as usize
    }

    fn append(&mut self, frame: Bytes) {
        if self.frames.is_empty() {
            self.stalled_since = env::now();
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }
}
