//! All that a caller can be refused for, and the one table that says how each refusal looks.
//!
//! Sources: the AWS guide's WebSocket error messages, the `ApiGatewayManagementApi` service model,
//! and RFC 6455 for close codes.

use thiserror::Error;

/// Who is at fault: decides the log level and which metric counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The one who asked.
    Caller,
    /// The backend behind an integration.
    Backend,
    /// The operator's configuration.
    Configuration,
    /// Wiregate or the machine it runs on.
    Gateway,
}

/// A refusal. Callers read AWS's words for it; `Display` is for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Unknown API, stage or path, or an `Origin` that is not allowed.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// A plain request where an upgrade was expected.
    #[error("not a WebSocket upgrade")]
    UpgradeRequired,
    /// The API is kept and not served.
    #[error("HTTP APIs are not served yet")]
    NotServed,
    /// An upgrade request that RFC 6455 or HTTP forbids.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// URL over 4,096 characters.
    #[error("request URI too long")]
    UriTooLong,
    /// Too many or too large headers.
    #[error("request headers too large")]
    HeadersTooLarge,
    /// The request did not arrive in time.
    #[error("the request was not complete in time")]
    RequestTimeout,
    /// A parameter that the route declares `Required` is absent.
    #[error("missing required request parameters: [{}]", .0.join(", "))]
    MissingParameters(Vec<String>),
    /// The gateway is full: connections or unfinished handshakes.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// A rate limit was hit.
    #[error("throttled")]
    Throttled,
    /// No route matched and there is no `$default`.
    #[error("no route for this message and no $default route")]
    NoRoute,
    /// The expressions or mappings of the API would cost more on this message than one message may.
    #[error("the API's expressions take too much work on this message")]
    MessageTooComplex,
    /// No template takes the body and passthrough is refused.
    #[error("no request template takes this body and passthroughBehavior refuses it")]
    UnsupportedMediaType,
    /// What the API asks for cannot be done as configured.
    #[error("configuration: {0}")]
    Configuration(String),
    /// The backend could not be reached at all.
    #[error("backend unreachable: {0}")]
    Unreachable(String),
    /// The backend's connection broke, or what it sent was not HTTP.
    #[error("backend connection broke: {0}")]
    NetworkError(String),
    /// The backend answered that it takes a `$disconnect` some other time: 429, 502, 503 or 504.
    #[error("the backend answered {0}")]
    NotNow(u16),
    /// The backend did not answer within the integration's timeout.
    #[error("backend did not answer in time")]
    IntegrationTimeout,
    /// The function failed.
    #[error("function failed: {0}")]
    FunctionError(String),
    /// What came back cannot be used: no proxy response, or more than may be passed on.
    #[error("unusable result: {0}")]
    MalformedResult(String),
    /// The function may not be invoked or does not exist.
    #[error("function not invocable: {0}")]
    NotInvocable(String),
    /// An identity source of the authorizer is missing, or the authorizer says `Unauthorized`.
    #[error("unauthorized: {0}")]
    Unauthorized(&'static str),
    /// The authorizer's policy does not let the client in.
    #[error("the authorizer's policy {}", if *.explicit { "denies it" } else { "does not allow it" })]
    Denied {
        /// A statement says Deny; otherwise none says Allow.
        explicit: bool,
    },
    /// The authorizer failed, or could not be asked in time.
    #[error("authorizer failed: {0}")]
    AuthorizerFailed(String),
    /// The authorizer cannot be called, or what it answers is no decision.
    #[error("authorizer unusable: {0}")]
    AuthorizerUnusable(String),
    /// `@connections`: the connection is proven gone.
    #[error("connection gone")]
    Gone,
    /// `@connections`: the client reads too slowly.
    #[error("the client does not read fast enough")]
    Busy,
    /// `@connections`: the body is over the message limit.
    #[error("payload over {0} bytes")]
    PayloadTooLarge(u64),
    /// `@connections`: not an id at all.
    #[error("invalid connection id")]
    InvalidConnectionId(String),
    /// `@connections`: whether the connection lives could not be learnt.
    #[error("the owner of the connection did not answer")]
    Unknown,
    /// `@connections`: another method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// A query parameter of `@connections` that cannot be honoured.
    #[error("bad parameter: {0}")]
    BadParameter(String),
    /// A signature or token that is missing or wrong, in the words that AWS uses.
    #[error("signature refused: {error_type}")]
    Signature {
        /// Value of `x-amzn-ErrorType`.
        error_type: &'static str,
        /// The body's `message`.
        message: String,
    },
    /// Wiregate itself failed.
    #[error("internal: {0}")]
    Internal(String),
}

