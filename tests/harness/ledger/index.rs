//! The entries, gathered by whom they are about.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Event, Push};

/// One attempt of a client.
#[derive(Debug, Default)]
pub(super) struct Client<'a> {
    pub(super) opened: Option<u64>,
    pub(super) closing: Option<u64>,
    pub(super) vanished: Option<u64>,
    pub(super) cut: Option<u64>,
    pub(super) over: Option<u64>,
    pub(super) sent: BTreeMap<u64, u64>,
    pub(super) read: Vec<(u64, &'a Push)>,
    /// Connections that name it.
    pub(super) ids: Vec<&'a str>,
}

impl Client<'_> {
    /// True where it is connected when everything is over.
    pub(super) fn is_connected(&self) -> bool {
        self.opened.is_some() && self.first_end().is_none()
    }

    /// When it stopped being an ordinary connected client.
    pub(super) fn first_end(&self) -> Option<u64> {
        [self.closing, self.vanished, self.over]
            .into_iter()
            .flatten()
            .min()
    }
}

/// One connection, as the backend knows it.
#[derive(Debug, Default)]
pub(super) struct Life<'a> {
    pub(super) client: &'a str,
    pub(super) node: &'a str,
    pub(super) connects: Vec<u64>,
    pub(super) judged: Option<(u64, bool)>,
    pub(super) entered: Option<u64>,
    /// When, in whose name, which.
    pub(super) messages: Vec<(u64, &'a str, u64)>,
    pub(super) disconnects: Vec<Told<'a>>,
}

/// One time that an end was told.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) at: u64,
    pub(super) event_id: &'a str,
    pub(super) taken: bool,
    pub(super) by_others: bool,
}

/// One push with its posts.
#[derive(Debug, Default)]
pub(super) struct Posts {
    pub(super) posted: Vec<u64>,
    pub(super) answered: Vec<(u64, u16)>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    pub(super) clients: BTreeMap<&'a str, Client<'a>>,
    pub(super) lives: BTreeMap<&'a str, Life<'a>>,
    pub(super) pushes: BTreeMap<&'a Push, Posts>,
    pub(super) killed: BTreeMap<&'a str, u64>,
    /// Connections of which nobody can know any more.
    pub(super) forgotten: BTreeSet<&'a str>,
    pub(super) registered: Option<BTreeSet<&'a str>>,
    pub(super) panics: Vec<&'a str>,
    pub(super) last: u64,
}

impl<'a> Index<'a> {
    pub(super) fn of(entries: &'a [Entry]) -> Self {
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by_key(|entry| entry.at);
        let mut index = Self::default();
        for entry in sorted {
            index.last = entry.at;
            index.add(entry.at, &entry.event);
        }
        index
    }

    fn add(&mut self, at: u64, event: &'a Event) {
        match event {
            Event::Opened { client } => self.client(client).opened = Some(at),
            Event::TurnedAway { client } => {
                self.client(client);
            }
            Event::Sent { client, n } => {
                self.client(client).sent.insert(*n, at);
            }
            Event::Read { client, push } => self.client(client).read.push((at, push)),
            Event::Closing { client } => first(&mut self.client(client).closing, at),
            Event::Vanished { client } => first(&mut self.client(client).vanished, at),
            Event::Cut { client } => first(&mut self.client(client).cut, at),
            Event::Over { client } => first(&mut self.client(client).over, at),
            Event::Posted { push } => self.pushes.entry(push).or_default().posted.push(at),
            Event::Answered { push, status } => {
                let posts = self.pushes.entry(push).or_default();
                posts.answered.push((at, *status));
            }
            Event::Connect { client, id, node } => {
                self.client(client).ids.push(id);
                let life = self.life(id);
                (life.client, life.node) = (client, node);
                life.connects.push(at);
            }
            Event::Judged { id, accepted } => self.life(id).judged = Some((at, *accepted)),
            Event::Entered { id } => first(&mut self.life(id).entered, at),
            Event::Message { id, client, n } => self.life(id).messages.push((at, client, *n)),
            Event::Disconnect {
                id,
                event_id,
                taken,
                by_others,
            } => self.life(id).disconnects.push(Told {
                at,
                event_id,
                taken: *taken,
                by_others: *by_others,
            }),
            Event::Killed { node, unknown } => {
                self.killed.insert(node, at);
                self.forgotten.extend(unknown.iter().map(String::as_str));
            }
            Event::Forgotten { ids } => self.forgotten.extend(ids.iter().map(String::as_str)),
            Event::Quiet => {}
            Event::Registered { ids } => {
                self.registered = Some(ids.iter().map(String::as_str).collect());
            }
            Event::Panicked { what } => self.panics.push(what),
        }
    }

    fn client(&mut self, name: &'a str) -> &mut Client<'a> {
        self.clients.entry(name).or_default()
    }

    fn life(&mut self, id: &'a str) -> &mut Life<'a> {
        self.lives.entry(id).or_default()
    }

    /// The client of a connection that the backend was asked about.
    pub(super) fn client_of(&self, life: &Life<'_>) -> Option<&Client<'a>> {
        self.clients.get(life.client)
    }
}

fn first(place: &mut Option<u64>, at: u64) {
    place.get_or_insert(at);
}
