//! Why a signature was not accepted, in AWS's words.

/// A refusal. Its text is what AWS puts into the `message` of the answer, whose status is 403 for each: where other
/// services of AWS answer 400, as to a signature that cannot be read, `execute-api` was seen to answer 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request is not signed at all.
    #[error("Missing Authentication Token")]
    MissingToken,
    /// What should be a signature cannot be read as one.
    #[error("{0}")]
    IncompleteSignature(String),
    /// The signature can be read but is not for this service, host or day; the text says which.
    #[error("{0}")]
    Misapplied(String),
    /// The signature is not that of this request under this key.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.\n\nThe Canonical String for this request should have \
         been\n'{canonical_request}'\n\nThe String-to-Sign should have \
         been\n'{string_to_sign}'\n"
    )]
    InvalidSignature {
        /// What the caller should have hashed.
        canonical_request: String,
        /// What the caller should have signed.
        string_to_sign: String,
    },
    /// Nobody has this access key, or its session token is another.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The temporary credentials have ended.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Signed too long ago, or by a clock that is ahead; the text says which and by how much.
    #[error("{0}")]
    Skewed(String),
}

impl SignatureError {
    /// The value of `x-amzn-ErrorType`, by which SDKs choose what to raise.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::IncompleteSignature(_) => "IncompleteSignatureException",
            Self::Misapplied(_) | Self::InvalidSignature { .. } | Self::Skewed(_) => {
                "InvalidSignatureException"
            }
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
        }
    }

    /// The `message` of the answer's JSON body.
    pub fn message(&self) -> String {
        self.to_string()
    }
}
