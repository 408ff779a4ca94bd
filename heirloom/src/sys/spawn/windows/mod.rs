//! Starts programs on Windows.

mod arguments;
mod create_process;
mod diagnose;
mod search;

pub(crate) use create_process::spawn;
