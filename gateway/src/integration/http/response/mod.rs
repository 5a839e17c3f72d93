//! An HTTP/1.1 response out of bytes, however they are cut: no sockets here.
//!
//! httparse judges the head; framing is RFC 9112's, §6.3. Where a response could be read in two ways it is read in the
//! safe one and its connection is not used again.

use std::mem::MaybeUninit;

use bytes::Bytes;
use gateway_core::header_lines::HeaderLines;
use http::StatusCode;
use httparse::{ParserConfig, Status};

use super::BackendResponse;

#[cfg(test)]
mod tests;

/// The headers that fit the parser's array on the stack.
const MAX_HEADERS: usize = 256;
/// The longest line with a chunk's size, in bytes, extensions and all.
const MAX_CHUNK_LINE: usize = 4096;
/// What is set aside for a body before any of it came, at most: an announcement is not yet memory.
const FIRST_CAPACITY: usize = 64 << 10;

/// The bounds of one response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) headers: usize,
    pub(super) head_bytes: usize,
    pub(super) body_bytes: usize,
}

/// Why a response is none. The words go on "the answer is broken: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the connection closed before the answer was complete")]
    Incomplete,
    #[error("it is not HTTP")]
    NotHttp,
    #[error("it has too many headers, or too large ones")]
    HeadTooLarge,
    #[error("its body is beyond the limit")]
    BodyTooLarge,
    #[error("it answered 101 Switching Protocols, which nobody asked for")]
    Switching,
}

/// Takes a response in piece by piece.
#[derive(Debug)]
pub(super) struct ResponseReader {
    bounds: Bounds,
    to_head: bool,
    /// The beginning of a head or of a chunk's line whose end has not come yet.
    held: Vec<u8>,
    state: State,
    status: StatusCode,
    headers: HeaderLines,
    body: Bytes,
    growing: Vec<u8>,
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// This much of the body is left.
    Length(usize),
    ChunkSize,
    /// This much of the chunk is left.
    Chunk(usize),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

impl ResponseReader {
    pub(super) fn new(bounds: Bounds, to_head: bool) -> Self {
        Self {
            bounds,
            to_head,
            held: Vec::new(),
            state: State::Head,
            status: StatusCode::OK,
            headers: HeaderLines::default(),
            body: Bytes::new(),
            growing: Vec::new(),
            keep_alive: false,
        }
    }

    /// Takes the next bytes; true once the response is whole.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<bool, Flaw> {
        while !input.is_empty() && self.state != State::Done {
            let used = match self.state {
                State::Head => self.feed_head(input)?,
                State::Length(left) => self.feed_length(input, left)?,
                State::ChunkSize => self.feed_chunk_size(input)?,
                State::Chunk(left) => {
                    let n = left.min(input.len());
                    self.grow(&input[..n])?;
                    self.state = match left - n {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    n
                }
                State::ChunkEnd => self.feed_chunk_end(input)?,
                State::Trailers => self.feed_trailers(input)?,
                State::UntilClose => {
                    self.grow(input)?;
                    input.len()
                }
                State::Done => 0,
            };
            input = &input[used..];
        }
        if !input.is_empty() {
            // Nobody asked for what comes behind a response; it must not become the answer to somebody's question.
            self.keep_alive = false;
        }
        Ok(self.state == State::Done)
    }

    /// The connection has ended.
    pub(super) fn end(&mut self) -> Result<(), Flaw> {
        self.keep_alive = false;
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Head if !self.held.is_empty() => {
                let held = std::mem::take(&mut self.held);
                self.parse_head(&held).and(Err(Flaw::Incomplete))
            }
            _ => Err(Flaw::Incomplete),
        }
    }

    /// The response, and whether its connection may serve again.
    pub(super) fn finish(self) -> (BackendResponse, bool) {
        let body = if self.growing.is_empty() {
            self.body
        } else {
            self.growing.into()
        };
        let response = BackendResponse {
            status: self.status,
            headers: self.headers,
            body,
        };
        (response, self.keep_alive)
    }

    /// Consumes the head, or all there is where it is not whole.
    fn feed_head(&mut self, input: &[u8]) -> Result<usize, Flaw> {
        if self.held.is_empty() {
            if let Some(used) = self.parse_head(input)? {
                return Ok(used);
            }
            self.held.extend_from_slice(input);
            return self.held_back(input.len());
        }
        let before = self.held.len();
        self.held.extend_from_slice(input);
        // A head ends with a line, so only a line's end is worth another look: a dripping backend buys no work with it.
        if !input.contains(&b'\n') {
            return self.held_back(input.len());
        }
        let held = std::mem::take(&mut self.held);
        if let Some(used) = self.parse_head(&held)? {
            return Ok(used - before);
        }
        self.held = held;
        self.held_back(input.len())
    }

    /// All of the input is held, and no more than a head may have.
    fn held_back(&self, input: usize) -> Result<usize, Flaw> {
        if self.held.len() > self.bounds.head_bytes {
            return Err(Flaw::HeadTooLarge);
        }
        Ok(input)
    }

