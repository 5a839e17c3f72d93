//! The fuzz target's seeds and a short run of changes to them: a client's bytes, through its frames, to routes.

#[path = "../../fuzz/cases/frames.rs"]
mod frames;
#[path = "../../fuzz/cases/replay.rs"]
mod replay;

/// Changed seeds that are tried: under a second in a debug build.
const TRIES: u32 = 4_000;

const WORDS: [&[u8]; 20] = [
    // Heads of masked frames; a mask of zeroes leaves the payload readable.
    b"\x81\x80\0\0\0\0",
    b"\x01\x81\0\0\0\0",
    b"\x80\x80\0\0\0\0",
    b"\0\x80\0\0\0\0",
    b"\x82\x81\0\0\0\0",
    b"\x89\x80\0\0\0\0",
    b"\x8a\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"\xff\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\xfe\x01\x01\0\0\0\0",
    b"\x81\x90\0\0\0\0{\"action\":\"join\"",
    b"\x81\x91\0\0\0\0{\"action\":\"join\"}",
    b"\"action\":",
    b"\"join\"",
    b"$connect",
    b"}",
    b"[",
    b"\\u006a",
    b"\xed\xa0\x80",
    "é".as_bytes(),
];

#[test]
fn frame_seeds_keep_every_promise() {
    replay::replay("frames", &WORDS, TRIES, frames::run);
}
