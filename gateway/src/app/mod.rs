//! Builds every part from the configuration: the only place where they all meet.

mod deploy;
mod membership;
mod process;
mod reload;
mod workers;

pub use deploy::{Addresses, Deployment, compile_all};
pub use process::{EXIT_CONFIG, EXIT_UNAVAILABLE, run};
