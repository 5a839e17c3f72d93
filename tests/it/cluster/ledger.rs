//! What the clients, the pushers and the backend of a drill wrote down, judged by the checker that judges the simulation, too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::ledger::{self, Rule, Terms, Violation};
use harness::{Backend, Closed, Request};

use super::crowd::parts;

/// How long something may be on its way: a client's task shares two cores with everything else.
const TRANSIT: Duration = Duration::from_secs(1);
/// How ends of lost nodes are told.
const LOST: &str = "The node that held the connection was lost";

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

/// What a client or a pusher saw or did. Connections of which nobody wrote that they were opened, or turned away, are not
/// judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The client is connected.
    Opened,
    /// It was refused.
    TurnedAway,
    /// It sends this message.
    Sent(String),
    /// It read this message.
    Read(String),
    /// It begins to end the connection in good order.
    Leaving,
    /// It is gone without a word.
    Dropped,
    /// Its end became a dead letter.
    GivenUp,
    /// It read to the end of its socket.
    Closed(Closed),
    /// A push was posted, perhaps again; its text is made by [`push_text`].
    Posted(String),
    /// It was answered with this status; 0 is no answer.
    Answered(String, u16),
}

/// The text of one push: who pushes, which of its pushes this is, for whom.
pub(crate) fn push_text(pusher: &str, n: usize, id: &str) -> String {
    format!("{pusher} {n} {id}")
}

/// What a text of [`push_text`] says; of another text it is the whole.
fn push_of(text: &str, to: &str) -> ledger::Push {
    let parts: Vec<&str> = text.split(' ').collect();
    let (pusher, n) = match parts[..] {
        [pusher, n, _] => (pusher, n.parse().ok()),
        _ => (text, None),
    };
    ledger::Push {
        pusher: pusher.to_owned(),
        n: n.unwrap_or_default(),
        to: to.to_owned(),
    }
}

/// What a drill brings about, and what is, therefore, no fault.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed<'a> {
    /// Whose nodes were lost.
    pub(crate) lost: Option<&'a Lost>,
    /// So many ends may be told more than once.
    pub(crate) repeated: usize,
    /// Who the store says is connected, where that was asked.
    pub(crate) registered: Option<&'a BTreeSet<String>>,
    /// `onIsolation: hold` without a link.
    pub(crate) holds: bool,
}

/// Everybody's notes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    entries: Vec<Entry>,
    /// When each connection was over, and with which code where its client read to its end.
    ends: HashMap<String, (Instant, Option<u16>)>,
}

/// Connections whose nodes were killed, or were declared dead, and since when.
pub(crate) type Lost = BTreeMap<String, Instant>;

impl Ledger {
    /// Writes a line.
    pub(crate) fn write(&self, id: &str, event: Event) {
        let at = Instant::now();
        let id = id.to_owned();
        let mut notes = self.lock();
        match &event {
            Event::Closed(closed) => {
                let end = notes.ends.entry(id.clone()).or_insert((at, None));
                end.1.get_or_insert(closed.code);
            }
            Event::Dropped => {
                notes.ends.entry(id.clone()).or_insert((at, None));
            }
            _ => {}
        }
        notes.entries.push(Entry { at, id, event });
    }

    /// All lines so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// When each client read the end of its socket, and which.
    pub(crate) fn closed(&self) -> HashMap<String, (Instant, Closed)> {
        let closed = |entry: Entry| match entry.event {
            Event::Closed(closed) => Some((entry.id, (entry.at, closed))),
            _ => None,
        };
        self.entries().into_iter().filter_map(closed).collect()
    }

    /// When one client read the end of its socket, and with which code.
    pub(crate) fn end_of(&self, id: &str) -> Option<(Instant, u16)> {
        let end = self.lock().ends.get(id).copied();
        end.and_then(|(at, code)| Some((at, code?)))
    }

