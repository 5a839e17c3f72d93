//! What clients, pushers and backends wrote down, held against what is promised to them.
//!
//! [`check`] takes entries and gives back what was broken. It knows nothing of the gateway but what those saw who deal with
//! it, so the same rules judge a simulation and real processes.

mod index;
mod lifecycle;
mod pushes;
#[cfg(test)]
mod tests;

use std::fmt;

use index::Index;

/// One line, with its time in milliseconds of a clock that all who write share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: u64,
    /// What.
    pub event: Event,
}

/// One push, whatever number of times it was posted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Push {
    /// Who pushes; each waits for an answer before its next push.
    pub pusher: String,
    /// Its number among those of its pusher.
    pub n: u64,
    /// The connection that it is for.
    pub to: String,
}

/// What somebody saw or did. A `client` is the name of one attempt to connect, an `id` is a connection's, a `node` is one
/// incarnation of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client read a 101.
    Opened {
        /// Who.
        client: String,
    },
    /// It read another answer.
    TurnedAway {
        /// Who.
        client: String,
    },
    /// It sent a message, or tried to.
    Sent {
        /// Who.
        client: String,
        /// Its number.
        n: u64,
    },
    /// It read a push.
    Read {
        /// Who.
        client: String,
        /// Which.
        push: Push,
    },
    /// It ends the connection in good order, and reads to its end.
    Closing {
        /// Who.
        client: String,
    },
    /// It reads no more, and says nothing.
    Vanished {
        /// Who.
        client: String,
    },
    /// What is between it and its node is not to be counted on from here on.
    Cut {
        /// Who.
        client: String,
    },
    /// It read to the end of its connection.
    Over {
        /// Who.
        client: String,
    },
    /// A push was posted, perhaps not for the first time.
    Posted {
        /// Which.
        push: Push,
    },
    /// One of its posts was answered.
    Answered {
        /// Which.
        push: Push,
        /// With what.
        status: u16,
    },
    /// The backend was asked about a handshake.
    Connect {
        /// Whose, as the handshake said.
        client: String,
        /// Its connection.
        id: String,
        /// Where.
        node: String,
    },
    /// It answered.
    Judged {
        /// Which connection.
        id: String,
        /// With a 2xx.
        accepted: bool,
    },
    /// The node read that 2xx in time.
    Entered {
        /// Which connection.
        id: String,
    },
    /// The backend got a message.
    Message {
        /// Of which connection.
        id: String,
        /// Whose, as the message said.
        client: String,
        /// Its number.
        n: u64,
    },
    /// The backend was told of an end.
    Disconnect {
        /// Of which connection.
        id: String,
        /// The event's id.
        event_id: String,
        /// It answered with a 2xx.
        taken: bool,
        /// Another node says that the connection's own was lost.
        by_others: bool,
    },
    /// A node ended without a word.
    Killed {
        /// Which.
        node: String,
        /// Connections that it held and that the store did not know at that moment.
        unknown: Vec<String>,
    },
    /// The store lost what it knew of connections whose nodes are no more, or gave their ends up.
    Forgotten {
        /// Which.
        ids: Vec<String>,
    },
    /// Nothing is on its way any more.
    Quiet,
    /// When all had been quiet: who is registered.
    Registered {
        /// Which connections.
        ids: Vec<String>,
    },
    /// Something panicked.
    Panicked {
        /// Where, and what it said.
        what: String,
    },
}

/// What is allowed for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Nothing went wrong on purpose.
    pub calm: bool,
    /// How long something that was sent may be on its way, in milliseconds.
    pub transit: u64,
    /// Of a thousand ends, how many may be told more than once where things go wrong.
    pub repeated: usize,
    /// A node that nobody can ask goes on serving although the others may report its connections as ended: `onIsolation: hold`
    /// without a link.
    pub holds: bool,
}

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each says itself what it is.
pub enum Rule {
    AskedOnce,
    EndTold,
    EndToldOnce,
    NoEndWhileAlive,
    NoEndOfRefused,
    NothingBeforeConnect,
    NothingAfterDisconnect,
    OpenedAsAccepted,
    AckedIsRead,
    GoneIsGone,
    PushedOnce,
    SentOnce,
    PushesInOrder,
    MessagesInOrder,
    ToItsOwn,
    RegistryAsConnected,
    NoPanic,
}

impl Rule {
    fn sentence(self) -> &'static str {
        match self {
            Self::AskedOnce => "a backend is asked once about a handshake",
            Self::EndTold => "the end of each connection that was accepted is told",
            Self::EndToldOnce => {
                "an end is told once, or again with the same event id where something went wrong, and rarely"
            }
            Self::NoEndWhileAlive => "no end is told of a connection that goes on",
            Self::NoEndOfRefused => "no end is told of a connection that was never accepted",
            Self::NothingBeforeConnect => "no message comes before the handshake is judged",
            Self::NothingAfterDisconnect => "nothing comes after the end was told",
            Self::OpenedAsAccepted => "who got a 101 had been accepted, as one connection",
            Self::AckedIsRead => {
                "a push that was answered 200 is read by a client that keeps reading"
            }
            Self::GoneIsGone => "a push is answered 410 only where the connection is over",
            Self::PushedOnce => "no push is read twice",
            Self::SentOnce => "no message of a client is handed to the backend twice",
            Self::PushesInOrder => {
                "pushes of one who waits for each answer are read in their order"
            }
            Self::MessagesInOrder => "messages of one client come in their order",
            Self::ToItsOwn => "nothing is delivered to, or in the name of, another connection",
            Self::RegistryAsConnected => {
                "when all is quiet, who is registered is connected, and the other way round"
            }
            Self::NoPanic => "nothing panics",
        }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How, with names and times.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.rule.sentence(), self.how)
    }
}

/// Everything that was broken; entries may come in any order.
pub fn check(entries: &[Entry], terms: Terms) -> Vec<Violation> {
    let index = Index::of(entries);
    let mut found = Vec::new();
    lifecycle::check(&index, terms, &mut found);
    pushes::check(&index, terms, &mut found);
    found
}
