//! Why a command did not do what it should, for people and, as an exit code, for programs.

use std::process::ExitCode;

use http::StatusCode;
use thiserror::Error;

use crate::app::{EXIT_CONFIG, EXIT_UNAVAILABLE};

/// The gateway does not let us in (`EX_NOPERM` of sysexits.h).
const EXIT_REFUSED: u8 = 77;
/// It was understood, and could not be done.
const EXIT_NOT_DONE: u8 = 1;

/// Why a command did not do what it should, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Trouble {
    /// The command itself is wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody there, or nobody who answers.
    #[error("{0}")]
    Unreachable(String),
    /// It does not let us in.
    #[error("{0}")]
    Refused(String),
    /// It answered that it cannot be done, and why.
    #[error("{message}")]
    Answered {
        /// The status.
        status: StatusCode,
        /// The body's `message`.
        message: String,
    },
}

impl Trouble {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => EXIT_CONFIG,
            Self::Unreachable(_) => EXIT_UNAVAILABLE,
            Self::Refused(_) => EXIT_REFUSED,
            Self::Answered { status, .. } => match *status {
                StatusCode::BAD_REQUEST => EXIT_CONFIG,
                status if status.is_server_error() => EXIT_UNAVAILABLE,
                _ => EXIT_NOT_DONE,
            },
        }
    }
}
