//! Why a request of the control plane is refused, in AWS's shapes.

use thiserror::Error;

/// A refusal; its text is what the caller reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request breaks a rule.
    #[error("{0}")]
    BadRequest(String),
    /// It exists already, or something else still needs it.
    #[error("{0}")]
    Conflict(String),
    /// The body is no JSON object.
    #[error("{0}")]
    Serialization(String),
}

impl ControlError {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) => 404,
            Self::BadRequest(_) | Self::Serialization(_) => 400,
            Self::Conflict(_) => 409,
        }
    }

    /// The name of the shape, as `x-amzn-ErrorType` has it; clients choose their exception by it.
    pub fn shape(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFoundException",
            Self::BadRequest(_) => "BadRequestException",
            Self::Conflict(_) => "ConflictException",
            Self::Serialization(_) => "SerializationException",
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }
}
