//! A client's bytes, through its frames, to the route of each message. The first byte chooses limits and reads.
#![no_main]

#[path = "../cases/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frames::run(input));
