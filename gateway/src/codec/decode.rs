//! The receiving half: frames of a client to messages, with nothing held for a connection that is between messages.
use std::io::Cursor;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{
    Event, Limits, MAX_CONTROL_PAYLOAD, Utf8Bytes, Violation,
    close_frame::close_event,
    input::{Input, Scrap, unmask},
    message::Message,
};

/// The longest frame header, in bytes: two, eight of length, four of mask (RFC 6455, 5.2).
const MAX_HEADER: usize = 14;

/// Turns one client's bytes into [`Event`]s.
///
/// Bytes come in a buffer that connections may share: a message that lies in it whole is unmasked there and copied
/// out once. What is left of a frame or a message when the buffer ends is kept on the heap, sized to what has
/// arrived, and freed with the message's end.
#[derive(Debug, Default)]
pub struct Decoder {
    frame: Option<Frame>,
    /// The data message under way; its frame may be too, or a control frame stand between two of its frames.
    message: Option<Box<Message>>,
    scrap: Option<Box<Scrap>>,
    /// Counts what was finished, see [`Decoder::unfinished`].
    serial: u32,
}

/// A frame whose header is known and allowed.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    last: bool,
    /// Turned so that its first byte belongs to the next payload byte.
    mask: [u8; 4],
    /// Payload bytes still to come.
    remaining: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
    Close,
}

impl Decoder {
    /// Reads on until there is an event or `input` is used up, and says how many bytes it has used. `None` means
    /// that all were used and more are needed; after an event call again with the rest.
    ///
    /// The used bytes are garbage afterwards, the others untouched: they may be set aside and fed later.
    /// After an error or [`Event::Close`] the decoder holds nothing of use; drop it.
    pub fn decode(
        &mut self,
        input: &mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Event>), Violation> {
        let mut input = Input::new(input);
        match self.advance(&mut input, limits) {
            Ok(event) => Ok((input.used, event)),
            Err(violation) => {
                *self = Self::default();
                Err(violation)
            }
        }
    }

    /// Whether a message, or a frame, has begun and not ended. A session that waits too long for the rest closes
    /// with 1008.
    pub fn mid_message(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || self.scrap.is_some()
    }

    /// `None` between messages; else a number that stays the same for as long as the same message is unfinished,
    /// whatever control frames come in between. A session starts its clock when the number changes, so a client
    /// whose every read ends inside the next message is not taken for one that never finishes.
    pub fn unfinished(&self) -> Option<u32> {
        self.mid_message().then_some(self.serial)
    }

