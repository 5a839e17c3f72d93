//! Builds every part from the configuration: the only place where they all meet.

mod banner;
mod control;
mod deploy;
mod deployer;
mod functions;
mod membership;
mod process;
mod reload;
mod sources;
mod workers;

pub use deploy::{Addresses, Compiled, Deployment, compile_all};
pub use process::{EXIT_CONFIG, EXIT_UNAVAILABLE, run};
pub use sources::{Read, Sources};
