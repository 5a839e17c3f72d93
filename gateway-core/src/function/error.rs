//! Why a call of a function has no result, as the Invoke API words it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// The largest result, in bytes (Lambda quotas: 6 MB for synchronous invocations; the service's message names this figure).
pub const MAX_RESULT_BYTES: usize = 6_291_556;

/// The longest error type that is passed on, in characters.
const MAX_TYPE: usize = 256;

/// The function ran, or tried to, and there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// Such as `Runtime.ExitError`, or the name of the exception.
    pub error_type: String,
    /// The error object as the caller gets it, JSON unless the runtime sent something else.
    pub body: Bytes,
}

impl FunctionError {
    /// An error that the host found, with a sentence.
    pub fn new(error_type: &str, message: &str) -> Self {
        let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
        Self {
            error_type: error_type.to_owned(),
            body: body.into(),
        }
    }

    /// The call took longer than the function's `Timeout`.
    pub fn timed_out(request_id: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        Self::new(
            "Sandbox.Timedout",
            &format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"),
        )
    }

    /// The process did not ask for its first call in time.
    pub fn init_timed_out(request_id: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        Self::new(
            "Sandbox.Timedout",
            &format!("RequestId: {request_id} Error: Init timed out after {seconds:.2} seconds"),
        )
    }

    /// The process ended. `status` such as `exit status 1` or `signal: killed`; `None` is an end without a reason.
    pub fn exited(request_id: &str, status: Option<&str>) -> Self {
        let why = status.map_or_else(
            || "Runtime exited without providing a reason".to_owned(),
            |status| format!("Runtime exited with error: {status}"),
        );
        Self::new(
            "Runtime.ExitError",
            &format!("RequestId: {request_id} Error: {why}"),
        )
    }

    /// There is nothing to run, and why.
    pub fn no_entrypoint(why: &str) -> Self {
        Self::new("Runtime.InvalidEntrypoint", why)
    }

    /// The result is larger than [`MAX_RESULT_BYTES`].
    pub fn too_large() -> Self {
        Self::new(
            "Function.ResponseSizeTooLarge",
            &format!(
                "Response payload size exceeded maximum allowed payload size ({MAX_RESULT_BYTES} bytes)."
            ),
        )
    }

    /// What a runtime told: its body, and the type that its header gave. The body's own `errorType` goes first: not
    /// every runtime sends the header.
    pub fn told(header: Option<&str>, body: Bytes) -> Self {
        let object: Option<Value> = serde_json::from_slice(&body).ok();
        let named = object
            .as_ref()
            .and_then(|object| object.get("errorType")?.as_str())
            .filter(|name| !name.is_empty())
            .map(|name| name.chars().take(MAX_TYPE).collect());
        let error_type =
            named.unwrap_or_else(|| accepted_error_type(header.unwrap_or_default()).to_owned());
        Self { error_type, body }
    }

    /// What it says to a person: its `errorMessage`, where it has one.
    pub fn message(&self) -> Option<String> {
        let object: Value = serde_json::from_slice(&self.body).ok()?;
        Some(object.get("errorMessage")?.as_str()?.to_owned())
    }
}

/// The error type that a runtime's header stands for: `Runtime.Word` and `Function.Word` as they are, all others by their
/// prefix alone.
pub fn accepted_error_type(header: &str) -> &str {
    let word = |text: &str| {
        text.len() >= 2
            && text.len() <= MAX_TYPE
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    match header.split_once('.') {
        Some(("Runtime" | "Function", rest)) if word(rest) => header,
        _ if header.starts_with("Function.") => "Function.Unknown",
        _ => "Runtime.Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_are_those_of_the_runtime_or_unknown() {
        let check =
            |header, expected| assert_eq!(accepted_error_type(header), expected, "{header}");
        check("Runtime.UnknownReason", "Runtime.UnknownReason");
        check("Function.Oops", "Function.Oops");
        check("Function.oops", "Function.Unknown");
        check("Function.", "Function.Unknown");
        check("Function.A", "Function.Unknown");
        check("Function.Two.Words", "Function.Unknown");
        check("Runtime.With1", "Runtime.Unknown");
        check("Runtime.", "Runtime.Unknown");
        check("ValueError", "Runtime.Unknown");
        check("", "Runtime.Unknown");
        check("xRuntime.Error", "Runtime.Unknown");
    }

    #[test]
    fn each_end_has_its_words() {
        #[track_caller]
        fn check(error: &FunctionError, error_type: &str, message: &str) {
            let body: Value = serde_json::from_slice(&error.body).unwrap();
            assert_eq!(error.error_type, error_type);
            assert_eq!(
                body,
                json!({"errorType": error_type, "errorMessage": message})
            );
            assert_eq!(error.message().as_deref(), Some(message));
        }
        check(
            &FunctionError::timed_out("r1", Duration::from_secs(3)),
            "Sandbox.Timedout",
            "RequestId: r1 Error: Task timed out after 3.00 seconds",
        );
        check(
            &FunctionError::init_timed_out("r1", Duration::from_millis(10_500)),
            "Sandbox.Timedout",
            "RequestId: r1 Error: Init timed out after 10.50 seconds",
        );
        check(
            &FunctionError::exited("r1", Some("exit status 1")),
            "Runtime.ExitError",
            "RequestId: r1 Error: Runtime exited with error: exit status 1",
        );
        check(
            &FunctionError::exited("r1", None),
            "Runtime.ExitError",
            "RequestId: r1 Error: Runtime exited without providing a reason",
        );
        check(
            &FunctionError::too_large(),
            "Function.ResponseSizeTooLarge",
            "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        );
    }

    #[test]
    fn what_a_runtime_told_is_passed_on_as_it_came() {
        let check = |header, body: &'static str, expected: &str| {
            let error = FunctionError::told(header, Bytes::from(body));
            assert_eq!(
                (error.error_type.as_str(), &error.body[..]),
                (expected, body.as_bytes())
            );
        };
        check(
            None,
            r#"{"errorType":"ValueError","errorMessage":"x"}"#,
            "ValueError",
        );
        check(Some("Runtime.Bad"), r#"{"errorType":"E"}"#, "E");
        check(Some("Runtime.Bad"), "{}", "Runtime.Bad");
        check(Some("Function.Bad"), r#"{"errorType":7}"#, "Function.Bad");
        check(Some("odd"), "<html>", "Runtime.Unknown");
        check(None, "", "Runtime.Unknown");
    }
}