    /// True where a client read to the end of its socket, or dropped it.
    pub(crate) fn is_over(&self, id: &str) -> bool {
        self.lock().ends.contains_key(id)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.lock() = Notes::default();
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
                _ => {}
            }
        }
        answers
    }

    /// The end of each drill: all that must hold whatever happens.
    #[track_caller]
    pub(crate) fn holds(&self, backend: &Backend, allowed: &Allowed<'_>) {
        let broken = self.broken(backend, allowed);
        let shown: Vec<String> = broken.iter().take(20).map(ToString::to_string).collect();
        assert!(
            broken.is_empty(),
            "{} promises are broken:\n  {}",
            broken.len(),
            shown.join("\n  ")
        );
        let again = told_again(backend);
        assert!(
            again <= allowed.repeated,
            "{again} ends were told more than once"
        );
    }

    fn broken(&self, backend: &Backend, allowed: &Allowed<'_>) -> Vec<Violation> {
        let lines = self.told_to_the_checker(backend, allowed);
        let terms = Terms {
            calm: allowed.repeated == 0,
            transit: TRANSIT.as_millis() as u64,
            repeated: 1000,
            holds: allowed.holds,
        };
        ledger::check(&lines, terms)
    }

    fn told_to_the_checker(&self, backend: &Backend, allowed: &Allowed<'_>) -> Vec<ledger::Entry> {
        let entries = self.entries();
        let requests = backend.everything();
        let times = entries.iter().map(|entry| entry.at);
        let began = (times.chain(requests.iter().map(|request| request.at)).min())
            .unwrap_or_else(Instant::now);
        let mut lines = Lines {
            began,
            written: Vec::new(),
            judged: BTreeMap::new(),
            messages: HashMap::new(),
        };
        for entry in &entries {
            match entry.event {
                Event::Opened => lines.judged.insert(&entry.id, true),
                Event::TurnedAway => lines.judged.insert(&entry.id, false),
                _ => None,
            };
        }
        lines.of_clients(&entries);
        lines.of_backend(&requests);
        let nodes: BTreeMap<String, Instant> = (allowed.lost.into_iter().flatten())
            .map(|(id, since)| (parts(id).0, *since))
            .collect();
        for (node, since) in nodes {
            let unknown = Vec::new();
            lines.add(since, ledger::Event::Killed { node, unknown });
        }
        if let Some(ids) = allowed.registered {
            let ids = ids.iter().cloned().collect();
            lines.add(Instant::now(), ledger::Event::Registered { ids });
        }
        // Whoever asks has waited for what was on its way.
        lines.add(Instant::now() + TRANSIT, ledger::Event::Quiet);
        lines.written
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same in the checker's words, in which a client's name is its connection's id.
struct Lines<'a> {
    began: Instant,
    written: Vec<ledger::Entry>,
    /// Whose handshakes were accepted, or refused, as their clients say.
    judged: BTreeMap<&'a str, bool>,
    /// The numbers of a client's messages, by their texts.
    messages: HashMap<(&'a str, &'a str), Vec<u64>>,
}

impl<'a> Lines<'a> {
    fn add(&mut self, at: Instant, event: ledger::Event) {
        let at = at.saturating_duration_since(self.began).as_millis() as u64;
        self.written.push(ledger::Entry { at, event });
    }

