//! Code that the benchmarks share with the child program: the candidates and the timing.

pub mod candidates;
pub mod measure;

/// The offset in the shared memory at which a child stores the time that attaching took.
pub const ATTACH_TIME_OFFSET: usize = 8;
