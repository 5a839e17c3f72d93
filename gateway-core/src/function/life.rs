//! The life of one worker as the Runtime API sees it: which request may come when, and what it is refused with.

use serde_json::json;

use super::error::MAX_RESULT_BYTES;

/// What a worker is at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    /// It loads its code.
    #[default]
    Started,
    /// It could not load its code, and is expected to end.
    InitError,
    /// It waits for a call.
    Ready,
    /// It has a call.
    Running(String),
    /// It answered that call and has not asked for another.
    ResponseSent(String),
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::InitError => "InitError",
            Self::Ready => "Ready",
            Self::Running(_) => "Running",
            Self::ResponseSent(_) => "ResponseSent",
        }
    }
}

/// The rules of one worker. It has one call at a time.
#[derive(Debug, Default)]
pub struct Life {
    state: State,
}

/// What became of an answer that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It is the call's result.
    Result,
    /// It is over the limit: the call's result is [`super::FunctionError::too_large`], and the worker is refused.
    TooLarge,
}

/// How a runtime sends its result (`Lambda-Runtime-Function-Response-Mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// Whole.
    Buffered,
    /// In pieces, perhaps with an error behind them.
    Streaming,
}

impl ResponseMode {
    /// Reads the header; without it results are buffered.
    pub fn parse(header: Option<&str>) -> Result<Self, Refusal> {
        match header {
            None => Ok(Self::Buffered),
            Some(mode) if mode.eq_ignore_ascii_case("buffered") => Ok(Self::Buffered),
            Some(mode) if mode.eq_ignore_ascii_case("streaming") => Ok(Self::Streaming),
            Some(_) => Err(Refusal::InvalidResponseMode),
        }
    }
}

impl Life {
    /// The worker asks for a call. Whether it asks for its first.
    pub fn ask(&mut self) -> Result<bool, Refusal> {
        match self.state {
            State::Started | State::ResponseSent(_) | State::Ready => {
                let first = self.state == State::Started;
                self.state = State::Ready;
                Ok(first)
            }
            State::InitError | State::Running(_) => Err(self.disallowed("Ready")),
        }
    }

    /// The worker, which waits, is given a call.
    pub fn begin(&mut self, request_id: &str) {
        debug_assert_eq!(
            self.state,
            State::Ready,
            "a call is given to whoever asked for one"
        );
        self.state = State::Running(request_id.to_owned());
    }

    /// The worker has a result of `bytes` for a call.
    pub fn response(&mut self, request_id: &str, bytes: usize) -> Result<Answered, Refusal> {
        self.answer(request_id, "InvocationResponse")?;
        Ok(if bytes > MAX_RESULT_BYTES {
            Answered::TooLarge
        } else {
            Answered::Result
        })
    }

    /// The worker has an error for a call.
    pub fn error(&mut self, request_id: &str) -> Result<(), Refusal> {
        self.answer(request_id, "InvocationErrorResponse")
    }

    /// The worker could not load its code.
    pub fn init_error(&mut self) -> Result<(), Refusal> {
        if self.state != State::Started {
            return Err(self.disallowed("InitError"));
        }
        self.state = State::InitError;
        Ok(())
    }

    fn answer(&mut self, request_id: &str, to: &'static str) -> Result<(), Refusal> {
        match &self.state {
            State::Running(open) if open == request_id => {
                self.state = State::ResponseSent(request_id.to_owned());
                Ok(())
            }
            State::ResponseSent(answered) if answered == request_id => Err(self.disallowed(to)),
            _ => Err(Refusal::InvalidRequestId),
        }
    }

    fn disallowed(&self, to: &'static str) -> Refusal {
        let from = self.state.name();
        Refusal::InvalidStateTransition { from, to }
    }
}

/// What the Runtime API refuses a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: no call of this worker, or one that was answered before its present one.
    InvalidRequestId,
    /// 400: the header names no mode.
    InvalidResponseMode,
    /// 400: the body ended before its end.
    Truncated,
    /// 403: not now.
    InvalidStateTransition {
        /// What the worker is at.
        from: &'static str,
        /// Where the request would have brought it.
        to: &'static str,
    },
    /// 404: there is no such path, or what it offers is not offered here.
    NotFound,
    /// 413.
    TooLarge,
    /// 500: the host is at its end.
    Internal,
}

