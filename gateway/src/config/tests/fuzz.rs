//! Text that nobody would write: it loads or it is refused, with a line that exists, and in bounded time and space.

use proptest::prelude::*;

use super::{LONG, load_text};
use crate::config::yaml::{MAX_DEPTH, MAX_VALUES};
use crate::config::{ConfigErrors, Origin};

/// Every mistake points into the text.
fn check(text: &str) {
    let Err(ConfigErrors { mistakes, more }) = load_text(text) else {
        return;
    };
    assert!(!mistakes.is_empty(), "refused without a word: {more}");
    let lines = u32::try_from(text.lines().count().max(1)).unwrap();
    for mistake in mistakes {
        let line = mistake.line();
        let in_file = line.is_some_and(|line| (1..=lines).contains(&line));
        assert!(
            in_file || mistake.origin == Origin::Default,
            "{mistake:?} in {text:?}"
        );
    }
}

/// Pieces of YAML and of our own words, so that arbitrary text gets past the first character.
const PIECES: [&str; 44] = [
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    ": ",
    ":",
    "- ",
    "? ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!t ",
    "!!str ",
    "|\n ",
    ">-\n  ",
    "\"",
    "'",
    "#",
    " #",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "~",
    "null",
    "<<",
    "\t",
    "\\x",
    "server",
    "lambda",
    "apis",
    "routes",
    "integration",
    "stages",
    "limits",
    "tokens",
    "$connect",
    "http://h",
    "0",
    "\u{feff}",
    "é\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn arbitrary_yaml(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn the_long_form_with_bytes_changed(
        changes in prop::collection::vec((0..LONG.len(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let mut bytes = LONG.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.min(bytes.len() - 1);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                // The characters that mean something to YAML, more often than chance would have them.
                _ => bytes[at] = b"\n \t:-?[]{},&*!|>'\"%@#`$"[usize::from(byte) % 23],
            }
        }
        check(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn what_is_built_to_be_too_much() {
    let refused = |text: &str, why: &str| {
        let errors = load_text(text).unwrap_err().to_string();
        assert!(errors.contains(why), "{errors}");
    };
    let deep = format!("maps and lists stand deeper than {MAX_DEPTH} levels");
    refused(&"[".repeat(200), &deep);
    refused(&"{a: ".repeat(200), &deep);
    refused(&"- ".repeat(100_000), &deep);
    refused(&"? ".repeat(100_000), "a key must be plain text");
    let many = format!("the file holds more than {MAX_VALUES} keys and values");
    refused(&format!("[{}]", "a,".repeat(300_000)), &many);
    refused(
        &"\u{20}".repeat(5 * 1024 * 1024),
        "the file is larger than 4 MiB",
    );
    // A plain key has at most 1024 characters; the explicit form has no such limit.
    let key = "k".repeat(1024 * 1024);
    refused(
        &format!("apis:\n  chat:\n    ? {key}\n    : 1\n"),
        "unknown key",
    );
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    refused(bomb, "aliases (*name) are not read");
    let routes: Vec<String> = (0..60_000)
        .map(|n| format!("      r{n}: {{ target: integrations/x{n} }}\n"))
        .collect();
    let routes = routes.concat();
    refused(
        &format!("apis:\n  chat:\n    routes:\n{routes}"),
        "and 59900 more",
    );
}
