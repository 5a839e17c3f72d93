//! What a client can do wrong in its frames, and the close frame it gets for it.
use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// A frame that may not be. The connection cannot go on: send [`close`](super::close) with this code and reason.
///
/// `Display` is for the operator, [`reason`](Self::reason) for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// A rule of RFC 6455 is broken: 1002.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// A text message or a close reason is not UTF-8: 1007.
    #[error("text that is not UTF-8: send bytes in a binary message")]
    InvalidUtf8,
    /// One frame is too big: 1009.
    #[error(
        "a frame of {size} bytes is over the limit of {limit}: send smaller frames or raise the limit"
    )]
    FrameTooBig {
        /// What the frame's header says, in bytes.
        size: u64,
        /// [`Limits::frame`](super::Limits::frame), in bytes.
        limit: usize,
    },
    /// The frames of one message are too big together: 1009.
    #[error(
        "a message of {size} bytes or more is over the limit of {limit}: send smaller messages or raise the limit"
    )]
    MessageTooBig {
        /// What the headers so far add up to, in bytes.
        size: u64,
        /// [`Limits::message`](super::Limits::message), in bytes.
        limit: usize,
    },
    /// A binary message where only text is taken: 1003.
    #[error("a binary message, but this API takes text only: send text or allow binary messages")]
    Binary,
    /// One message in too many frames: 1008.
    #[error("a message in more than {limit} frames: send fewer and larger ones")]
    TooManyFragments {
        /// [`Limits::fragments`](super::Limits::fragments).
        limit: u32,
    },
}

impl Violation {
    /// The close code (RFC 6455, 7.4.1), for the close frame and for `disconnectStatusCode`.
    pub fn close_code(&self) -> u16 {
        let code = match self {
            Self::Protocol(_) => CloseCode::Protocol,
            Self::InvalidUtf8 => CloseCode::Invalid,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } => CloseCode::Size,
            Self::Binary => CloseCode::Unsupported,
            Self::TooManyFragments { .. } => CloseCode::Policy,
        };
        code.into()
    }

    /// The reason, for the close frame and for `disconnectReason`: short enough for both.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Protocol(rule) => rule,
            Self::InvalidUtf8 => "Invalid UTF-8",
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } => "Message too big",
            Self::Binary => "Binary is not supported",
            Self::TooManyFragments { .. } => "Too many fragments",
        }
    }
}