impl Refusal {
    /// The answer's status.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequestId | Self::InvalidResponseMode | Self::Truncated => 400,
            Self::InvalidStateTransition { .. } => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::Internal => 500,
        }
    }

    /// The answer's body, JSON.
    pub fn body(self) -> String {
        let (error_type, message) = match self {
            Self::InvalidRequestId => ("InvalidRequestID", "Invalid request ID".to_owned()),
            Self::InvalidResponseMode => (
                "InvalidFunctionResponseMode",
                "Invalid function response mode".to_owned(),
            ),
            Self::Truncated => (
                "TruncatedHTTPRequest",
                "The request's body ended before its end".to_owned(),
            ),
            Self::InvalidStateTransition { from, to } => (
                "InvalidStateTransition",
                format!(
                    "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
                ),
            ),
            Self::NotFound => ("NotFound", "There is no such call".to_owned()),
            Self::TooLarge => (
                "RequestEntityTooLarge",
                format!("Exceeded maximum allowed payload size ({MAX_RESULT_BYTES} bytes)."),
            ),
            Self::Internal => (
                "InternalServerError",
                "The host is shutting down".to_owned(),
            ),
        };
        json!({ "errorMessage": message, "errorType": error_type }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests as words, `next`, `begin:id`, `response:id`, `error:id`, `init`: what the last of them gets.
    #[track_caller]
    fn check(requests: &str, expected: Result<(), u16>) {
        let mut life = Life::default();
        let mut last = Ok(());
        for request in requests.split_whitespace() {
            let (name, id) = request.split_once(':').unwrap_or((request, ""));
            last = match name {
                "next" => life.ask().map(drop),
                "begin" => {
                    life.begin(id);
                    Ok(())
                }
                "response" => life.response(id, 1).map(drop),
                "error" => life.error(id),
                "init" => life.init_error(),
                other => panic!("{other}"),
            };
        }
        assert_eq!(last.map_err(Refusal::status), expected, "{requests}");
    }

    #[test]
    fn a_worker_does_one_thing_after_the_other() {
        check("next", Ok(()));
        check("next next", Ok(()));
        check("next begin:a response:a", Ok(()));
        check("next begin:a error:a", Ok(()));
        check("next begin:a response:a next begin:b response:b", Ok(()));
        check("next begin:a error:a next begin:b error:b next", Ok(()));
        check("init", Ok(()));
    }

    #[test]
    fn what_comes_at_the_wrong_time_is_refused() {
        check("next begin:a next", Err(403));
        check("next begin:a response:a response:a", Err(403));
        check("next begin:a response:a error:a", Err(403));
        check("next begin:a error:a response:a", Err(403));
        check("init next", Err(403));
        check("init init", Err(403));
        check("next init", Err(403));
        check("next begin:a init", Err(403));
        check("next begin:a response:a init", Err(403));
    }

    #[test]
    fn what_is_no_call_of_the_worker_is_refused() {
        check("response:a", Err(400));
        check("error:a", Err(400));
        check("init response:a", Err(400));
        check("next response:a", Err(400));
        check("next begin:a response:b", Err(400));
        check("next begin:a error:b", Err(400));
        check("next begin:a response:a next response:a", Err(400));
        check("next begin:a response:a next begin:b response:a", Err(400));
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        check("next begin:a next response:b init response:a", Ok(()));
        check("next begin:a response:a response:a next", Ok(()));
    }

    #[test]
    fn the_first_next_ends_the_init() {
        let mut life = Life::default();
        assert_eq!((life.ask(), life.ask()), (Ok(true), Ok(false)));
    }

    #[test]
    fn a_result_over_the_limit_is_an_answer_all_the_same() {
        let mut life = Life::default();
        for (id, bytes, expected) in [
            ("a", MAX_RESULT_BYTES, Answered::Result),
            ("b", MAX_RESULT_BYTES + 1, Answered::TooLarge),
        ] {
            life.ask().unwrap();
            life.begin(id);
            assert_eq!(life.response(id, bytes), Ok(expected), "{id}");
        }
        assert!(life.ask().is_ok());
    }

    #[test]
    fn refusals_have_their_words() {
        #[track_caller]
        fn check(refusal: Refusal, status: u16, error_type: &str, message: &str) {
            let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
            let expected = json!({"errorMessage": message, "errorType": error_type});
            assert_eq!((refusal.status(), body), (status, expected));
        }
        check(
            Refusal::InvalidRequestId,
            400,
            "InvalidRequestID",
            "Invalid request ID",
        );
        check(
            Refusal::InvalidStateTransition {
                from: "Running",
                to: "Ready",
            },
            403,
            "InvalidStateTransition",
            "State transition from Running to Ready failed for runtime. Error: State transition is not allowed",
        );
        check(
            Refusal::TooLarge,
            413,
            "RequestEntityTooLarge",
            "Exceeded maximum allowed payload size (6291556 bytes).",
        );
        assert_eq!(ResponseMode::parse(None), Ok(ResponseMode::Buffered));
        assert_eq!(
            ResponseMode::parse(Some("Streaming")),
            Ok(ResponseMode::Streaming)
        );
        assert_eq!(
            ResponseMode::parse(Some("fast")),
            Err(Refusal::InvalidResponseMode)
        );
    }
}
