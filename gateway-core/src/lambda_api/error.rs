//! Why a request of the Lambda API is refused, in AWS's shapes.

use thiserror::Error;

/// A refusal; its text is what the caller reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LambdaApiError {
    /// `ResourceNotFoundException`.
    #[error("{0}")]
    NotFound(String),
    /// `ResourceConflictException`.
    #[error("{0}")]
    Conflict(String),
    /// `InvalidParameterValueException`: a member that this service cannot take.
    #[error("{0}")]
    InvalidParameter(String),
    /// `ValidationException`: a member that breaks its shape.
    #[error("1 validation error detected: {0}")]
    Validation(String),
    /// `SerializationException`: no JSON, or a member of another type.
    #[error("{0}")]
    Serialization(String),
    /// `InvalidRequestContentException`: an event that is no JSON.
    #[error("{0}")]
    InvalidContent(String),
    /// `PreconditionFailedException`: somebody else was faster.
    #[error(
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve the latest \
         RevisionId"
    )]
    Precondition,
    /// `RequestTooLargeException`.
    #[error("Request must be smaller than {limit} bytes for the {operation} operation")]
    TooLarge {
        /// AWS's name of the operation.
        operation: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// `TooManyRequestsException`.
    #[error("{0}")]
    TooMany(String),
    /// `ServiceException`: what was asked could not be done here.
    #[error("{0}")]
    Service(String),
}

impl LambdaApiError {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidParameter(_)
            | Self::Validation(_)
            | Self::Serialization(_)
            | Self::InvalidContent(_) => 400,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Precondition => 412,
            Self::TooLarge { .. } => 413,
            Self::TooMany(_) => 429,
            Self::Service(_) => 500,
        }
    }

    /// The name of the shape, as `x-amzn-ErrorType` has it; clients choose their exception by it.
    pub fn shape(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ResourceNotFoundException",
            Self::Conflict(_) => "ResourceConflictException",
            Self::InvalidParameter(_) => "InvalidParameterValueException",
            Self::Validation(_) => "ValidationException",
            Self::Serialization(_) => "SerializationException",
            Self::InvalidContent(_) => "InvalidRequestContentException",
            Self::Precondition => "PreconditionFailedException",
            Self::TooLarge { .. } => "RequestTooLargeException",
            Self::TooMany(_) => "TooManyRequestsException",
            Self::Service(_) => "ServiceException",
        }
    }

    /// A member that is absent and must not be.
    pub(super) fn absent(member: &str) -> Self {
        Self::Validation(format!(
            "Value null at '{}' failed to satisfy constraint: Member must not be null",
            lower_first(member)
        ))
    }

    /// A member whose value breaks its shape.
    pub(super) fn breaks(member: &str, value: &str, constraint: &str) -> Self {
        Self::Validation(format!(
            "Value '{value}' at '{}' failed to satisfy constraint: {constraint}",
            lower_first(member)
        ))
    }
}

/// AWS's messages name members as its own code does.
fn lower_first(member: &str) -> String {
    let mut letters = member.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect()
}
