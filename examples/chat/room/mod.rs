//! Who is in which room and what was said there, decided without any input or output: every function takes what
//! happened and returns what is to be sent to whom.
//!
//! The table is soft. Nothing in it is needed to be right: whoever is missing from it is asked to join again, whoever
//! is in it by mistake is forgotten at the first push that finds nobody.

mod event;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use http::Uri;

pub(crate) use event::{Event, Message, Person};
pub(crate) use words::{Name, Reference, Refusal, RoomName, Text};

/// The most connections in one room.
pub(crate) const MEMBERS_PER_ROOM: usize = 500;
/// The most rooms with somebody in them or with a history.
pub(crate) const ROOMS: usize = 1_000;
/// The most messages that a room remembers.
pub(crate) const HISTORY: usize = 50;
/// The most bytes of JSON that a room's history takes. With 500 members of the longest names beside it, the answer to
/// a join stays below 128 KiB, the largest message that AWS API Gateway lets a WebSocket carry.
pub(crate) const HISTORY_BYTES: usize = 32 * 1024;

/// One connection and where a message for it is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The gateway's id of the connection.
    pub(crate) connection: String,
    /// `{callback url}/@connections/{id}`.
    pub(crate) uri: Uri,
}

/// One event for some connections.
#[derive(Debug, PartialEq)]
pub(crate) struct Push {
    /// Who gets it.
    pub(crate) to: Vec<Address>,
    /// What they get.
    pub(crate) event: Event,
}

/// What follows from something that happened.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// For the connection that caused it, if it is still there.
    pub(crate) answer: Option<Event>,
    /// For others, and for the sender of a message as one of all.
    pub(crate) pushes: Vec<Push>,
}

struct Member {
    address: Address,
    person: Person,
}

struct Room {
    /// Differs for each time that this room came into being, so that a page can tell a number from before a restart.
    epoch: String,
    /// The number of the last event; they have no gaps, so that a page can see that one is missing.
    seq: u64,
    /// When it was last used, in steps of [`Rooms::clock`].
    used: u64,
    members: Vec<Member>,
    history: VecDeque<(usize, Message)>,
    history_bytes: usize,
}

/// All rooms.
pub(crate) struct Rooms {
    boot: String,
    clock: u64,
    by_name: HashMap<RoomName, Room>,
    /// Which room each connection is in.
    places: HashMap<String, RoomName>,
}

