//! Selection expressions and JSONPaths on hostile text: the first line is the expression, the rest the message.
#![no_main]

#[path = "../cases/expression.rs"]
mod expression;

libfuzzer_sys::fuzz_target!(|input: &[u8]| expression::run(input));
