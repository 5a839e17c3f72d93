//! The fuzz targets' seeds, and a short run of changes to them, on a stable compiler and without a fuzzer.

use std::path::Path;

#[path = "../../fuzz/cases/expression.rs"]
mod expression;

/// Changed seeds that are tried: about a second in a debug build.
const TRIES: u32 = 10_000;

/// Signs of the grammars, which single changed bytes would seldom spell.
const WORDS: [&str; 24] = [
    "$",
    "${",
    "}",
    "\\$",
    "request.body",
    ".",
    "..",
    "[0]",
    "[-1]",
    "[*]",
    "['",
    "']",
    "\n",
    "{\"a\":",
    "]",
    "{",
    ",",
    "\"",
    "\\ud83d",
    "\\u0000",
    "1e999",
    "null",
    "é",
    "/",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let entries = folder.read_dir().expect("the seeds are committed");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    files.sort();
    let read = |file| std::fs::read(file).expect("a seed can be read");
    files.iter().map(read).collect()
}

/// Small and the same in every run (xorshift32), so that a failure comes again.
struct Dice(u32);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % limit.max(1)
    }
}

fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    match dice.below(5) {
        0 => drop(input.splice(at..at, WORDS[dice.below(WORDS.len())].bytes())),
        1 => drop(input.drain(at..(at + dice.below(8)).min(input.len()))),
        2 => input.truncate(at),
        3 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        _ => {
            let from = dice.below(other.len());
            drop(input.splice(at.., other[from..].iter().copied()));
        }
    }
}

#[test]
fn expression_seeds_keep_every_promise() {
    let seeds = seeds("expression");
    assert!(seeds.len() >= 30, "only {} seeds were found", seeds.len());
    for seed in &seeds {
        expression::run(seed);
    }
    let mut dice = Dice(0x5eed);
    for _ in 0..TRIES {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(4) {
            let other = &seeds[dice.below(seeds.len())];
            change(&mut input, other, &mut dice);
        }
        expression::run(&input);
    }
}
