//! Orders that were sent through Redis and wait for their answers, and how much of them is under way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gateway_core::id::NodeId;
use tokio::sync::oneshot;

use super::envelope::{Correlation, Envelope};
use crate::BusError;

/// So many bytes may be under way to one node: Redis cuts off a subscriber that is behind by more than it likes (32 MiB, or 8 MiB
/// for a minute, where nothing else is set), and there are other senders.
const MOST_UNDER_WAY: usize = 4 * 1024 * 1024;
/// What an order weighs beside its bytes.
const WEIGHT: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Orders>);

#[derive(Debug, Default)]
struct Orders {
    answers: HashMap<Correlation, (NodeId, oneshot::Sender<Bytes>)>,
    under_way: HashMap<NodeId, usize>,
}

/// An order that waits; dropped, it waits no longer.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    waiting: &'a Waiting,
    correlation: Correlation,
    to: NodeId,
    weight: usize,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the answer to an order of so many bytes will come.
    pub(super) fn ask(
        &self,
        correlation: Correlation,
        to: NodeId,
        bytes: usize,
    ) -> Result<(oneshot::Receiver<Bytes>, Asked<'_>), BusError> {
        let weight = WEIGHT + bytes;
        let mut orders = self.lock();
        let under_way = orders.under_way.entry(to).or_default();
        if *under_way > 0 && *under_way + weight > MOST_UNDER_WAY {
            return Err(BusError::Busy);
        }
        *under_way += weight;
        let (sender, answer) = oneshot::channel();
        orders.answers.insert(correlation, (to, sender));
        let asked = Asked {
            waiting: self,
            correlation,
            to,
            weight,
        };
        Ok((answer, asked))
    }

    /// Gives an answer to whoever waits for it, if it is from the node that was asked.
    pub(super) fn answer(&self, answer: Envelope) {
        let mut orders = self.lock();
        let asked = orders.answers.get(&answer.correlation);
        if asked.is_none_or(|(asked, _)| *asked != answer.from) {
            return;
        }
        if let Some((_, sender)) = orders.answers.remove(&answer.correlation) {
            drop(orders);
            // Nobody may wait for it any more.
            let _gone = sender.send(answer.body);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut orders = self.waiting.lock();
        orders.answers.remove(&self.correlation);
        if let Some(under_way) = orders.under_way.get_mut(&self.to) {
            *under_way -= self.weight;
            if *under_way == 0 {
                orders.under_way.remove(&self.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::Kind;
    use super::*;

    const OWNER: NodeId = NodeId([2; 6]);

    fn answer(correlation: Correlation, from: NodeId) -> Envelope {
        Envelope {
            kind: Kind::Answer,
            from,
            correlation,
            deadline: 0,
            body: Bytes::from_static(b"done"),
        }
    }

    #[test]
    fn only_the_node_that_was_asked_can_answer_and_only_once() {
        let waiting = Waiting::default();
        let (mut answered, _asked) = waiting.ask([1; 16], OWNER, 10).unwrap();
        waiting.answer(answer([1; 16], NodeId([3; 6])));
        waiting.answer(answer([2; 16], OWNER));
        assert!(answered.try_recv().is_err());
        waiting.answer(answer([1; 16], OWNER));
        waiting.answer(answer([1; 16], OWNER));
        assert_eq!(answered.try_recv().as_deref(), Ok(&b"done"[..]));
    }

    #[test]
    fn what_is_under_way_to_a_node_is_bounded_and_given_back() {
        let waiting = Waiting::default();
        let large = MOST_UNDER_WAY - WEIGHT;
        let (_answer, first) = waiting.ask([1; 16], OWNER, large).unwrap();
        assert_eq!(waiting.ask([2; 16], OWNER, 0).err(), Some(BusError::Busy));
        let (_other, _to_another) = waiting.ask([3; 16], NodeId([3; 6]), 0).unwrap();
        drop(first);
        let (_answer, _again) = waiting.ask([4; 16], OWNER, large).unwrap();
        assert_eq!(waiting.lock().answers.len(), 2);
    }
}
