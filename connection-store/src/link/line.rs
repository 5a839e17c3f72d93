//! A line: the orders that one thread has under way to one node, shared by those who wait for answers and by the task that
//! owns the connection. All of them live on that thread, so the lock is never waited for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use super::peer::{Peer, WEIGHT};
use super::wire::{Outgoing, broken};
use crate::BusError;
use crate::frame::{Frames, Kind};

/// Orders that were cancelled stay in the queue until their turn; so many may stand in it.
const MOST_QUEUED: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) peer: Arc<Peer>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Tells the orders apart that a slot sees one after the other.
    generation: u32,
    queue: VecDeque<Ticket>,
    /// The batch that was filled last, and the last one that was written whole.
    filled: u64,
    written: u64,
    task: Option<Waker>,
    woken: bool,
    /// Why nothing can be sent any more.
    end: Option<String>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    expires: Instant,
    weight: usize,
    stage: Stage,
    asker: Option<Waker>,
}

#[derive(Debug)]
enum Stage {
    Free,
    Queued {
        deadline: u64,
        body: Bytes,
    },
    /// In this batch.
    Out(u64),
    Done(Result<Bytes, BusError>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    place: u32,
    generation: u32,
}

impl Ticket {
    fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    fn from_bits(bits: u64) -> Self {
        Self {
            place: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// An order's answer, once it comes. Dropped, it takes back what was not yet sent.
#[derive(Debug)]
pub(super) struct Answer {
    line: Arc<Line>,
    ticket: Option<Ticket>,
}

impl Line {
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        Self {
            peer,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an order. All that are queued before the connection's task has its turn go in one write.
    pub(super) fn ask(
        self: Arc<Self>,
        body: Bytes,
        deadline: u64,
        expires: Instant,
    ) -> Result<Answer, BusError> {
        let weight = WEIGHT + body.len();
        let mut state = self.lock();
        if let Some(why) = &state.end {
            return Err(BusError::Unreachable(why.clone()));
        }
        if state.queue.len() >= MOST_QUEUED || !self.peer.take(weight) {
            return Err(BusError::Busy);
        }
        let ticket = state.enter(Slot {
            generation: 0,
            expires,
            weight,
            stage: Stage::Queued { deadline, body },
            asker: None,
        });
        state.queue.push_back(ticket);
        if !std::mem::replace(&mut state.woken, true)
            && let Some(task) = &state.task
        {
            task.wake_by_ref();
        }
        drop(state);
        Ok(Answer {
            line: self,
            ticket: Some(ticket),
        })
    }

    /// Whether it takes no order any more.
    pub(super) fn is_over(&self) -> bool {
        self.lock().end.is_some()
    }

    /// To be called at each turn of the connection's task: from here on an order wakes it.
    pub(super) fn attend(&self, cx: &Context<'_>) {
        let mut state = self.lock();
        state.woken = false;
        let known = state.task.as_ref();
        if known.is_none_or(|task| !task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
    }

    /// Moves orders into a batch until it is full: its number, where there were any.
    pub(super) fn fill(&self, outgoing: &mut Outgoing) -> Option<u64> {
        let mut state = self.lock();
        let number = state.filled + 1;
        let mut any = false;
        while !outgoing.is_full()
            && let Some(ticket) = state.queue.pop_front()
        {
            let Some(slot) = state.slot(ticket) else {
                continue;
            };
            if !matches!(slot.stage, Stage::Queued { .. }) {
                continue;
            }
            let queued = std::mem::replace(&mut slot.stage, Stage::Out(number));
            if let Stage::Queued { deadline, body } = queued {
                outgoing.put_order(ticket.to_bits(), deadline, &body);
                any = true;
            }
        }
        if any {
            state.filled = number;
        }
        any.then_some(number)
    }

    /// A batch was written whole: from here on its orders may have been acted upon.
    pub(super) fn written(&self, batch: u64) {
        self.lock().written = batch;
    }

    /// Takes in answers: how many. Those who wait are woken through `woken`, so that nobody else's code runs under the lock.
    pub(super) fn hear(
        &self,
        mut frames: Frames<'_>,
        woken: &mut Vec<Waker>,
    ) -> std::io::Result<()> {
        let mut state = self.lock();
        loop {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_) => return Err(broken("it sent what is no frame")),
            };
            match frame.kind {
                Kind::Echo => {}
                Kind::Answer => {
                    let ticket = Ticket::from_bits(frame.ticket);
                    // Whoever waited for another one was told long ago that it is unknown.
                    if let Some(slot) = state.slot(ticket)
                        && matches!(slot.stage, Stage::Out(_))
                    {
                        woken.extend(self.settle(slot, Ok(frame.body())));
                    }
                }
                Kind::Order | Kind::Probe => return Err(broken("it asks where it should answer")),
            }
        }
    }

    /// Ends what has waited long enough: how many go on waiting.
    pub(super) fn expire(&self, now: Instant, woken: &mut Vec<Waker>) -> usize {
        let mut waiting = 0;
        let mut state = self.lock();
        for slot in &mut state.slots {
            let error = match slot.stage {
                Stage::Queued { .. } => BusError::Unreachable("no order could be sent".to_owned()),
                Stage::Out(_) => BusError::Unanswered,
                Stage::Free | Stage::Done(_) => continue,
            };
            if now < slot.expires {
                waiting += 1;
                continue;
            }
            woken.extend(self.settle(slot, Err(error)));
        }
        if state.free.len() == state.slots.len() {
            // Nobody holds a ticket, and generations go on: late answers find nothing.
            state.slots = Vec::new();
            state.free = Vec::new();
            state.queue = VecDeque::new();
        }
        waiting
    }

    /// The connection is over, or could not be made: nobody waits any longer. What was surely not sent whole was not acted
    /// upon; of the rest nothing is known.
    pub(super) fn end(&self, why: &str) {
        let mut woken = Vec::new();
        let mut state = self.lock();
        state.end.get_or_insert_with(|| why.to_owned());
        let written = state.written;
        for slot in &mut state.slots {
            let error = match slot.stage {
                Stage::Out(batch) if batch <= written => BusError::Unanswered,
                Stage::Queued { .. } | Stage::Out(_) => BusError::Unreachable(why.to_owned()),
                Stage::Free | Stage::Done(_) => continue,
            };
            woken.extend(self.settle(slot, Err(error)));
        }
        state.queue.clear();
        drop(state);
        wake(&mut woken);
    }

    fn settle(&self, slot: &mut Slot, result: Result<Bytes, BusError>) -> Option<Waker> {
        self.peer.give_back(slot.weight);
        slot.stage = Stage::Done(result);
        slot.asker.take()
    }
}

/// Wakes all of them, and keeps the list's memory.
pub(super) fn wake(woken: &mut Vec<Waker>) {
    woken.drain(..).for_each(Waker::wake);
}

impl State {
    fn enter(&mut self, mut slot: Slot) -> Ticket {
        self.generation = self.generation.wrapping_add(1);
        slot.generation = self.generation;
        let place = self.free.pop().unwrap_or(self.slots.len() as u32);
        let ticket = Ticket {
            place,
            generation: slot.generation,
        };
        match self.slots.get_mut(place as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        ticket
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(ticket.place as usize)?;
        (slot.generation == ticket.generation).then_some(slot)
    }

    /// Frees a slot: what was in it, and who waited, to be dropped without the lock.
    fn leave(&mut self, ticket: Ticket) -> Option<(Stage, Option<Waker>)> {
        let slot = self.slot(ticket)?;
        let stage = std::mem::replace(&mut slot.stage, Stage::Free);
        let asker = slot.asker.take();
        self.free.push(ticket.place);
        Some((stage, asker))
    }
}

impl Future for Answer {
    type Output = Result<Bytes, BusError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lost = || BusError::Unreachable("the order was taken back".to_owned());
        let Some(ticket) = self.ticket else {
            return Poll::Ready(Err(lost()));
        };
        let mut state = self.line.lock();
        let Some(slot) = state.slot(ticket) else {
            return Poll::Ready(Err(lost()));
        };
        if !matches!(slot.stage, Stage::Done(_)) {
            let known = slot.asker.as_ref();
            if known.is_none_or(|asker| !asker.will_wake(cx.waker())) {
                let before = slot.asker.replace(cx.waker().clone());
                drop(state);
                drop(before);
            }
            return Poll::Pending;
        }
        let left = state.leave(ticket);
        drop(state);
        self.ticket = None;
        match left {
            Some((Stage::Done(result), _)) => Poll::Ready(result),
            _ => Poll::Ready(Err(lost())),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut state = self.line.lock();
        let weight = state.slot(ticket).map_or(0, |slot| slot.weight);
        let left = state.leave(ticket);
        drop(state);
        if let Some((Stage::Queued { .. } | Stage::Out(_), _)) = left {
            self.line.peer.give_back(weight);
        }
    }
}
