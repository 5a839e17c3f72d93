//! What `wiregate dev` adds to a gateway, so that an app of AWS runs on a laptop without a change: a local authority for TLS, the
//! environment of its functions, their packages, a watch over their code, and a line for each call.

pub mod authority;
pub mod discover;
pub mod dotenv;
pub mod environment;
pub mod folders;
pub mod packages;
pub mod print;
pub mod watch;
