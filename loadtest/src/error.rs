//! What can stop a trial, said so that the reader knows what to mend.

use std::io;

/// Why a scenario could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was being tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A peer said something that does not belong there.
    #[error("{0}")]
    Protocol(String),
    /// A server did not start, or a lane ended early.
    #[error("{0}")]
    Trial(String),
    /// The command line asks for what cannot be done here.
    #[error("{0}")]
    Usage(String),
}

impl LoadError {
    /// For `map_err`: keeps what was being tried beside what the system said.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// A peer's mistake, with its text.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }
}
