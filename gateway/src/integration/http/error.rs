//! What can go wrong between the gateway and a backend, in sentences for the operator.
//!
//! The sentences name the origin and the way to mend it, and hold nothing of a request, of a response or of a path.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use super::Origin;

/// A call that brought no whole answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackendError {
    /// The request cannot be sent as it stands.
    #[error("the request to the backend cannot be sent: {reason}")]
    InvalidRequest {
        /// What is wrong, and what would be right.
        reason: &'static str,
    },
    /// The host's name has no address.
    #[error(
        "{origin}: the name cannot be resolved ({reason}); check the integration URI and this node's DNS"
    )]
    Resolve {
        /// Who was called.
        origin: Origin,
        /// What the resolver said.
        reason: String,
    },
    /// The host's name has only addresses that backends must not live at.
    #[error(
        "{origin}: {address} is a link-local address, where clouds serve their instances' credentials; \
         correct the integration URI, or allow link-local backends in the settings"
    )]
    Forbidden {
        /// Who was called.
        origin: Origin,
        /// One of its addresses.
        address: IpAddr,
    },
    /// No TCP connection came about.
    #[error(
        "{origin}: no connection ({reason}); check that the backend runs and can be reached from this node"
    )]
    Connect {
        /// Who was called.
        origin: Origin,
        /// What the system said of the last address that was tried.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error(
        "{origin}: the TLS handshake failed ({reason}); check the backend's certificate and the trusted authorities"
    )]
    Tls {
        /// Who was called.
        origin: Origin,
        /// What the TLS library said.
        reason: String,
    },
    /// It was not sent: while it waited, this node lost the right to.
    #[error("the request was not sent: this node may no longer act for the connection")]
    Withheld,
    /// The deadline came first.
    #[error(
        "{origin}: no complete answer within the integration's timeout; look into the backend or raise timeoutInMillis"
    )]
    Timeout {
        /// Who was called.
        origin: Origin,
        /// Whether any byte of the request may have left this node.
        may_have_been_sent: bool,
    },
    /// The connection ended early, or what came over it is not HTTP within the limits.
    #[error(
        "{origin}: the answer is broken: {reason}; look into the backend or what stands in front of it"
    )]
    Broken {
        /// Who was called.
        origin: Origin,
        /// What was seen.
        reason: String,
        /// Whether any byte of the request may have left this node.
        may_have_been_sent: bool,
    },
    /// The response's body is larger than the limit.
    #[error(
        "{origin}: the response's body is larger than {limit} bytes; answer less, or raise the limit"
    )]
    TooLarge {
        /// Who was called.
        origin: Origin,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Who has to act for a call to succeed next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever wrote the integration or the gateway's settings.
    Configuration,
    /// Whoever runs the backend, or the network to it.
    Backend,
}

impl BackendError {
    /// Who is at fault, as far as this node can tell.
    pub fn fault(&self) -> Fault {
        match self {
            Self::InvalidRequest { .. } | Self::Forbidden { .. } => Fault::Configuration,
            _ => Fault::Backend,
        }
    }

    /// Whether the backend may have seen any of the request, so that sending it again could make it act twice.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Timeout {
                may_have_been_sent, ..
            }
            | Self::Broken {
                may_have_been_sent, ..
            } => *may_have_been_sent,
            Self::TooLarge { .. } => true,
            Self::InvalidRequest { .. }
            | Self::Resolve { .. }
            | Self::Forbidden { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Withheld => false,
        }
    }
}

/// What went wrong on an HTTP/2 connection. The library's own text is used only where it cannot hold what the backend sent.
pub(super) fn explain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the connection closed before the answer was complete".to_owned();
    }
    if error.is_timeout() {
        return "the connection stopped answering pings".to_owned();
    }
    match io_kind(error) {
        Some(kind) => format!("{kind}"),
        None => "the connection failed".to_owned(),
    }
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}
