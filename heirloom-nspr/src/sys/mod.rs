//! The operating system: the only place that calls it. One file a system, each with the same functions.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::*;