    /// Parses a head if it is whole: how many bytes it has.
    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Flaw> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut []);
        let room = &mut room[..self.bounds.headers.min(MAX_HEADERS)];
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, room);
        let used = match parsed {
            Ok(Status::Complete(used)) => used,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Flaw::HeadTooLarge),
            Err(_) => return Err(Flaw::NotHttp),
        };
        if used > self.bounds.head_bytes {
            return Err(Flaw::HeadTooLarge);
        }
        let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Flaw::NotHttp)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Flaw::Switching);
        }
        if status.is_informational() {
            return Ok(Some(used));
        }
        let framing = Framing::of(head.headers)?;
        self.status = status;
        self.keep_alive = framing.keep_alive(head.version == Some(1));
        // From the first name to the empty line; httparse has left no line without a name.
        let lines = head.headers.first().map_or(used, |first| {
            first.name.as_ptr().addr() - bytes.as_ptr().addr()
        });
        self.headers = HeaderLines::received(&bytes[lines..used]);
        let bodiless = self.to_head || matches!(status.as_u16(), 204 | 304);
        let framing_announces = framing.coded || framing.length.is_some_and(|length| length > 0);
        self.state = match framing {
            _ if bodiless => State::Done,
            Framing { chunked: true, .. } => State::ChunkSize,
            Framing { coded: true, .. } => State::UntilClose,
            Framing {
                length: Some(0), ..
            } => State::Done,
            Framing {
                length: Some(length),
                ..
            } if length > self.bounds.body_bytes as u64 => {
                return Err(Flaw::BodyTooLarge);
            }
            Framing {
                length: Some(length),
                ..
            } => State::Length(length as usize),
            Framing { .. } => State::UntilClose,
        };
        // A 204 that announces a body may be followed by one, which would become the answer to the next request.
        let contradicts = status == StatusCode::NO_CONTENT && framing_announces;
        self.keep_alive &= self.state != State::UntilClose && !contradicts;
        Ok(Some(used))
    }

    fn feed_length(&mut self, input: &[u8], left: usize) -> Result<usize, Flaw> {
        let n = left.min(input.len());
        // Most bodies come in one piece, which needs no room to grow.
        if n == left && self.growing.is_empty() {
            self.body = Bytes::copy_from_slice(&input[..n]);
        } else {
            if self.growing.is_empty() {
                self.growing.reserve(left.min(FIRST_CAPACITY));
            }
            self.grow(&input[..n])?;
        }
        self.state = match left - n {
            0 => State::Done,
            left => State::Length(left),
        };
        Ok(n)
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        if bytes.len() > self.bounds.body_bytes - self.growing.len() {
            return Err(Flaw::BodyTooLarge);
        }
        self.growing.extend_from_slice(bytes);
        Ok(())
    }

    fn feed_chunk_size(&mut self, input: &[u8]) -> Result<usize, Flaw> {
        let Some((line, used)) = self.line(input, MAX_CHUNK_LINE)? else {
            return Ok(input.len());
        };
        // The parser takes no digit at all for a zero, which would end the body.
        if !line[0].is_ascii_hexdigit() {
            return Err(Flaw::NotHttp);
        }
        let size = match httparse::parse_chunk_size(&line) {
            Ok(Status::Complete((whole, size))) if whole == line.len() => size,
            _ => return Err(Flaw::NotHttp),
        };
        let room = self.bounds.body_bytes - self.growing.len();
        self.state = match usize::try_from(size) {
            Ok(0) => State::Trailers,
            Ok(size) if size <= room => State::Chunk(size),
            _ => return Err(Flaw::BodyTooLarge),
        };
        Ok(used)
    }

    fn feed_chunk_end(&mut self, input: &[u8]) -> Result<usize, Flaw> {
        for (n, &byte) in input.iter().enumerate() {
            match (self.held.is_empty(), byte) {
                (true, b'\r') => self.held.push(byte),
                (false, b'\n') => {
                    self.held.clear();
                    self.state = State::ChunkSize;
                    return Ok(n + 1);
                }
                _ => return Err(Flaw::NotHttp),
            }
        }
        Ok(input.len())
    }

    /// Trailers are read past: nobody uses them.
    fn feed_trailers(&mut self, input: &[u8]) -> Result<usize, Flaw> {
        let Some((line, used)) = self.line(input, self.bounds.head_bytes)? else {
            return Ok(input.len());
        };
        if line.trim_ascii().is_empty() {
            self.state = State::Done;
        }
        Ok(used)
    }

    /// The next line with its end, and how much of the input it took; what is not whole is held.
    fn line(&mut self, input: &[u8], limit: usize) -> Result<Option<(Vec<u8>, usize)>, Flaw> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let n = end.map_or(input.len(), |end| end + 1);
        if self.held.len() + n > limit {
            return Err(Flaw::NotHttp);
        }
        self.held.extend_from_slice(&input[..n]);
        Ok(end.map(|_| (std::mem::take(&mut self.held), n)))
    }
}

/// What the headers say of where the response ends.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    /// `Transfer-Encoding`, whatever it is.
    coded: bool,
    /// ... whose last coding is `chunked`.
    chunked: bool,
    close: bool,
    stay: bool,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Flaw> {
        let mut framing = Self::default();
        for header in headers {
            // By length first: most headers are none of these.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    for part in list(header.value) {
                        let length = number(part).ok_or(Flaw::NotHttp)?;
                        if framing.length.is_some_and(|known| known != length) {
                            return Err(Flaw::NotHttp);
                        }
                        framing.length = Some(length);
                    }
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    framing.coded = true;
                    let last = list(header.value).last().unwrap_or_default();
                    framing.chunked = last.eq_ignore_ascii_case(b"chunked");
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for part in list(header.value) {
                        framing.close |= part.eq_ignore_ascii_case(b"close");
                        framing.stay |= part.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                _ => {}
            }
        }
        Ok(framing)
    }

    /// Two framings at once may be an attempt to be read in two ways.
    fn keep_alive(&self, http11: bool) -> bool {
        let ambiguous = self.coded && (self.length.is_some() || !http11);
        !self.close && (http11 || self.stay) && !ambiguous
    }
}

fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}
