//! What a run says of its workers.

use std::process::ExitStatus;

use heirloom::Command;

use crate::failure::Failure;

/// How the workers of a run ended.
#[derive(Default)]
pub struct Outcome {
    /// The status of the first that failed.
    pub failed: Option<ExitStatus>,
    /// A signal that kept the others from being started.
    pub interrupted: Option<i32>,
}

/// Sets the streams of a worker.
pub type Streams<'a> = dyn Fn(&mut Command) -> Result<(), Failure> + 'a;
