//! Whole APIs through the compiler, and messages through what it makes.

mod bad;
mod good;
mod select;