    fn of_clients(&mut self, entries: &'a [Entry]) {
        let is_posted = |entry: &&'a Entry| matches!(entry.event, Event::Posted(_));
        let text = |entry: &'a Entry| match &entry.event {
            Event::Posted(text) => Some((text.as_str(), entry.id.as_str())),
            _ => None,
        };
        let posted: HashMap<&str, &str> = (entries.iter())
            .filter(is_posted)
            .filter_map(text)
            .collect();
        let mut sent: HashMap<&str, u64> = HashMap::new();
        for Entry { at, id, event } in entries {
            let client = || id.clone();
            let event = match event {
                Event::Opened => ledger::Event::Opened { client: client() },
                Event::TurnedAway => ledger::Event::TurnedAway { client: client() },
                Event::Sent(text) => {
                    let n = sent.entry(id).or_default();
                    *n += 1;
                    let numbers = self.messages.entry((id, text)).or_default();
                    numbers.push(*n);
                    let client = client();
                    ledger::Event::Sent { client, n: *n }
                }
                // What is no push is an echo, or an error frame.
                Event::Read(text) => match posted.get(text.as_str()) {
                    Some(to) => {
                        let (client, push) = (client(), push_of(text, to));
                        ledger::Event::Read { client, push }
                    }
                    None => continue,
                },
                Event::Leaving => ledger::Event::Closing { client: client() },
                Event::Dropped => ledger::Event::Vanished { client: client() },
                Event::GivenUp => ledger::Event::Forgotten {
                    ids: vec![id.clone()],
                },
                Event::Closed(_) => ledger::Event::Over { client: client() },
                Event::Posted(text) => {
                    let push = push_of(text, id);
                    ledger::Event::Posted { push }
                }
                Event::Answered(_, 0) => continue,
                Event::Answered(text, status) => {
                    let (push, status) = (push_of(text, id), *status);
                    ledger::Event::Answered { push, status }
                }
            };
            self.add(*at, event);
        }
    }

    fn of_backend(&mut self, requests: &[harness::Recorded]) {
        let mut heard: HashMap<(String, String), usize> = HashMap::new();
        for request in requests {
            let id = request.connection_id();
            let Some(accepted) = self.judged.get(id.as_str()).copied() else {
                continue;
            };
            match request.path.as_str() {
                "/connect" => {
                    let (client, node) = (id.clone(), parts(&id).0);
                    let asked = ledger::Event::Connect {
                        client,
                        id: id.clone(),
                        node,
                    };
                    self.add(request.at, asked);
                    let judged = ledger::Event::Judged {
                        id: id.clone(),
                        accepted,
                    };
                    self.add(request.at, judged);
                    if accepted {
                        self.add(request.at, ledger::Event::Entered { id });
                    }
                }
                "/disconnect" => {
                    let event_id = request.wiregate("event-id").to_owned();
                    let by_others = request.disconnect_reason() == LOST;
                    let told = ledger::Event::Disconnect {
                        id,
                        event_id,
                        taken: true,
                        by_others,
                    };
                    self.add(request.at, told);
                }
                _ => {
                    let text = request.text();
                    let Some(numbers) = self.messages.get(&(id.as_str(), text.as_str())) else {
                        continue;
                    };
                    // One that comes once more than it was sent is its last again.
                    let times = heard.entry((id.clone(), text.clone())).or_default();
                    let n = numbers[(*times).min(numbers.len() - 1)];
                    *times += 1;
                    let client = id.clone();
                    self.add(request.at, ledger::Event::Message { id, client, n });
                }
            }
        }
    }
}

/// Of how many connections the end was told more than once.
pub(super) fn told_again(backend: &Backend) -> usize {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    backend.each("/disconnect", |end| {
        *told.entry(end.connection_id()).or_default() += 1;
    });
    told.values().filter(|times| **times > 1).count()
}

/// What a drill writes down is what the checker judges: each of these is broken by one more line.
#[tokio::test]
async fn the_checker_hears_what_drills_write_down() {
    const ID: &str = "AawW6xwoCl2_LrjIOSMyLbxStVDPyHk=";
    let backend = Backend::start().await;
    let tell = async |path: &str, body: &str| {
        let request = Request::post(backend.address(), path, body);
        let request = request.header("x-wiregate-connection-id", ID);
        let request = request.header("x-wiregate-event-id", "e");
        assert_eq!(request.send().await.status, 200);
    };
    let push = push_text("p", 1, ID);
    let rules = |ledger: &Ledger| -> Vec<Rule> {
        let broken = ledger.broken(&backend, &Allowed::default());
        broken.iter().map(|violation| violation.rule).collect()
    };
    let ledger = Ledger::default();
    tell("/connect", "").await;
    ledger.write(ID, Event::Opened);
    ledger.write(ID, Event::Sent("hello".to_owned()));
    tell("/sendmessage", "hello").await;
    ledger.write(ID, Event::Posted(push.clone()));
    ledger.write(ID, Event::Answered(push.clone(), 200));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(rules(&ledger), [Rule::AckedIsRead]);
    ledger.write(ID, Event::Read(push.clone()));
    assert_eq!(rules(&ledger), []);
    ledger.write(ID, Event::Answered(push.clone(), 410));
    ledger.write(ID, Event::Read(push));
    assert_eq!(rules(&ledger), [Rule::GoneIsGone, Rule::PushedOnce]);

    let ledger = Ledger::default();
    ledger.write(ID, Event::Opened);
    ledger.write(ID, Event::Sent("hello".to_owned()));
    tell("/sendmessage", "hello").await;
    assert_eq!(rules(&ledger), [Rule::SentOnce]);
    tell("/disconnect", "").await;
    assert_eq!(rules(&ledger), [Rule::NoEndWhileAlive, Rule::SentOnce]);
    tell("/disconnect", "").await;
    ledger.write(ID, Event::Dropped);
    assert_eq!(rules(&ledger), [Rule::EndToldOnce, Rule::SentOnce]);
}