impl Rooms {
    /// No rooms. `boot` must differ for each start of the process.
    pub(crate) fn new(boot: impl Into<String>) -> Self {
        Self {
            boot: boot.into(),
            clock: 0,
            by_name: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// Takes a connection into a room, out of the one it was in before. Joining the same room again as the same person
    /// changes nothing and answers the state of the room: this is how a page catches up.
    pub(crate) fn join(&mut self, address: Address, room_name: &RoomName, person: &Person) -> Step {
        let mut step = Step::default();
        let known = self.places.get(&address.connection) == Some(room_name)
            && self
                .by_name
                .get(room_name)
                .is_some_and(|room| room.holds(&address.connection, person));
        if !known {
            if let Err(refusal) = self.make_way(room_name, &address.connection) {
                step.answer = Some(Event::refusal("join", refusal, None));
                return step;
            }
            step.pushes = self.leave(&address.connection).pushes;
        }

        self.clock += 1;
        let (boot, clock) = (&self.boot, self.clock);
        let room = self
            .by_name
            .entry(room_name.clone())
            .or_insert_with(|| Room::new(format!("{boot}.{clock}")));
        room.used = clock;
        if !known {
            let newcomer = !room
                .members
                .iter()
                .any(|member| member.person.id == person.id);
            if newcomer {
                room.seq += 1;
                let event = Event::Arrived {
                    epoch: room.epoch.clone(),
                    seq: room.seq,
                    person: person.clone(),
                };
                step.pushes.extend(Push::to(room.addresses(), event));
            }
            self.places
                .insert(address.connection.clone(), room_name.clone());
            room.members.push(Member {
                address,
                person: person.clone(),
            });
        }
        step.answer = Some(room.joined(room_name, person));
        step
    }

    /// Forgets a connection. Doing so again, or for one that never joined, changes nothing.
    pub(crate) fn leave(&mut self, connection: &str) -> Step {
        let mut step = Step::default();
        let Some(room) = self
            .places
            .remove(connection)
            .and_then(|name| self.by_name.get_mut(&name))
        else {
            return step;
        };
        let Some(at) = room
            .members
            .iter()
            .position(|member| member.address.connection == connection)
        else {
            return step;
        };
        let person = room.members.swap_remove(at).person;
        // The same person may still be here in another window, or already be back after a reload.
        if room
            .members
            .iter()
            .all(|member| member.person.id != person.id)
        {
            room.seq += 1;
            let event = Event::Left {
                epoch: room.epoch.clone(),
                seq: room.seq,
                person,
            };
            step.pushes.extend(Push::to(room.addresses(), event));
        }
        step
    }

    /// A message for everyone in the sender's room, the sender too: seeing it come back is the receipt. The same
    /// reference again (the sender had no receipt and repeats it) is answered, not said twice.
    ///
    /// `now`: milliseconds since 1970.
    pub(crate) fn say(
        &mut self,
        connection: &str,
        text: Text,
        reference: Reference,
        now: u64,
    ) -> Step {
        let Some((room, person)) = self.find(connection) else {
            return Step::rejoin();
        };
        if let Some((_, said)) = room
            .history
            .iter()
            .find(|(_, said)| said.from.id == person.id && said.reference == reference)
        {
            return Step {
                answer: Some(Event::Message(said.clone())),
                pushes: Vec::new(),
            };
        }
        room.seq += 1;
        let message = Message {
            epoch: room.epoch.clone(),
            seq: room.seq,
            from: person,
            at: now,
            text,
            reference,
        };
        room.remember(message.clone());
        Step {
            answer: None,
            pushes: Push::to(room.addresses(), Event::Message(message))
                .into_iter()
                .collect(),
        }
    }

    /// Tells the others in the room that somebody began or stopped typing.
    pub(crate) fn typing(&mut self, connection: &str, on: bool) -> Step {
        let Some((room, person)) = self.find(connection) else {
            return Step::rejoin();
        };
        let mut others = room.addresses();
        others.retain(|address| address.connection != connection);
        Step {
            answer: None,
            pushes: Push::to(others, Event::Typing { person, on })
                .into_iter()
                .collect(),
        }
    }

    /// Answers the number of the room's last event, from which a page sees whether it missed one.
    pub(crate) fn here(&mut self, connection: &str) -> Step {
        let Some((room, _)) = self.find(connection) else {
            return Step::rejoin();
        };
        Step {
            answer: Some(Event::Here {
                epoch: room.epoch.clone(),
                seq: room.seq,
            }),
            pushes: Vec::new(),
        }
    }

    fn find(&mut self, connection: &str) -> Option<(&mut Room, Person)> {
        let name = self.places.get(connection)?;
        let room = self.by_name.get_mut(name)?;
        self.clock += 1;
        room.used = self.clock;
        let person = room
            .members
            .iter()
            .find(|member| member.address.connection == connection)?
            .person
            .clone();
        Some((room, person))
    }

    /// Makes sure that `connection` fits into the room, which may cost the empty room that was unused the longest.
    fn make_way(&mut self, name: &RoomName, connection: &str) -> Result<(), Refusal> {
        if let Some(room) = self.by_name.get(name) {
            let others = room
                .members
                .iter()
                .filter(|member| member.address.connection != connection)
                .count();
            return if others < MEMBERS_PER_ROOM {
                Ok(())
            } else {
                Err(Refusal::RoomIsFull)
            };
        }
        if self.by_name.len() < ROOMS {
            return Ok(());
        }
        let empty = self
            .by_name
            .iter()
            .filter(|(_, room)| room.members.is_empty());
        let oldest = empty
            .min_by_key(|(_, room)| room.used)
            .map(|(name, _)| name.clone());
        self.by_name.remove(&oldest.ok_or(Refusal::TooManyRooms)?);
        Ok(())
    }
}

impl Room {
    fn new(epoch: String) -> Self {
        Self {
            epoch,
            seq: 0,
            used: 0,
            members: Vec::new(),
            history: VecDeque::new(),
            history_bytes: 0,
        }
    }

    fn holds(&self, connection: &str, person: &Person) -> bool {
        self.members
            .iter()
            .any(|member| member.address.connection == connection && member.person == *person)
    }

    fn addresses(&self) -> Vec<Address> {
        self.members
            .iter()
            .map(|member| member.address.clone())
            .collect()
    }

    fn joined(&self, name: &RoomName, you: &Person) -> Event {
        let mut members: Vec<Person> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for member in &self.members {
            if seen.insert(&member.person.id) {
                members.push(member.person.clone());
            }
        }
        Event::Joined {
            room: name.clone(),
            you: you.clone(),
            epoch: self.epoch.clone(),
            seq: self.seq,
            members,
            history: self
                .history
                .iter()
                .map(|(_, message)| message.clone())
                .collect(),
        }
    }

    fn remember(&mut self, message: Message) {
        let bytes = message.json_len();
        self.history_bytes += bytes;
        self.history.push_back((bytes, message));
        while self.history.len() > HISTORY || self.history_bytes > HISTORY_BYTES {
            let Some((bytes, _)) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= bytes;
        }
    }
}

impl Push {
    /// Nothing where there is nobody to send it to.
    fn to(to: Vec<Address>, event: Event) -> Option<Self> {
        (!to.is_empty()).then_some(Self { to, event })
    }
}

impl Step {
    fn rejoin() -> Self {
        Self {
            answer: Some(Event::Rejoin),
            pushes: Vec::new(),
        }
    }
}
