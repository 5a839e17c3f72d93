//! Requests and replies as whole values.

mod body;
mod connect;
mod parameters;
mod request;
mod response;
