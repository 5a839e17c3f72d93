//! Load scenarios for Wiregate.
fn main() {}
