//! The ways to share memory with a child, and how long things take: what the benchmarks and their children have in common.

pub mod measure;
pub mod ways;

/// Where in the memory a child leaves how long it took to attach, in bytes.
pub const SPENT: usize = 8;
