//! A lane: what one node has to say to another through Redis, orders and answers alike. Whatever waits when something can be
//! published goes together, so that a busy lane publishes far less often than it is asked.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gateway_core::id::NodeId;

use super::envelope::Pen;
use super::keys;
use super::waiting::Waiting;
use crate::frame::{BATCH, DEADLINE, HEAD, Kind, LARGE, put_head};

/// While one batch of a lane is under way to Redis, what comes waits for the next one, unless so much waits already: what a
/// batch costs is then paid for many, and where Redis is far away nothing waits for long.
const ENOUGH: usize = 32;
/// So many batches of one lane are under way at once.
const AT_ONCE: usize = 4;
/// So many answers may wait to be sent; more are dropped, and their callers told that it is unknown.
const MOST_ANSWERS: usize = 4096;
/// Nor may they have more bytes together.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    /// Where the other node hears.
    pub(super) channel: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pen: Pen,
    queue: VecDeque<Message>,
    /// Of the answers in the queue.
    answers: usize,
    bytes: usize,
    under_way: usize,
    /// The publisher was told.
    called: bool,
}

/// One thing that is to be said.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) ticket: u64,
    /// Of an order: when it ends; of an answer: until when anybody waits for it.
    pub(super) deadline: u64,
    pub(super) body: Bytes,
}

/// What is to be published at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) payload: Vec<u8>,
    /// The orders in it.
    pub(super) orders: Vec<u64>,
    /// How many answers are in it.
    pub(super) answers: u64,
    /// When the last of all of this ends.
    pub(super) deadline: u64,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, and the publisher is to be told of the lane.
    Call,
    /// It waits with others.
    Waits,
    /// There are too many.
    Full,
}

impl Lane {
    pub(super) fn new(to: NodeId, pen: Pen) -> Self {
        Self {
            channel: keys::bus(to),
            state: Mutex::new(State {
                pen,
                queue: VecDeque::new(),
                answers: 0,
                bytes: 0,
                under_way: 0,
                called: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message. Orders are bounded by who asks.
    pub(super) fn put(&self, message: Message) -> Put {
        let mut state = self.lock();
        if message.kind == Kind::Answer {
            let bytes = state.bytes + message.body.len();
            if state.answers >= MOST_ANSWERS || (state.answers > 0 && bytes > MOST_BYTES) {
                return Put::Full;
            }
            state.bytes = bytes;
            state.answers += 1;
        }
        state.queue.push_back(message);
        if state.called || !state.may_go() {
            return Put::Waits;
        }
        state.called = true;
        Put::Call
    }

    /// The next batch, if one may go and there is something to say. [`Lane::done`] is to be called after it.
    pub(super) fn next(&self, waiting: &Waiting, now: u64) -> Option<Batch> {
        let mut state = self.lock();
        state.called = false;
        if !state.may_go() {
            return None;
        }
        let mut batch = Batch {
            payload: Pen::begin(state.next_size()),
            ..Batch::default()
        };
        let mut alone = false;
        while let Some(next) = state.queue.front()
            && !alone
            && !Pen::is_full(&batch.payload)
        {
            // A large body travels alone: whoever receives it keeps no other bytes alive with it.
            alone = next.body.len() >= LARGE;
            if alone && Pen::filled(&batch.payload) > 0 {
                break;
            }
            if let Some(message) = state.queue.pop_front() {
                if message.kind == Kind::Answer {
                    state.answers -= 1;
                    state.bytes -= message.body.len();
                }
                let goes = match message.kind {
                    Kind::Order => waiting.send(message.ticket),
                    _ => message.deadline >= now,
                };
                if goes {
                    batch.add(&message);
                } else {
                    alone = false;
                }
            }
        }
        if Pen::filled(&batch.payload) == 0 {
            return None;
        }
        state.pen.seal(&mut batch.payload);
        state.under_way += 1;
        Some(batch)
    }

    /// A batch is published, or given up.
    pub(super) fn done(&self) {
        self.lock().under_way -= 1;
    }

    /// A batch that says nothing but that it was heard.
    pub(super) fn probe(&self) -> Vec<u8> {
        let mut payload = Pen::begin(HEAD);
        put_head(&mut payload, Kind::Probe, 0, 0);
        self.lock().pen.seal(&mut payload);
        payload
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && state.under_way == 0
    }
}

impl State {
    /// Whether a batch may go now.
    fn may_go(&self) -> bool {
        self.under_way == 0 || (self.under_way < AT_ONCE && self.queue.len() >= ENOUGH)
    }

    /// How many bytes of frames the next batch may have: growing a large buffer costs more than filling it.
    fn next_size(&self) -> usize {
        let mut size = 0;
        for message in &self.queue {
            size += HEAD + DEADLINE + message.body.len();
            if size >= BATCH || message.body.len() >= LARGE {
                break;
            }
        }
        size
    }
}

impl Batch {
    fn add(&mut self, message: &Message) {
        let Message {
            kind,
            ticket,
            deadline,
            body,
        } = message;
        let payload = &mut self.payload;
        if *kind == Kind::Order {
            put_head(payload, *kind, *ticket, DEADLINE + body.len());
            payload.extend_from_slice(&deadline.to_be_bytes());
            self.orders.push(*ticket);
        } else {
            put_head(payload, *kind, *ticket, body.len());
            self.answers += 1;
        }
        payload.extend_from_slice(body);
        self.deadline = self.deadline.max(*deadline);
    }
}
