//! Runs a target's seeds, and a short deterministic run of changes to them, on a stable compiler and without a fuzzer.

use std::path::Path;

/// Each seed as it is, then `tries` changed ones. `words` are signs of the grammar, which single changed bytes would
/// seldom spell.
pub(crate) fn replay(target: &str, words: &[&[u8]], tries: u32, run: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 30, "only {} seeds were found", seeds.len());
    for seed in &seeds {
        run(seed);
    }
    let mut dice = Dice(0x5eed);
    for _ in 0..tries {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(4) {
            let other = &seeds[dice.below(seeds.len())];
            change(&mut input, other, words, &mut dice);
        }
        run(&input);
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    // Both packages that use this stand beside `fuzz`.
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

fn change(input: &mut Vec<u8>, other: &[u8], words: &[&[u8]], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    match dice.below(5) {
        0 => drop(input.splice(at..at, words[dice.below(words.len())].iter().copied())),
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
