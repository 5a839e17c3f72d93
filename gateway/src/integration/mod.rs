//! The adapters between the walk of a call and the backend that its route names.
//!
//! `http` owns the outbound connections of one worker thread; `lambda` speaks the Lambda Invoke API over them.
pub mod http;
pub mod lambda;
