//! Runs Lambda functions: processes that ask for their calls by the Lambda Runtime API, each with one call at a time.
//!
//! A thread of its own holds it all. Each function has a task (`pool.rs`) that does what `gateway_core::function::Pool`
//! decides, and each of its workers one (`worker.rs`, `desk.rs`). Between the gateway and every process it starts stands a keeper
//! (`keeper.rs`), so that nothing outlives the gateway.

mod call;
mod desk;
mod environment;
mod events;
mod host;
pub mod keeper;
mod log;
mod output;
mod pool;
mod process;
mod runtime_api;
mod tools;
mod worker;

pub use call::{Invocation, InvokeError, Invoked};
pub use environment::of_tools;
pub use events::FunctionEvent;
pub use host::{FunctionHost, HostSettings};
pub(crate) use tools::private_temporary;
pub use tools::{NODE_VARIABLE, PYTHON_VARIABLE, Tools};
