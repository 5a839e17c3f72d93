//! Frames and batches as bytes, on either road.
//!
//! ```text
//! batch  length of the frames (4)  frames, enciphered  code over number, length and frames (16)
//! frame  kind (1)  ticket (8)  length of the body (4)  body
//! ```
//!
//! Numbers are big-endian. The body of an order begins with its deadline (8), in milliseconds of the store's time. A ticket is
//! the asker's; the answer carries it back. The batch is the link's; that of the other road is in `redis/envelope.rs`.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::seal::TAG;

/// Before each batch.
pub(crate) const LENGTH: usize = 4;
/// Before each frame's body.
pub(crate) const HEAD: usize = 13;
/// Before the body of an order.
pub(crate) const DEADLINE: usize = 8;
/// A batch is closed once its frames have so many bytes.
pub(crate) const BATCH: usize = 64 * 1024;
/// From this size on a body travels in a batch of its own, and is not copied where it arrives.
pub(crate) const LARGE: usize = 16 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Order = 1,
    Answer = 2,
    /// Asks for an [`Kind::Echo`], to know whether anybody is there.
    Probe = 3,
    Echo = 4,
}

impl Kind {
    fn read(byte: u8) -> Option<Self> {
        [Self::Order, Self::Answer, Self::Probe, Self::Echo]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The most bytes that the frames of a batch may have where no body is larger than `most`.
pub(crate) fn largest_batch(most: usize) -> usize {
    BATCH + HEAD + DEADLINE + most
}

/// Puts a frame's head before its body.
pub(crate) fn put_head(into: &mut Vec<u8>, kind: Kind, ticket: u64, body: usize) {
    into.push(kind as u8);
    into.extend_from_slice(&ticket.to_be_bytes());
    into.extend_from_slice(&length(body));
}

/// As it stands before batches and bodies; both are bounded far below 4 GiB.
pub(crate) fn length(bytes: usize) -> [u8; LENGTH] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// How long the batch is that begins here, with its length and code; `None` while that cannot be told. Breaks where it is
/// larger than `most`.
pub(crate) fn batch_length(received: &[u8], most: usize) -> ControlFlow<usize, Option<usize>> {
    let Some(length) = received.first_chunk::<LENGTH>() else {
        return ControlFlow::Continue(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > most {
        return ControlFlow::Break(length);
    }
    ControlFlow::Continue(Some(LENGTH + length + TAG))
}

/// The frames of a batch whose code was right.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    batch: Batch<'a>,
    read: usize,
}

#[derive(Debug)]
enum Batch<'a> {
    /// Lies in the buffer that is read into.
    Small(&'a [u8]),
    /// Has a buffer of its own, from which bodies are cut without being copied.
    Large(Bytes),
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) ticket: u64,
    body: &'a [u8],
    whole: Option<&'a Bytes>,
}

impl<'a> Frames<'a> {
    pub(crate) fn of_small(frames: &'a [u8]) -> Self {
        Self {
            batch: Batch::Small(frames),
            read: 0,
        }
    }

    pub(crate) fn of_large(frames: Bytes) -> Self {
        Self {
            batch: Batch::Large(frames),
            read: 0,
        }
    }

    /// The next one; `None` at the end. An error where the bytes are no frame: whoever made them does not keep to the
    /// protocol, though it knows the secret.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, NoFrame> {
        let (frames, whole) = match &self.batch {
            Batch::Small(frames) => (*frames, None),
            Batch::Large(frames) => (&frames[..], Some(frames)),
        };
        let rest = &frames[self.read..];
        if rest.is_empty() {
            return Ok(None);
        }
        let frame = cut(rest, whole).ok_or(NoFrame)?;
        self.read += HEAD + frame.body.len();
        Ok(Some(frame))
    }
}

/// Bytes that are no frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

fn cut<'a>(rest: &'a [u8], whole: Option<&'a Bytes>) -> Option<Frame<'a>> {
    let (head, rest) = rest.split_first_chunk::<HEAD>()?;
    let (kind, numbers) = head.split_first()?;
    let (ticket, length) = numbers.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes(*length.first_chunk()?) as usize;
    Some(Frame {
        kind: Kind::read(*kind)?,
        ticket: u64::from_be_bytes(*ticket),
        body: rest.get(..length)?,
        whole,
    })
}

impl Frame<'_> {
    /// The body. A small one is a copy, lest it keep alive the large buffer it came in.
    pub(crate) fn body(&self) -> Bytes {
        self.bytes(self.body)
    }

