//! What the page receives, one JSON object each, told apart by `type`.

use serde::Serialize;

use super::{Name, Reference, Refusal, RoomName, Text};

/// Somebody in a room. The id is the same for all windows of one browser tab's session and after a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Person {
    /// Opaque, public, and not to be guessed back into the key that the page holds.
    pub(crate) id: String,
    /// As typed.
    pub(crate) name: Name,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    /// With `seq` the message's identity.
    pub(crate) epoch: String,
    /// The number of this event in its room.
    pub(crate) seq: u64,
    /// Who said it.
    pub(crate) from: Person,
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    /// What.
    pub(crate) text: Text,
    /// The sender's own mark on it.
    #[serde(rename = "ref")]
    pub(crate) reference: Reference,
}

impl Message {
    /// How many bytes it takes in a room's history.
    pub(crate) fn json_len(&self) -> usize {
        serde_json::to_string(self).map_or(0, |json| json.len() + 1)
    }
}

/// One thing to tell a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Event {
    /// The answer to a join: the whole state of the room.
    Joined {
        /// Its name, as it is compared.
        room: RoomName,
        /// The receiver.
        you: Person,
        /// Which life of the room the numbers belong to.
        epoch: String,
        /// The number of the last event that this state contains.
        seq: u64,
        /// Everyone here, each once.
        members: Vec<Person>,
        /// The last messages, the oldest first.
        history: Vec<Message>,
    },
    /// Something was said.
    Message(Message),
    /// Somebody came.
    Arrived {
        /// As in `Joined`.
        epoch: String,
        /// This event's number.
        seq: u64,
        /// Who.
        person: Person,
    },
    /// Somebody's last window went.
    Left {
        /// As in `Joined`.
        epoch: String,
        /// This event's number.
        seq: u64,
        /// Who.
        person: Person,
    },
    /// Somebody began or stopped typing. Not numbered: nothing is lost with it.
    Typing {
        /// Who.
        person: Person,
        /// Began, or stopped.
        on: bool,
    },
    /// The answer to `here`.
    Here {
        /// As in `Joined`.
        epoch: String,
        /// The number of the room's last event.
        seq: u64,
    },
    /// This connection is in no room that the backend knows of; the page should join again.
    Rejoin,
    /// A message was refused.
    Error {
        /// The action that was refused.
        action: &'static str,
        /// Why, for the person at the page.
        message: String,
        /// Which message, if it was one.
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
}

impl Event {
    /// Says why `action` was refused.
    pub(crate) fn refusal(
        action: &'static str,
        refusal: Refusal,
        reference: Option<Reference>,
    ) -> Self {
        Self::Error {
            action,
            message: refusal.to_string(),
            reference,
        }
    }

    /// The JSON that goes over the socket.
    pub(crate) fn encode(&self) -> String {
        serde_json::to_string(self)
            .expect("strings and numbers only: there is nothing that JSON cannot hold")
    }
}
