//! What a host of Lambda functions must do, without processes and sockets: who runs which call, what the Runtime API
//! answers, and how each end of a call reads.
//!
//! Facts: AWS Lambda Developer Guide, "Lambda runtime API" (2018-06-01) and "Lambda execution environment lifecycle".

mod error;
mod life;
mod pool;

pub use error::{FunctionError, MAX_RESULT_BYTES, accepted_error_type};
pub use life::{Answered, Life, Refusal, ResponseMode};
pub use pool::{Action, Gone, MAX_WAITING, Pool, Terms, Undone, WorkerId};
