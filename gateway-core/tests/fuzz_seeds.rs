//! The fuzz target's seeds and a short run of changes to them: any expression on any message.

#[path = "../../fuzz/cases/expression.rs"]
mod expression;
#[path = "../../fuzz/cases/replay.rs"]
mod replay;

/// Changed seeds that are tried: under a second in a debug build.
const TRIES: u32 = 4_000;

const WORDS: [&[u8]; 24] = [
    b"$",
    b"${",
    b"}",
    b"\\$",
    b"request.body",
    b".",
    b"..",
    b"[0]",
    b"[-1]",
    b"[*]",
    b"['",
    b"']",
    b"\n",
    b"{\"a\":",
    b"]",
    b"{",
    b",",
    b"\"",
    b"\\ud83d",
    b"\\u0000",
    b"1e999",
    b"null",
    "é".as_bytes(),
    b"/",
];

#[test]
fn expression_seeds_keep_every_promise() {
    replay::replay("expression", &WORDS, TRIES, expression::run);
}
