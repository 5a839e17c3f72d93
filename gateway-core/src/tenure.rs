//! When a node among several may act: the rules of its lease, as values.
//!
//! A node that the others believe dead is buried: its connections are reported as ended, pushes to them are refused for ever.
//! So a node that might be believed dead must not act, and a node that is cut off for good must let its clients go. Times are
//! milliseconds of a clock that goes on while the process sleeps.

/// What is done by a node that the store cannot hear and that has no direct road to other nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnIsolation {
    /// It goes on serving its clients: the others may report them as ended all the same.
    #[default]
    Hold,
    /// It closes their sockets: each of them is reported as ended once, and rightly.
    Close,
}

/// What is agreed among all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a renewal counts.
    pub lease: u64,
    /// Nodes ask each other before they bury one.
    pub linked: bool,
    /// What to do where they cannot.
    pub on_isolation: OnIsolation,
}

/// What a node may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Acting,
    /// Nothing that others see: it may have been buried, and waits to learn so.
    Suspended,
    /// It has been cut off for so long that its clients are better served elsewhere.
    Isolated,
}

/// What one node knows of its own standing.
#[derive(Debug, Clone)]
pub struct Tenure {
    terms: Terms,
    /// When the last renewal that succeeded was sent: the store counts from later, never from earlier.
    renewed: u64,
    /// When the last renewal was over, whatever came of it: where that is long ago, the process slept.
    tried: u64,
    /// When the last question was sent that another node answered.
    answered: Option<u64>,
    /// Other nodes were there when the store last said who is.
    has_peers: bool,
    /// Since when renewals have come without a gap.
    steady: Option<u64>,
}

impl Terms {
    /// How long before the end of a lease its holder stops: clocks run apart, and a decision takes its time.
    fn margin(&self) -> u64 {
        self.lease / 10
    }

    /// How long a word of the store or of another node permits its hearer to act.
    fn term(&self) -> u64 {
        self.lease - self.margin()
    }

    /// How long a node hears nobody before it lets its clients go: 14 s with a lease of 10 s.
    fn patience(&self) -> u64 {
        self.lease + self.lease * 2 / 5
    }
}

impl Tenure {
    /// A node that has just taken its lease; the renewal was sent at `sent`.
    pub fn new(terms: Terms, sent: u64) -> Self {
        Self {
            terms,
            renewed: sent,
            tried: sent,
            answered: None,
            has_peers: false,
            steady: None,
        }
    }

    /// A renewal that was sent at `sent` succeeded.
    pub fn renewed(&mut self, sent: u64, now: u64) {
        let gap = sent.saturating_sub(self.renewed) >= self.terms.lease;
        if gap || self.steady.is_none() {
            self.steady = Some(now);
        }
        self.renewed = sent;
        self.tried = now;
    }

    /// A renewal failed: the store is away, or slow.
    pub fn failed(&mut self, now: u64) {
        self.tried = now;
        self.steady = None;
    }

    /// Another node answered a question that was sent at `sent`.
    pub fn answered(&mut self, sent: u64) {
        self.answered = self.answered.max(Some(sent));
    }

    /// The store said whether there are other nodes.
    pub fn met(&mut self, peers: bool) {
        self.has_peers = peers;
    }

    /// Until when the node may act without hearing more.
    pub fn acts_until(&self) -> u64 {
        let heard = self.renewed.max(self.linked_answer());
        let alone = !self.has_peers;
        // Nobody is there, or nobody can be asked: then only sleep makes the node doubt itself.
        if alone || !self.terms.linked && self.terms.on_isolation == OnIsolation::Hold {
            return heard.max(self.tried) + self.terms.term();
        }
        heard + self.terms.term()
    }

    /// After this moment a node that hears no more lets its clients go.
    pub fn gives_up_at(&self) -> u64 {
        self.renewed.max(self.linked_answer()) + self.terms.patience()
    }

    /// What the node may do at `now`.
    pub fn standing(&self, now: u64) -> Standing {
        if now <= self.acts_until() {
            return Standing::Acting;
        }
        // A node that slept asks first: if it was not missed, nothing has happened.
        let awake = now.saturating_sub(self.tried) < self.terms.lease;
        if awake && now > self.gives_up_at() {
            return Standing::Isolated;
        }
        Standing::Suspended
    }