/// How a refusal looks to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `message` of the body or frame.
    pub message: String,
    /// `x-amzn-ErrorType`.
    pub error_type: &'static str,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

const INTERNAL: &str = "Internal server error";

/// AWS's words are not known; these are read by somebody who opened a stage in a browser.
const UPGRADE: &str = "Upgrade Required: this is a WebSocket API. Connect with a WebSocket client, to ws:// in place \
    of http://, wss:// in place of https://";

/// In the words of REST APIs, whose authorizers answer the same policies.
const EXPLICIT_DENY: &str = "User is not authorized to access this resource with an explicit deny in an identity-based policy";
const IMPLICIT_DENY: &str = "User is not authorized to access this resource because no identity-based policy allows the \
    execute-api:Invoke action";

const NOT_SERVED: &str = "Not Implemented: this is an HTTP API, and HTTP APIs are not served yet";

impl Failure {
    /// Status, message and error type: the one table.
    pub fn answer(&self) -> Answer {
        let (status, message, error_type): (u16, &str, &'static str) = match self {
            Self::Forbidden(_) | Self::NoRoute => (403, "Forbidden", "ForbiddenException"),
            Self::UpgradeRequired => (426, UPGRADE, "BadRequestException"),
            Self::NotServed => (501, NOT_SERVED, "NotImplementedException"),
            Self::BadRequest(why) => (400, why, "BadRequestException"),
            Self::UriTooLong => (414, "Request URI too long", "BadRequestException"),
            Self::HeadersTooLarge => (
                431,
                "Request header fields too large",
                "BadRequestException",
            ),
            Self::RequestTimeout => (408, "Request timed out", "BadRequestException"),
            Self::MissingParameters(names) => {
                let message = format!(
                    "Missing required request parameters: [{}]",
                    names.join(", ")
                );
                return Answer {
                    status: 400,
                    message,
                    error_type: "BadRequestException",
                    retry_after: None,
                };
            }
            Self::Overloaded(_) | Self::Unknown => {
                (503, "Service Unavailable", "ServiceUnavailableException")
            }
            Self::Throttled => (429, "Too Many Requests", "TooManyRequestsException"),
            Self::MessageTooComplex => (400, "Message too complex", "BadRequestException"),
            Self::UnsupportedMediaType => (415, "Unsupported Media Type", "BadRequestException"),
            Self::Configuration(_)
            | Self::Unreachable(_)
            | Self::NotInvocable(_)
            | Self::AuthorizerFailed(_)
            | Self::AuthorizerUnusable(_)
            | Self::Internal(_) => (500, INTERNAL, "InternalServerErrorException"),
            Self::Unauthorized(_) => (401, "Unauthorized", "UnauthorizedException"),
            Self::Denied { explicit: true } => (403, EXPLICIT_DENY, "AccessDeniedException"),
            Self::Denied { explicit: false } => (403, IMPLICIT_DENY, "AccessDeniedException"),
            Self::NetworkError(_) | Self::NotNow(_) => (
                504,
                "Network error communicating with endpoint",
                "InternalServerErrorException",
            ),
            Self::IntegrationTimeout => (
                504,
                "Endpoint request timed out",
                "InternalServerErrorException",
            ),
            Self::FunctionError(_) | Self::MalformedResult(_) => {
                (502, INTERNAL, "InternalServerErrorException")
            }
            Self::Gone => (410, "", "GoneException"),
            Self::Busy => (429, "Too Many Requests", "LimitExceededException"),
            Self::PayloadTooLarge(limit) => {
                let message = format!("Message too long: the limit is {limit} bytes");
                return Answer {
                    status: 413,
                    message,
                    error_type: "PayloadTooLargeException",
                    retry_after: None,
                };
            }
            Self::InvalidConnectionId(id) => {
                let message = format!("Invalid connectionId: {id}");
                return Answer {
                    status: 400,
                    message,
                    error_type: "BadRequestException",
                    retry_after: None,
                };
            }
            Self::MethodNotAllowed => (
                403,
                "Missing Authentication Token",
                "MissingAuthenticationTokenException",
            ),
            Self::BadParameter(why) => (400, why, "BadRequestException"),
            Self::Signature {
                error_type,
                message,
            } => (403, message, error_type),
        };
        let retry_after = (status == 503).then_some(1);
        Answer {
            status,
            message: message.to_owned(),
            error_type,
            retry_after,
        }
    }