    fn advance(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Event>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(input)? {
                    Some((header, length)) => self.admit(&header, length, limits)?,
                    None => return Ok(None),
                },
            };
            let chunk = input.take(frame.remaining);
            let done = chunk.len() == frame.remaining;
            if chunk.is_empty() && !done {
                self.frame = Some(frame);
                return Ok(None);
            }
            unmask(chunk, frame.mask);
            frame.mask.rotate_left(chunk.len() % 4);
            frame.remaining -= chunk.len();
            let event = match frame.kind {
                Kind::Text | Kind::Binary | Kind::Continuation => {
                    self.read_data(&frame, chunk, limits)?
                }
                Kind::Ping | Kind::Pong | Kind::Close => self.read_control(&frame, chunk)?,
            };
            if !done {
                self.frame = Some(frame);
                return Ok(None);
            }
            if event.is_some() {
                if self.message.is_none() {
                    self.serial = self.serial.wrapping_add(1);
                }
                return Ok(event);
            }
        }
    }

    /// The next header and the payload length that it declares, or `None` where `input` ends inside it.
    fn read_header(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<(FrameHeader, u64)>, Violation> {
        let mut head = [0; MAX_HEADER];
        let held = self.scrap.as_deref().map_or(&[][..], Scrap::as_slice);
        let held_len = held.len();
        let fresh = input.peek(MAX_HEADER - held_len);
        let seen = held_len + fresh.len();
        head[..held_len].copy_from_slice(held);
        head[held_len..seen].copy_from_slice(fresh);
        let fresh_len = fresh.len();
        if fresh_len == 0 {
            return Ok(None);
        }

        let mut cursor = Cursor::new(&head[..seen]);
        let parsed =
            FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol("Reserved opcode"))?;
        let Some((header, length)) = parsed else {
            input.take(fresh_len);
            self.hold(&head[held_len..seen]);
            return Ok(None);
        };
        let parsed_len = usize::try_from(cursor.position()).unwrap_or(seen);
        if length >> 63 != 0 {
            return Err(Violation::Protocol(
                "The top bit of a frame's length is set",
            ));
        }
        if parsed_len != header.len(length) {
            return Err(Violation::Protocol(
                "A frame's length is not in its shortest form",
            ));
        }
        self.scrap = None;
        input.take(parsed_len - held_len);
        Ok(Some((header, length)))
    }

    /// Judges a frame by its header: whatever can be refused is refused before a byte of payload is kept.
    fn admit(
        &mut self,
        header: &FrameHeader,
        length: u64,
        limits: &Limits,
    ) -> Result<Frame, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol(
                "A reserved bit is set, but no extension was agreed on",
            ));
        }
        let Some(mask) = header.mask else {
            return Err(Violation::Protocol("A client must mask its frames"));
        };
        let kind = match header.opcode {
            OpCode::Data(Data::Text) => Kind::Text,
            OpCode::Data(Data::Binary) => Kind::Binary,
            OpCode::Data(Data::Continue) => Kind::Continuation,
            OpCode::Control(Control::Ping) => Kind::Ping,
            OpCode::Control(Control::Pong) => Kind::Pong,
            OpCode::Control(Control::Close) => Kind::Close,
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
                return Err(Violation::Protocol("Reserved opcode"));
            }
        };
        let remaining = match header.opcode {
            OpCode::Control(_) => admit_control(header, length)?,
            OpCode::Data(_) => self.admit_data(kind, length, limits)?,
        };
        Ok(Frame {
            kind,
            last: header.is_final,
            mask,
            remaining,
        })
    }

    fn admit_data(&mut self, kind: Kind, length: u64, limits: &Limits) -> Result<usize, Violation> {
        match (kind, &self.message) {
            (Kind::Continuation, None) => {
                return Err(Violation::Protocol("A continuation of no message"));
            }
            (Kind::Text | Kind::Binary, Some(_)) => {
                return Err(Violation::Protocol(
                    "A new message before the last one has ended",
                ));
            }
            (Kind::Binary, None) if !limits.binary => return Err(Violation::Binary),
            _ => {}
        }
        let size = match usize::try_from(length) {
            Ok(size) if size <= limits.frame => size,
            _ => {
                return Err(Violation::FrameTooBig {
                    size: length,
                    limit: limits.frame,
                });
            }
        };
        let before = self.message.as_ref().map_or(0, |message| message.len());
        if before.saturating_add(size) > limits.message {
            let size = length.saturating_add(before as u64);
            return Err(Violation::MessageTooBig {
                size,
                limit: limits.message,
            });
        }
        if let Some(message) = &mut self.message {
            message.fragments = message.fragments.saturating_add(1);
            if message.fragments > limits.fragments {
                return Err(Violation::TooManyFragments {
                    limit: limits.fragments,
                });
            }
        }
        Ok(size)
    }

    /// Takes unmasked payload of a data frame; `frame.remaining` no longer counts it.
    fn read_data(
        &mut self,
        frame: &Frame,
        chunk: &[u8],
        limits: &Limits,
    ) -> Result<Option<Event>, Violation> {
        let ends = frame.last && frame.remaining == 0;
        if ends && self.message.is_none() {
            return whole_message(frame.kind, chunk).map(Some);
        }
        let message = self.message.get_or_insert_with(|| match frame.kind {
            Kind::Binary => Box::new(Message::binary()),
            _ => Box::new(Message::text()),
        });
        let whole = if frame.last {
            message
                .len()
                .saturating_add(chunk.len())
                .saturating_add(frame.remaining)
        } else {
            limits.message
        };
        message.append(chunk, whole)?;
        if !ends {
            return Ok(None);
        }
        self.message
            .take()
            .map(|message| message.finish())
            .transpose()
    }

    /// Takes unmasked payload of a control frame; `frame.remaining` no longer counts it.
    fn read_control(&mut self, frame: &Frame, chunk: &[u8]) -> Result<Option<Event>, Violation> {
        if frame.remaining > 0 {
            self.hold(chunk);
            return Ok(None);
        }
        let Some(mut scrap) = self.scrap.take() else {
            return control_event(frame.kind, chunk).map(Some);
        };
        scrap.push(chunk);
        control_event(frame.kind, scrap.as_slice()).map(Some)
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.scrap.get_or_insert_default().push(bytes);
    }

    /// Heap bytes in use.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let message = self
            .message
            .as_ref()
            .map_or(0, |message| size_of::<Message>() + message.capacity());
        message + self.scrap.as_ref().map_or(0, |_| size_of::<Scrap>())
    }
}

fn admit_control(header: &FrameHeader, length: u64) -> Result<usize, Violation> {
    if !header.is_final {
        return Err(Violation::Protocol("A control frame may not be fragmented"));
    }
    match usize::try_from(length) {
        Ok(size) if size <= MAX_CONTROL_PAYLOAD => Ok(size),
        _ => Err(Violation::Protocol(
            "A control frame's payload is longer than 125 bytes",
        )),
    }
}

/// A message of one frame that came in one read: the one copy and the one allocation that it costs.
fn whole_message(kind: Kind, payload: &[u8]) -> Result<Event, Violation> {
    if matches!(kind, Kind::Binary) {
        return Ok(Event::Binary(Bytes::copy_from_slice(payload)));
    }
    let text = Utf8Bytes::try_from(Bytes::copy_from_slice(payload));
    text.map(Event::Text).map_err(|_| Violation::InvalidUtf8)
}

fn control_event(kind: Kind, payload: &[u8]) -> Result<Event, Violation> {
    match kind {
        Kind::Ping => Ok(Event::Ping(Bytes::copy_from_slice(payload))),
        Kind::Pong => Ok(Event::Pong),
        _ => close_event(payload),
    }
}