    /// Whether the node may bury others: it has heard the store for so long that whoever lost it at the same time had
    /// time to come back.
    pub fn may_bury(&self, now: u64) -> bool {
        let enough = self.terms.lease + self.terms.lease / 5;
        self.standing(now) == Standing::Acting
            && self.steady.is_some_and(|since| now >= since + enough)
    }

    fn linked_answer(&self) -> u64 {
        self.answered.filter(|_| self.terms.linked).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Acting, Isolated, Suspended};

    const LINKED: Terms = Terms {
        lease: 10_000,
        linked: true,
        on_isolation: OnIsolation::Hold,
    };
    const HOLD: Terms = Terms {
        linked: false,
        ..LINKED
    };
    const CLOSE: Terms = Terms {
        on_isolation: OnIsolation::Close,
        ..HOLD
    };

    enum Event {
        Renewed,
        Failed,
        Answered,
        Met,
    }
    use Event::{Answered, Failed, Met, Renewed};

    /// Events, each with its second, then what the node may do at some seconds.
    #[track_caller]
    fn check(terms: Terms, events: &[(u64, Event)], expected: &[(u64, Standing)]) {
        let mut tenure = Tenure::new(terms, 0);
        for (second, event) in events {
            let at = second * 1000;
            match event {
                Renewed => tenure.renewed(at, at),
                Failed => tenure.failed(at),
                Answered => tenure.answered(at),
                Met => tenure.met(true),
            }
        }
        for (second, standing) in expected {
            assert_eq!(tenure.standing(second * 1000), *standing, "at {second} s");
        }
    }

    #[test]
    fn a_renewal_permits_to_act_for_less_than_a_lease() {
        let events = [(0, Met), (100, Renewed)];
        check(LINKED, &events, &[(100, Acting), (109, Acting)]);
        check(LINKED, &events, &[(110, Suspended), (500, Suspended)]);
    }

    #[test]
    fn without_the_store_the_word_of_another_node_counts() {
        let events = [(0, Met), (2, Failed), (98, Answered), (100, Failed)];
        check(LINKED, &events, &[(107, Acting), (108, Suspended)]);
        check(HOLD, &events, &[(109, Acting)]);
    }

    #[test]
    fn who_hears_nobody_stops_and_then_lets_its_clients_go() {
        let events = [(0, Met), (2, Failed), (13, Failed)];
        check(
            LINKED,
            &events,
            &[(9, Acting), (10, Suspended), (14, Suspended)],
        );
        check(LINKED, &events, &[(15, Isolated)]);
        check(CLOSE, &events, &[(10, Suspended), (15, Isolated)]);
    }

    #[test]
    fn who_cannot_ask_goes_on_where_the_operator_prefers_it() {
        let events = [(0, Met), (2, Failed), (60, Failed)];
        check(
            HOLD,
            &events,
            &[(60, Acting), (69, Acting), (70, Suspended)],
        );
    }

    #[test]
    fn who_is_alone_goes_on() {
        let events = [(2, Failed), (300, Failed)];
        check(LINKED, &events, &[(301, Acting)]);
        check(CLOSE, &events, &[(301, Acting)]);
    }

    #[test]
    fn who_slept_asks_before_it_acts_and_before_it_gives_up() {
        let events = [(0, Met), (2, Renewed)];
        check(LINKED, &events, &[(40, Suspended)]);
        // Alone or not: somebody may have come meanwhile.
        check(HOLD, &[(2, Renewed)], &[(40, Suspended)]);
        let events = [(0, Met), (2, Renewed), (40, Renewed)];
        check(LINKED, &events, &[(41, Acting)]);
    }

    #[test]
    fn only_who_heard_the_store_long_enough_buries() {
        let mut tenure = Tenure::new(LINKED, 0);
        let renew = |tenure: &mut Tenure, seconds: std::ops::RangeInclusive<u64>| {
            for second in seconds {
                tenure.renewed(second * 1000, second * 1000);
            }
        };
        renew(&mut tenure, 1..=12);
        assert!(!tenure.may_bury(12_000));
        renew(&mut tenure, 13..=13);
        assert!(tenure.may_bury(13_000));
        tenure.failed(14_000);
        assert!(!tenure.may_bury(14_000));
        renew(&mut tenure, 15..=26);
        assert!(!tenure.may_bury(26_000));
        renew(&mut tenure, 27..=27);
        assert!(tenure.may_bury(27_000));
        // After a sleep everybody gets the same time again.
        renew(&mut tenure, 60..=60);
        assert!(!tenure.may_bury(60_000));
    }
}