    /// The error frame of an open connection, spaced as AWS spaces it.
    pub fn frame(&self, connection_id: &str, request_id: &str) -> String {
        let message = serde_json::Value::String(self.answer().message);
        format!(
            "{{\"message\": {message}, \"connectionId\":\"{connection_id}\", \"requestId\":\"{request_id}\"}}"
        )
    }

    /// `$context.error.responseType`: AWS's name for the class of refusal.
    pub fn response_type(&self) -> &'static str {
        match self {
            Self::Forbidden(_) | Self::NoRoute | Self::Denied { .. } => "ACCESS_DENIED",
            Self::Unauthorized(_) => "UNAUTHORIZED",
            Self::AuthorizerFailed(_) => "AUTHORIZER_FAILURE",
            Self::AuthorizerUnusable(_) => "AUTHORIZER_CONFIGURATION_ERROR",
            Self::Throttled | Self::Busy => "THROTTLED",
            Self::MissingParameters(_) => "BAD_REQUEST_PARAMETERS",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::Configuration(_) => "API_CONFIGURATION_ERROR",
            Self::Unreachable(_)
            | Self::NetworkError(_)
            | Self::NotNow(_)
            | Self::FunctionError(_)
            | Self::MalformedResult(_)
            | Self::NotInvocable(_) => "INTEGRATION_FAILURE",
            Self::IntegrationTimeout => "INTEGRATION_TIMEOUT",
            Self::PayloadTooLarge(_) => "REQUEST_TOO_LARGE",
            Self::Signature {
                error_type: "MissingAuthenticationTokenException",
                ..
            } => "MISSING_AUTHENTICATION_TOKEN",
            Self::Signature {
                error_type: "ExpiredTokenException",
                ..
            } => "EXPIRED_TOKEN",
            Self::Signature { .. } => "INVALID_SIGNATURE",
            _ if self.answer().status >= 500 => "DEFAULT_5XX",
            _ => "DEFAULT_4XX",
        }
    }

    /// Who is at fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Configuration(_)
            | Self::NotInvocable(_)
            | Self::AuthorizerUnusable(_)
            | Self::NotServed => Fault::Configuration,
            Self::Unreachable(_)
            | Self::NetworkError(_)
            | Self::NotNow(_)
            | Self::IntegrationTimeout
            | Self::FunctionError(_)
            | Self::AuthorizerFailed(_)
            | Self::MalformedResult(_) => Fault::Backend,
            Self::Overloaded(_) | Self::Unknown | Self::Internal(_) => Fault::Gateway,
            _ => Fault::Caller,
        }
    }

    /// True where the backend may not have taken the call, so that trying again later can help. It may have: whoever
    /// tries again sends the same event id.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::NetworkError(_)
                | Self::NotNow(_)
                | Self::IntegrationTimeout
                | Self::Throttled
                | Self::Overloaded(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: &Failure, status: u16, message: &str, error_type: &str) {
        let answer = failure.answer();
        assert_eq!(
            (answer.status, answer.message.as_str(), answer.error_type),
            (status, message, error_type)
        );
    }

    #[test]
    fn every_refusal_has_its_status_words_and_type() {
        check(
            &Failure::Forbidden("no such stage"),
            403,
            "Forbidden",
            "ForbiddenException",
        );
        check(&Failure::NoRoute, 403, "Forbidden", "ForbiddenException");
        check(
            &Failure::UpgradeRequired,
            426,
            UPGRADE,
            "BadRequestException",
        );
        check(
            &Failure::NotServed,
            501,
            NOT_SERVED,
            "NotImplementedException",
        );
        check(
            &Failure::UriTooLong,
            414,
            "Request URI too long",
            "BadRequestException",
        );
        check(
            &Failure::HeadersTooLarge,
            431,
            "Request header fields too large",
            "BadRequestException",
        );
        check(
            &Failure::MissingParameters(vec!["a".into(), "b".into()]),
            400,
            "Missing required request parameters: [a, b]",
            "BadRequestException",
        );
        check(
            &Failure::Throttled,
            429,
            "Too Many Requests",
            "TooManyRequestsException",
        );
        check(
            &Failure::UnsupportedMediaType,
            415,
            "Unsupported Media Type",
            "BadRequestException",
        );
        check(
            &Failure::MessageTooComplex,
            400,
            "Message too complex",
            "BadRequestException",
        );
        let said = "secret detail".to_owned();
        check(
            &Failure::Configuration(said.clone()),
            500,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::Unreachable(said.clone()),
            500,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::NotInvocable(said.clone()),
            500,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::FunctionError(said.clone()),
            502,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::MalformedResult(said.clone()),
            502,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::NetworkError(said),
            504,
            "Network error communicating with endpoint",
            "InternalServerErrorException",
        );
        check(
            &Failure::IntegrationTimeout,
            504,
            "Endpoint request timed out",
            "InternalServerErrorException",
        );
        check(&Failure::Gone, 410, "", "GoneException");
        check(
            &Failure::Unauthorized("why"),
            401,
            "Unauthorized",
            "UnauthorizedException",
        );
        check(
            &Failure::Denied { explicit: true },
            403,
            EXPLICIT_DENY,
            "AccessDeniedException",
        );
        check(
            &Failure::Denied { explicit: false },
            403,
            IMPLICIT_DENY,
            "AccessDeniedException",
        );
        for failure in [
            Failure::AuthorizerFailed("secret detail".into()),
            Failure::AuthorizerUnusable("secret detail".into()),
        ] {
            check(&failure, 500, INTERNAL, "InternalServerErrorException");
        }
        check(
            &Failure::Busy,
            429,
            "Too Many Requests",
            "LimitExceededException",
        );
        check(
            &Failure::PayloadTooLarge(131_072),
            413,
            "Message too long: the limit is 131072 bytes",
            "PayloadTooLargeException",
        );
        check(
            &Failure::InvalidConnectionId("abc".into()),
            400,
            "Invalid connectionId: abc",
            "BadRequestException",
        );
        check(
            &Failure::BadRequest("why"),
            400,
            "why",
            "BadRequestException",
        );
        check(
            &Failure::BadParameter("why".into()),
            400,
            "why",
            "BadRequestException",
        );
        check(
            &Failure::RequestTimeout,
            408,
            "Request timed out",
            "BadRequestException",
        );
        check(
            &Failure::MethodNotAllowed,
            403,
            "Missing Authentication Token",
            "MissingAuthenticationTokenException",
        );
        check(
            &Failure::Internal("secret detail".into()),
            500,
            INTERNAL,
            "InternalServerErrorException",
        );
        check(
            &Failure::Overloaded("full"),
            503,
            "Service Unavailable",
            "ServiceUnavailableException",
        );
        check(
            &Failure::Unknown,
            503,
            "Service Unavailable",
            "ServiceUnavailableException",
        );
    }

    #[test]
    fn a_caller_is_told_when_to_come_back_only_when_that_can_help() {
        assert_eq!(Failure::Unknown.answer().retry_after, Some(1));
        assert_eq!(Failure::Gone.answer().retry_after, None);
        assert_eq!(Failure::Busy.answer().retry_after, None);
    }

    #[test]
    fn error_frames_are_spaced_as_on_aws() {
        assert_eq!(
            Failure::IntegrationTimeout.frame("L0SM9cOFvHcCIhw=", "L0SVnG4JvHcFZEQ="),
            r#"{"message": "Endpoint request timed out", "connectionId":"L0SM9cOFvHcCIhw=", "requestId":"L0SVnG4JvHcFZEQ="}"#
        );
    }

    /// AWS's class, who is at fault, and whether a retry can help.
    #[track_caller]
    fn check_class(failure: &Failure, response_type: &str, fault: Fault, transient: bool) {
        assert_eq!(
            (
                failure.response_type(),
                failure.fault(),
                failure.is_transient()
            ),
            (response_type, fault, transient),
            "{failure}"
        );
    }

    #[test]
    fn every_refusal_has_its_class_and_its_fault() {
        use Failure as F;
        let why = || "why".to_owned();
        let signed = |error_type| F::Signature {
            error_type,
            message: why(),
        };
        check_class(&F::Forbidden("x"), "ACCESS_DENIED", Fault::Caller, false);
        check_class(&F::NoRoute, "ACCESS_DENIED", Fault::Caller, false);
        check_class(&F::UpgradeRequired, "DEFAULT_4XX", Fault::Caller, false);
        check_class(&F::NotServed, "DEFAULT_5XX", Fault::Configuration, false);
        check_class(&F::BadRequest("x"), "DEFAULT_4XX", Fault::Caller, false);
        check_class(&F::RequestTimeout, "DEFAULT_4XX", Fault::Caller, false);
        check_class(&F::MessageTooComplex, "DEFAULT_4XX", Fault::Caller, false);
        check_class(
            &F::MissingParameters(vec![]),
            "BAD_REQUEST_PARAMETERS",
            Fault::Caller,
            false,
        );
        check_class(
            &F::UnsupportedMediaType,
            "UNSUPPORTED_MEDIA_TYPE",
            Fault::Caller,
            false,
        );
        check_class(
            &F::PayloadTooLarge(1),
            "REQUEST_TOO_LARGE",
            Fault::Caller,
            false,
        );
        check_class(&F::Throttled, "THROTTLED", Fault::Caller, true);
        check_class(&F::Busy, "THROTTLED", Fault::Caller, false);
        check_class(&F::Gone, "DEFAULT_4XX", Fault::Caller, false);
        check_class(&F::Overloaded("x"), "DEFAULT_5XX", Fault::Gateway, true);
        check_class(&F::Unknown, "DEFAULT_5XX", Fault::Gateway, false);
        check_class(&F::Internal(why()), "DEFAULT_5XX", Fault::Gateway, false);
        check_class(
            &F::Configuration(why()),
            "API_CONFIGURATION_ERROR",
            Fault::Configuration,
            false,
        );
        check_class(
            &F::NotInvocable(why()),
            "INTEGRATION_FAILURE",
            Fault::Configuration,
            false,
        );
        check_class(
            &F::Unreachable(why()),
            "INTEGRATION_FAILURE",
            Fault::Backend,
            true,
        );
        check_class(
            &F::NetworkError(why()),
            "INTEGRATION_FAILURE",
            Fault::Backend,
            true,
        );
        check_class(&F::NotNow(503), "INTEGRATION_FAILURE", Fault::Backend, true);
        check_class(
            &F::FunctionError(why()),
            "INTEGRATION_FAILURE",
            Fault::Backend,
            false,
        );
        check_class(
            &F::MalformedResult(why()),
            "INTEGRATION_FAILURE",
            Fault::Backend,
            false,
        );
        check_class(&F::Unauthorized("x"), "UNAUTHORIZED", Fault::Caller, false);
        check_class(
            &F::Denied { explicit: true },
            "ACCESS_DENIED",
            Fault::Caller,
            false,
        );
        check_class(
            &F::AuthorizerFailed(why()),
            "AUTHORIZER_FAILURE",
            Fault::Backend,
            false,
        );
        check_class(
            &F::AuthorizerUnusable(why()),
            "AUTHORIZER_CONFIGURATION_ERROR",
            Fault::Configuration,
            false,
        );
        check_class(
            &F::IntegrationTimeout,
            "INTEGRATION_TIMEOUT",
            Fault::Backend,
            true,
        );
        check_class(
            &signed("ExpiredTokenException"),
            "EXPIRED_TOKEN",
            Fault::Caller,
            false,
        );
        check_class(
            &signed("InvalidSignatureException"),
            "INVALID_SIGNATURE",
            Fault::Caller,
            false,
        );
        check_class(
            &signed("MissingAuthenticationTokenException"),
            "MISSING_AUTHENTICATION_TOKEN",
            Fault::Caller,
            false,
        );
    }

    #[test]
    fn what_a_caller_sent_stays_text_in_a_frame() {
        let failure = Failure::MissingParameters(vec!["a\"b\n".into()]);
        let frame: serde_json::Value = serde_json::from_str(&failure.frame("c", "r")).unwrap();
        assert_eq!(
            frame["message"],
            "Missing required request parameters: [a\"b\n]"
        );
    }

    #[test]
    fn what_the_operator_reads_is_never_what_the_caller_reads() {
        let failure = Failure::FunctionError("boom in /srv/app.py".into());
        assert!(failure.to_string().contains("boom"));
        assert!(!failure.frame("c", "r").contains("boom"));
    }
}
