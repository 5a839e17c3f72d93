//! What is measured: CPU and memory of processes, latencies, and what several runs say together.

pub(crate) mod course;
pub(crate) mod crew;
pub(crate) mod figure;
pub(crate) mod latency;
pub(crate) mod processes;
pub(crate) mod statistics;
