//! What the host tells of its functions to whoever watches.

use std::time::Duration;

/// Something that happened in a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionEvent {
    /// It wrote a line.
    Line {
        /// The function.
        function: String,
        /// The call under way, if there was one.
        request_id: Option<String>,
        /// The line, without its end.
        line: String,
    },
    /// A call was given to a worker.
    Began {
        /// The function.
        function: String,
        /// The call.
        request_id: String,
    },
    /// A call ended.
    Ended {
        /// The function.
        function: String,
        /// The call.
        request_id: String,
        /// From the moment it was given to a worker.
        duration: Duration,
        /// How long the worker had taken to load, where this was its first call.
        init: Option<Duration>,
        /// Where it failed: the error's type and what it says.
        error: Option<(String, String)>,
    },
    /// A worker did not load its code.
    InitFailed {
        /// The function.
        function: String,
        /// The error's type.
        error_type: String,
        /// What it says.
        message: String,
    },
}