    /// An order's deadline and body.
    pub(crate) fn order(&self) -> Option<(u64, Bytes)> {
        let (deadline, body) = self.body.split_first_chunk::<DEADLINE>()?;
        Some((u64::from_be_bytes(*deadline), self.bytes(body)))
    }

    fn bytes(&self, part: &[u8]) -> Bytes {
        match self.whole {
            Some(whole) if part.len() >= LARGE => whole.slice_ref(part),
            _ => Bytes::copy_from_slice(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(Kind, u64, Bytes)>, NoFrame> {
        let (mut frames, mut found) = (Frames::of_small(bytes), Vec::new());
        while let Some(frame) = frames.next()? {
            found.push((frame.kind, frame.ticket, frame.body()));
        }
        Ok(found)
    }

    #[test]
    fn frames_are_read_as_they_were_put() {
        let mut bytes = Vec::new();
        put_head(&mut bytes, Kind::Answer, 7 << 40, 2);
        bytes.extend_from_slice(b"ok");
        put_head(&mut bytes, Kind::Probe, 0, 0);
        let expected = vec![
            (Kind::Answer, 7 << 40, Bytes::from_static(b"ok")),
            (Kind::Probe, 0, Bytes::new()),
        ];
        assert_eq!(read(&bytes), Ok(expected));
    }

    #[test]
    fn what_is_cut_off_unknown_or_too_long_is_no_frame_and_ends_the_batch() {
        let mut whole = Vec::new();
        put_head(&mut whole, Kind::Order, 1, 8);
        whole.extend_from_slice(&[0; 8]);
        for cut in 1..whole.len() {
            assert_eq!(read(&whole[..cut]), Err(NoFrame), "{cut}");
        }
        for (place, byte) in [(0, 0), (0, 5), (0, 255), (9, 255), (12, 9)] {
            let mut wrong = whole.clone();
            wrong[place] = byte;
            assert_eq!(read(&wrong), Err(NoFrame), "{place} {byte}");
        }
    }

    #[test]
    fn an_order_without_room_for_its_deadline_is_none() {
        let mut bytes = Vec::new();
        put_head(&mut bytes, Kind::Order, 1, 7);
        bytes.extend_from_slice(&[0; 7]);
        let mut frames = Frames::of_small(&bytes);
        assert_eq!(frames.next().unwrap().unwrap().order(), None);
    }

    #[test]
    fn a_batch_says_its_length_and_a_too_large_one_is_refused_by_that_alone() {
        assert_eq!(batch_length(&[0, 0, 0], 100), ControlFlow::Continue(None));
        let length = Some(LENGTH + 100 + TAG);
        assert_eq!(
            batch_length(&[0, 0, 0, 100], 100),
            ControlFlow::Continue(length)
        );
        assert_eq!(batch_length(&[0, 0, 0, 101], 100), ControlFlow::Break(101));
    }

    #[test]
    fn a_large_body_is_not_copied_and_a_small_one_is() {
        for (size, shared) in [(LARGE, true), (LARGE - 1, false)] {
            let mut bytes = Vec::new();
            put_head(&mut bytes, Kind::Answer, 1, size);
            bytes.resize(HEAD + size, 7);
            let whole = Bytes::from(bytes);
            let mut frames = Frames::of_large(whole.clone());
            let body = frames.next().unwrap().unwrap().body();
            assert_eq!(body.as_ptr() == whole[HEAD..].as_ptr(), shared, "{size}");
        }
    }
}
