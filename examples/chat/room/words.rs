//! The words that people type, checked once; what has one of these types is within its bounds.

use std::fmt;

use serde::Serialize;

/// The most characters of a person's name.
pub(crate) const NAME_CHARS: usize = 32;
/// The most characters of a room's name.
pub(crate) const ROOM_CHARS: usize = 32;
/// The most characters of a message.
pub(crate) const TEXT_CHARS: usize = 2_000;
/// The most characters of a reference: a UUID has 36.
pub(crate) const REFERENCE_CHARS: usize = 40;

/// Why something was refused. Its text is for the person at the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing but blanks.
    NameIsEmpty,
    /// Over [`NAME_CHARS`], or with control characters.
    NameIsBad,
    /// Nothing but blanks.
    RoomIsEmpty,
    /// Over [`ROOM_CHARS`], or with other characters than a room may have.
    RoomIsBad,
    /// Nothing but blanks.
    TextIsEmpty,
    /// Over [`TEXT_CHARS`].
    TextIsTooLong,
    /// Missing, over [`REFERENCE_CHARS`], or not plain.
    ReferenceIsBad,
    /// [`super::MEMBERS_PER_ROOM`] reached.
    RoomIsFull,
    /// [`super::ROOMS`] reached.
    TooManyRooms,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameIsEmpty => write!(f, "Please give a name."),
            Self::NameIsBad => write!(
                f,
                "A name has at most {NAME_CHARS} characters, all of them visible."
            ),
            Self::RoomIsEmpty => write!(f, "Please give a room."),
            Self::RoomIsBad => {
                write!(
                    f,
                    "A room has at most {ROOM_CHARS} characters: letters, digits, spaces and - _ . only."
                )
            }
            Self::TextIsEmpty => write!(f, "The message is empty."),
            Self::TextIsTooLong => write!(f, "A message has at most {TEXT_CHARS} characters."),
            Self::ReferenceIsBad => {
                write!(
                    f,
                    "A message needs a \"ref\": 1 to {REFERENCE_CHARS} letters, digits or dashes."
                )
            }
            Self::RoomIsFull => {
                write!(
                    f,
                    "This room is full: it has {} people. Choose another.",
                    super::MEMBERS_PER_ROOM
                )
            }
            Self::TooManyRooms => write!(
                f,
                "There are {} rooms already. Choose one of them.",
                super::ROOMS
            ),
        }
    }
}

/// A person's name: 1 to 32 characters, without blanks around it or control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Name(String);

impl Name {
    /// Trims and checks.
    pub(crate) fn parse(raw: &str) -> Result<Self, Refusal> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(Refusal::NameIsEmpty);
        }
        if name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
            return Err(Refusal::NameIsBad);
        }
        Ok(Self(name.to_owned()))
    }
}

/// A room's name, in lower case: 1 to 32 letters, digits, spaces and `-_.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct RoomName(String);

impl RoomName {
    /// Trims, lowers and checks.
    pub(crate) fn parse(raw: &str) -> Result<Self, Refusal> {
        let name = raw.trim().to_lowercase();
        if name.is_empty() {
            return Err(Refusal::RoomIsEmpty);
        }
        let plain = name
            .chars()
            .all(|c| c.is_alphanumeric() || " -_.".contains(c));
        if name.chars().count() > ROOM_CHARS || !plain {
            return Err(Refusal::RoomIsBad);
        }
        Ok(Self(name))
    }
}

/// A message's text: 1 to 2,000 characters, with line breaks and tabs but no other control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Text(String);

impl Text {
    /// Drops control characters (they come along when people paste), trims and checks.
    pub(crate) fn parse(raw: &str) -> Result<Self, Refusal> {
        let clean: String = raw
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        let text = clean.trim();
        if text.is_empty() {
            return Err(Refusal::TextIsEmpty);
        }
        if text.chars().count() > TEXT_CHARS {
            return Err(Refusal::TextIsTooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The mark that a sender puts on a message, to know it again and to repeat it safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Reference(String);

impl Reference {
    /// Checks.
    pub(crate) fn parse(raw: &str) -> Result<Self, Refusal> {
        let plain = raw.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if raw.is_empty() || raw.len() > REFERENCE_CHARS || !plain {
            return Err(Refusal::ReferenceIsBad);
        }
        Ok(Self(raw.to_owned()))
    }
}
