//! Requests and replies as whole values.

mod authorizer;
mod body;
mod connect;
mod parameters;
mod request;
mod response;
