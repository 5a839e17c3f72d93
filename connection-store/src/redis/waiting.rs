//! Orders that go through Redis and wait for their answers, and how much of them is under way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gateway_core::id::NodeId;
use tokio::sync::oneshot;

use crate::BusError;

/// So many bytes may be under way to one node: Redis cuts off a subscriber that is behind by more than it likes (32 MiB, or 8 MiB
/// for a minute, where nothing else is set), and there are other senders.
const MOST_UNDER_WAY: usize = 4 * 1024 * 1024;
/// What an order weighs beside its bytes.
const WEIGHT: usize = 256;

type Outcome = Result<Bytes, BusError>;

/// See the module.
#[derive(Debug)]
pub(super) struct Waiting(Mutex<Orders>);

#[derive(Debug)]
struct Orders {
    /// Ties an answer to its order; never given twice.
    next: u64,
    asked: HashMap<u64, Order>,
    under_way: HashMap<NodeId, usize>,
}

#[derive(Debug)]
struct Order {
    to: NodeId,
    /// From here on it may have been acted upon.
    sent: bool,
    asker: oneshot::Sender<Outcome>,
}

/// An order that waits; dropped, it waits no longer.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    waiting: &'a Waiting,
    ticket: u64,
    to: NodeId,
    weight: usize,
}

impl Waiting {
    /// Where tickets begin is left to chance: an answer to another incarnation of this bus is none to this one.
    pub(super) fn new(first: u64) -> Self {
        Self(Mutex::new(Orders {
            next: first,
            asked: HashMap::new(),
            under_way: HashMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the answer to an order of so many bytes will come.
    pub(super) fn ask(
        &self,
        to: NodeId,
        bytes: usize,
    ) -> Result<(oneshot::Receiver<Outcome>, Asked<'_>), BusError> {
        let weight = WEIGHT + bytes;
        let mut orders = self.lock();
        let under_way = orders.under_way.entry(to).or_default();
        if *under_way > 0 && *under_way + weight > MOST_UNDER_WAY {
            return Err(BusError::Busy);
        }
        *under_way += weight;
        let ticket = orders.next;
        orders.next = ticket.wrapping_add(1);
        let (asker, answer) = oneshot::channel();
        let order = Order {
            to,
            sent: false,
            asker,
        };
        orders.asked.insert(ticket, order);
        let asked = Asked {
            waiting: self,
            ticket,
            to,
            weight,
        };
        Ok((answer, asked))
    }

    /// An order goes out now; false where nobody waits for its answer any more.
    pub(super) fn send(&self, ticket: u64) -> bool {
        let mut orders = self.lock();
        let order = orders.asked.get_mut(&ticket);
        order.is_some_and(|order| {
            order.sent = true;
            true
        })
    }

    /// Gives answers of a node to those who wait for them, if it is the node that was asked.
    pub(super) fn answer(&self, from: NodeId, answers: Vec<(u64, Bytes)>) {
        let mut orders = self.lock();
        let mut askers = Vec::with_capacity(answers.len());
        for (ticket, answer) in answers {
            let asked = orders.asked.get(&ticket);
            if asked.is_some_and(|order| order.to == from && order.sent)
                && let Some(order) = orders.asked.remove(&ticket)
            {
                askers.push((order.asker, answer));
            }
        }
        drop(orders);
        for (asker, answer) in askers {
            // Nobody may wait for it any more.
            let _gone = asker.send(Ok(answer));
        }
    }

    /// Tells those who wait that these orders reached nobody.
    pub(super) fn fail(&self, tickets: &[u64], error: &BusError) {
        for ticket in tickets {
            let order = self.lock().asked.remove(ticket);
            if let Some(order) = order {
                let _gone = order.asker.send(Err(error.clone()));
            }
        }
    }
}

impl Asked<'_> {
    /// What the answer refers to.
    pub(super) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// What is to be said of it where no answer came in time.
    pub(super) fn late(&self) -> BusError {
        let orders = self.waiting.lock();
        match orders.asked.get(&self.ticket) {
            Some(order) if !order.sent => {
                BusError::Unreachable("no order could be sent through Redis".to_owned())
            }
            _ => BusError::Unanswered,
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut orders = self.waiting.lock();
        let order = orders.asked.remove(&self.ticket);
        if let Some(under_way) = orders.under_way.get_mut(&self.to) {
            *under_way -= self.weight;
            if *under_way == 0 {
                orders.under_way.remove(&self.to);
            }
        }
        drop(orders);
        drop(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: NodeId = NodeId([2; 6]);

    fn answer(waiting: &Waiting, ticket: u64, from: NodeId) {
        waiting.answer(from, vec![(ticket, Bytes::from_static(b"done"))]);
    }

    #[test]
    fn only_the_node_that_was_asked_can_answer_and_only_once_and_not_before_it_was() {
        let waiting = Waiting::new(u64::MAX);
        let (mut answered, asked) = waiting.ask(OWNER, 10).unwrap();
        answer(&waiting, asked.ticket(), OWNER);
        assert!(waiting.send(asked.ticket()));
        answer(&waiting, asked.ticket(), NodeId([3; 6]));
        answer(&waiting, asked.ticket().wrapping_add(1), OWNER);
        assert!(answered.try_recv().is_err());
        answer(&waiting, asked.ticket(), OWNER);
        answer(&waiting, asked.ticket(), OWNER);
        let done = Ok(Bytes::from_static(b"done"));
        assert_eq!(answered.try_recv(), Ok(done));
    }

    #[test]
    fn what_was_never_sent_was_surely_not_acted_upon() {
        let waiting = Waiting::new(0);
        let (_answer, asked) = waiting.ask(OWNER, 10).unwrap();
        assert!(matches!(asked.late(), BusError::Unreachable(_)));
        assert!(waiting.send(asked.ticket()));
        assert_eq!(asked.late(), BusError::Unanswered);
        let ticket = asked.ticket();
        drop(asked);
        assert!(!waiting.send(ticket));
    }

    #[test]
    fn what_reached_nobody_is_told_at_once() {
        let waiting = Waiting::new(0);
        let (mut answered, asked) = waiting.ask(OWNER, 10).unwrap();
        let error = BusError::Unreachable("it hears nothing".to_owned());
        waiting.fail(&[asked.ticket(), 77], &error);
        assert_eq!(answered.try_recv(), Ok(Err(error)));
    }

    #[test]
    fn what_is_under_way_to_a_node_is_bounded_and_given_back() {
        let waiting = Waiting::new(0);
        let large = MOST_UNDER_WAY - WEIGHT;
        let (_answer, first) = waiting.ask(OWNER, large).unwrap();
        assert_eq!(waiting.ask(OWNER, 0).err(), Some(BusError::Busy));
        let (_other, _to_another) = waiting.ask(NodeId([3; 6]), 0).unwrap();
        drop(first);
        let (_answer, _again) = waiting.ask(OWNER, large).unwrap();
        assert_eq!(waiting.lock().asked.len(), 2);
    }
}
