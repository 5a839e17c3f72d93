//! The specification: one test binary, a file for each promise.
