//! What clients, pushers and the backend saw, and what must hold of it whatever happens to nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::{Backend, Closed, Recorded};

/// Kill -9 may lose what was acknowledged so shortly before.
const IN_FLIGHT: Duration = Duration::from_millis(100);
/// How much later than its node a client may see its end: its task shares two cores with everything else.
const TRANSIT: Duration = Duration::from_secs(1);

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// When.
    pub(crate) at: Instant,
    /// Of which connection.
    pub(crate) id: String,
    /// What.
    pub(crate) event: Event,
}

/// What a client or a pusher saw or did. The text of a push is made by [`push_text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The client read a message.
    Read(String),
    /// It read to the end of its socket.
    Closed(Closed),
    /// A push was posted, perhaps again.
    Posted(String),
    /// It was answered with this status; 0 is no answer.
    Answered(String, u16),
}

/// The text of one push: who pushes, which of its pushes this is, for whom.
pub(crate) fn push_text(pusher: &str, n: usize, id: &str) -> String {
    format!("{pusher} {n} {id}")
}

/// Everybody's notes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Entry>>>);

/// Connections whose nodes were killed, or were declared dead, and since when.
pub(crate) type Lost = BTreeMap<String, Instant>;

impl Ledger {
    /// Writes a line.
    pub(crate) fn write(&self, id: &str, event: Event) {
        let at = Instant::now();
        let id = id.to_owned();
        self.lock().push(Entry { at, id, event });
    }

    /// All lines so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// When each client read the end of its socket, and which.
    pub(crate) fn closed(&self) -> HashMap<String, (Instant, Closed)> {
        let closed = |entry: Entry| match entry.event {
            Event::Closed(closed) => Some((entry.id, (entry.at, closed))),
            _ => None,
        };
        self.entries().into_iter().filter_map(closed).collect()
    }

    /// The pushes to one connection, each with when it was posted and its status, in the order of the answers.
    pub(crate) fn answers(&self, id: &str) -> Vec<(Instant, u16)> {
        let (mut posted, mut answers) = (HashMap::new(), Vec::new());
        for entry in self.entries().into_iter().filter(|entry| entry.id == id) {
            match entry.event {
                Event::Posted(text) => {
                    posted.insert(text, entry.at);
                }
                Event::Answered(text, status) => answers.push((posted[&text], status)),
                Event::Read(_) | Event::Closed(_) => {}
            }
        }
        answers
    }

    /// All that must hold whatever happens, but for ends, which [`each_end_is_told_once`] looks at.
    #[track_caller]
    pub(crate) fn holds(&self, backend: &Backend, lost: &Lost) {
        let entries = self.entries();
        let mut broken = nobody_is_falsely_gone(&entries, lost);
        broken.extend(what_was_acknowledged_was_read(&entries, lost));
        broken.extend(pushes_are_read_once_in_order_by_their_own(&entries));
        broken.extend(messages_come_once_and_before_the_end(&backend.everything()));
        report(&broken);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of each connection in `ended` one `$disconnect` event was told, and of no other; of all these events `repeated` more than
/// once at most.
#[track_caller]
pub(crate) fn each_end_is_told_once(backend: &Backend, ended: &BTreeSet<String>, repeated: usize) {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for end in backend.requests("/disconnect") {
        let event = end.wiregate("event-id").to_owned();
        told.entry(end.connection_id()).or_default().push(event);
    }
    let mut broken = Vec::new();
    for id in ended.iter().filter(|id| !told.contains_key(*id)) {
        broken.push(format!("the end of {id} was never told"));
    }
    let mut again = 0;
    for (id, events) in &told {
        if !ended.contains(id) {
            broken.push(format!("an end of {id} was told, which is not over"));
        }
        let distinct: BTreeSet<&String> = events.iter().collect();
        if distinct.len() != 1 || distinct.iter().any(|event| event.is_empty()) {
            broken.push(format!("the end of {id} was told as {events:?}"));
        }
        again += usize::from(events.len() > 1);
    }
    if again > repeated {
        broken.push(format!("{again} ends were told more than once"));
    }
    report(&broken);
}

/// A push is answered 410 only where the connection is over, or its node cannot act again.
fn nobody_is_falsely_gone(entries: &[Entry], lost: &Lost) -> Vec<String> {
    let mut closed: HashMap<&str, Instant> = HashMap::new();
    for entry in entries {
        if let Event::Closed(_) = entry.event {
            closed.insert(&entry.id, entry.at);
        }
    }
    let mut broken = Vec::new();
    for Entry { at, id, event } in entries {
        if !matches!(event, Event::Answered(_, 410)) {
            continue;
        }
        let over = closed
            .get(id.as_str())
            .is_some_and(|closed| *closed <= *at + TRANSIT);
        let lost = lost.get(id).is_some_and(|since| since <= at);
        if !over && !lost {
            broken.push(format!("{id} lives, and a push to it was answered 410"));
        }
    }
    broken
}

/// A push that was answered 200 was read, unless its node was killed just then.
fn what_was_acknowledged_was_read(entries: &[Entry], lost: &Lost) -> Vec<String> {
    let read: HashSet<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Read(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let mut broken = Vec::new();
    for Entry { at, id, event } in entries {
        let Event::Answered(text, 200) = event else {
            continue;
        };
        let excused = lost.get(id).is_some_and(|since| *at + IN_FLIGHT >= *since);
        if !excused && !read.contains(text.as_str()) {
            broken.push(format!("`{text}` was answered 200 and never read"));
        }
    }
    broken
}

/// No push is read twice, none by another than whom it is for, and those of one pusher are read in their order.
fn pushes_are_read_once_in_order_by_their_own(entries: &[Entry]) -> Vec<String> {
    let mut last: HashMap<(&str, &str), usize> = HashMap::new();
    let mut broken = Vec::new();
    for Entry { id, event, .. } in entries {
        let Event::Read(text) = event else {
            continue;
        };
        let mut parts = text.split(' ');
        let (Some(pusher), Some(n), Some(to)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if to != id {
            broken.push(format!("{id} read `{text}`"));
        }
        let n: usize = n.parse().unwrap();
        if let Some(before) = last.insert((pusher, id), n)
            && before >= n
        {
            broken.push(format!("{id} read {n} of {pusher} after {before}"));
        }
    }
    broken
}

/// No message is handed to the backend twice, none after the end of its connection was told.
fn messages_come_once_and_before_the_end(requests: &[Recorded]) -> Vec<String> {
    let mut over: HashMap<String, Instant> = HashMap::new();
    for end in requests.iter().filter(|seen| seen.path == "/disconnect") {
        over.entry(end.connection_id()).or_insert(end.at);
    }
    let (mut seen, mut broken) = (HashSet::new(), Vec::new());
    for message in requests.iter().filter(|seen| seen.path == "/sendmessage") {
        let id = message.connection_id();
        let text = message.text();
        if over.get(&id).is_some_and(|over| *over < message.at) {
            broken.push(format!("`{text}` of {id} came after its end was told"));
        }
        if !seen.insert((id.clone(), text.clone())) {
            broken.push(format!("`{text}` of {id} came twice"));
        }
    }
    broken
}

#[track_caller]
fn report(broken: &[String]) {
    let shown = broken.iter().take(20).cloned().collect::<Vec<_>>();
    assert!(
        broken.is_empty(),
        "{} promises are broken:\n  {}",
        broken.len(),
        shown.join("\n  ")
    );
}
