//! RFC 6455 frames, the server's side: bytes of a client in, messages out; messages in, bytes for a client out.
//!
//! A state machine without sockets and without a clock. tungstenite's own receiving half is not used, because its read
//! buffer grows to the largest frame ever seen and never shrinks, it reserves a frame's declared length before the
//! payload has come, and it hides fragments, so that their number cannot be capped. Its header types are used, and in
//! the tests it is the oracle.
//!
//! ```
//! # use gateway::codec::{Decoder, Event, Limits};
//! let limits = Limits { frame: 32 * 1024, message: 128 * 1024, fragments: 1024, binary: false };
//! let mut decoder = Decoder::default();
//! // What one read brought: a masked text frame and the first half of a ping.
//! let mut scratch = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2, 0x89, 0x84, 9];
//! let mut used = 0;
//! loop {
//!     let (n, event) = decoder.decode(&mut scratch[used..], &limits)?;
//!     used += n;
//!     let Some(event) = event else { break };
//!     assert_eq!(event, Event::Text("hi".into()));
//! }
//! assert_eq!(used, scratch.len());
//! # Ok::<(), gateway::codec::Violation>(())
//! ```
mod close_frame;
mod decode;
mod encode;
mod input;
mod message;
#[cfg(test)]
mod tests;
mod violation;

use bytes::Bytes;
pub use tokio_tungstenite::tungstenite::Utf8Bytes;

pub use decode::Decoder;
pub use encode::{FrameKind, close, encode, ping, pong};
pub use violation::Violation;

/// The longest payload of a control frame, in bytes (RFC 6455, 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// What a client may send. `usize::MAX` and `u32::MAX` turn a limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload of one frame, in bytes, without its header (AWS quotas, WebSocket: 32 KB a frame).
    pub frame: usize,
    /// Payload of all frames of one message, in bytes (AWS quotas, WebSocket: 128 KB a message).
    pub message: usize,
    /// Frames of one message, empty ones included. Nothing else bounds endless empty continuations.
    pub fragments: u32,
    /// Whether binary messages are taken; AWS closes with 1003.
    pub binary: bool,
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole text message.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// To be answered with [`pong`] and the same payload.
    Ping(Bytes),
    /// The answer to a ping, or a heartbeat that nobody asked for.
    Pong,
    /// The client's last frame; feed nothing more.
    Close {
        /// A code that may stand on the wire; `None` where the client named none (1005 in events).
        code: Option<u16>,
        /// At most 123 bytes, often empty.
        reason: String,
    },
}
